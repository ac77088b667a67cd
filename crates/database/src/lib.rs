//! One database and two calls, write and read: the only place that knows which engine stands behind.

#[cfg(test)]
mod contract;
pub mod lock;
pub mod migrate;
pub mod postgres;
pub mod sqlite;
pub mod statement;

use async_trait::async_trait;

pub use lock::DataDirLock;
pub use migrate::{MIGRATIONS, MigrateError, Migration, migrate};
pub use postgres::Postgres;
pub use sqlite::Sqlite;
pub use statement::{ColumnError, Row, Statement, Value};

/// Why a database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The engine refused or failed; nothing was written.
    #[error("the database failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server cannot be reached for the moment; nothing was written, and the same may succeed later.
    #[error("the database cannot be reached")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine refused a value (a constraint, a type): it would refuse it again. Nothing was written.
    #[error("the database refused a value")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The commit failed: what was written may or may not be there.
    #[error("the database failed at the commit")]
    Commit(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A guard changed no row: what the write stood on has changed meanwhile. Nothing was written.
    #[error("what the write stood on has changed meanwhile")]
    Stale,
    /// Too many writes wait; nothing was written.
    #[error("the database is busy")]
    Busy,
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// A column of another type than the query promised.
    #[error(transparent)]
    Column(#[from] ColumnError),
}

impl DatabaseError {
    fn engine(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine(error.into())
    }
}

/// How much a database may lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: what was answered survives a power cut.
    Full,
    /// The newest commits in a power cut, never consistency: what it holds can be made again.
    Disposable,
}

/// One database.
#[async_trait]
pub trait Database: Send + Sync {
    /// Runs the statements in one transaction, durable on return. The number of rows that each one changed. A text
    /// without parameters may hold several statements, such as a schema.
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError>;

    /// Runs one query on a snapshot of what is committed.
    async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError>;

    /// Whether one thread writes to all tables, so that a long statement on one table holds up the writes to all others.
    fn has_one_writer(&self) -> bool {
        false
    }

    /// What is committed now, for queries that have to agree with each other. Drop it soon: the engine keeps what was
    /// overwritten meanwhile.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError>;
}

/// One state of a database, whatever is written meanwhile.
#[async_trait]
pub trait Snapshot: Send {
    /// Runs one query on it.
    async fn read(&mut self, query: Statement) -> Result<Vec<Row>, DatabaseError>;
}
