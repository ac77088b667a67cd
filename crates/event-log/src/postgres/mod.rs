//! The log in a PostgreSQL database that any number of processes append to: one transaction an append, one at a time.

mod append;
mod read;

use std::time::Duration;

use async_trait::async_trait;
use database::{Database as _, DatabaseError, Postgres};
use domain::StreamId;
use tokio::time::{sleep, timeout};

use crate::codec::EncodedAppend;
use crate::{AppendError, Appended, EventLog, Page, Position, ReadError, Recorded, Scope, StreamAppend};

/// How often a follower that waits looks for what was appended.
const POLL: Duration = Duration::from_millis(20);

/// The log in the table `events` of a migrated database (`migrations/0001_event_log.sql`).
pub struct PostgresLog {
    database: Postgres,
}

impl PostgresLog {
    /// The log in this database, whose schema is in place.
    pub async fn open(database: Postgres) -> Result<Self, ReadError> {
        let log = Self { database };
        log.head().await?;
        Ok(log)
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
        let mut answers = Vec::with_capacity(batch.len());
        for append in batch {
            answers.push(match EncodedAppend::new(append) {
                Ok(encoded) => append::run(&self.database, &encoded).await,
                Err(error) => Err(AppendError::Storage(Box::new(error))),
            });
        }
        answers
    }

    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        let mut snapshot = self.database.snapshot().await?;
        let mut found = Vec::with_capacity(streams.len());
        for stream in streams {
            found.push(read::stream(&mut *snapshot, stream).await?);
        }
        Ok(found)
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        let mut snapshot = self.database.snapshot().await?;
        let events = read::events(&mut *snapshot, scope, after, limit).await?;
        Ok(Page::new(events, read::head(&mut *snapshot).await?, limit))
    }

    async fn head(&self) -> Result<Position, ReadError> {
        read::head(&mut *self.database.snapshot().await?).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        let grown = async {
            // A fault is for the caller's next read to tell.
            while self.head().await.is_ok_and(|head| head <= after) {
                sleep(POLL).await;
            }
        };
        let _ = timeout(at_most, grown).await;
    }
}

impl From<DatabaseError> for ReadError {
    fn from(error: DatabaseError) -> Self {
        Self::Storage(Box::new(error))
    }
}

#[cfg(test)]
mod tests;
