//! Moves an installation from one database to another, and proves that both hold the same: `gitleads log copy`.
//!
//! What is moved is what cannot be rebuilt: the log with its positions and ids, the people's keys, and how far
//! deliveries and polls have come. The read models are built again at the next start.

mod copy;
mod digest;
mod tables;

#[cfg(test)]
mod tests;

pub use copy::{Copied, copy};
pub use digest::{Digest, digest};

use database::{Database, DatabaseError, Statement};
use domain::Timestamp;

/// The row of `follower` that stands in a database from the beginning of a copy into it to its end.
const UNFINISHED: &str = "log copy";

/// Rows read and written at once.
const STRETCH: usize = 1_000;

/// Whether a node that shares this database is at work on it, or was killed so lately that it may be.
pub async fn is_at_work(store: &dyn Database, now: Timestamp) -> Result<bool, DatabaseError> {
    let query = "SELECT id FROM node WHERE expires_at > $1 LIMIT 1";
    let rows = store.read(Statement::sql(query, vec![now.micros().into()])).await?;
    Ok(!rows.is_empty())
}

/// Whether a copy into this database was broken off: what it holds is not whole.
pub async fn is_unfinished(store: &dyn Database) -> Result<bool, DatabaseError> {
    let query = "SELECT position FROM follower WHERE name = $1";
    let rows = store.read(Statement::sql(query, vec![UNFINISHED.into()])).await?;
    Ok(!rows.is_empty())
}
