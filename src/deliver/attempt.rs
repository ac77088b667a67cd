//! From an event to an attempt: reads what the body needs, renders it, sends it. One call for each request a worker makes.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use domain::{EventId, Timestamp, WebhookEventType, WebhookFilters, WebhookKind};
use event_log::{Position, Recorded};
use http::Uri;
use projections::webhook_endpoints::WebhookEndpointRow;
use tracing::{Instrument as _, info_span};
use ulid::Ulid;
use url::Url;

use super::answer::Owner;
use super::body::{self, Unrenderable};
use super::cursor::{Attempted, Made};
use super::lane::Item;
use super::request::{Attempt, Sender};
use super::secrets::secrets;
use super::sign::Secrets;
use crate::commands::Writer;
use crate::lease::Lease;
use crate::telemetry::TRACE;

/// Where one endpoint's deliveries go and how they are signed.
pub struct Target {
    uri: Uri,
    secrets: Secrets,
    kind: WebhookKind,
    events: Vec<WebhookEventType>,
    filters: WebhookFilters,
}

impl Target {
    /// The target of an endpoint; its secrets are opened here.
    pub fn open(writer: &Writer, endpoint: &WebhookEndpointRow) -> anyhow::Result<Self> {
        // Through the parser that judged it: the customer's spelling may not be a URI's.
        let url = Url::parse(&endpoint.url).context("read the endpoint's URL")?;
        Ok(Self {
            uri: url.as_str().parse().context("read the endpoint's URL")?,
            secrets: secrets(writer, endpoint)?,
            kind: endpoint.kind,
            events: endpoint.events.clone(),
            filters: endpoint.filters.clone(),
        })
    }

