//! What an endpoint was sent and what waits for it, as a customer reads it; and the request to send one of these again.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{
    AccountId, DeliveryStatus, EventId, PersonRef, Sealed, StreamId, Timestamp, WebhookEndpointId, WebhookEventType,
};
use event_log::{EventLog, Position, ReadError, Recorded, Scope};
use projections::webhook_endpoints::{EndpointStatus, WebhookEndpointRow};

use super::{answer, body, cursor};
use crate::commands::Writer;

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
    /// The answer's first KiB; none: there was none, it was to several events at once, or the person was erased since.
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
    pub status: DeliveryStatus,
    /// When the next attempt is made, or shortly after; none: none is made, or it is not known when, since another event of the
    /// lead comes first or the endpoint gets nothing for the time being.
    pub next_attempt_at: Option<Timestamp>,
    /// The attempts of the last 30 days, in the order they were made.
    pub attempts: Vec<Tried>,
}

/// Which deliveries are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Only of events recorded after this time.
    pub since: Option<Timestamp>,
    /// Only of events recorded at this time or before.
    pub until: Option<Timestamp>,
    /// Only before here, where a page goes on.
    pub before: Option<Position>,
    /// Only of this status.
    pub status: Option<DeliveryStatus>,
    /// How many at most.
    pub limit: u32,
}

/// A page of deliveries, newest event first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// What the next page is [`Wanted::before`]; none: this is the last one.
    pub next: Option<Position>,
}

/// Those of events after one place, up to another and before a third.
struct Range {
    endpoint: WebhookEndpointId,
    after: Position,
    up_to: Position,
    before: Position,
}

/// What waits for an endpoint's worker and what failed for good. Whatever came of a delivery, once it was asked for again it
/// waits, until the worker has taken it.
const KEPT: &str = "(SELECT endpoint, position, stream, state, due_at FROM webhook_retry WHERE NOT EXISTS (SELECT 1 \
    FROM webhook_resend AS again WHERE again.endpoint = webhook_retry.endpoint AND again.position = webhook_retry.position) \
    UNION ALL SELECT endpoint, position, stream, 'waiting', requested_at FROM webhook_resend) AS kept";

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
    /// Whether it waits for an earlier event of its lead.
    is_behind: bool,
}

/// Why a delivery is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAgain {
    /// The endpoint has no such delivery.
    Unknown,
    /// The endpoint does not hear of such events any more.
    NotHeard(WebhookEventType),
}

/// The newest deliveries that are wanted of the account's endpoint.
pub async fn page(
    writer: &Writer,
    store: &dyn Database,
    endpoint: &WebhookEndpointRow,
    wanted: Wanted,
) -> anyhow::Result<Page> {
    let range = range(&*writer.log, (endpoint.account, endpoint.endpoint_id), wanted).await;
    let range = range.context("look for the places of times")?;
    // One more than is shown, to know whether there is more.
    let places = places(store, &range, wanted.status, wanted.limit.saturating_add(1)).await;
    let mut places = places.context("look for deliveries")?;
    let shown = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let has_more = places.len() > shown;
    places.truncate(shown);
    let next = places.last().copied().filter(|_| has_more);
    let deliveries = deliveries(writer, store, endpoint, places).await?;
    Ok(Page { deliveries, next })
}

async fn range(
    log: &dyn EventLog,
    (account, endpoint): (AccountId, WebhookEndpointId),
    wanted: Wanted,
) -> Result<Range, ReadError> {
    let scope = Scope::Account(account);
    Ok(Range {
        endpoint,
        after: match wanted.since {
            Some(since) => log.position_at(scope, since).await?,
            None => Position::START,
        },
        up_to: match wanted.until {
            Some(until) => log.position_at(scope, until).await?,
            None => Position::new(u64::MAX),
        },
        before: wanted.before.unwrap_or(Position::new(u64::MAX)),
    })
}

/// The deliveries of these places.
async fn deliveries(
    writer: &Writer,
    store: &dyn Database,
    endpoint: &WebhookEndpointRow,
    places: Vec<Position>,
) -> anyhow::Result<Vec<Delivery>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let id = endpoint.endpoint_id;
    let mut attempts = attempts(store, id, &places).await.context("read the attempts")?;
    let kept = kept(store, id, &places).await.context("read the retries")?;
    let not_before = not_before(store, endpoint).await.context("load the cursor")?;
    open_answers(writer, endpoint.account, &mut attempts).await?;
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
        let mut delivery = delivery(place, tried, kept.get(&place), untried.get(&place))?;
        let due_at = delivery.next_attempt_at;
        delivery.next_attempt_at = not_before.and_then(|not_before| due_at.map(|due_at| due_at.max(not_before)));
        Some(delivery)
    });
    Ok(deliveries.collect())
}

