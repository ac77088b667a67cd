//! Adds a webhook endpoint. Its secret is sealed for the account before it reaches the log.

use domain::event::WebhookEndpointAdded;
use domain::webhook_endpoint::{WebhookEndpoint, WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{
    AccountId, EventId, StartFrom, StreamId, Timestamp, WebhookEndpointId, WebhookEventType, WebhookFilters,
    WebhookKind,
};
use event_log::Position;

use super::execute::execute;
use super::{CommandError, Committed, Writer};

/// What a customer asks for. The caller has checked the URL and the secret.
#[derive(Clone)]
pub struct NewEndpoint {
    /// What reads it.
    pub kind: WebhookKind,
    /// Where deliveries go.
    pub url: String,
    /// Which events it hears of.
    pub events: Vec<WebhookEventType>,
    /// Which leads it hears of.
    pub filters: WebhookFilters,
    /// Where in the log it begins.
    pub start_from: StartFrom,
    /// What the customer says of it.
    pub description: Option<String>,
    /// The signing secret.
    pub secret: String,
}

/// The endpoint that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddedEndpoint {
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Adds the endpoint.
pub async fn add_webhook_endpoint(
    writer: &Writer,
    account: AccountId,
    new: NewEndpoint,
) -> Result<Committed<AddedEndpoint>, CommandError<WebhookEndpointRefusal>> {
    let endpoint_id = WebhookEndpointId::new(writer.clock.ulid());
    let event_id = EventId::new(writer.clock.ulid());
    let added = WebhookEndpointAdded {
        endpoint_id,
        kind: new.kind,
        url: new.url,
        events: new.events,
        filters: new.filters,
        start_from: new.start_from,
        description: new.description,
        secret: writer.vault.seal_for_account(account, event_id, new.secret.as_bytes()),
    };
    let stream = StreamId::webhook_endpoint(account, endpoint_id);
    let executed = execute::<WebhookEndpoint>(writer, stream, event_id, WebhookEndpointCommand::Add(added)).await?;
    let created_at = executed
        .events
        .last()
        .map(|event| event.recorded_at)
        .unwrap_or_default();
    Ok(Committed {
        value: AddedEndpoint {
            endpoint_id,
            created_at,
        },
        position: executed.position(),
        created: true,
    })
}

/// Changes an endpoint; shared by the commands that only need to know that it happened.
pub(super) async fn change_endpoint(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
    command: WebhookEndpointCommand,
) -> Result<Position, CommandError<WebhookEndpointRefusal>> {
    let stream = StreamId::webhook_endpoint(account, endpoint_id);
    let event_id = EventId::new(writer.clock.ulid());
    Ok(execute::<WebhookEndpoint>(writer, stream, event_id, command)
        .await?
        .position())
}
