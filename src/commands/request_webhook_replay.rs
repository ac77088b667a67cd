//! Asks for what happened in a span of time to be sent to a webhook endpoint once more.

use domain::event::WebhookReplayRequested;
use domain::webhook_endpoint::{WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, Timestamp, WebhookEndpointId, WebhookReplayId};
use event_log::Position;

use super::add_webhook_endpoint::change_endpoint;
use super::{CommandError, Writer};

/// A replay that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedReplay {
    /// Its id.
    pub replay_id: WebhookReplayId,
    /// The place in the log of the event that asks for it.
    pub position: Position,
}

/// Asks for a replay of what was recorded from `since` on and before `until`.
pub async fn request_webhook_replay(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
    since: Timestamp,
    until: Timestamp,
) -> Result<RequestedReplay, CommandError<WebhookEndpointRefusal>> {
    let replay_id = WebhookReplayId::new(writer.clock.ulid());
    let command = WebhookEndpointCommand::RequestReplay(WebhookReplayRequested {
        endpoint_id,
        replay_id,
        since,
        until,
    });
    Ok(RequestedReplay {
        replay_id,
        position: change_endpoint(writer, account, endpoint_id, command).await?,
    })
}
