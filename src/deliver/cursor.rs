//! What must outlive a crash: an endpoint's cursor, the events it did not take yet, and the attempts made. Rows in
//! `gitleads.db`; every statement can be run twice.

use std::time::Duration;

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, EventId, Sealed, StreamId, Timestamp, WebhookEndpointId, WebhookEventType};
use event_log::Position;
use projections::webhook_endpoints::WebhookEndpointRow;
use ulid::Ulid;

use super::health::Kept;
use super::lane::{Item, Track};
use super::request::{Failure, Outcome};

/// How far an endpoint has come, and how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to here is settled: delivered, of no concern, or in `webhook_retry`.
    pub position: Position,
    /// So is everything from there up to here …
    pub seen: Position,
    /// … but for these.
    pub unsettled: Vec<Position>,
    /// The place of the event that added the endpoint.
    pub added_at: Position,
    /// The first failed attempt since the last successful one.
    pub failing_since: Option<Timestamp>,
    /// How many failed since.
    pub failures: u32,
    /// What the last attempt was answered with, if it failed.
    pub last_status: Option<u16>,
    /// The place of the endpoint's last change that it was written after.
    pub changed_at: Position,
    /// What else is kept of how it fares.
    pub health: Kept,
}

impl Cursor {
    /// The cursor of an endpoint that was added at `added_at`, has heard nothing yet and hears of what follows `position`.
    pub fn new(position: Position, added_at: Position) -> Self {
        Self {
            position,
            seen: position,
            unsettled: Vec::new(),
            added_at,
            failing_since: None,
            failures: 0,
            last_status: None,
            changed_at: added_at,
            health: Kept::default(),
        }
    }

    /// Whatever has failed before counts no more. What the receiver asked for still does.
    pub fn forgive(&mut self) {
        self.failing_since = None;
        self.failures = 0;
        self.health = Kept {
            silent_until: self.health.silent_until,
            ..Kept::default()
        };
    }

    /// Takes in what became of the endpoint since the cursor was written: after any change, what failed before is
    /// forgiven. Whether another receiver may stand there by now, which asked for nothing.
    pub fn follow(&mut self, endpoint: &WebhookEndpointRow) -> bool {
        if self.changed_at >= endpoint.changed_at {
            return false;
        }
        let another = self.changed_at < endpoint.receiver_since;
        self.forgive();
        self.last_status = None;
        self.changed_at = endpoint.changed_at;
        if another {
            self.health.silent_until = None;
        }
        another
    }

    /// The row as it is to stand from now on.
    pub fn row(&self, account: AccountId, endpoint: WebhookEndpointId) -> Vec<Value> {
        let unsettled: Vec<String> = self.unsettled.iter().map(ToString::to_string).collect();
        vec![
            endpoint.to_string().into(),
            account.to_string().into(),
            self.position.get().into(),
            self.seen.get().into(),
            unsettled.join(",").into(),
            self.health.silent_until.map(Timestamp::micros).into(),
            self.failing_since.map(Timestamp::micros).into(),
            self.failures.into(),
            self.health.open_until.map(Timestamp::micros).into(),
            self.health.openings.into(),
            self.added_at.get().into(),
            self.last_status.map(u32::from).into(),
            self.changed_at.get().into(),
        ]
    }
}

/// Keeps these rows of cursors, each of another endpoint.
pub const fn cursors(rows: Vec<Vec<Value>>) -> Statement {
    Statement::Insert {
        into: "webhook_cursor (endpoint, account, position, seen, unsettled, silent_until, failing_since, failures, \
               open_until, openings, added_at, last_status, changed_at)",
        on_conflict: "ON CONFLICT (endpoint) DO UPDATE SET position = excluded.position, seen = excluded.seen, \
                      unsettled = excluded.unsettled, silent_until = excluded.silent_until, \
                      failing_since = excluded.failing_since, failures = excluded.failures, \
                      open_until = excluded.open_until, openings = excluded.openings, added_at = excluded.added_at, \
                      last_status = excluded.last_status, changed_at = excluded.changed_at",
        rows,
    }
}

