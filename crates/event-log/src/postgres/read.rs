//! Reads: one statement each, so that what belongs together is of one snapshot.

use std::pin::pin;

use database::{DatabaseError, Postgres};
use domain::StreamId;
use futures_util::TryStreamExt as _;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::group::number;
use super::session::is_lost;
use crate::codec::{StoredEvent, account_bytes};
use crate::{Page, Position, ReadError, Recorded, Scope, Version};

const HEAD: &str = "SELECT coalesce(max(position), 0) FROM events";

/// Events, and behind them the head of the same snapshot in a row of its own.
///
/// The limit is a query, which the server cannot look into when it plans. It would otherwise plan every page anew, or go
/// on sorting a table that was small when it planned.
macro_rules! page {
    ($events:literal) => {
        concat!(
            "(SELECT position, id, stream, version, recorded_at, type, schema, data FROM events ",
            $events,
            " LIMIT (SELECT $2)) UNION ALL
            SELECT coalesce(max(position), 0), NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM events"
        )
    };
}

pub(super) const PAGE: &str = page!("WHERE position > $1 ORDER BY position");

/// Compared as a pair, so that no index but that on the pair can serve it, however many of the events are the account's.
pub(super) const ACCOUNT_PAGE: &str =
    page!("WHERE (account, position) > ($3, $1) AND account <= $3 ORDER BY account, position");

/// The events of several streams, each with the number of the wanted stream, from 1.
pub(super) const STREAMS: &str = "
    SELECT wanted.number, event.*
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS wanted (stream, after, most, number)
    CROSS JOIN LATERAL (
        SELECT position, id, stream, version, recorded_at, type, schema, data FROM events
        WHERE stream = wanted.stream AND version > wanted.after ORDER BY version LIMIT wanted.most
    ) AS event";

/// Streams, or parts of them, side by side.
#[derive(Default)]
pub(super) struct Wanted<'streams> {
    streams: Vec<&'streams str>,
    after: Vec<i64>,
    most: Vec<i64>,
}

impl<'streams> Wanted<'streams> {
    /// At most so many events of the stream after a version.
    pub(super) fn push(&mut self, stream: &'streams StreamId, after: Version, most: usize) {
        self.streams.push(stream.as_str());
        self.after.push(number(after));
        self.most.push(number(most as u64));
    }

    /// What [`STREAMS`] takes.
    pub(super) fn params(&self) -> [Param<'_>; 3] {
        [
            (&self.streams, Type::TEXT_ARRAY),
            (&self.after, Type::INT8_ARRAY),
            (&self.most, Type::INT8_ARRAY),
        ]
    }

    /// The answer of [`STREAMS`]: for each of the wanted, its events.
    pub(super) fn events(&self, rows: impl IntoIterator<Item = (usize, Recorded)>) -> Vec<Vec<Recorded>> {
        let mut events = vec![Vec::new(); self.streams.len()];
        for (number, recorded) in rows {
            if let Some(stream) = number.checked_sub(1).and_then(|index| events.get_mut(index)) {
                stream.push(recorded);
            }
        }
        // They come in order, but only an ORDER BY would promise it.
        for stream in &mut events {
            stream.sort_by_key(|recorded| recorded.version);
        }
        events
    }
}

/// The last position.
pub(super) async fn head(database: &Postgres) -> Result<Position, ReadError> {
    let heads = rows(database, HEAD, &[], |row| unsigned(row, 0)).await?;
    Ok(heads.first().copied().map_or(Position::START, Position::new))
}

/// At most `limit` events of the scope after `after`, and the head of the same snapshot.
pub(super) async fn page(database: &Postgres, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
    let (after, most) = (number(after.get()), number(limit as u64));
    let rows = match scope {
        Scope::All => rows(database, PAGE, &[(&after, Type::INT8), (&most, Type::INT8)], of_page).await?,
        Scope::Account(account) => {
            let account = account_bytes(account);
            let account = account.as_slice();
            let params: [Param; 3] = [(&after, Type::INT8), (&most, Type::INT8), (&account, Type::BYTEA)];
            rows(database, ACCOUNT_PAGE, &params, of_page).await?
        }
    };
    let head = rows.iter().find(|(_, event)| event.is_none());
    let head = head.map_or(Position::START, |(position, _)| Position::new(*position));
    let mut events: Vec<Recorded> = rows.into_iter().filter_map(|(_, event)| event).collect();
    // They come in order, but only an ORDER BY over all would promise it, and make the server sort.
    events.sort_by_key(|recorded| recorded.position);
    Ok(Page::new(events, head, limit))
}