    /// Where they go.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// How they are signed.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}

/// What came of an event's turn.
pub enum Turn {
    /// A request was made.
    Made(Box<Made>),
    /// The person was erased: nothing of them is sent any more.
    Erased(Attempted),
    /// The endpoint does not want to hear of this, or not of this lead.
    Filtered,
    /// The event cannot be told.
    Unrenderable(Unrenderable),
    /// The endpoint is another node's by now: nothing was sent.
    NotOurs,
}

/// An event whose turn is over.
pub struct Over {
    /// The event.
    pub item: Item,
    /// What came of it.
    pub turn: Turn,
    /// Further signals of its lead, which it released: once it is done with, they are told.
    pub next: Vec<Position>,
}

/// What an endpoint's turns need.
pub struct Way {
    /// The log, the vault and the clock.
    pub writer: Arc<Writer>,
    /// Makes the requests.
    pub sender: Sender,
    /// Where they go.
    pub target: Target,
    /// Without which no request is made.
    pub lease: Lease,
}

/// An event whose body is ready to be sent.
struct Ready {
    item: Item,
    owner: Owner,
    next: Vec<Position>,
    event_id: EventId,
    event_type: WebhookEventType,
    sequence: Position,
    body: Bytes,
}

/// How far an event came without a request.
enum Prepared {
    Ready(Ready),
    Over(Over),
}

/// Takes the turn of these events, each of another lead, with one request: of several as one message, where the endpoint's kind
/// takes such. Errs only if the log or the vault cannot be read; then nothing was sent.
pub async fn take_turns(way: Arc<Way>, items: Vec<Item>) -> anyhow::Result<Vec<Over>> {
    let position = items.first().map(|item| item.position.get());
    let span = info_span!(target: TRACE, "deliver", otel.kind = "producer", position);
    turns(&way, items).instrument(span).await
}

async fn turns(way: &Way, items: Vec<Item>) -> anyhow::Result<Vec<Over>> {
    let (mut ready, mut over) = (Vec::new(), Vec::new());
    for item in items {
        match prepare(way, item).await? {
            Prepared::Ready(one) => ready.push(one),
            Prepared::Over(one) => over.push(one),
        }
    }
    if !ready.is_empty() {
        over.extend(send(way, ready).await);
    }
    Ok(over)
}

async fn prepare(way: &Way, item: Item) -> anyhow::Result<Prepared> {
    let over = |item, turn, next| Ok(Prepared::Over(Over { item, turn, next }));
    let read = history(&way.writer, &item).await?;
    let history = read.events();
    let owner = Owner::of(&way.writer.vault, &item.stream).await?;
    let mut next = body::released(history, item.position);
    if !way.target.events.contains(&WebhookEventType::LeadSignalAdded) {
        next.clear();
    }
    let (Some((event_id, event_type)), Some(told)) = (find(history, &item), body::told_with(history, item.position))
    else {
        return over(item, Turn::Unrenderable(Unrenderable::Incomplete), next);
    };
    // What was put aside under other events or filters is looked at anew.
    if !way.target.events.contains(&event_type) {
        return over(item, Turn::Filtered, next);
    }
    let said = match said(&way.target.filters, history, item.position, &owner) {
        Ok(said) => said,
        Err(reason) => return over(item, Turn::Unrenderable(reason), next),
    };
    let body = match said {
        Said::Body(body) => body,
        Said::Nothing => return over(item, Turn::Filtered, next),
        Said::Erased => {
            let (delivery, at) = (way.writer.clock.ulid(), way.writer.clock.now());
            let skipped = attempted(&item, (event_id, event_type), delivery, at);
            return over(item, Turn::Erased(skipped), next);
        }
    };
    Ok(Prepared::Ready(Ready {
        item,
        owner,
        next,
        event_id,
        event_type,
        sequence: told.position,
        body,
    }))
}

/// What an endpoint is told of an event.
enum Said {
    Body(Bytes),
    /// It does not want to hear of it.
    Nothing,
    /// The person was erased.
    Erased,
}

fn said(
    filters: &WebhookFilters,
    history: &[Recorded],
    position: Position,
    owner: &Owner,
) -> Result<Said, Unrenderable> {
    match owner {
        Owner::Person(person, keys) => {
            if !body::fits(filters, history, position, *person, keys)? {
                return Ok(Said::Nothing);
            }
            let body = body::render(history, position, *person, keys)?;
            Ok(body.map_or(Said::Erased, Said::Body))
        }
        Owner::Account(_) => {
            let recorded = history.iter().find(|recorded| recorded.position == position);
            let recorded = recorded.ok_or(Unrenderable::Incomplete)?;
            if !body::source_fits(filters, recorded)? {
                return Ok(Said::Nothing);
            }
            body::render_source(recorded).map(Said::Body)
        }
    }
}

impl Ready {
    fn over(self, turn: Turn) -> Over {
        let Self { item, next, .. } = self;
        Over { item, turn, next }
    }
}

async fn send(way: &Way, ready: Vec<Ready>) -> Vec<Over> {
    let bodies: Vec<Bytes> = ready.iter().map(|one| one.body.clone()).collect();
    let (Some(first), Ok(message)) = (ready.first(), body::shaped(way.target.kind, &bodies)) else {
        let unrenderable = || Turn::Unrenderable(Unrenderable::Incomplete);
        return ready.into_iter().map(|one| one.over(unrenderable())).collect();
    };
    // However long the reading took.
    if !way.lease.is_held() {
        return ready.into_iter().map(|one| one.over(Turn::NotOurs)).collect();
    }
    let (mut delivery, at) = (way.writer.clock.ulid(), way.writer.clock.now());
    let attempt = Attempt {
        uri: way.target.uri.clone(),
        event_type: first.event_type,
        event_id: first.event_id,
        sequence: Some(first.sequence),
        delivery,
        number: first.item.attempts + 1,
        at,
        body: message,
    };
    let outcome = way.sender.send(attempt, &way.target.secrets).await;
    let mut turns = Vec::with_capacity(ready.len());
    // An answer can repeat all that was sent: that to a message of several people would outlive the erasure of any one of them.
    let answer = if ready.len() == 1 { &*outcome.answer } else { &[] };
    for one in ready {
        let made = Made {
            of: attempted(&one.item, (one.event_id, one.event_type), delivery, at),
            answer: one.owner.seal(&way.writer.vault, one.event_id, answer),
            outcome: outcome.clone(),
        };
        turns.push(one.over(Turn::Made(Box::new(made))));
        // The others of a message were told by the same request, and have rows of their own.
        delivery = way.writer.clock.ulid();
    }
    turns
}

/// The next attempt of the event, as it is written down.
fn attempted(item: &Item, event: (EventId, WebhookEventType), delivery: Ulid, at: Timestamp) -> Attempted {
    Attempted {
        delivery,
        event_id: event.0,
        event_type: event.1,
        stream: item.stream.clone(),
        position: item.position,
        number: item.attempts + 1,
        at,
    }
}

/// What a body is made from.
enum History {
    /// The event alone.
    One(Arc<Recorded>),
    /// Its whole stream.
    Whole(Vec<Recorded>),
}

impl History {
    fn events(&self) -> &[Recorded] {
        match self {
            Self::One(recorded) => std::slice::from_ref(recorded),
            Self::Whole(events) => events,
        }
    }
}

async fn history(writer: &Writer, item: &Item) -> anyhow::Result<History> {
    if let Some(recorded) = item.recorded.as_ref().filter(|recorded| body::stands_alone(recorded)) {
        return Ok(History::One(recorded.clone()));
    }
    let mut streams = writer
        .log
        .read_streams(std::slice::from_ref(&item.stream))
        .await
        .context("read the event's stream")?;
    Ok(History::Whole(streams.pop().unwrap_or_default()))
}

fn find(history: &[Recorded], item: &Item) -> Option<(EventId, WebhookEventType)> {
    let recorded = history.iter().find(|recorded| recorded.position == item.position)?;
    Some((recorded.id, body::event_type(&recorded.event)?))
}
