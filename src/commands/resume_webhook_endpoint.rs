//! Resumes a webhook endpoint that was paused or disabled: it goes on from where it stopped.

use domain::webhook_endpoint::{WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, WebhookEndpointId};
use event_log::Position;

use super::add_webhook_endpoint::change_endpoint;
use super::{CommandError, Writer};

/// Resumes the endpoint; nothing happens if it is active already.
pub async fn resume_webhook_endpoint(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
) -> Result<Position, CommandError<WebhookEndpointRefusal>> {
    let command = WebhookEndpointCommand::Resume(endpoint_id);
    change_endpoint(writer, account, endpoint_id, command).await
}
