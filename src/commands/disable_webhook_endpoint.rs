//! Disables a webhook endpoint that is gone or has failed for too long; the delivery engine does it.

use domain::event::WebhookEndpointDisabled;
use domain::webhook_endpoint::{WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, DisabledReason, WebhookEndpointId};
use event_log::Position;

use super::add_webhook_endpoint::change_endpoint;
use super::{CommandError, Writer};

/// Disables the endpoint, whose last attempt failed with that word; nothing happens if it is disabled already.
pub async fn disable_webhook_endpoint(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
    reason: DisabledReason,
    last_failure: &str,
) -> Result<Position, CommandError<WebhookEndpointRefusal>> {
    change_endpoint(
        writer,
        account,
        endpoint_id,
        WebhookEndpointCommand::Disable(WebhookEndpointDisabled {
            endpoint_id,
            reason,
            last_failure: Some(last_failure.to_owned()),
        }),
    )
    .await
}
