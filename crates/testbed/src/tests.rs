//! The servers that other tests rely on, tried themselves.

use crate::client::{execute, number};
use crate::{Cluster, Postgres, Replication};

#[tokio::test]
async fn a_fresh_database_is_empty_and_answers() {
    let (one, other) = (Postgres::fresh_database().await, Postgres::fresh_database().await);

    one.execute("CREATE TABLE leads (name TEXT); INSERT INTO leads VALUES ('Ada Example')")
        .await;

    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(number(one.url(), tables).await, 1);
    assert_eq!(number(other.url(), tables).await, 0);
}

#[tokio::test]
async fn a_server_that_crashed_answers_again_with_what_was_committed() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres");
    execute(
        &url,
        "CREATE TABLE leads (name TEXT); INSERT INTO leads VALUES ('Ada Example')",
    )
    .await;

    cluster.stop_immediate();
    assert!(tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_err());
    cluster.start_again();

    assert_eq!(number(&url, "SELECT count(*) FROM leads").await, 1);
}

#[tokio::test]
async fn a_promoted_replica_has_every_row_that_the_lost_primary_had_confirmed() {
    let primary = Cluster::start();
    execute(&primary.url("postgres"), "CREATE TABLE leads (name TEXT)").await;
    let replica = primary.replica(Replication::Synchronous).await;
    execute(&primary.url("postgres"), "INSERT INTO leads VALUES ('Ada Example')").await;

    primary.stop_immediate();
    replica.promote();

    let url = replica.url("postgres");
    execute(&url, "INSERT INTO leads VALUES ('Bob Example')").await;
    assert_eq!(number(&url, "SELECT count(*) FROM leads").await, 2);
}

#[tokio::test]
async fn nothing_of_a_dropped_server_stays() {
    let cluster = Cluster::start();
    let (url, data) = (cluster.url("postgres"), cluster.data.clone());

    drop(cluster);

    assert!(tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_err());
    assert!(!data.exists());
}
