//! Streams that a projection cannot go on with: kept beside its checkpoint until they are retried or skipped.
//!
//! Whoever changes these rows moves the projection's checkpoint with them, so that a runner that remembers others finds
//! its checkpoint moved and reads both again.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use event_log::Position;

use crate::columns;
use crate::tables::Slot;

/// `name`: as in the checkpoint. `done`: the stream is applied up to here; `position`: the event that cannot be.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS projection_parked (
    name     TEXT   NOT NULL,
    stream   TEXT   NOT NULL,
    done     BIGINT NOT NULL,
    position BIGINT NOT NULL,
    error    TEXT   NOT NULL,
    PRIMARY KEY (name, stream)
);
CREATE TABLE IF NOT EXISTS projection_skipped (
    name     TEXT   NOT NULL,
    stream   TEXT   NOT NULL,
    position BIGINT NOT NULL,
    error    TEXT   NOT NULL,
    PRIMARY KEY (name, stream, position)
)";

/// More of them are no fault of single events: the projection stands still instead.
pub const MOST: usize = 1_000;

/// The longest text of an error that is kept.
const ERROR: usize = 300;

/// A stream that a projection cannot go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The stream's name.
    pub stream: String,
    /// The stream's events are applied up to here.
    pub done: Position,
    /// The event that cannot be applied.
    pub position: Position,
    /// Why not.
    pub error: String,
}

/// An event that was left out because it could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The stream's name.
    pub stream: String,
    /// The event.
    pub position: Position,
    /// Why it could not be applied.
    pub error: String,
}

/// The names of the parked streams of every making of every projection.
pub async fn streams(views: &dyn Database) -> Result<BTreeMap<String, BTreeSet<String>>, DatabaseError> {
    let query = Statement::sql("SELECT name, stream FROM projection_parked", Vec::new());
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in views.read(query).await? {
        let streams = found.entry(row.text(0)?.to_owned()).or_default();
        streams.insert(row.text(1)?.to_owned());
    }
    Ok(found)
}

/// The projection's parked streams, in the order of the log.
pub async fn list(views: &dyn Database, projection: &str) -> Result<Vec<Parked>, DatabaseError> {
    let text = "SELECT stream, done, position, error FROM projection_parked WHERE name = $1 ORDER BY position, stream";
    let rows = views.read(Statement::sql(text, vec![projection.into()])).await?;
    let parked = |row: &Row| {
        Ok(Parked {
            stream: row.text(0)?.to_owned(),
            done: columns::position(row, 1)?,
            position: columns::position(row, 2)?,
            error: row.text(3)?.to_owned(),
        })
    };
    Ok(rows.iter().map(parked).collect::<Result<_, ColumnError>>()?)
}

/// The events that the projection was told to leave out, in the order of the log.
pub async fn skipped(views: &dyn Database, projection: &str) -> Result<Vec<Skipped>, DatabaseError> {
    let text = "SELECT stream, position, error FROM projection_skipped WHERE name = $1 ORDER BY position, stream";
    let rows = views.read(Statement::sql(text, vec![projection.into()])).await?;
    let skipped = |row: &Row| {
        Ok(Skipped {
            stream: row.text(0)?.to_owned(),
            position: columns::position(row, 1)?,
            error: row.text(2)?.to_owned(),
        })
    };
    Ok(rows.iter().map(skipped).collect::<Result<_, ColumnError>>()?)
}

/// Parks a stream.
pub fn put(name: &str, parked: &Parked) -> Statement {
    Statement::insert(
        "projection_parked (name, stream, done, position, error)",
        "",
        vec![
            name.into(),
            parked.stream.as_str().into(),
            columns::place(parked.done),
            columns::place(parked.position),
            parked.error.as_str().into(),
        ],
    )
}

/// Says anew how far a parked stream is and what it stands at; nothing happens if somebody else has moved it.
pub fn moved(name: &str, before: &Parked, after: &Parked) -> Statement {
    Statement::guard(
        "UPDATE projection_parked SET done = $1, position = $2, error = $3 \
         WHERE name = $4 AND stream = $5 AND done = $6 AND position = $7",
        vec![
            columns::place(after.done),
            columns::place(after.position),
            after.error.as_str().into(),
            name.into(),
            before.stream.as_str().into(),
            columns::place(before.done),
            columns::place(before.position),
        ],
    )
}

/// Lets a parked stream go; nothing happens if somebody else has moved it.
pub fn released(name: &str, parked: &Parked) -> Statement {
    Statement::guard(
        "DELETE FROM projection_parked WHERE name = $1 AND stream = $2 AND done = $3",
        vec![name.into(), parked.stream.as_str().into(), columns::place(parked.done)],
    )
}

/// Writes down that the event at which the stream stands is left out.
pub fn skip(name: &str, parked: &Parked) -> Statement {
    Statement::insert(
        "projection_skipped (name, stream, position, error)",
        "ON CONFLICT DO NOTHING",
        vec![
            name.into(),
            parked.stream.as_str().into(),
            columns::place(parked.position),
            parked.error.as_str().into(),
        ],
    )
}

/// Moves what is parked and skipped along with the tables, to a slot where nothing is.
pub fn rename(projection: &str, from: Slot, to: Slot) -> impl Iterator<Item = Statement> {
    let params = vec![to.of(projection).into(), from.of(projection).into()];
    let texts = [
        "UPDATE projection_parked SET name = $1 WHERE name = $2",
        "UPDATE projection_skipped SET name = $1 WHERE name = $2",
    ];
    texts.into_iter().map(move |text| Statement::sql(text, params.clone()))
}

/// Forgets what is parked and skipped.
pub fn forget(projection: &str, slot: Slot) -> impl Iterator<Item = Statement> {
    let params = vec![slot.of(projection).into()];
    let texts = [
        "DELETE FROM projection_parked WHERE name = $1",
        "DELETE FROM projection_skipped WHERE name = $1",
    ];
    texts.into_iter().map(move |text| Statement::sql(text, params.clone()))
}

/// What an error and its causes say, not longer than is kept.
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    cut(words)
}

/// The text, not longer than is kept.
pub fn cut(text: String) -> String {
    match text.char_indices().nth(ERROR) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
