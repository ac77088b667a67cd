//! The promise of the log on PostgreSQL, directly and as behind a pooler, and what only several processes can put to the
//! test.

mod faults;
mod gap;
mod plans;
mod restarts;
mod storm;

use std::sync::Arc;

use database::{MIGRATIONS, migrate};
use testbed::{FreshDatabase, Postgres as Server};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::*;
use crate::contract::{append, lead};

/// Long enough for whatever a test does to the server, and nobody is found by the poll.
const UNHURRIED: Pace = Pace {
    patience: Duration::from_mins(5),
    poll: Duration::from_hours(1),
};

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

async fn empty(settings: &str) -> [(Arc<dyn EventLog>, FreshDatabase); 1] {
    let fresh = Server::fresh_database().await;
    let database = database_at(&format!("{}{settings}", fresh.url())).await;
    [(Arc::new(PostgresLog::open(database).await.unwrap()), fresh)]
}

async fn database_at(url: &str) -> Postgres {
    let database = Postgres::open(url.parse().unwrap(), false).await.unwrap();
    migrate(&database, MIGRATIONS).await.unwrap();
    database
}

/// A log as a process of its own would have it.
async fn process(url: &str) -> Arc<PostgresLog> {
    Arc::new(PostgresLog::open_with(database_at(url).await, UNHURRIED).await.unwrap())
}

/// One append, on a task of its own.
fn appending(log: &Arc<PostgresLog>, append: StreamAppend) -> JoinHandle<Answer> {
    let log = Arc::clone(log);
    tokio::spawn(async move { log.append(vec![append]).await.remove(0) })
}

/// The positions of all events, which must be without gaps.
async fn all(log: &PostgresLog) -> Vec<Recorded> {
    let events = log.read(Scope::All, Position::START, 100_000).await.unwrap().events;
    let positions = events.iter().map(|recorded| recorded.position.get());
    assert!(positions.eq(1..=events.len() as u64));
    events
}

fn ids(events: &[Recorded]) -> Vec<u128> {
    events.iter().map(|recorded| recorded.id.ulid().into()).collect()
}

/// The connection ends when the client is dropped.
async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A session inside a transaction that has the head row locked.
async fn at_the_head_row(url: &str) -> Client {
    let session = connect(url).await;
    let lock = "BEGIN; SELECT position FROM log_head FOR UPDATE";
    session.batch_execute(lock).await.unwrap();
    session
}

/// Waits until so many sessions of the database wait for a lock.
async fn wait_for_locks(fresh: &FreshDatabase, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while fresh.number(waiting).await < count {}
}

/// Ends the sessions of the database for which this holds.
async fn end_sessions(fresh: &FreshDatabase, which: &str) {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
    );
    fresh.execute(&end).await;
}

#[tokio::test]
async fn an_event_that_does_not_decode_says_where_it_stands() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    appending(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap().unwrap();
    fresh.execute("UPDATE events SET data = '{}' WHERE position = 2").await;
    let read = log.read(Scope::All, Position::START, 10).await;
    assert!(
        matches!(read, Err(ReadError::Decode { position, .. }) if position == Position::new(2)),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_head_row_that_is_not_that_of_the_events_is_refused() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    appending(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap().unwrap();
    fresh.execute("DELETE FROM events WHERE position = 2").await;
    let refused = PostgresLog::open(database_at(fresh.url()).await).await.err().unwrap();
    let ReadError::Storage(cause) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        cause.to_string().contains("ends at 2, but its last event stands at 1"),
        "{cause}"
    );
}

#[tokio::test]
async fn events_that_came_without_a_head_row_are_gone_on_from() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    appending(&log, append(lead(1), 0, &[1, 2], 70)).await.unwrap().unwrap();
    fresh.execute("DELETE FROM log_head").await;
    let log = process(fresh.url()).await;
    let next = appending(&log, append(lead(2), 0, &[3], 60)).await.unwrap().unwrap();
    assert_eq!((next.position().get(), next.events[0].recorded_at.micros()), (3, 71));
}

#[tokio::test]
async fn a_dump_that_is_restored_goes_on_where_it_was_made() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let first = append(lead(1), 0, &[1, 2], 70);
    appending(&log, first.clone()).await.unwrap().unwrap();
    let held = all(&log).await;

    let restored = fresh.dumped_and_restored().await;
    let log = process(restored.url()).await;

    assert_eq!(all(&log).await, held);
    let again = appending(&log, first).await.unwrap().unwrap();
    assert_eq!(again.events, held);
    let next = appending(&log, append(lead(2), 0, &[3], 60)).await.unwrap().unwrap();
    assert_eq!((next.position().get(), next.events[0].recorded_at.micros()), (3, 71));
}

#[tokio::test]
async fn the_same_append_twice_in_a_batch_is_written_once() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let twice = append(lead(1), 0, &[1, 2], 5);
    let answers = log
        .append(vec![twice.clone(), append(lead(1), 2, &[3], 9), twice])
        .await;
    assert_eq!(answers[0].as_ref().unwrap(), answers[2].as_ref().unwrap());
    assert_eq!(ids(&all(&log).await), [1, 2, 3]);
}

#[tokio::test]
async fn an_append_that_the_server_refuses_does_not_hurt_its_neighbours() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let account = crate::contract::account();
    // Too long for an index, and nothing that can be made shorter.
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from_digit((state >> 59) as u32, 36).unwrap_or('-')
    };
    let letters: String = (0..20_000).map(|_| letter()).collect();
    let unstorable: StreamId = format!("repo-{account}-{letters}").parse().unwrap();
    let batch = vec![
        append(lead(1), 0, &[1], 0),
        append(unstorable, 0, &[2], 0),
        append(lead(3), 0, &[3], 0),
    ];
    let answers = log.append(batch).await;
    assert!(
        matches!(&answers[..], [Ok(_), Err(AppendError::Storage(_)), Ok(_)]),
        "{answers:?}"
    );
    assert_eq!(ids(&all(&log).await), [1, 3]);
}

#[tokio::test]
async fn behind_a_pooler_nobody_listens() {
    let fresh = Server::fresh_database().await;
    let log = process(&format!("{}?pooler=transaction", fresh.url())).await;
    appending(&log, append(lead(1), 0, &[1], 0)).await.unwrap().unwrap();
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(fresh.number(listening).await, 0);
}
