//! Reads: one statement each, so that what belongs together is of one snapshot.

use std::pin::pin;

use database::{DatabaseError, Postgres};
use domain::StreamId;
use futures_util::TryStreamExt as _;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::group::number;
use crate::codec::{StoredEvent, account_bytes};
use crate::{Page, Position, ReadError, Recorded, Scope, Version};

const HEAD: &str = "SELECT coalesce(max(position), 0) FROM events";

/// The head stands in every row, and in a row of its own if there is no event.
const PAGE: &str = "
    SELECT head.position, event.*
    FROM (SELECT coalesce(max(position), 0) AS position FROM events) AS head
    LEFT JOIN LATERAL (
        SELECT position, id, stream, version, recorded_at, type, schema, data FROM events
        WHERE position > $1 ORDER BY position LIMIT $2
    ) AS event ON true";

/// Compared as a pair, so that no index but that on the pair can serve it, however many of the events are the account's.
const ACCOUNT_PAGE: &str = "
    SELECT head.position, event.*
    FROM (SELECT coalesce(max(position), 0) AS position FROM events) AS head
    LEFT JOIN LATERAL (
        SELECT position, id, stream, version, recorded_at, type, schema, data FROM events
        WHERE (account, position) > ($3, $1) AND account <= $3 ORDER BY account, position LIMIT $2
    ) AS event ON true";

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
        self.most.push(i64::try_from(most).unwrap_or(i64::MAX));
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
    let after = number(after.get());
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut params: Vec<Param> = vec![(&after, Type::INT8), (&most, Type::INT8)];
    let account = match scope {
        Scope::All => None,
        Scope::Account(account) => Some(account_bytes(account)),
    };
    let account = account.as_ref().map(<[u8; 16]>::as_slice);
    let text = if let Some(account) = &account {
        params.push((account, Type::BYTEA));
        ACCOUNT_PAGE
    } else {
        PAGE
    };
    let rows = rows(database, text, &params, |row| Ok((unsigned(row, 0)?, event(row)?))).await?;
    let head = rows.first().map_or(Position::START, |(head, _)| Position::new(*head));
    let mut events: Vec<Recorded> = rows.into_iter().filter_map(|(_, event)| event).collect();
    // They come in order, but only an ORDER BY would promise it, and make the server sort.
    events.sort_by_key(|recorded| recorded.position);
    Ok(Page::new(events, head, limit))
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

/// A parameter and its type.
pub(super) type Param<'value> = (&'value (dyn ToSql + Sync), Type);

/// Runs a query on a connection of the pool.
async fn rows<T>(
    database: &Postgres,
    text: &str,
    params: &[Param<'_>],
    decode: impl Fn(&Row) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let mut may_be_stale = true;
    loop {
        let connection = database.connection().await?;
        let run = async {
            let params = params.iter();
            let rows = if database.is_pooled() {
                connection.query_typed_raw(text, params.cloned()).await?
            } else {
                let types: Vec<Type> = params.clone().map(|(_, ty)| ty.clone()).collect();
                let prepared = connection.prepare_typed_cached(text, &types).await?;
                connection.query_raw(&prepared, params.map(|(value, _)| *value)).await?
            };
            let mut rows = pin!(rows);
            let mut decoded = Vec::new();
            while let Some(row) = rows.try_next().await? {
                decoded.push(decode(&row)?);
            }
            Ok(decoded)
        };
        let decoded = run.await;
        // The server was restarted, and the pool still had the connection from before.
        if decoded.is_ok() || !connection.is_closed() || !may_be_stale {
            return decoded;
        }
        may_be_stale = false;
    }
}

/// A row of [`STREAMS`].
pub(super) fn numbered(row: &Row) -> Result<(usize, Recorded), ReadError> {
    let number = usize::try_from(unsigned(row, 0)?).unwrap_or_default();
    Ok((number, recorded(row, unsigned(row, 1)?)?))
}

/// The event of a row of a page, if there is one.
fn event(row: &Row) -> Result<Option<Recorded>, ReadError> {
    let position: Option<i64> = row.try_get(1)?;
    position.map(|_| recorded(row, unsigned(row, 1)?)).transpose()
}

/// The event in the columns from 1 on.
fn recorded(row: &Row, position: u64) -> Result<Recorded, ReadError> {
    let schema = u32::try_from(row.try_get::<_, i64>(7)?).map_err(|error| ReadError::Storage(Box::new(error)))?;
    let stored = StoredEvent {
        position,
        id: row.try_get(2)?,
        stream: row.try_get(3)?,
        version: unsigned(row, 4)?,
        recorded_at: row.try_get(5)?,
        name: row.try_get(6)?,
        schema,
        data: row.try_get(8)?,
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
        Self::Storage(Box::new(error))
    }
}

impl From<DatabaseError> for ReadError {
    fn from(error: DatabaseError) -> Self {
        Self::Storage(Box::new(error))
    }
}