/// Before when nothing is sent to the endpoint; none: nothing is, until somebody resumes it.
async fn not_before(store: &dyn Database, endpoint: &WebhookEndpointRow) -> Result<Option<Timestamp>, DatabaseError> {
    if endpoint.status != EndpointStatus::Active {
        return Ok(None);
    }
    let cursor = cursor::load(store, endpoint.endpoint_id).await?;
    let health = cursor.map(|mut cursor| {
        cursor.follow(endpoint);
        cursor.health
    });
    let health = health.unwrap_or_default();
    Ok(Some(
        health
            .silent_until
            .max(health.open_until)
            .unwrap_or(Timestamp::from_micros(i64::MIN)),
    ))
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
    let status = match (kept, last.map(|last| last.tried.outcome.as_str())) {
        (Some(kept), _) if kept.failed => DeliveryStatus::Failed,
        (Some(_), _) => DeliveryStatus::Waiting,
        (None, Some("delivered")) => DeliveryStatus::Delivered,
        (None, Some("erased")) => DeliveryStatus::Erased,
        // Nothing says that it is tried again.
        (None, _) => DeliveryStatus::Failed,
    };
    Some(Delivery {
        event_id,
        event,
        position,
        status,
        next_attempt_at: kept
            .filter(|kept| !kept.failed && !kept.is_behind)
            .map(|kept| kept.due_at),
        attempts: attempts.into_iter().map(|attempt| attempt.tried).collect(),
    })
}