/// The endpoint's cursor, if it ever had one.
pub async fn load(store: &dyn Database, endpoint: WebhookEndpointId) -> Result<Option<Cursor>, DatabaseError> {
    let query = Statement::sql(
        "SELECT position, seen, unsettled, silent_until, failing_since, failures, open_until, openings, added_at, \
         last_status, changed_at FROM webhook_cursor WHERE endpoint = $1",
        vec![endpoint.to_string().into()],
    );
    let rows = store.read(query).await?;
    Ok(rows.first().map(cursor).transpose()?)
}

fn cursor(row: &Row) -> Result<Cursor, ColumnError> {
    let malformed = |_| ColumnError {
        index: 2,
        expected: "list of positions",
    };
    let unsettled = row.text(2)?.split(',').filter(|number| !number.is_empty());
    Ok(Cursor {
        position: position(row, 0)?,
        seen: position(row, 1)?,
        unsettled: unsettled
            .map(|number| number.parse().map(Position::new).map_err(malformed))
            .collect::<Result<_, _>>()?,
        added_at: position(row, 8)?,
        failing_since: row.find_int(4)?.map(Timestamp::from_micros),
        failures: count(row, 5)?,
        last_status: row.find_int(9)?.and_then(|status| u16::try_from(status).ok()),
        changed_at: position(row, 10)?,
        health: Kept {
            silent_until: row.find_int(3)?.map(Timestamp::from_micros),
            open_until: row.find_int(6)?.map(Timestamp::from_micros),
            openings: count(row, 7)?,
        },
    })
}

/// The events that the endpoint did not take yet, in the order of the log.
pub async fn waiting(store: &dyn Database, endpoint: WebhookEndpointId) -> Result<Vec<Item>, DatabaseError> {
    let query = Statement::sql(
        "SELECT position, stream, attempts, due_at FROM webhook_retry WHERE endpoint = $1 AND state = 'waiting' \
         ORDER BY position",
        vec![endpoint.to_string().into()],
    );
    let rows = store.read(query).await?;
    Ok(rows.iter().map(item).collect::<Result<_, _>>()?)
}

fn item(row: &Row) -> Result<Item, ColumnError> {
    let stream = row.text(1)?.parse::<StreamId>().map_err(|_| ColumnError {
        index: 1,
        expected: "stream",
    })?;
    Ok(Item {
        position: position(row, 0)?,
        stream,
        attempts: count(row, 2)?,
        due_at: Timestamp::from_micros(row.int(3)?),
        stored: true,
        track: Track::Live,
        recorded: None,
    })
}

/// The row of an event that is tried again, waits behind one that is, or has failed for good.
pub fn put(endpoint: WebhookEndpointId, item: &Item, failure: Option<Failure>, parked: bool) -> Statement {
    Statement::insert(
        "webhook_retry (endpoint, position, stream, attempts, due_at, state, failure)",
        "ON CONFLICT (endpoint, position) DO UPDATE SET attempts = excluded.attempts, due_at = excluded.due_at, \
         state = excluded.state, failure = excluded.failure",
        vec![
            endpoint.to_string().into(),
            item.position.get().into(),
            item.stream.as_str().into(),
            item.attempts.into(),
            item.due_at.micros().into(),
            if parked { "failed" } else { "waiting" }.into(),
            failure.map(Failure::as_str).into(),
        ],
    )
}

/// Nothing that waits is due later than at `now`.
pub fn hasten(endpoint: WebhookEndpointId, now: Timestamp) -> Statement {
    Statement::sql(
        "UPDATE webhook_retry SET due_at = $2 WHERE endpoint = $1 AND state = 'waiting' AND due_at > $2",
        vec![endpoint.to_string().into(), now.micros().into()],
    )
}

/// Removes the row of an event that is settled.
pub fn take(endpoint: WebhookEndpointId, position: Position) -> Statement {
    Statement::sql(
        "DELETE FROM webhook_retry WHERE endpoint = $1 AND position = $2",
        vec![endpoint.to_string().into(), position.get().into()],
    )
}

/// Which attempt of what it is, made or not.
pub struct Attempted {
    /// Its id.
    pub delivery: Ulid,
    /// The event.
    pub event_id: EventId,
    /// Which webhook it is.
    pub event_type: WebhookEventType,
    /// The event's stream.
    pub stream: StreamId,
    /// The event's place.
    pub position: Position,
    /// Which attempt it is, from 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
}

