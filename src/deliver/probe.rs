//! Tries an endpoint: one real request of `webhook.test` or of a sample of another event, now, past the cursor and whatever the endpoint's status is.

use std::time::Duration;

use anyhow::Context as _;
use domain::{EventId, WebhookEventType};
use projections::webhook_endpoints::WebhookEndpointRow;

use super::attempt::Target;
use super::body;
use super::request::{Attempt, Failure, Sender};
use crate::commands::Writer;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The `webhook-id` of the request.
    pub id: EventId,
    /// The answer's status, if an answer came.
    pub status: Option<u16>,
    /// The word for why a delivery would count as failed; none: it was taken.
    pub failure: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
    /// The answer's first KiB.
    pub answer: String,
}

/// Makes the request, of that event. Errs only if the endpoint's secret does not open; whatever the receiver does is an outcome.
pub async fn test(
    writer: &Writer,
    sender: &Sender,
    endpoint: &WebhookEndpointRow,
    event: WebhookEventType,
) -> anyhow::Result<Tried> {
    let target = Target::open(writer, endpoint)?;
    let (id, at) = (EventId::new(writer.clock.ulid()), writer.clock.now());
    let body = body::test(event, endpoint.endpoint_id, id, at).context("write the body")?;
    let attempt = Attempt {
        uri: target.uri().clone(),
        event_type: event,
        event_id: id,
        sequence: None,
        delivery: writer.clock.ulid(),
        number: 1,
        at,
        body: body::shaped(endpoint.kind, &[body]).context("write the body")?,
    };
    let outcome = sender.send(attempt, target.secrets()).await;
    Ok(Tried {
        id,
        status: outcome.status,
        failure: outcome.failure.map(Failure::as_str),
        took: outcome.took,
        answer: String::from_utf8_lossy(&outcome.answer).into_owned(),
    })
}
