//! One state of the file for several queries: a connection of its own inside one read transaction.

use std::path::PathBuf;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::task::spawn_blocking;

use super::{open_reading, statements};
use crate::{DatabaseError, Row, Snapshot, Statement};

/// The connection; none while a query runs, and after one that panicked.
pub(super) struct SqliteSnapshot(Option<Connection>);

impl SqliteSnapshot {
    pub(super) async fn open(path: PathBuf) -> Result<Self, DatabaseError> {
        let opened = off_the_async_threads(move || {
            let connection = open_reading(&path)?;
            connection.execute_batch("BEGIN")?;
            // The transaction's state is that of its first read.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        });
        opened.await.map(|connection| Self(Some(connection)))
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    async fn read(&mut self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
        let connection = self.0.take().ok_or(DatabaseError::Closed)?;
        let run = move || {
            let rows = statements::read(&connection, &query);
            Ok((connection, rows))
        };
        let (connection, rows) = off_the_async_threads(run).await?;
        self.0 = Some(connection);
        rows
    }
}

async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DatabaseError> + Send + 'static,
) -> Result<T, DatabaseError> {
    spawn_blocking(work).await.map_err(DatabaseError::engine)?
}
