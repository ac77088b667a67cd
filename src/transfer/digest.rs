//! One hash over everything that a copy has to keep: two databases with the same digest hold the same log and keys.

use std::fmt;

use database::{Database, DatabaseError, Row, Value};
use sha2::{Digest as _, Sha256};

use super::tables::{EVENTS, PERSON_KEYS, Table};

/// What a database holds, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Events in the log.
    pub events: u64,
    /// People who have a key, or had one.
    pub people: u64,
    /// SHA-256 over all of their columns, in order.
    pub hash: [u8; 32],
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events, {} people, sha256:", self.events, self.people)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads log and keys once, in constant memory; `progress` hears how many rows are done.
pub async fn digest(store: &dyn Database, mut progress: impl FnMut(u64) + Send) -> Result<Digest, DatabaseError> {
    let mut hash = Sha256::new();
    let mut counts = [0, 0];
    for (table, count) in [&EVENTS, &PERSON_KEYS].into_iter().zip(&mut counts) {
        hash.update(table.name);
        *count = add_table(&mut hash, store, table, &mut progress).await?;
    }
    let [events, people] = counts;
    Ok(Digest {
        events,
        people,
        hash: hash.finalize().into(),
    })
}

async fn add_table(
    hash: &mut Sha256,
    store: &dyn Database,
    table: &Table,
    progress: &mut (impl FnMut(u64) + Send),
) -> Result<u64, DatabaseError> {
    let mut count = 0;
    let mut after = Vec::new();
    loop {
        let rows = table.page(store, &after).await?;
        if rows.is_empty() {
            return Ok(count);
        }
        after = table.last_key(&rows);
        count += rows.len() as u64;
        for row in &rows {
            add_row(hash, row);
        }
        progress(count);
    }
}

/// Each value with its type and length, so that none can run into the next.
fn add_row(hash: &mut Sha256, row: &Row) {
    for value in &row.0 {
        match value {
            Value::Null => hash.update([0]),
            Value::Int(number) => {
                hash.update([1]);
                hash.update(number.to_be_bytes());
            }
            Value::Text(text) => add_bytes(hash, 2, text.as_bytes()),
            Value::Blob(bytes) => add_bytes(hash, 3, bytes),
        }
    }
}

fn add_bytes(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
