//! Gives a webhook endpoint another secret; the one before stays valid for a day.

use domain::webhook_endpoint::{WebhookEndpoint, WebhookEndpointCommand, WebhookEndpointRefusal};
use domain::{AccountId, Event, EventId, Sealed, StreamId, Timestamp, WebhookEndpointId};
use event_log::{Position, Recorded};

use super::execute::execute;
use super::{CommandError, Writer};

/// A rotation that was made. No `Debug`: it holds a secret.
pub struct Rotated {
    /// Its place in the log.
    pub position: Position,
    /// The secret before.
    pub previous: String,
    /// Until when that one is valid too.
    pub previous_valid_until: Timestamp,
}

/// Rotates to `secret`, which the caller has checked; refused while the secret before the current one is still valid.
pub async fn rotate_webhook_secret(
    writer: &Writer,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
    secret: &str,
) -> Result<Rotated, CommandError<WebhookEndpointRefusal>> {
    let event_id = EventId::new(writer.clock.ulid());
    let command = WebhookEndpointCommand::RotateSecret {
        endpoint_id,
        secret: writer.vault.seal_for_account(account, event_id, secret.as_bytes()),
        at: writer.clock.now(),
    };
    let stream = StreamId::webhook_endpoint(account, endpoint_id);
    let executed = execute::<WebhookEndpoint>(writer, stream, event_id, command).await?;
    let (previous, previous_valid_until) = previous(&executed.events).unwrap_or_default();
    let opened = writer.vault.open_for_account(account, previous.0, &previous.1);
    let opened = opened.map_err(|error| CommandError::Sealed(error.into()))?;
    Ok(Rotated {
        position: executed.position(),
        previous: String::from_utf8(opened).map_err(|error| CommandError::Sealed(error.into()))?,
        previous_valid_until,
    })
}

/// The secret before the last one, with the event it was sealed for, and until when it is valid.
fn previous(history: &[Recorded]) -> Option<((EventId, Sealed), Timestamp)> {
    let (last, before) = history.split_last()?;
    let Event::WebhookSecretRotated(rotated) = &last.event else {
        return None;
    };
    let sealed = before.iter().rev().find_map(|recorded| match &recorded.event {
        Event::WebhookEndpointAdded(added) => Some((recorded.id, added.secret.clone())),
        Event::WebhookSecretRotated(rotated) => Some((recorded.id, rotated.secret.clone())),
        _ => None,
    });
    Some((sealed?, rotated.previous_valid_until))
}
