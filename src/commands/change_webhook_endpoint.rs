//! Changes what a webhook endpoint is: its URL, what it hears of, its description.

use domain::webhook_endpoint::{EndpointEdit, WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, WebhookEndpointId};
use event_log::Position;

use super::add_webhook_endpoint::change_endpoint;
use super::{CommandError, Writer};

/// Changes what `edit` names; nothing happens if that is so already. The caller has checked the URL.
pub async fn change_webhook_endpoint(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
    edit: EndpointEdit,
) -> Result<Position, CommandError<WebhookEndpointRefusal>> {
    let command = WebhookEndpointCommand::Change(endpoint_id, edit);
    change_endpoint(writer, account, endpoint_id, command).await
}
