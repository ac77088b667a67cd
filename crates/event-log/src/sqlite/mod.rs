//! The log in a SQLite file: the adapter that `gitleads serve` uses unless it is told otherwise.

mod append;
mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use database::{DatabaseError, Sqlite};
use domain::{StreamId, Timestamp};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::codec::EncodedAppend;
use crate::{AppendError, Appended, EventLog, Page, Position, ReadError, Recorded, Scope, StreamAppend, retry};

/// The log in the table `events` of a migrated database (`migrations/0001_event_log.sql`).
pub struct SqliteLog {
    database: Sqlite,
    /// The last committed position: told by the writer thread, so no append of this process is missed.
    head: watch::Sender<Position>,
    /// Nothing is recorded at or before that any more, in microseconds. It changes on the writer thread, where what is under way
    /// stands before it, and does not outlive the process: whoever opens the file later has a later time.
    advanced_to: Arc<AtomicI64>,
}

impl SqliteLog {
    /// The log in this database, whose schema is in place.
    pub async fn open(database: Sqlite) -> Result<Self, ReadError> {
        let head = reading(&database, read::head).await?;
        Ok(Self {
            database,
            head: watch::Sender::new(head),
            advanced_to: Arc::new(AtomicI64::new(i64::MIN)),
        })
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
        let count = batch.len();
        if count == 0 {
            return Vec::new();
        }
        // Encoded here, on the caller's thread: the one writer is the narrow place.
        let encoded: Vec<_> = batch.into_iter().map(EncodedAppend::new).collect();
        let (sender, receiver) = oneshot::channel();
        let (head, advanced_to) = (self.head.clone(), Arc::clone(&self.advanced_to));
        let queued = self.database.submit(
            move |connection| append::run(connection, advanced_to.load(Ordering::SeqCst), encoded),
            move |committed| {
                if let Some(last) = committed.as_deref().ok().and_then(retry::last_position) {
                    head.send_if_modified(|head| std::mem::replace(head, last.max(*head)) < last);
                }
                // A caller that no longer waits has no use for the answers.
                let _ = sender.send(committed);
            },
        );
        let committed = match queued {
            Ok(()) => receiver.await.unwrap_or(Err(DatabaseError::Closed)),
            Err(refused) => Err(refused),
        };
        committed.unwrap_or_else(|error| tell_everyone(error, count))
    }

    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        let streams = streams.to_vec();
        reading(&self.database, move |connection| read::streams(connection, &streams)).await
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        reading(&self.database, move |connection| {
            read::page(connection, scope, after, limit)
        })
        .await
    }

    async fn head(&self) -> Result<Position, ReadError> {
        Ok(*self.head.borrow())
    }

    async fn advance_time(&self, time: Timestamp) -> Result<(), ReadError> {
        let advanced_to = Arc::clone(&self.advanced_to);
        let move_on = move |_: &Connection| advanced_to.fetch_max(time.micros(), Ordering::SeqCst);
        let moved = self.database.with_writer(move_on).await;
        moved.map(drop).map_err(|error| ReadError::Storage(Box::new(error)))
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        let mut head = self.head.subscribe();
        // Both ends of the wait mean the same to the caller: read and see.
        let _ = timeout(at_most, head.wait_for(|head| *head > after)).await;
    }
}

async fn reading<T: Send + 'static>(
    database: &Sqlite,
    work: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    let outcome = database.with_reader(work).await;
    outcome.map_err(|error| ReadError::Storage(Box::new(error)))?
}

/// What a failed transaction means to each of the appends in it.
fn tell_everyone(error: DatabaseError, count: usize) -> Vec<Result<Appended, AppendError>> {
    let error = Arc::new(error);
    let told = || match &*error {
        DatabaseError::Busy => AppendError::Busy,
        DatabaseError::Commit(_) => AppendError::Unknown(Box::new(Arc::clone(&error))),
        _ => AppendError::Storage(Box::new(Arc::clone(&error))),
    };
    (0..count).map(|_| Err(told())).collect()
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(Box::new(error))
    }
}

#[cfg(test)]
mod tests;
