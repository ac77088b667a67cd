//! The promise of the log on SQLite, and what only a log in a file can promise.

use std::sync::mpsc;

use database::{Durability, MIGRATIONS, migrate};
use tempfile::TempDir;

use super::*;
use crate::contract::{account, append, lead};

crate::contract::common!(empty);
crate::contract::gapless!(empty);
crate::contract::unique_ids!(empty);
crate::contract::writers_time!(empty);

async fn empty() -> [(Arc<dyn EventLog>, TempDir); 1] {
    let dir = tempfile::tempdir().unwrap();
    let (_, log) = open(&dir).await;
    [(Arc::new(log), dir)]
}

async fn open(dir: &TempDir) -> (Sqlite, SqliteLog) {
    let database = Sqlite::open(&dir.path().join("log.db"), Durability::Full).unwrap();
    migrate(&database, MIGRATIONS).await.unwrap();
    (database.clone(), SqliteLog::open(database).await.unwrap())
}

/// Holds the writer thread inside a job until the answer is dropped.
fn block_writer(database: &Sqlite) -> mpsc::Sender<()> {
    let (block, blocked) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    let work = move |_: &Connection| {
        running.send(()).unwrap();
        blocked.recv().unwrap_err();
    };
    database.submit(work, drop).unwrap();
    runs.recv().unwrap();
    block
}

#[tokio::test]
async fn a_log_that_is_opened_again_holds_what_it_held_and_goes_on_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (database, log) = open(&dir).await;
    let first = append(lead(1), 0, &[1, 2], 70);
    log.append(vec![first.clone()]).await.remove(0).unwrap();
    let before = log.read(Scope::All, Position::START, 10).await.unwrap();
    database.close().await;

    let (_, log) = open(&dir).await;
    assert_eq!(log.read(Scope::All, Position::START, 10).await.unwrap(), before);
    assert_eq!(log.head().await.unwrap(), Position::new(2));
    let again = log.append(vec![first]).await.remove(0).unwrap();
    assert_eq!(again.events[0].position, Position::new(1));
    let next = log.append(vec![append(lead(2), 0, &[3], 60)]).await.remove(0).unwrap();
    assert_eq!((next.position().get(), next.events[0].recorded_at.micros()), (3, 71));
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (database, log) = open(&dir).await;
    let log = Arc::new(log);
    let block = block_writer(&database);
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..5_000 {
        let log = Arc::clone(&log);
        appends.spawn(async move {
            log.append(vec![append(lead(number), 0, &[number + 1], 0)])
                .await
                .remove(0)
        });
    }
    // One thread runs the tasks in turn, so the first refusal means that all before it wait in the queue.
    let refused = appends.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(AppendError::Busy)));
    drop(block);
    let taken = appends.join_all().await.into_iter().flatten().count();
    assert!(taken > 0);
    assert_eq!(log.head().await.unwrap().get(), taken as u64);
    let page = log
        .read(Scope::Account(account()), Position::START, 10_000)
        .await
        .unwrap();
    assert_eq!(page.events.len(), taken);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_hide_its_events_from_those_who_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (database, log) = open(&dir).await;
    let block = block_writer(&database);
    let mut append = log.append(vec![append(lead(1), 0, &[1], 0)]);
    assert!(still_waits(&mut append).await);
    drop(append);
    drop(block);
    log.wait(Position::START, Duration::from_hours(1)).await;
    assert_eq!(log.head().await.unwrap(), Position::new(1));
}

/// Polls once; whether the future still waits.
async fn still_waits<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending()))
        .await
}

#[tokio::test]
async fn a_group_that_is_given_up_gives_its_positions_back() {
    let dir = tempfile::tempdir().unwrap();
    let (database, log) = open(&dir).await;
    let block = block_writer(&database);
    let lost = log.append(vec![append(lead(1), 0, &[1], 900)]);
    let given_up = database.with_writer(|connection| connection.execute_batch("ROLLBACK").unwrap());
    let (lost, given_up, ()) = tokio::join!(lost, given_up, async { drop(block) });
    assert!(matches!(lost[0], Err(AppendError::Storage(_))));
    assert!(given_up.is_err());
    assert_eq!(log.head().await.unwrap(), Position::START);
    let next = log.append(vec![append(lead(2), 0, &[2], 5)]).await.remove(0).unwrap();
    assert_eq!((next.position().get(), next.events[0].recorded_at.micros()), (1, 5));
}

#[tokio::test]
async fn each_read_is_served_by_one_index() {
    let dir = tempfile::tempdir().unwrap();
    let (database, _log) = open(&dir).await;
    let shapes = [
        (
            "SELECT data FROM events WHERE position > 1 ORDER BY position LIMIT 9",
            "PRIMARY KEY",
        ),
        (
            "SELECT data FROM events WHERE account = x'00' AND position > 1 ORDER BY position LIMIT 9",
            "events_by_account",
        ),
        (
            "SELECT data FROM events WHERE stream = 'a' AND version > 1 ORDER BY version LIMIT 9",
            "(stream=? AND version>?)",
        ),
        ("SELECT max(version) FROM events WHERE stream = 'a'", "(stream=?)"),
    ];
    for (shape, index) in shapes {
        let plan = database.with_reader(move |connection| {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {shape}")).unwrap();
            let steps = explain.query_map([], |row| row.get::<_, String>(3)).unwrap();
            steps.map(Result::unwrap).collect::<Vec<_>>()
        });
        let plan = plan.await.unwrap();
        assert!(plan.len() == 1 && plan[0].contains(index), "{shape}: {plan:?}");
    }
}
