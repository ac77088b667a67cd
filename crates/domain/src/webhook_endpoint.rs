//! A webhook endpoint: a customer's URL that hears of leads, until it is paused, disabled or removed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate};
use crate::event::{
    Event, WebhookEndpointAdded, WebhookEndpointChanged, WebhookEndpointDisabled, WebhookEndpointPaused,
    WebhookEndpointRemoved, WebhookEndpointResumed, WebhookReplayRequested, WebhookSecretRotated,
};
use crate::stream::Category;
use crate::{Sealed, Timestamp, WebhookEndpointId, WebhookEventType, WebhookFilters};

/// For how long the secret before stays valid after a rotation.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// What the endpoint's events add up to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    state: State,
    /// What it is as long as it exists.
    is: Wish,
    /// Until when the secret before the current one is valid.
    overlap_ends: Option<Timestamp>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    #[default]
    Absent,
    Active,
    Paused,
    Disabled,
    Removed,
}

/// What the customer can change.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Wish {
    url: String,
    events: Vec<WebhookEventType>,
    filters: WebhookFilters,
    description: Option<String>,
}

/// What is to change; none: it stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointEdit {
    /// Where deliveries go.
    pub url: Option<String>,
    /// Which events it hears of.
    pub events: Option<Vec<WebhookEventType>>,
    /// Which leads it hears of, whole.
    pub filters: Option<WebhookFilters>,
    /// What the customer says of it; an inner none takes it away.
    pub description: Option<Option<String>>,
}

/// What may be asked of an endpoint.
#[derive(Debug, Clone)]
pub enum WebhookEndpointCommand {
    /// Add it.
    Add(WebhookEndpointAdded),
    /// Change what it is.
    Change(WebhookEndpointId, EndpointEdit),
    /// Send nothing more until it is resumed: the customer wants it so.
    Pause(WebhookEndpointId),
    /// Send again, from where it stopped, whether it was paused or disabled.
    Resume(WebhookEndpointId),
    /// Send nothing more until it is resumed: it does not take anything.
    Disable(WebhookEndpointDisabled),
    /// Give it another secret.
    RotateSecret {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
        /// The new secret, sealed for the account.
        secret: Sealed,
        /// The time of the rotation.
        at: Timestamp,
    },
    /// Send again what happened in a span of time.
    RequestReplay(WebhookReplayRequested),
    /// Remove it.
    Remove(WebhookEndpointId),
}

/// Why an endpoint refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookEndpointRefusal {
    /// It does not exist, or no longer.
    #[error("there is no such webhook endpoint")]
    Unknown,
    /// An endpoint of that id was added before.
    #[error("a webhook endpoint of that id was added before")]
    IdUsed,
    /// A further rotation would push out a secret that is still valid.
    #[error("the secret before the current one is valid until {until}; rotate again after that")]
    Overlap {
        /// Until when it is valid.
        until: Timestamp,
    },
    /// A replay that ends before it begins.
    #[error("until must be later than since")]
    EmptySpan,
}

aggregate!(
    WebhookEndpoint,
    Category::WebhookEndpoint,
    WebhookEndpointCommand,
    WebhookEndpointRefusal
);

impl Decide for WebhookEndpoint {
    fn decide(&self, command: WebhookEndpointCommand) -> Result<Vec<Event>, WebhookEndpointRefusal> {
        use WebhookEndpointCommand as Command;
        match (command, self.state) {
            (Command::Add(added), State::Absent) => Ok(vec![added.into()]),
            (Command::Add(_), _) => Err(WebhookEndpointRefusal::IdUsed),
            (_, State::Absent | State::Removed) => Err(WebhookEndpointRefusal::Unknown),
            (Command::Change(endpoint_id, edit), _) => Ok(self.change(endpoint_id, edit)),
            (Command::Pause(endpoint_id), State::Active) => Ok(vec![WebhookEndpointPaused { endpoint_id }.into()]),
            (Command::Resume(endpoint_id), State::Paused | State::Disabled) => {
                Ok(vec![WebhookEndpointResumed { endpoint_id }.into()])
            }
            (Command::Disable(disabled), State::Active | State::Paused) => Ok(vec![disabled.into()]),
            // What is disabled gets nothing already, and the reason stays to be seen.
            (Command::Pause(_) | Command::Resume(_) | Command::Disable(_), _) => Ok(Vec::new()),
            (
                Command::RotateSecret {
                    endpoint_id,
                    secret,
                    at,
                },
                _,
            ) => self.rotate(endpoint_id, secret, at),
            (Command::RequestReplay(replay), _) if replay.since >= replay.until => {
                Err(WebhookEndpointRefusal::EmptySpan)
            }
            (Command::RequestReplay(replay), _) => Ok(vec![replay.into()]),
            (Command::Remove(endpoint_id), _) => Ok(vec![WebhookEndpointRemoved { endpoint_id }.into()]),
        }
    }
}

impl WebhookEndpoint {
    fn change(&self, endpoint_id: WebhookEndpointId, edit: EndpointEdit) -> Vec<Event> {
        let is = self.is.clone();
        let wish = Wish {
            url: edit.url.unwrap_or(is.url),
            events: edit.events.unwrap_or(is.events),
            filters: edit.filters.unwrap_or(is.filters),
            description: edit.description.unwrap_or(is.description),
        };
        if wish == self.is {
            return Vec::new();
        }
        let changed = WebhookEndpointChanged {
            endpoint_id,
            url: wish.url,
            events: wish.events,
            filters: wish.filters,
            description: wish.description,
        };
        vec![changed.into()]
    }

    fn rotate(
        &self,
        endpoint_id: WebhookEndpointId,
        secret: Sealed,
        at: Timestamp,
    ) -> Result<Vec<Event>, WebhookEndpointRefusal> {
        if let Some(until) = self.overlap_ends.filter(|until| at < *until) {
            return Err(WebhookEndpointRefusal::Overlap { until });
        }
        let rotated = WebhookSecretRotated {
            endpoint_id,
            secret,
            previous_valid_until: at.plus(OVERLAP),
        };
        Ok(vec![rotated.into()])
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::WebhookEndpointAdded(added) => {
                self.state = State::Active;
                self.is = Wish {
                    url: added.url.clone(),
                    events: added.events.clone(),
                    filters: added.filters.clone(),
                    description: added.description.clone(),
                };
            }
            Event::WebhookEndpointChanged(changed) => {
                self.is = Wish {
                    url: changed.url.clone(),
                    events: changed.events.clone(),
                    filters: changed.filters.clone(),
                    description: changed.description.clone(),
                };
            }
            Event::WebhookEndpointPaused(_) => self.state = State::Paused,
            Event::WebhookEndpointResumed(_) => self.state = State::Active,
            Event::WebhookEndpointDisabled(_) => self.state = State::Disabled,
            Event::WebhookSecretRotated(rotated) => self.overlap_ends = Some(rotated.previous_valid_until),
            Event::WebhookEndpointRemoved(_) => self.state = State::Removed,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
