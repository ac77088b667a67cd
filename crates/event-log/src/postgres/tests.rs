//! The promise of the log on PostgreSQL.

use std::sync::Arc;

use database::{MIGRATIONS, migrate};
use testbed::FreshDatabase;

use super::*;

crate::contract::keeps_the_promise!(empty);

async fn empty() -> (Arc<dyn EventLog>, FreshDatabase) {
    let fresh = testbed::Postgres::fresh_database().await;
    let database = Postgres::open(fresh.url().parse().unwrap(), false).await.unwrap();
    migrate(&database, MIGRATIONS).await.unwrap();
    (Arc::new(PostgresLog::open(database).await.unwrap()), fresh)
}
