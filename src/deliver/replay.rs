//! Replays: a second cursor of an endpoint, over a part of the log that its own has passed. What it brings has the ids that it
//! always had, and goes when nothing new is due. The log knows every replay that was asked for, a row those not at their end.

use std::collections::HashMap;

use anyhow::Context as _;
use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::event::WebhookReplayRequested;
use domain::{AccountId, Event, StreamId, Timestamp, WebhookEndpointId, WebhookReplayId};
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

/// How a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its turn has not come.
    Waiting,
    /// It is under way.
    Running,
    /// All of it was told, or has rows of its own to be tried again.
    Done,
}

impl State {
    /// Every state.
    pub const ALL: &[Self] = &[Self::Waiting, Self::Running, Self::Done];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
        }
    }
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Its id.
    pub replay_id: WebhookReplayId,
    /// What was recorded from here on …
    pub since: Timestamp,
    /// … and before here.
    pub until: Timestamp,
    /// How it stands.
    pub state: State,
    /// How much of its part of the log was told, of 100.
    pub percent: u8,
}

/// Every replay that was asked for, newest first.
pub async fn all(
    log: &dyn EventLog,
    store: &dyn Database,
    account: AccountId,
    endpoint: WebhookEndpointId,
) -> anyhow::Result<Vec<Progress>> {
    // The cursor before the rows: it passes the event that asks in the transaction that keeps the row, which goes at the end.
    let cursor = cursor::load(store, endpoint).await.context("load the cursor")?;
    let passed = cursor.map_or(Position::START, |cursor| cursor.seen);
    let rows = unfinished(store, endpoint).await.context("look for replays")?;
    let rows: HashMap<&str, &Asked> = rows.iter().map(|asked| (asked.id.as_str(), asked)).collect();
    let streams = [StreamId::webhook_endpoint(account, endpoint)];
    let history = log.read_streams(&streams).await.context("read the endpoint's stream")?;
    let mut found = Vec::new();
    for recorded in history.into_iter().flatten().rev() {
        let Event::WebhookReplayRequested(event) = recorded.event else {
            continue;
        };
        let id = event.replay_id.to_string();
        let (state, percent) = match rows.get(id.as_str()) {
            None if recorded.position <= passed => (State::Done, 100),
            None => (State::Waiting, 0),
            Some(asked) => asked
                .stands(log, Scope::Account(account))
                .await
                .context("look where it ends")?,
        };
        found.push(Progress {
            replay_id: event.replay_id,
            since: event.since,
            until: event.until,
            state,
            percent,
        });
    }
    Ok(found)
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

/// Those of the endpoint's that are not at their end, in the order in which they were asked for; they go one after the other.
pub async fn unfinished(store: &dyn Database, endpoint: WebhookEndpointId) -> Result<Vec<Asked>, DatabaseError> {
    let query = Statement::sql(
        "SELECT replay, place, since, until, position FROM webhook_replay WHERE endpoint = $1 ORDER BY place",
        vec![endpoint.to_string().into()],
    );
    let rows = store.read(query).await?;
    Ok(rows.iter().map(asked).collect::<Result<_, _>>()?)
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
        let up_to = self.end(log, scope).await?;
        Ok(Replay {
            id: self.id,
            read_to,
            up_to,
        })
    }

    async fn end(&self, log: &dyn EventLog, scope: Scope) -> Result<Position, ReadError> {
        Ok(before(log, scope, self.until).await?.min(self.place))
    }

    async fn stands(&self, log: &dyn EventLog, scope: Scope) -> Result<(State, u8), ReadError> {
        let Some(position) = self.position else {
            return Ok((State::Waiting, 0));
        };
        let (begin, end) = (before(log, scope, self.since).await?, self.end(log, scope).await?);
        Ok((State::Running, percent(begin, position, end)))
    }
}

/// How much of the way from `begin` to `end` is behind, of 100. Positions may have gaps, which count as if they were events.
fn percent(begin: Position, position: Position, end: Position) -> u8 {
    let way = u128::from(end.get().saturating_sub(begin.get()));
    let behind = u128::from(position.get().saturating_sub(begin.get()));
    let percent = (behind * 100).checked_div(way).unwrap_or(100);
    u8::try_from(percent.min(100)).unwrap_or(100)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_way_is_told_in_whole_percent_and_is_never_more_than_all_of_it() {
        let of = |begin, position, end| percent(Position::new(begin), Position::new(position), Position::new(end));
        assert_eq!(
            [of(10, 10, 40), of(10, 24, 40), of(10, 39, 40), of(10, 40, 40)],
            [0, 46, 96, 100]
        );
        assert_eq!(
            [of(10, 41, 40), of(10, 5, 40), of(10, 10, 10), of(11, 10, 10)],
            [100, 0, 100, 100]
        );
        assert_eq!(of(0, i64::MAX as u64 - 1, i64::MAX as u64), 99);
    }
}
