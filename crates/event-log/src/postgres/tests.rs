//! The promise of the log on PostgreSQL, directly and as behind a pooler.

use std::sync::Arc;

use database::{MIGRATIONS, migrate};
use testbed::{FreshDatabase, Postgres as Server};

use super::*;

async fn log_at(url: &str) -> PostgresLog {
    let database = Postgres::open(url.parse().unwrap(), false).await.unwrap();
    migrate(&database, MIGRATIONS).await.unwrap();
    PostgresLog::open(database).await.unwrap()
}

async fn empty(settings: &str) -> [(Arc<dyn EventLog>, FreshDatabase); 1] {
    let fresh = Server::fresh_database().await;
    let log = log_at(&format!("{}{settings}", fresh.url())).await;
    [(Arc::new(log), fresh)]
}

mod directly {
    use super::*;

    crate::contract::common!(fresh);
    crate::contract::gapless!(fresh);
    crate::contract::unique_ids!(fresh);
    crate::contract::writers_time!(fresh);

    async fn fresh() -> [(Arc<dyn EventLog>, FreshDatabase); 1] {
        empty("").await
    }
}

mod behind_a_pooler {
    use super::*;

    crate::contract::common!(fresh);
    crate::contract::gapless!(fresh);
    crate::contract::unique_ids!(fresh);
    crate::contract::writers_time!(fresh);

    async fn fresh() -> [(Arc<dyn EventLog>, FreshDatabase); 1] {
        empty("?pooler=transaction").await
    }
}
