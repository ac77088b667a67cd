//! Replays: a second cursor of an endpoint, over a part of the log that its own has passed. What it brings has the ids that it
//! always had, and goes when nothing new is due.

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::event::WebhookReplayRequested;
use domain::{Timestamp, WebhookEndpointId};
use event_log::{EventLog, Position, ReadError, Scope};

use super::cursor;

/// A replay that was asked for and is not at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    id: String,
    /// The place of the event that asked for it.
    place: Position,
    since: Timestamp,
    until: Timestamp,
    position: Option<Position>,
}

/// A replay that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    id: String,
    /// How far was read.
    pub read_to: Position,
    /// Where it ends.
    pub up_to: Position,
}

/// Keeps what the event at `place` asks for.
pub fn keep(event: &WebhookReplayRequested, place: Position) -> Statement {
    Statement::insert(
        "webhook_replay (endpoint, replay, place, since, until)",
        "ON CONFLICT DO NOTHING",
        vec![
            event.endpoint_id.to_string().into(),
            event.replay_id.to_string().into(),
            place.get().into(),
            event.since.micros().into(),
            event.until.micros().into(),
        ],
    )
}

/// The one of the endpoint's that was asked for first.
pub async fn next(store: &dyn Database, endpoint: WebhookEndpointId) -> Result<Option<Asked>, DatabaseError> {
    let query = Statement::sql(
        "SELECT replay, place, since, until, position FROM webhook_replay WHERE endpoint = $1 ORDER BY place LIMIT 1",
        vec![endpoint.to_string().into()],
    );
    let rows = store.read(query).await?;
    Ok(rows.first().map(asked).transpose()?)
}

fn asked(row: &Row) -> Result<Asked, ColumnError> {
    Ok(Asked {
        id: row.text(0)?.to_owned(),
        place: cursor::position(row, 1)?,
        since: Timestamp::from_micros(row.int(2)?),
        until: Timestamp::from_micros(row.int(3)?),
        position: row.find_int(4)?.map(|_| cursor::position(row, 4)).transpose()?,
    })
}

impl Asked {
    /// Finds out where it begins and ends: what follows the event that asked for it is told anyway.
    pub async fn begin(self, log: &dyn EventLog, scope: Scope) -> Result<Replay, ReadError> {
        let read_to = match self.position {
            Some(position) => position,
            None => before(log, scope, self.since).await?,
        };
        let end = before(log, scope, self.until).await?;
        Ok(Replay {
            id: self.id,
            read_to,
            up_to: end.min(self.place),
        })
    }
}

/// The place that the first event of the scope follows that was recorded at `time` or later.
pub async fn before(log: &dyn EventLog, scope: Scope, time: Timestamp) -> Result<Position, ReadError> {
    let just_before = Timestamp::from_micros(time.micros().saturating_sub(1));
    log.position_at(scope, just_before).await
}

impl Replay {
    /// Whether all of it was read.
    pub fn is_read(&self) -> bool {
        self.read_to >= self.up_to
    }

    /// Everything up to `position` was told.
    pub fn moved(&self, endpoint: WebhookEndpointId, position: Position) -> Statement {
        Statement::sql(
            "UPDATE webhook_replay SET position = $1 WHERE endpoint = $2 AND replay = $3",
            vec![position.get().into(), endpoint.to_string().into(), self.id()],
        )
    }

    /// All of it was told.
    pub fn ended(&self, endpoint: WebhookEndpointId) -> Statement {
        Statement::sql(
            "DELETE FROM webhook_replay WHERE endpoint = $1 AND replay = $2",
            vec![endpoint.to_string().into(), self.id()],
        )
    }

    fn id(&self) -> Value {
        self.id.as_str().into()
    }
}
