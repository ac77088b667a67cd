//! The promise of a database on PostgreSQL, directly and as behind a pooler, and what only a server can do.

use std::sync::Arc;

use testbed::{FreshDatabase, Postgres as Server};

use super::*;
use crate::{MIGRATIONS, Value, migrate};

async fn open_at(url: &str) -> Postgres {
    Postgres::open(url.parse().unwrap(), false).await.unwrap()
}

async fn open() -> (Postgres, FreshDatabase) {
    let fresh = Server::fresh_database().await;
    (open_at(fresh.url()).await, fresh)
}

async fn empty() -> (Arc<dyn Database>, FreshDatabase) {
    let (database, fresh) = open().await;
    (Arc::new(database), fresh)
}

mod directly {
    use super::empty;

    crate::contract::keeps_the_promise!(empty);
}

mod behind_a_pooler {
    use std::sync::Arc;

    use testbed::FreshDatabase;

    use crate::Database;

    crate::contract::keeps_the_promise!(empty);

    async fn empty() -> (Arc<dyn Database>, FreshDatabase) {
        let fresh = super::Server::fresh_database().await;
        let database = super::open_at(&format!("{}?pooler=transaction", fresh.url())).await;
        (Arc::new(database), fresh)
    }
}

fn sql(text: &'static str) -> Statement {
    Statement::sql(text, Vec::new())
}

async fn number(database: &Postgres, text: &'static str) -> i64 {
    database.read(sql(text)).await.unwrap()[0].int(0).unwrap()
}

#[tokio::test]
async fn the_migrations_run_once_even_if_many_processes_start_at_once() {
    let fresh = Server::fresh_database().await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = fresh.url().to_owned();
        starts.spawn(async move { migrate(&open_at(&url).await, MIGRATIONS).await });
    }
    for ended in starts.join_all().await {
        ended.unwrap();
    }
    let database = open_at(fresh.url()).await;
    let applied = number(&database, "SELECT count(*) FROM schema_migrations").await;
    assert_eq!(usize::try_from(applied).unwrap(), MIGRATIONS.len());
}