/// A row of a page: the event at a position, or the head.
fn of_page(row: &Row) -> Result<(u64, Option<Recorded>), ReadError> {
    let id: Option<&[u8]> = row.try_get(1)?;
    let event = id.map(|_| recorded(row, 0)).transpose()?;
    Ok((unsigned(row, 0)?, event))
}

/// The events of each stream.
pub(super) async fn streams(database: &Postgres, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
    let mut wanted = Wanted::default();
    for stream in streams {
        wanted.push(stream, 0, usize::MAX);
    }
    let rows = rows(database, STREAMS, &wanted.params(), numbered).await?;
    Ok(wanted.events(rows))
}

/// How often a query is tried whose connection was lost.
const TRIES: u32 = 4;

/// A parameter and its type.
pub(super) type Param<'value> = (&'value (dyn ToSql + Sync), Type);

/// Runs a query on a connection of the pool.
async fn rows<T>(
    database: &Postgres,
    text: &str,
    params: &[Param<'_>],
    decode: impl Fn(&Row) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let mut tries = 1;
    loop {
        let connection = database.connection().await?;
        let run = async {
            let params = params.iter();
            let rows = if database.is_pooled() {
                connection.query_typed_raw(text, params.cloned()).await?
            } else {
                let types: Vec<Type> = params.clone().map(|(_, ty)| ty.clone()).collect();
                let prepared = connection.prepare_typed_cached(text, &types).await?;
                let values = params.map(|(value, _)| *value);
                connection.query_raw(&prepared, values).await?
            };
            let mut rows = pin!(rows);
            let mut decoded = Vec::new();
            while let Some(row) = rows.try_next().await? {
                decoded.push(decode(&row));
            }
            Ok(decoded)
        };
        match run.await {
            Ok(decoded) => return decoded.into_iter().collect(),
            // The server was restarted, and the pool still had the connection from before.
            Err(error) if tries < TRIES && is_lost(&connection, &error) => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A row of [`STREAMS`].
pub(super) fn numbered(row: &Row) -> Result<(usize, Recorded), ReadError> {
    let number = usize::try_from(unsigned(row, 0)?).unwrap_or_default();
    Ok((number, recorded(row, 1)?))
}

/// The event in the columns from so many on.
fn recorded(row: &Row, from: usize) -> Result<Recorded, ReadError> {
    let position = unsigned(row, from)?;
    stored(row, from).map_err(|error| match error {
        // A column that does not fit is as good as data that does not.
        ReadError::Storage(source) => ReadError::Decode {
            position: Position::new(position),
            stream: row.try_get(from + 2).unwrap_or_default(),
            source,
        },
        error => error,
    })
}

fn stored(row: &Row, from: usize) -> Result<Recorded, ReadError> {
    let schema = u32::try_from(row.try_get::<_, i64>(from + 6)?);
    let stored = StoredEvent {
        position: unsigned(row, from)?,
        id: row.try_get(from + 1)?,
        stream: row.try_get(from + 2)?,
        version: unsigned(row, from + 3)?,
        recorded_at: row.try_get(from + 4)?,
        name: row.try_get(from + 5)?,
        schema: schema.map_err(|error| ReadError::Storage(Box::new(error)))?,
        data: row.try_get(from + 7)?,
    };
    stored.decode()
}

/// A position, a version or a number of one.
pub(super) fn unsigned(row: &Row, index: usize) -> Result<u64, ReadError> {
    let value: i64 = row.try_get(index)?;
    u64::try_from(value).map_err(|error| ReadError::Storage(Box::new(error)))
}

impl From<tokio_postgres::Error> for ReadError {
    fn from(error: tokio_postgres::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl From<DatabaseError> for ReadError {
    fn from(error: DatabaseError) -> Self {
        Self::Storage(Box::new(error))
    }
}
