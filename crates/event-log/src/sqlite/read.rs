//! Reads on a connection of the pool (and, for retries, on the writer's).

use domain::StreamId;
use rusqlite::{Connection, Params, Row, Transaction, TransactionBehavior};

use crate::codec::{StoredEvent, account_bytes};
use crate::{Page, Position, ReadError, Recorded, Scope, Version};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT position, id, stream, version, recorded_at, type, schema, data FROM events ",
            $rest
        )
    };
}

/// The last position.
pub(super) fn head(connection: &Connection) -> Result<Position, ReadError> {
    let mut query = connection.prepare_cached("SELECT max(position) FROM events")?;
    let head: Option<u64> = query.query_row([], |row| row.get(0))?;
    Ok(head.map_or(Position::START, Position::new))
}

/// At most `limit` events of the scope after `after`, and the head of the same snapshot.
pub(super) fn page(connection: &Connection, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
    let snapshot = snapshot(connection)?;
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let events = match scope {
        Scope::All => query(
            &snapshot,
            select!("WHERE position > ?1 ORDER BY position LIMIT ?2"),
            (after.get(), count),
        ),
        Scope::Account(account) => query(
            &snapshot,
            select!("WHERE account = ?1 AND position > ?2 ORDER BY position LIMIT ?3"),
            (account_bytes(account), after.get(), count),
        ),
    };
    Ok(Page::new(events?, head(&snapshot)?, limit))
}

/// The events of each stream, in one snapshot.
pub(super) fn streams(connection: &Connection, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
    let snapshot = snapshot(connection)?;
    streams
        .iter()
        .map(|stream| stream_after(&snapshot, stream, 0, usize::MAX))
        .collect()
}

/// At most `limit` events of the stream after a version.
pub(super) fn stream_after(
    connection: &Connection,
    stream: &StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    query(
        connection,
        select!("WHERE stream = ?1 AND version > ?2 ORDER BY version LIMIT ?3"),
        (stream.as_str(), after, i64::try_from(limit).unwrap_or(i64::MAX)),
    )
}

fn snapshot(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Deferred)
}

fn query(connection: &Connection, text: &str, params: impl Params) -> Result<Vec<Recorded>, ReadError> {
    let mut query = connection.prepare_cached(text)?;
    query.query_and_then(params, recorded)?.collect()
}

fn recorded(row: &Row<'_>) -> Result<Recorded, ReadError> {
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str()?);
    let stored = StoredEvent {
        position: row.get(0)?,
        id: row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?,
        stream: text(2)?,
        version: row.get(3)?,
        recorded_at: row.get(4)?,
        name: text(5)?,
        schema: row.get(6)?,
        data: text(7)?,
    };
    stored.decode()
}
