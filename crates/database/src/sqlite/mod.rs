//! One SQLite file: a writer thread with group commit and threads that read beside it. Whoever stores opens one.

mod checkpointer;
mod readers;
mod snapshot;
mod statements;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::{Database, DatabaseError, Durability, Row, Snapshot, Statement};
use checkpointer::Checkpointer;
use readers::Readers;
use snapshot::SqliteSnapshot;
use writer::{Task, Writer};

/// A handle to one open SQLite file; cheap to clone. One process opens a file at a time (see [`crate::lock`]).
#[derive(Clone)]
pub struct Sqlite {
    parts: Arc<Parts>,
}

struct Parts {
    /// Empty once the database is closed.
    writer: Mutex<Option<Writer>>,
    readers: Readers,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file, or creates it, and starts its writer thread.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, DatabaseError> {
        let mut connection = open_writing(path, durability).map_err(DatabaseError::engine)?;
        // After the writing connection, which makes the file and its write-ahead log.
        let readers = Readers::open(path)?;
        let checkpointer = Checkpointer::start(&mut connection, path, durability, checkpointer::PAGES)?;
        let writer = Writer::start(connection, checkpointer, durability)?;
        Ok(Self {
            parts: Arc::new(Parts {
                writer: Mutex::new(Some(writer)),
                readers,
                path: path.to_owned(),
            }),
        })
    }

    /// Queues `work` for the writer thread, which runs it in the transaction of its current group and calls `answer`
    /// after the commit, whether or not anybody still waits for it. `answer` runs on the writer thread: be brief.
    ///
    /// `work` undoes what it wrote if it fails on its own; where it cannot, it rolls the whole transaction back, and
    /// everyone in the group hears of it.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
        answer: impl FnOnce(Result<T, DatabaseError>) + Send + 'static,
    ) -> Result<(), DatabaseError> {
        let writer = self.parts.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer
            .as_ref()
            .ok_or(DatabaseError::Closed)?
            .submit(Box::new(Task::new(work, answer)))
    }

    /// Runs `work` like [`Sqlite::submit`] and waits for its answer. A caller that stops waiting does not stop the work.
    pub async fn with_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (sender, receiver) = oneshot::channel();
        self.submit(work, |result| {
            // A caller that no longer waits has no use for the answer.
            let _ = sender.send(result);
        })?;
        receiver.await.map_err(|_| DatabaseError::Closed)?
    }

    /// Runs `work` on a read-only connection, off the async threads. Several queries that belong together need a
    /// transaction of their own inside; keep it short, since a long reader pins the write-ahead log. A caller that does
    /// not poll what it waits for, or drops it, keeps nobody else waiting.
    pub async fn with_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.parts.readers.run(work).await
    }

    /// Answers everything that is queued, moves the write-ahead log into the file and closes it.
    pub async fn close(&self) {
        let writer = self.parts.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let parts = Arc::clone(&self.parts);
        let finish = move || {
            parts.readers.finish();
            if let Some(writer) = writer {
                writer.finish();
            }
        };
        // Fails only if the runtime is going down, which ends the process anyway.
        let _ = spawn_blocking(finish).await;
    }
}

#[async_trait]
impl Database for Sqlite {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
        self.with_writer(move |connection| statements::write(connection, &statements))
            .await?
    }

    async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
        self.with_reader(move |connection| statements::read(connection, &query))
            .await?
    }

    fn has_one_writer(&self) -> bool {
        true
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
        let path = self.parts.path.clone();
        Ok(Box::new(SqliteSnapshot::open(path).await?))
    }
}

fn open_writing(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = open_copying(path, durability)?;
    keep_plans(&connection)?;
    if durability == Durability::Full {
        // A destroyed key must not linger in a free page.
        connection.pragma_update(None, "secure_delete", "on")?;
    }
    // In KiB if negative: the upper levels and the warm leaves of the indexes stay in memory.
    connection.pragma_update(None, "cache_size", -(64 << 10))?;
    // Savepoints keep their undo pages in memory.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// A connection that writes to the file itself only when it is asked to.
fn open_copying(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let synchronous = match durability {
        Durability::Full => "full",
        Durability::Disposable => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(connection)
}

/// After a failed fsync the kernel may have dropped the pages and calls the next fsync a success: whatever this process
/// believes to be durable may not be. A new process reads what is really there.
fn end_process() -> ! {
    tracing::error!("ending the process: the disk did not take a commit");
    std::process::abort()
}

/// Plans a statement once, whatever values its parameters get. `SQLite` would otherwise plan those anew at every run
/// whose plan might depend on a value, and a bound `LIMIT` is enough for that: planning costs more than reading a page.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn open_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    keep_plans(&connection)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", "on")?;
    connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                Self::Refused(error.into())
            }
            _ => Self::engine(error),
        }
    }
}

#[cfg(test)]
mod tests;
