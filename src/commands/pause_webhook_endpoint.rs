//! Pauses a webhook endpoint: the customer wants nothing more for the time being.

use domain::webhook_endpoint::{WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, WebhookEndpointId};
use event_log::Position;

use super::add_webhook_endpoint::change_endpoint;
use super::{CommandError, Writer};

/// Pauses the endpoint; nothing happens if it gets nothing already.
pub async fn pause_webhook_endpoint(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
) -> Result<Position, CommandError<WebhookEndpointRefusal>> {
    change_endpoint(writer, account, endpoint_id, WebhookEndpointCommand::Pause(endpoint_id)).await
}