/// An attempt that was made.
pub struct Made {
    /// Which one.
    pub of: Attempted,
    /// What came of it.
    pub outcome: Outcome,
    /// The start of the answer, sealed for the person; none: it was empty, or to several events at once.
    pub answer: Option<Sealed>,
}

impl Made {
    /// The row for the customer to look at.
    pub fn row(&self, endpoint: WebhookEndpointId) -> Vec<Value> {
        let Self { of, outcome, answer } = self;
        let word = outcome.failure.map_or("delivered", Failure::as_str);
        let answer = answer.as_ref().map(Sealed::bytes).into();
        of.row(endpoint, outcome.took, outcome.status, word, answer)
    }
}

impl Attempted {
    /// The row of one that was not made, since the person was erased.
    pub fn erased(&self, endpoint: WebhookEndpointId) -> Vec<Value> {
        self.row(endpoint, Duration::ZERO, None, "erased", Value::Null)
    }

    fn row(
        &self,
        endpoint: WebhookEndpointId,
        took: Duration,
        status: Option<u16>,
        outcome: &str,
        answer: Value,
    ) -> Vec<Value> {
        vec![
            format!("dlv_{}", self.delivery).into(),
            endpoint.to_string().into(),
            self.position.get().into(),
            self.event_id.to_string().into(),
            self.number.into(),
            self.at.micros().into(),
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX).into(),
            status.map(u32::from).into(),
            outcome.into(),
            answer,
            self.stream.as_str().into(),
            self.event_type.as_str().into(),
        ]
    }
}

/// Keeps these rows of attempts.
pub const fn attempts(rows: Vec<Vec<Value>>) -> Statement {
    Statement::Insert {
        into: "webhook_attempt (id, endpoint, position, event_id, attempt, at, duration_us, status, outcome, answer, \
               stream, event)",
        on_conflict: "ON CONFLICT DO NOTHING",
        rows,
    }
}

/// An endpoint that has a cursor.
pub struct Known {
    /// The endpoint.
    pub endpoint: WebhookEndpointId,
    /// The account it belongs to.
    pub account: AccountId,
    /// A place in the log where the endpoint existed.
    pub existed_at: Position,
}

/// Every endpoint that has a cursor.
pub async fn all(store: &dyn Database) -> Result<Vec<Known>, DatabaseError> {
    let text = "SELECT endpoint, account, position, added_at FROM webhook_cursor ORDER BY endpoint";
    let rows = store.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(known).collect::<Result<_, _>>()?)
}

fn known(row: &Row) -> Result<Known, ColumnError> {
    let malformed = |index| {
        move |_| ColumnError {
            index,
            expected: "prefixed id",
        }
    };
    Ok(Known {
        endpoint: row.text(0)?.parse().map_err(malformed(0))?,
        account: row.text(1)?.parse().map_err(malformed(1))?,
        existed_at: position(row, 2)?.max(position(row, 3)?),
    })
}

/// Removes everything kept for an endpoint.
pub fn forget(endpoint: WebhookEndpointId) -> Vec<Statement> {
    [
        "DELETE FROM webhook_cursor WHERE endpoint = $1",
        "DELETE FROM webhook_retry WHERE endpoint = $1",
        "DELETE FROM webhook_attempt WHERE endpoint = $1",
        "DELETE FROM webhook_resend WHERE endpoint = $1",
        "DELETE FROM webhook_replay WHERE endpoint = $1",
    ]
    .map(|text| Statement::sql(text, vec![endpoint.to_string().into()]))
    .into()
}

/// Removes the attempts made before `time`.
pub fn prune(time: Timestamp) -> Statement {
    // An attempt's id begins with its time.
    let first_kept = Value::Text(format!("dlv_{}", Ulid::from_parts(time.ulid_millis(), 0)));
    Statement::sql("DELETE FROM webhook_attempt WHERE id < $1", vec![first_kept])
}

pub(super) fn position(row: &Row, index: usize) -> Result<Position, ColumnError> {
    let position = u64::try_from(row.int(index)?).map_err(|_| ColumnError {
        index,
        expected: "position",
    })?;
    Ok(Position::new(position))
}

pub(super) fn count(row: &Row, index: usize) -> Result<u32, ColumnError> {
    u32::try_from(row.int(index)?).map_err(|_| ColumnError {
        index,
        expected: "count",
    })
}
