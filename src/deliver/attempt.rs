//! From an event to an attempt: reads what the body needs, renders it, sends it. One call for each attempt a worker makes.

use std::sync::Arc;

use anyhow::Context as _;
use domain::{Event, EventId, PersonRef, Sealed, WebhookFilters, WebhookKind};
use event_log::Recorded;
use http::Uri;
use projections::webhook_endpoints::WebhookEndpointRow;
use tracing::{Instrument as _, info_span};
use url::Url;
use vault::Keyring;

use super::body::{self, Unrenderable};
use super::cursor::{Made, Skipped};
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
    Erased(Skipped),
    /// The endpoint does not want to hear of this lead.
    Filtered,
    /// The event cannot be told.
    Unrenderable(Unrenderable),
    /// The endpoint is another node's by now: nothing was sent.
    NotOurs,
}

/// Takes the event's turn. Errs only if the log or the vault cannot be read; then nothing was sent.
pub async fn take_turn(
    writer: Arc<Writer>,
    sender: Sender,
    target: Arc<Target>,
    lease: Lease,
    item: Item,
) -> (Item, anyhow::Result<Turn>) {
    let span = info_span!(target: TRACE, "deliver", otel.kind = "producer", position = item.position.get());
    let turn = turn(&writer, &sender, &target, &lease, &item).instrument(span).await;
    (item, turn)
}

async fn turn(writer: &Writer, sender: &Sender, target: &Target, lease: &Lease, item: &Item) -> anyhow::Result<Turn> {
    let Some(person) = item.stream.person() else {
        return Ok(Turn::Unrenderable(Unrenderable::Incomplete));
    };
    let history = history(writer, item).await?;
    let keys = writer
        .vault
        .keys(item.stream.account(), &[person])
        .await
        .context("get the person's key")?;
    match body::fits(&target.filters, &history, item.position, person, &keys) {
        Ok(true) => {}
        Ok(false) => return Ok(Turn::Filtered),
        Err(reason) => return Ok(Turn::Unrenderable(reason)),
    }
    let rendered = match body::render(&history, item.position, person, &keys) {
        Ok(rendered) => rendered,
        Err(reason) => return Ok(Turn::Unrenderable(reason)),
    };
    let Some((event_id, event)) = find(&history, item) else {
        return Ok(Turn::Unrenderable(Unrenderable::Incomplete));
    };
    let Some(event_type) = body::event_type(event) else {
        return Ok(Turn::Unrenderable(Unrenderable::Incomplete));
    };
    let (delivery, number, at) = (writer.clock.ulid(), item.attempts + 1, writer.clock.now());
    let Some(rendered) = rendered else {
        return Ok(Turn::Erased(Skipped {
            delivery,
            event_id,
            event_type,
            stream: item.stream.clone(),
            position: item.position,
            number,
            at,
        }));
    };
    let rendered = match body::shaped(target.kind, &[rendered]) {
        Ok(rendered) => rendered,
        Err(reason) => return Ok(Turn::Unrenderable(reason)),
    };
    let attempt = Attempt {
        uri: target.uri.clone(),
        event_type,
        event_id,
        delivery,
        number,
        at,
        body: rendered,
    };
    // However long the reading took.
    if !lease.is_held() {
        return Ok(Turn::NotOurs);
    }
    let outcome = sender.send(attempt, &target.secrets).await;
    Ok(Turn::Made(Box::new(Made {
        delivery,
        event_id,
        event_type,
        stream: item.stream.clone(),
        position: item.position,
        number,
        at,
        answer: seal(&keys, person, event_id, &outcome.answer),
        outcome,
    })))
}

/// What the body needs: the event alone, or its lead's whole stream.
async fn history(writer: &Writer, item: &Item) -> anyhow::Result<Vec<Recorded>> {
    if let Some(recorded) = item.recorded.as_ref().filter(|recorded| body::stands_alone(recorded)) {
        return Ok(vec![recorded.clone()]);
    }
    let mut streams = writer
        .log
        .read_streams(std::slice::from_ref(&item.stream))
        .await
        .context("read the lead's stream")?;
    Ok(streams.pop().unwrap_or_default())
}

fn find<'a>(history: &'a [Recorded], item: &Item) -> Option<(EventId, &'a Event)> {
    let recorded = history.iter().find(|recorded| recorded.position == item.position)?;
    Some((recorded.id, &recorded.event))
}

/// An answer can repeat what was sent, so it is kept as what it may hold: the person's data.
fn seal(keys: &Keyring, person: PersonRef, event: EventId, answer: &[u8]) -> Option<Sealed> {
    if answer.is_empty() {
        return None;
    }
    keys.seal(person, event, &String::from_utf8_lossy(answer)).ok()
}