#[tokio::test]
async fn behind_a_pooler_no_statement_is_left_prepared() {
    let fresh = Server::fresh_database().await;
    let database = open_at(&format!("{}?pooler=transaction", fresh.url())).await;
    database
        .write(vec![sql("CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY)")])
        .await
        .unwrap();
    let row = vec![Statement::insert("things (id)", "", vec![Value::Int(1)])];
    database.write(row).await.unwrap();
    let found = Statement::sql("SELECT id FROM things WHERE id = $1", vec![Value::Int(1)]);
    assert_eq!(database.read(found).await.unwrap().len(), 1);
    assert_eq!(
        number(&database, "SELECT count(*) FROM pg_prepared_statements").await,
        0
    );
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced() {
    let (database, fresh) = open().await;
    database
        .write(vec![sql("CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY)")])
        .await
        .unwrap();
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for id in 0..5_i64 {
        fresh.execute(end_all).await;
        let query = sql("SELECT count(*) FROM things");
        // A connection of the pool may not have heard of its end yet: then the first answer is a fault, and no later one.
        let read = match database.read(query.clone()).await {
            Err(_) => database.read(query).await,
            read => read,
        };
        assert_eq!(read.unwrap()[0].int(0), Ok(id));
        let row = Statement::insert("things (id)", "ON CONFLICT DO NOTHING", vec![id.into()]);
        while database.write(vec![row.clone()]).await.is_err() {}
    }
}

#[tokio::test]
async fn two_writes_that_wait_for_each_other_both_happen() {
    let (database, _fresh) = open().await;
    database
        .write(vec![sql(
            "CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)",
        )])
        .await
        .unwrap();
    let rows = vec![vec![Value::Int(1), Value::Int(0)], vec![Value::Int(2), Value::Int(0)]];
    database
        .write(vec![Statement::Insert {
            into: "things (id, n)",
            on_conflict: "",
            rows,
        }])
        .await
        .unwrap();
    let add = |id: i64| Statement::sql("UPDATE things SET n = n + 1 WHERE id = $1", vec![id.into()]);
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..6 {
        let database = database.clone();
        let (first, second) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
        writes.spawn(async move { database.write(vec![add(first), add(second)]).await });
    }
    for written in writes.join_all().await {
        written.unwrap();
    }
    assert_eq!(number(&database, "SELECT min(n) FROM things").await, 6);
}

#[tokio::test]
async fn a_change_of_tables_does_not_make_readers_wait_behind_it() {
    let (database, fresh) = open().await;
    database
        .write(vec![sql("CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY)")])
        .await
        .unwrap();
    let mut reader = database.snapshot().await.unwrap();
    reader.read(sql("SELECT count(*) FROM things")).await.unwrap();
    let renaming = tokio::spawn({
        let database = database.clone();
        async move { database.write(vec![sql("ALTER TABLE things RENAME TO others")]).await }
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while fresh.number(waits).await == 0 {}
    assert_eq!(number(&database, "SELECT count(*) FROM things").await, 0);
    drop(reader);
    renaming.await.unwrap().unwrap();
    assert_eq!(number(&database, "SELECT count(*) FROM others").await, 0);
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_is_done_all_the_same() {
    let (database, _fresh) = open().await;
    database
        .write(vec![sql("CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY)")])
        .await
        .unwrap();
    for id in 0..20_i64 {
        let write = database.write(vec![Statement::insert("things (id)", "", vec![id.into()])]);
        let mut write = Box::pin(write);
        std::future::poll_fn(|context| {
            assert!(write.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    while number(&database, "SELECT count(*) FROM things").await < 20 {}
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused_unless_told_otherwise() {
    let fresh = Server::fresh_database().await;
    let unsafe_setting =
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END $$";
    fresh.execute(unsafe_setting).await;
    let address: Address = fresh.url().parse().unwrap();
    let refused = Postgres::open(address.clone(), false).await.err().unwrap();
    assert!(matches!(
        refused,
        OpenError::Refused {
            fault: Unsafe::Setting("synchronous_commit"),
            ..
        }
    ));
    Postgres::open(address, true).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_by_its_name_and_not_by_its_password() {
    let address: Address = "postgres://ada:secret@127.0.0.1:1/leads".parse().unwrap();
    let refused = Postgres::open(address, false).await.err().unwrap();
    let told = format!("{refused} {refused:?}");
    assert!(
        told.contains("the database leads on 127.0.0.1") && !told.contains("secret"),
        "{told}"
    );
}

#[tokio::test]
async fn a_write_that_stands_still_is_ended_by_the_server() {
    let (database, _fresh) = open().await;
    let make = sql("CREATE TABLE seen (setting TEXT)");
    let note = sql("INSERT INTO seen SELECT current_setting('idle_in_transaction_session_timeout')");
    database.write(vec![make, note]).await.unwrap();
    let rows = database.read(sql("SELECT setting FROM seen")).await.unwrap();
    assert_eq!(rows[0].text(0), Ok("5s"));
}

#[tokio::test]
async fn what_can_be_made_again_does_not_wait_for_the_disk() {
    let (database, _fresh) = open().await;
    let asked = |database: &Postgres| {
        let database = database.clone();
        async move {
            let make = sql("CREATE TABLE IF NOT EXISTS seen (setting TEXT)");
            let note = sql("INSERT INTO seen SELECT current_setting('synchronous_commit')");
            database.write(vec![make, note]).await.unwrap();
            let rows = database.read(sql("SELECT setting FROM seen")).await.unwrap();
            rows.last().unwrap().text(0).unwrap().to_owned()
        }
    };
    assert_eq!(asked(&database).await, "on");
    assert_eq!(asked(&database.disposable()).await, "off");
}

#[tokio::test]
async fn an_encrypted_server_is_talked_to_only_if_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("server.pem");
    let cluster = testbed::Cluster::start_encrypted(&certificate);
    let url = |parameters: &str| format!("{}?{parameters}", cluster.url("postgres"));
    let trusted = format!("sslmode=verify-full&sslrootcert={}", certificate.display());
    let database = open_at(&url(&trusted)).await;
    let encrypted = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    assert_eq!(number(&database, encrypted).await, 1);
    for (parameters, fault) in [
        ("sslmode=verify-full", "certificate"),
        ("sslmode=disable", "pg_hba.conf"),
    ] {
        let refused = Postgres::open(url(parameters).parse().unwrap(), false)
            .await
            .err()
            .unwrap();
        let told = format!("{refused:?}");
        assert!(
            told.contains(fault) || told.contains("UnknownIssuer"),
            "{parameters}: {told}"
        );
    }
}
