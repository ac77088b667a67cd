//! Removes a webhook endpoint.

use domain::webhook_endpoint::{WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, WebhookEndpointId};
use event_log::Position;

use super::add_webhook_endpoint::change_endpoint;
use super::{CommandError, Writer};

/// Removes the endpoint; nothing more is sent to it.
pub async fn remove_webhook_endpoint(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
) -> Result<Position, CommandError<WebhookEndpointRefusal>> {
    let command = WebhookEndpointCommand::Remove(endpoint_id);
    change_endpoint(writer, account, endpoint_id, command).await
}
