//! A fresh store on each engine, for the tests of every room that has to keep its word on both.

use std::sync::Arc;

use database::postgres::Address;
use database::{Database, Durability, MIGRATIONS, Postgres, Sqlite, migrate};
use tempfile::TempDir;
use testbed::FreshDatabase;

pub type Store = Arc<dyn Database>;

/// A migrated file, and what must live as long as it.
pub async fn sqlite() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gitleads.db");
    let store: Store = Arc::new(Sqlite::open(&path, Durability::Disposable).unwrap());
    migrate(&*store, MIGRATIONS).await.unwrap();
    (store, folder)
}

/// A migrated database, and what must live as long as it.
pub async fn postgres() -> (Store, FreshDatabase) {
    let fresh = testbed::Postgres::fresh_database().await;
    let address: Address = fresh.url().parse().unwrap();
    let store: Store = Arc::new(Postgres::open(address, false).await.unwrap());
    migrate(&*store, MIGRATIONS).await.unwrap();
    (store, fresh)
}

/// A test of each of these functions on each engine.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    let (store, _keep) = $crate::engines::sqlite().await;
                    super::$test(store).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test]
                async fn $test() {
                    let (store, _keep) = $crate::engines::postgres().await;
                    super::$test(store).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;
