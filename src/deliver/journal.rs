//! What an endpoint was sent and what waits for it, as a customer reads it; and the request to send one of these again.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, EventId, PersonRef, Sealed, StreamId, Timestamp, WebhookEndpointId, WebhookEventType};
use event_log::{Position, Recorded};

use super::{answer, body};
use crate::commands::Writer;

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is tried, or waits for its turn.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// Its last attempt failed, and no further one is made unless it is asked for.
    Failed,
    /// Nothing more is sent, since the person was erased.
    Erased,
}

impl State {
    /// Every state.
    pub const ALL: &[Self] = &[Self::Waiting, Self::Delivered, Self::Failed, Self::Erased];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Erased => "erased",
        }
    }
}

/// A request that was made, or not made since the person was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What `X-GitLeads-Delivery` said.
    pub id: String,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// How long it took, in microseconds.
    pub took_micros: u64,
    /// HTTP status; none: no answer came.
    pub status: Option<u16>,
    /// `delivered`, or the word for why not.
    pub outcome: String,
    /// The answer's first KiB; none: there was none, or the person was erased since.
    pub answer: Option<String>,
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event: the `webhook-id` of every attempt.
    pub event_id: EventId,
    /// Which webhook it is; none: the attempts of an older version did not say it.
    pub event: Option<WebhookEventType>,
    /// The event's place.
    pub position: Position,
    /// How it stands.
    pub state: State,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The attempts of the last 30 days, in the order they were made.
    pub attempts: Vec<Tried>,
}

/// Which deliveries are asked for: those of events after one place and up to another.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The endpoint.
    pub endpoint: WebhookEndpointId,
    /// Only after here.
    pub after: Position,
    /// Only up to here.
    pub up_to: Position,
    /// Only before here, where a page goes on.
    pub before: Option<Position>,
    /// Only of this state.
    pub state: Option<State>,
}

/// A row of `webhook_attempt`, the answer still sealed.
struct Attempt {
    event_id: EventId,
    event: Option<WebhookEventType>,
    /// None: an older version did not say it.
    stream: Option<StreamId>,
    sealed: Option<Sealed>,
    tried: Tried,
}

/// A row of `webhook_retry`.
struct Kept {
    stream: StreamId,
    failed: bool,
    due_at: Timestamp,
}

/// The newest deliveries of the range, newest first, at most `limit`.
pub async fn page(
    writer: &Writer,
    store: &dyn Database,
    account: AccountId,
    range: Range,
    limit: u32,
) -> anyhow::Result<Vec<Delivery>> {
    let places = places(store, range, limit).await.context("look for deliveries")?;
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut attempts = attempts(store, range.endpoint, &places)
        .await
        .context("read the attempts")?;
    let kept = kept(store, range.endpoint, &places).await.context("read the retries")?;
    open_answers(writer, account, &mut attempts).await?;
    let untried: Vec<StreamId> = kept
        .iter()
        .filter(|(place, _)| !attempts.contains_key(place))
        .map(|(_, kept)| kept.stream.clone())
        .collect();
    let histories = writer
        .log
        .read_streams(&untried)
        .await
        .context("read the leads' streams")?;
    let untried: HashMap<Position, Recorded> = histories
        .into_iter()
        .flatten()
        .map(|recorded| (recorded.position, recorded))
        .collect();
    let deliveries = places.into_iter().filter_map(|place| {
        let tried = attempts.remove(&place).unwrap_or_default();
        delivery(place, tried, kept.get(&place), untried.get(&place))
    });
    Ok(deliveries.collect())
}

