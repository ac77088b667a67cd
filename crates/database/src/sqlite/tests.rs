//! What the SQLite adapter promises to those who write and read through it.

use std::future::{Ready, poll_fn, ready};
use std::pin::Pin;
use std::sync::{Barrier, mpsc};
use std::task::Poll;

use rusqlite::StatementStatus;

use super::*;

crate::contract::keeps_the_promise!(empty);

fn empty() -> Ready<(Arc<dyn Database>, tempfile::TempDir)> {
    let (dir, database) = open();
    ready((Arc::new(database), dir))
}

fn open() -> (tempfile::TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let database = Sqlite::open(&dir.path().join("test.db"), Durability::Full).unwrap();
    (dir, database)
}

async fn with_table() -> (tempfile::TempDir, Sqlite) {
    let (dir, database) = open();
    let schema = "CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, name TEXT, bytes BLOB); CREATE INDEX by_name ON things (name);";
    database.write(vec![Statement::sql(schema, vec![])]).await.unwrap();
    (dir, database)
}

fn thing(id: i64) -> Statement {
    Statement::insert("things (id, name)", "", vec![id.into(), "thing".into()])
}

async fn count(database: &Sqlite) -> i64 {
    let query = Statement::sql("SELECT count(*) FROM things", vec![]);
    database.read(query).await.unwrap()[0].int(0).unwrap()
}

#[tokio::test]
async fn a_statement_is_planned_once_whatever_it_is_given() {
    let (dir, database) = with_table().await;
    let path = dir.path().join("test.db");
    let text = "SELECT id FROM things WHERE id > $1 ORDER BY id LIMIT $2";
    for connection in [open_reading(&path), open_writing(&path, Durability::Full)] {
        let connection = connection.unwrap();
        for given in [0_i64, 1, 2] {
            let query = Statement::sql(text, vec![given.into(), given.into()]);
            statements::read(&connection, &query).unwrap();
        }
        let prepared = connection.prepare_cached(text).unwrap();
        assert_eq!(prepared.get_status(StatementStatus::Run), 3);
        assert_eq!(prepared.get_status(StatementStatus::RePrepare), 0);
    }
    database.close().await;
}

#[tokio::test]
async fn a_failing_write_leaves_nothing_behind_and_does_not_hurt_its_neighbours() {
    let (_dir, database) = with_table().await;
    let block = block_writer(&database);
    let good = database.write(vec![thing(1)]);
    let bad = database.write(vec![thing(2), thing(3), thing(2)]);
    let late = database.write(vec![thing(2)]);
    let unblock = async { drop(block) };
    let (good, bad, late, ()) = tokio::join!(good, bad, late, unblock);
    assert_eq!(good.unwrap(), [1]);
    assert!(matches!(bad, Err(DatabaseError::Refused(_))));
    assert_eq!(late.unwrap(), [1]);
    assert_eq!(count(&database).await, 2);
}