/// The places of the range's newest deliveries that stand so, newest first.
async fn places(
    store: &dyn Database,
    range: &Range,
    status: Option<DeliveryStatus>,
    limit: u32,
) -> Result<Vec<Position>, DatabaseError> {
    const WITHIN: &str = "endpoint = $1 AND position > $2 AND position <= $3 AND position < $4";
    // Of what is not kept, the last attempt says how it stands.
    const LAST: &str = "NOT EXISTS (SELECT 1 FROM webhook_attempt AS later WHERE later.endpoint = tried.endpoint \
        AND later.position = tried.position AND (later.at > tried.at OR (later.at = tried.at AND later.id > tried.id))) \
        AND NOT EXISTS (SELECT 1 FROM webhook_retry AS kept WHERE kept.endpoint = tried.endpoint \
        AND kept.position = tried.position) \
        AND NOT EXISTS (SELECT 1 FROM webhook_resend AS again WHERE again.endpoint = tried.endpoint \
        AND again.position = tried.position)";
    let mut params: Vec<Value> = vec![
        range.endpoint.to_string().into(),
        range.after.get().into(),
        range.up_to.get().into(),
        range.before.get().into(),
        limit.into(),
    ];
    params.extend(status.map(|status| status.as_str().into()));
    let text = match status {
        None => format!(
            "SELECT position FROM (\
             SELECT * FROM (SELECT DISTINCT position FROM webhook_attempt WHERE {WITHIN} ORDER BY position DESC LIMIT $5) \
             AS tried \
             UNION SELECT * FROM (SELECT position FROM {KEPT} WHERE {WITHIN} ORDER BY position DESC LIMIT $5) \
             AS kept) AS either \
             ORDER BY position DESC LIMIT $5"
        ),
        Some(DeliveryStatus::Waiting) => {
            format!("SELECT position FROM {KEPT} WHERE {WITHIN} AND state = $6 ORDER BY position DESC LIMIT $5")
        }
        Some(DeliveryStatus::Failed) => format!(
            "SELECT position FROM (\
             SELECT * FROM (SELECT position FROM {KEPT} WHERE {WITHIN} AND state = $6 ORDER BY position DESC LIMIT $5) \
             AS kept \
             UNION SELECT * FROM (SELECT position FROM webhook_attempt AS tried WHERE {WITHIN} \
             AND outcome <> 'delivered' AND outcome <> 'erased' AND {LAST} ORDER BY position DESC LIMIT $5) AS given_up) \
             AS either ORDER BY position DESC LIMIT $5"
        ),
        Some(DeliveryStatus::Delivered | DeliveryStatus::Erased) => format!(
            "SELECT position FROM webhook_attempt AS tried WHERE {WITHIN} AND outcome = $6 AND {LAST} \
             ORDER BY position DESC LIMIT $5"
        ),
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
        "SELECT position, stream, state, due_at, (SELECT COUNT(*) FROM webhook_retry AS first \
         WHERE first.endpoint = kept.endpoint AND first.stream = kept.stream AND first.state = 'waiting' \
         AND first.position < kept.position) FROM {KEPT} WHERE endpoint = $1 AND position IN ({names})"
    );
    let rows = store.read(Statement::sql(text, params)).await?;
    let read = |row: &Row| {
        let kept = Kept {
            stream: parsed(row, 1, "stream")?,
            failed: row.text(2)? == DeliveryStatus::Failed.as_str(),
            due_at: Timestamp::from_micros(row.int(3)?),
            is_behind: row.int(4)? > 0,
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

/// Asks for the delivery of that event to be made again, whatever came of it: each that is listed can be.
pub async fn resend(
    writer: &Writer,
    store: &dyn Database,
    endpoint: &WebhookEndpointRow,
    event_id: EventId,
) -> anyhow::Result<Result<(), NotAgain>> {
    let tried = tried(store, endpoint.endpoint_id, event_id)
        .await
        .context("look for its attempts")?;
    let found = match tried {
        Some(found) => Some(found),
        None => untried(writer, store, endpoint.endpoint_id, event_id).await?,
    };
    let Some((position, stream, event)) = found else {
        return Ok(Err(NotAgain::Unknown));
    };
    if let Some(event) = event.filter(|event| !endpoint.events.contains(event)) {
        return Ok(Err(NotAgain::NotHeard(event)));
    }
    let resend = Statement::insert(
        "webhook_resend (endpoint, position, stream, requested_at)",
        "ON CONFLICT (endpoint, position) DO UPDATE SET requested_at = excluded.requested_at",
        vec![
            endpoint.endpoint_id.to_string().into(),
            position.get().into(),
            stream.as_str().into(),
            writer.clock.now().micros().into(),
        ],
    );
    store.write(vec![resend]).await.context("ask for it")?;
    Ok(Ok(()))
}

/// An event's place, its stream, and which webhook it is, if that is known.
type Found = (Position, StreamId, Option<WebhookEventType>);

/// The event, if there is an attempt of it.
async fn tried(
    store: &dyn Database,
    endpoint: WebhookEndpointId,
    event_id: EventId,
) -> Result<Option<Found>, DatabaseError> {
    let query = Statement::sql(
        "SELECT position, stream, event FROM webhook_attempt WHERE event_id = $1 AND endpoint = $2 AND stream IS NOT NULL \
         LIMIT 1",
        vec![event_id.to_string().into(), endpoint.to_string().into()],
    );
    let rows = store.read(query).await?;
    let read = |row: &Row| {
        let event = row.find_text(2)?.map(|_| parsed(row, 2, "webhook event type"));
        Ok::<_, ColumnError>((place(row, 0)?, parsed(row, 1, "stream")?, event.transpose()?))
    };
    Ok(rows.first().map(read).transpose()?)
}

/// The event, if it waits or has failed for good and no attempt of it is kept: then only the log knows its id.
async fn untried(
    writer: &Writer,
    store: &dyn Database,
    endpoint: WebhookEndpointId,
    event_id: EventId,
) -> anyhow::Result<Option<Found>> {
    const AT_ONCE: u32 = 200;
    let mut before = Position::new(u64::MAX);
    loop {
        let query = Statement::sql(
            "SELECT position, stream FROM webhook_retry AS kept WHERE endpoint = $1 AND position < $2 \
             AND NOT EXISTS (SELECT 1 FROM webhook_attempt AS tried \
             WHERE tried.endpoint = kept.endpoint AND tried.position = kept.position) ORDER BY position DESC LIMIT $3",
            vec![endpoint.to_string().into(), before.get().into(), AT_ONCE.into()],
        );
        let rows = store.read(query).await.context("read the retries")?;
        let Some(last) = rows.last() else { return Ok(None) };
        before = place(last, 0).context("read the retries")?;
        let mut streams: Vec<StreamId> = rows
            .iter()
            .map(|row| parsed(row, 1, "stream"))
            .collect::<Result<_, _>>()
            .context("read the retries")?;
        streams.sort_unstable();
        streams.dedup();
        let histories = writer
            .log
            .read_streams(&streams)
            .await
            .context("read the leads' streams")?;
        if let Some(found) = histories.into_iter().flatten().find(|recorded| recorded.id == event_id) {
            let is_kept = rows
                .iter()
                .any(|row| place(row, 0).is_ok_and(|place| place == found.position));
            let event = body::event_type(&found.event);
            return Ok(is_kept.then_some((found.position, found.stream, event)));
        }
    }
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