/// What the rows of a place add up to; none: there are none any more.
fn delivery(
    position: Position,
    attempts: Vec<Attempt>,
    kept: Option<&Kept>,
    untried: Option<&Recorded>,
) -> Option<Delivery> {
    let last = attempts.last();
    let (event_id, event) = match (last, untried) {
        (Some(last), _) => (last.event_id, last.event),
        (None, Some(recorded)) => (recorded.id, body::event_type(&recorded.event)),
        (None, None) => return None,
    };
    let state = match (kept, last.map(|last| last.tried.outcome.as_str())) {
        (Some(kept), _) if kept.failed => State::Failed,
        (Some(_), _) => State::Waiting,
        (None, Some("delivered")) => State::Delivered,
        (None, Some("erased")) => State::Erased,
        // Nothing says that it is tried again.
        (None, _) => State::Failed,
    };
    Some(Delivery {
        event_id,
        event,
        position,
        state,
        next_attempt_at: kept.filter(|kept| !kept.failed).map(|kept| kept.due_at),
        attempts: attempts.into_iter().map(|attempt| attempt.tried).collect(),
    })
}

/// The places of the range's newest deliveries, newest first.
async fn places(store: &dyn Database, range: Range, limit: u32) -> Result<Vec<Position>, DatabaseError> {
    let mut params: Vec<Value> = vec![
        range.endpoint.to_string().into(),
        range.after.get().into(),
        range.up_to.get().into(),
        range.before.map_or(u64::MAX, Position::get).into(),
    ];
    let text = match range.state {
        None => {
            params.push(limit.into());
            "SELECT position FROM (\
             SELECT * FROM (SELECT DISTINCT position FROM webhook_attempt WHERE endpoint = $1 AND position > $2 \
             AND position <= $3 AND position < $4 ORDER BY position DESC LIMIT $5) AS tried \
             UNION SELECT * FROM (SELECT position FROM webhook_retry WHERE endpoint = $1 AND position > $2 \
             AND position <= $3 AND position < $4 ORDER BY position DESC LIMIT $5) AS kept) AS either \
             ORDER BY position DESC LIMIT $5"
        }
        Some(state @ (State::Waiting | State::Failed)) => {
            params.extend([state.as_str().into(), limit.into()]);
            "SELECT position FROM webhook_retry WHERE endpoint = $1 AND position > $2 AND position <= $3 AND position < $4 \
             AND state = $5 ORDER BY position DESC LIMIT $6"
        }
        Some(state @ (State::Delivered | State::Erased)) => {
            params.extend([state.as_str().into(), limit.into()]);
            "SELECT DISTINCT position FROM webhook_attempt AS tried WHERE endpoint = $1 AND position > $2 \
             AND position <= $3 AND position < $4 AND outcome = $5 AND NOT EXISTS (SELECT 1 FROM webhook_retry AS kept \
             WHERE kept.endpoint = tried.endpoint AND kept.position = tried.position) \
             ORDER BY position DESC LIMIT $6"
        }
    };
    let rows = store.read(Statement::sql(text, params)).await?;
    Ok(rows.iter().map(|row| place(row, 0)).collect::<Result<_, _>>()?)
}

/// The endpoint and the places as parameters, and `$2, $3, …` for the places.
fn listed(endpoint: WebhookEndpointId, places: &[Position]) -> (String, Vec<Value>) {
    let names: Vec<String> = (2..places.len() + 2).map(|number| format!("${number}")).collect();
    let mut params = vec![Value::from(endpoint.to_string())];
    params.extend(places.iter().map(|place| Value::from(place.get())));
    (names.join(", "), params)
}

async fn attempts(
    store: &dyn Database,
    endpoint: WebhookEndpointId,
    places: &[Position],
) -> Result<BTreeMap<Position, Vec<Attempt>>, DatabaseError> {
    let (names, params) = listed(endpoint, places);
    let text = format!(
        "SELECT position, id, event_id, attempt, at, duration_us, status, outcome, answer, stream, event \
         FROM webhook_attempt WHERE endpoint = $1 AND position IN ({names}) ORDER BY position, at, id"
    );
    let mut found: BTreeMap<Position, Vec<Attempt>> = BTreeMap::new();
    for row in store.read(Statement::sql(text, params)).await? {
        found.entry(place(&row, 0)?).or_default().push(attempt(&row)?);
    }
    Ok(found)
}

