//! One append in one transaction, which no other append overlaps.

use database::{Database as _, DatabaseError, Postgres, Snapshot, Statement, Value};
use domain::EventId;

use super::read;
use crate::codec::EncodedAppend;
use crate::{AppendError, Appended, Recorded, retry};

/// Until the commit nobody else appends: positions are taken in the order in which they become visible.
const ALONE: &str = "SELECT pg_advisory_xact_lock(7164202406191836774)";

/// Takes the place after the last event, if the stream has the expected version.
const INSERT: &str = "INSERT INTO events (position, id, stream, version, account, type, schema, recorded_at, data)
SELECT (SELECT coalesce(max(position), 0) FROM events) + 1, $1, $2, $3, $4, $5, $6,
       coalesce((SELECT CASE WHEN recorded_at > $7 THEN recorded_at END FROM events ORDER BY position DESC LIMIT 1), $7), $8
WHERE (SELECT coalesce(max(version), 0) FROM events WHERE stream = $2) = $3 - 1";

pub(super) async fn run(database: &Postgres, encoded: &EncodedAppend) -> Result<Appended, AppendError> {
    if encoded.events.is_empty() {
        return Err(AppendError::Empty);
    }
    let mut statements = vec![Statement::sql(ALONE, Vec::new())];
    for (version, event) in (encoded.append.expected + 1..).zip(&encoded.events) {
        let params: Vec<Value> = vec![
            event.id.as_slice().into(),
            encoded.append.stream.as_str().into(),
            version.into(),
            encoded.account.as_slice().into(),
            event.name.into(),
            event.schema.into(),
            encoded.append.recorded_at.micros().into(),
            event.data.as_str().into(),
        ];
        statements.push(Statement::guard(INSERT, params));
    }
    match database.write(statements).await {
        Ok(_) => settle(database, encoded, None).await,
        Err(DatabaseError::Busy) => Err(AppendError::Busy),
        Err(error @ DatabaseError::Commit(_)) => Err(AppendError::Unknown(Box::new(error))),
        // The stream has another version, or an id is used; or else it is a fault.
        Err(error) => settle(database, encoded, Some(error)).await,
    }
}

/// What the append came to, as the log tells it afterwards.
async fn settle(
    database: &Postgres,
    encoded: &EncodedAppend,
    fault: Option<DatabaseError>,
) -> Result<Appended, AppendError> {
    let append = &encoded.append;
    let mut snapshot = database.snapshot().await?;
    let stream = read::stream(&mut *snapshot, &append.stream).await;
    let stream = stream.map_err(|error| AppendError::Storage(Box::new(error)))?;
    let actual = stream.last().map_or(0, |last| last.version);
    let later: Vec<Recorded> = stream
        .into_iter()
        .filter(|recorded| recorded.version > append.expected)
        .take(append.events.len())
        .collect();
    let used = first_used(&mut *snapshot, encoded).await?;
    match fault {
        Some(fault) if actual == append.expected && used.is_none() => Err(fault.into()),
        _ => retry::settle(append, actual, &later, used),
    }
}

/// The first id that is in the log already, or twice among these.
async fn first_used(snapshot: &mut dyn Snapshot, encoded: &EncodedAppend) -> Result<Option<EventId>, DatabaseError> {
    for (index, event) in encoded.events.iter().enumerate() {
        let query = "SELECT position FROM events WHERE id = $1";
        let query = Statement::sql(query, vec![event.id.as_slice().into()]);
        let earlier = encoded.events.iter().take(index);
        if earlier.map(|earlier| earlier.id).any(|id| id == event.id) || !snapshot.read(query).await?.is_empty() {
            return Ok(Some(EventId::new(u128::from_be_bytes(event.id).into())));
        }
    }
    Ok(None)
}

impl From<DatabaseError> for AppendError {
    fn from(error: DatabaseError) -> Self {
        Self::Storage(Box::new(error))
    }
}
