//! The one thread that writes: folds whatever waits into one transaction and answers everyone after its commit.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, ErrorCode};

use super::checkpointer::Checkpointer;
use super::end_process;
use crate::{DatabaseError, Durability};

/// Jobs that may wait; the next one is refused.
pub(super) const QUEUE: usize = 4_096;

/// Jobs in one transaction, so that the first of them does not wait for ever.
const GROUP: usize = 512;

/// Something to run in a transaction and to answer after its commit.
pub(super) trait Job: Send {
    /// Runs the work. False if it panicked, which leaves unknown rows behind.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Says how the transaction ended.
    fn answer(self: Box<Self>, ended: Result<(), DatabaseError>);
}

/// The job around two closures.
pub(super) struct Task<W, T, A> {
    work: Option<W>,
    outcome: Option<T>,
    answer: A,
}

impl<W, T, A> Task<W, T, A>
where
    W: FnOnce(&Connection) -> T,
    A: FnOnce(Result<T, DatabaseError>),
{
    pub(super) const fn new(work: W, answer: A) -> Self {
        Self {
            work: Some(work),
            outcome: None,
            answer,
        }
    }
}

impl<W, T, A> Job for Task<W, T, A>
where
    W: FnOnce(&Connection) -> T + Send,
    T: Send,
    A: FnOnce(Result<T, DatabaseError>) + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        if let Some(work) = self.work.take() {
            self.outcome = catch_unwind(AssertUnwindSafe(|| work(connection))).ok();
        }
        self.outcome.is_some()
    }

    fn answer(self: Box<Self>, ended: Result<(), DatabaseError>) {
        let outcome = self.outcome.ok_or(DatabaseError::Closed);
        (self.answer)(ended.and(outcome));
    }
}

/// The queue to the thread, and the thread.
pub(super) struct Writer {
    queue: SyncSender<Box<dyn Job>>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(
        mut connection: Connection,
        checkpointer: Checkpointer,
        durability: Durability,
    ) -> Result<Self, DatabaseError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                run(&connection, &checkpointer, &jobs, durability);
                checkpointer.finish(&mut connection);
            })
            .map_err(DatabaseError::engine)?;
        Ok(Self { queue, thread })
    }

    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), DatabaseError> {
        self.queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => DatabaseError::Busy,
            TrySendError::Disconnected(_) => DatabaseError::Closed,
        })
    }

    /// Waits until everything that is queued has its answer and the file is closed.
    pub(super) fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes to the database panicked");
        }
    }
}

fn run(connection: &Connection, checkpointer: &Checkpointer, jobs: &Receiver<Box<dyn Job>>, durability: Durability) {
    while let Ok(first) = jobs.recv() {
        let (group, ended) = run_group(connection, first, jobs);
        if let Err(fault) = &ended {
            fault.report(durability);
        }
        for job in group {
            job.answer(ended.as_ref().copied().map_err(Fault::to_error));
        }
        checkpointer.copy_rest(connection);
    }
    // A file without a write-ahead log beside it is easier to copy. Whatever fails here is made up for at the next open.
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log could not be moved into the database file");
    }
}

/// Runs the first job and whatever waits behind it in one transaction.
fn run_group(
    connection: &Connection,
    first: Box<dyn Job>,
    jobs: &Receiver<Box<dyn Job>>,
) -> (Vec<Box<dyn Job>>, Result<(), Fault>) {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        return (vec![first], Err(Fault::before_commit(error)));
    }
    let mut group = Vec::new();
    let mut next = Some(first);
    while let Some(mut job) = next {
        let completed = job.run(connection);
        group.push(job);
        // Without a transaction, a job gave it up or the engine did (disk full, I/O error): the group's rows are gone.
        if !completed || connection.is_autocommit() {
            roll_back(connection);
            return (group, Err(Fault::before_commit(RolledBack)));
        }
        next = if group.len() < GROUP {
            jobs.try_recv().ok()
        } else {
            None
        };
    }
    let committed = connection.execute_batch("COMMIT").map_err(|error| {
        roll_back(connection);
        Fault::at_commit(error)
    });
    (group, committed)
}

fn roll_back(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

/// A job of the group panicked or gave the transaction up.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was rolled back")]
struct RolledBack;

/// Why a group was not committed; everyone in it is told.
struct Fault {
    cause: Arc<dyn Error + Send + Sync>,
    at_commit: bool,
    lost_sync: bool,
}

impl Fault {
    fn before_commit(cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Arc::new(cause),
            at_commit: false,
            lost_sync: false,
        }
    }

    fn at_commit(cause: rusqlite::Error) -> Self {
        Self {
            lost_sync: cause.sqlite_error_code() == Some(ErrorCode::SystemIoFailure),
            cause: Arc::new(cause),
            at_commit: true,
        }
    }

    fn report(&self, durability: Durability) {
        tracing::error!(error = %self.cause, at_commit = self.at_commit, "a database transaction failed");
        if self.lost_sync && durability == Durability::Full {
            end_process();
        }
    }

    fn to_error(&self) -> DatabaseError {
        let cause = Box::new(Arc::clone(&self.cause));
        if self.at_commit {
            DatabaseError::Commit(cause)
        } else {
            DatabaseError::Engine(cause)
        }
    }
}