fn attempt(row: &Row) -> Result<Attempt, ColumnError> {
    Ok(Attempt {
        event_id: parsed(row, 2, "event id")?,
        event: row
            .find_text(10)?
            .map(|_| parsed(row, 10, "webhook event type"))
            .transpose()?,
        stream: row.find_text(9)?.map(|_| parsed(row, 9, "stream")).transpose()?,
        sealed: row.find_blob(8)?.map(|sealed| Sealed::new(sealed.to_vec())),
        tried: Tried {
            id: row.text(1)?.to_owned(),
            number: number(row, 3)?,
            at: Timestamp::from_micros(row.int(4)?),
            took_micros: number(row, 5)?,
            status: row.find_int(6)?.map(|_| number(row, 6)).transpose()?,
            outcome: row.text(7)?.to_owned(),
            answer: None,
        },
    })
}

async fn kept(
    store: &dyn Database,
    endpoint: WebhookEndpointId,
    places: &[Position],
) -> Result<BTreeMap<Position, Kept>, DatabaseError> {
    let (names, params) = listed(endpoint, places);
    let text = format!(
        "SELECT position, stream, state, due_at FROM webhook_retry WHERE endpoint = $1 AND position IN ({names})"
    );
    let rows = store.read(Statement::sql(text, params)).await?;
    let read = |row: &Row| {
        let kept = Kept {
            stream: parsed(row, 1, "stream")?,
            failed: row.text(2)? == State::Failed.as_str(),
            due_at: Timestamp::from_micros(row.int(3)?),
        };
        Ok::<_, ColumnError>((place(row, 0)?, kept))
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Opens what receivers answered, as far as the people's keys are still there.
async fn open_answers(
    writer: &Writer,
    account: AccountId,
    attempts: &mut BTreeMap<Position, Vec<Attempt>>,
) -> anyhow::Result<()> {
    let person = |attempt: &Attempt| attempt.stream.as_ref().and_then(StreamId::person);
    let mut people: Vec<PersonRef> = attempts.values().flatten().filter_map(person).collect();
    people.sort_unstable();
    people.dedup();
    let keys = writer
        .vault
        .keys(account, &people)
        .await
        .context("get the people's keys")?;
    for attempt in attempts.values_mut().flatten() {
        let (Some(stream), Some(sealed)) = (&attempt.stream, &attempt.sealed) else {
            continue;
        };
        attempt.tried.answer = match stream.person() {
            Some(person) => keys.open::<String>(person, attempt.event_id, sealed).ok(),
            None => answer::open_for_account(&writer.vault, account, attempt.event_id, sealed),
        };
    }
    Ok(())
}

/// Asks for the delivery of that event to be made again, whatever came of it; false: no attempt of it was ever made to this
/// endpoint, or 30 days have passed since.
pub async fn resend(
    store: &dyn Database,
    endpoint: WebhookEndpointId,
    event_id: EventId,
    at: Timestamp,
) -> Result<bool, DatabaseError> {
    let resend = Statement::sql(
        "INSERT INTO webhook_resend (endpoint, position, stream, requested_at) \
         SELECT DISTINCT endpoint, position, stream, CAST($1 AS BIGINT) FROM webhook_attempt \
         WHERE event_id = $2 AND endpoint = $3 AND stream IS NOT NULL \
         ON CONFLICT (endpoint, position) DO UPDATE SET requested_at = excluded.requested_at",
        vec![
            at.micros().into(),
            event_id.to_string().into(),
            endpoint.to_string().into(),
        ],
    );
    let changed = store.write(vec![resend]).await?;
    Ok(changed.first().is_some_and(|rows| *rows > 0))
}

fn place(row: &Row, index: usize) -> Result<Position, ColumnError> {
    number(row, index).map(Position::new)
}

fn number<T: TryFrom<i64>>(row: &Row, index: usize) -> Result<T, ColumnError> {
    T::try_from(row.int(index)?).map_err(|_| ColumnError {
        index,
        expected: "number from 0",
    })
}

fn parsed<T: std::str::FromStr>(row: &Row, index: usize, expected: &'static str) -> Result<T, ColumnError> {
    row.text(index)?.parse().map_err(|_| ColumnError { index, expected })
}
