//! Disables a webhook endpoint that is gone or has failed for too long; the delivery engine does it.

use domain::webhook_endpoint::{WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, DisabledReason, WebhookEndpointId};
use event_log::Position;

use super::add_webhook_endpoint::change_endpoint;
use super::{CommandError, Writer};

/// Disables the endpoint; nothing happens if it is disabled already.
pub async fn disable_webhook_endpoint(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
    reason: DisabledReason,
) -> Result<Position, CommandError<WebhookEndpointRefusal>> {
    change_endpoint(
        writer,
        account,
        endpoint_id,
        WebhookEndpointCommand::Disable(endpoint_id, reason),
    )
    .await
}