#[tokio::test]
async fn a_job_that_panics_takes_its_group_back_and_the_writer_goes_on() {
    let (_dir, database) = with_table().await;
    let block = block_writer(&database);
    let good = database.write(vec![thing(1)]);
    let bad = database.with_writer(|_| panic!("a fault of the program"));
    let unblock = async { drop(block) };
    let (good, bad, ()) = tokio::join!(good, bad, unblock);
    let _: DatabaseError = bad.map(|(): ()| ()).unwrap_err();
    assert!(matches!(good, Err(DatabaseError::Engine(_))));
    database.write(vec![thing(1)]).await.unwrap();
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing() {
    let (_dir, database) = with_table().await;
    let block = block_writer(&database);
    let (answers, answered) = mpsc::channel();
    let mut accepted = 0;
    let refusal = loop {
        let id = i64::try_from(accepted).unwrap();
        let answers = answers.clone();
        let submitted = database.submit(
            move |connection| statements::write(connection, &[thing(id)]),
            move |answer| answers.send(answer.is_ok_and(|written| written.is_ok())).unwrap(),
        );
        match submitted {
            Ok(()) => accepted += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, DatabaseError::Busy));
    assert_eq!(accepted, writer::QUEUE);
    drop(block);
    drop(answers);
    assert_eq!(answered.iter().filter(|written| *written).count(), accepted);
    assert_eq!(count(&database).await, i64::try_from(accepted).unwrap());
}

#[tokio::test]
async fn closing_answers_what_is_queued_and_refuses_what_comes_after() {
    let (dir, database) = with_table().await;
    let block = block_writer(&database);
    let (queued, (), ()) = tokio::join!(database.write(vec![thing(1)]), database.close(), async { drop(block) });
    queued.unwrap();
    assert!(matches!(
        database.write(vec![thing(2)]).await,
        Err(DatabaseError::Closed)
    ));
    let query = Statement::sql("SELECT 1", vec![]);
    assert!(matches!(database.read(query).await, Err(DatabaseError::Closed)));
    assert!(!dir.path().join("test.db-wal").exists());

    let again = Sqlite::open(&dir.path().join("test.db"), Durability::Full).unwrap();
    assert_eq!(count(&again).await, 1);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_dir, database) = with_table().await;
    let written = database
        .with_reader(|connection| connection.execute("DELETE FROM things", []).is_ok())
        .await;
    assert!(!written.unwrap());
}

#[tokio::test]
async fn reads_that_are_not_polled_again_keep_no_other_waiting() {
    let (_dir, database) = with_table().await;
    let (mut never_again, unblock) = block_readers(&database).await;
    for _ in 0..2 * readers::CONNECTIONS {
        let mut read: Read = Box::pin(database.with_reader(|_| ()));
        poll_once(&mut read).await;
        never_again.push(read);
    }
    unblock.wait();
    assert_eq!(count(&database).await, 0);
    drop(never_again);
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn a_read_that_was_given_up_is_not_run() {
    let (_dir, database) = with_table().await;
    let (blocking, unblock) = block_readers(&database).await;
    let (runs, ran) = mpsc::channel();
    let mut given_up: Read = Box::pin(database.with_reader(move |_| runs.send(()).unwrap()));
    poll_once(&mut given_up).await;
    drop(given_up);
    unblock.wait();
    for read in blocking {
        read.await.unwrap();
    }
    database.close().await;
    assert_eq!(ran.iter().count(), 0);
}

#[tokio::test]
async fn a_read_that_panics_fails_alone() {
    let (_dir, database) = with_table().await;
    for _ in 0..2 * readers::CONNECTIONS {
        let failed = database.with_reader(|_| panic!("a fault of the program")).await;
        assert!(matches!(failed.map(|(): ()| ()), Err(DatabaseError::Engine(_))));
    }
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn a_precious_file_syncs_every_commit_and_a_disposable_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    for (durability, expected) in [(Durability::Full, 2), (Durability::Disposable, 1)] {
        let database = Sqlite::open(&dir.path().join("test.db"), durability).unwrap();
        let asked = database.with_writer(|connection| {
            let of = |name| {
                connection
                    .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                    .unwrap()
            };
            (of("synchronous"), of("wal_autocheckpoint"))
        });
        assert_eq!(asked.await.unwrap(), (expected, 0));
        database.close().await;
    }
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

type Read<'a> = Pin<Box<dyn Future<Output = Result<(), DatabaseError>> + Send + 'a>>;

/// Holds all threads that read inside a query until the barrier is waited at.
async fn block_readers(database: &Sqlite) -> (Vec<Read<'_>>, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(readers::CONNECTIONS + 1));
    let mut reads: Vec<Read> = Vec::new();
    for _ in 0..readers::CONNECTIONS {
        let barrier = Arc::clone(&barrier);
        let mut read: Read = Box::pin(database.with_reader(move |_| {
            barrier.wait();
        }));
        poll_once(&mut read).await;
        reads.push(read);
    }
    (reads, barrier)
}

async fn poll_once(read: &mut Read<'_>) {
    poll_fn(|context| {
        assert!(read.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}
