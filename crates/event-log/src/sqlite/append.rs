//! Appends on the writer thread, inside the transaction of its current group.

use domain::EventId;
use rusqlite::{Connection, OptionalExtension, params};

use super::read;
use crate::codec::{EncodedAppend, EncodedEvent};
use crate::{AppendError, Appended, Position, Version, retry};

/// Where the log ends, read from the table each time: a transaction that was rolled back gives its positions back.
struct Tail {
    position: u64,
    recorded_at: i64,
}

/// Appends each on its own, later than `advanced_to`, in microseconds; one answer each, in order.
pub(super) fn run(
    connection: &Connection,
    advanced_to: i64,
    batch: Vec<Result<EncodedAppend, serde_json::Error>>,
) -> Vec<Result<Appended, AppendError>> {
    batch
        .into_iter()
        .map(|encoded| append(connection, advanced_to, encoded.map_err(storage)?))
        .collect()
}

fn append(connection: &Connection, advanced_to: i64, encoded: EncodedAppend) -> Result<Appended, AppendError> {
    if encoded.events.is_empty() {
        return Err(AppendError::Empty);
    }
    let actual = version(connection, encoded.append.stream.as_str())?;
    if actual == encoded.append.expected {
        insert(connection, advanced_to, encoded)
    } else {
        settle_retry(connection, &encoded, actual)
    }
}

fn version(connection: &Connection, stream: &str) -> Result<Version, AppendError> {
    let mut query = connection.prepare_cached("SELECT max(version) FROM events WHERE stream = ?1")?;
    let version: Option<Version> = query.query_row([stream], |row| row.get(0))?;
    Ok(version.unwrap_or_default())
}

fn insert(connection: &Connection, advanced_to: i64, encoded: EncodedAppend) -> Result<Appended, AppendError> {
    let tail = tail(connection)?;
    let earliest = tail.recorded_at.max(advanced_to).saturating_add(1);
    let recorded_at = earliest.max(encoded.append.recorded_at.micros());
    let inserted = insert_rows(connection, &encoded, tail.position, recorded_at);
    if inserted.is_err() {
        undo(connection, tail.position)?;
    }
    inserted?;
    let first = Position::new(tail.position + 1);
    let recorded_at = domain::Timestamp::from_micros(recorded_at);
    Ok(Appended::gapless(encoded.append, first, recorded_at))
}

fn tail(connection: &Connection) -> Result<Tail, AppendError> {
    let mut query =
        connection.prepare_cached("SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1")?;
    let tail = query.query_row([], |row| {
        Ok(Tail {
            position: row.get(0)?,
            recorded_at: row.get(1)?,
        })
    });
    Ok(tail.optional()?.unwrap_or(Tail {
        position: 0,
        recorded_at: i64::MIN,
    }))
}

fn insert_rows(
    connection: &Connection,
    encoded: &EncodedAppend,
    after: u64,
    recorded_at: i64,
) -> Result<(), AppendError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (position, id, stream, version, account, type, schema, recorded_at, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let stream = encoded.append.stream.as_str();
    for (number, event) in (1..).zip(&encoded.events) {
        let EncodedEvent { id, name, schema, data } = event;
        let version = encoded.append.expected + number;
        let row = params![
            after + number,
            id,
            stream,
            version,
            encoded.account,
            name,
            schema,
            recorded_at,
            data
        ];
        statement.execute(row).map_err(|error| refusal(event, error))?;
    }
    Ok(())
}

/// The place in the stream was free when we looked and nobody else writes: only the id can be taken.
fn refusal(event: &EncodedEvent, error: rusqlite::Error) -> AppendError {
    let unique = rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
    match error.sqlite_error() {
        Some(cause) if cause.extended_code == unique => AppendError::IdUsed(event_id(event)),
        _ => storage(error),
    }
}

/// Takes the rows after `position` out again: those of this append, since it is the last in the log. Cheaper than a
/// savepoint around every append, for something that hardly ever happens.
fn undo(connection: &Connection, position: u64) -> Result<(), AppendError> {
    let undone = connection.execute("DELETE FROM events WHERE position > ?1", [position]);
    if undone.is_err() && !connection.is_autocommit() {
        // Half an append must not be committed: give the whole group up.
        connection.execute_batch("ROLLBACK")?;
    }
    undone?;
    Ok(())
}

fn settle_retry(connection: &Connection, encoded: &EncodedAppend, actual: Version) -> Result<Appended, AppendError> {
    let append = &encoded.append;
    let stored = read::stream_after(connection, &append.stream, append.expected, encoded.events.len())
        .map_err(|error| AppendError::Storage(Box::new(error)))?;
    retry::settle(append, actual, &stored, first_used(connection, &encoded.events)?)
}

fn first_used(connection: &Connection, events: &[EncodedEvent]) -> Result<Option<EventId>, AppendError> {
    let mut query = connection.prepare_cached("SELECT 1 FROM events WHERE id = ?1")?;
    for event in events {
        if query.exists([event.id])? {
            return Ok(Some(event_id(event)));
        }
    }
    Ok(None)
}

fn event_id(event: &EncodedEvent) -> EventId {
    EventId::new(u128::from_be_bytes(event.id).into())
}

fn storage(error: impl std::error::Error + Send + Sync + 'static) -> AppendError {
    AppendError::Storage(Box::new(error))
}

impl From<rusqlite::Error> for AppendError {
    fn from(error: rusqlite::Error) -> Self {
        storage(error)
    }
}
