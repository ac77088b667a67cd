//! A webhook endpoint: a customer's URL that hears of leads, until it is removed or disabled.

use serde::{Deserialize, Serialize};

use crate::WebhookEndpointId;
use crate::aggregate::{Decide, aggregate};
use crate::event::{Event, WebhookEndpointAdded, WebhookEndpointDisabled, WebhookEndpointRemoved};
use crate::signal::words;
use crate::stream::Category;

words!(
    /// What an endpoint can hear of.
    WebhookEventType {
        /// A person was captured as a lead, or a withheld lead released.
        LeadCreated = "lead.created",
        /// More was found for a lead.
        LeadEnriched = "lead.enriched",
        /// A lead was edited by hand.
        LeadUpdated = "lead.updated",
        /// A person was erased.
        LeadErased = "lead.erased",
    }
    all = "lead.created, lead.enriched, lead.updated, lead.erased"
);

impl WebhookEventType {
    /// What an endpoint hears of that asks for nothing in particular.
    pub const USUAL: &[Self] = &[Self::LeadCreated, Self::LeadEnriched, Self::LeadUpdated];
}

words!(
    /// Why an endpoint was disabled.
    DisabledReason {
        /// It answered 410 Gone.
        Gone = "gone",
        /// Every attempt of the last five days failed.
        Failing = "failing",
    }
    all = "gone, failing"
);

/// What the endpoint's events add up to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    #[default]
    Absent,
    Active,
    Disabled,
    Removed,
}

/// What may be asked of an endpoint.
#[derive(Debug, Clone)]
pub enum WebhookEndpointCommand {
    /// Add it.
    Add(WebhookEndpointAdded),
    /// Send nothing more for the time being.
    Disable(WebhookEndpointDisabled),
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
}

aggregate!(
    WebhookEndpoint,
    Category::WebhookEndpoint,
    WebhookEndpointCommand,
    WebhookEndpointRefusal
);

impl Decide for WebhookEndpoint {
    fn decide(&self, command: WebhookEndpointCommand) -> Result<Vec<Event>, WebhookEndpointRefusal> {
        match (command, self.state) {
            (WebhookEndpointCommand::Add(added), State::Absent) => Ok(vec![added.into()]),
            (WebhookEndpointCommand::Add(_), _) => Err(WebhookEndpointRefusal::IdUsed),
            (_, State::Absent | State::Removed) => Err(WebhookEndpointRefusal::Unknown),
            (WebhookEndpointCommand::Disable(..), State::Disabled) => Ok(Vec::new()),
            (WebhookEndpointCommand::Disable(disabled), State::Active) => Ok(vec![disabled.into()]),
            (WebhookEndpointCommand::Remove(endpoint_id), _) => Ok(vec![WebhookEndpointRemoved { endpoint_id }.into()]),
        }
    }
}

impl WebhookEndpoint {
    fn evolve(&mut self, event: &Event) {
        match event {
            Event::WebhookEndpointAdded(_) => self.state = State::Active,
            Event::WebhookEndpointDisabled(_) => self.state = State::Disabled,
            Event::WebhookEndpointRemoved(_) => self.state = State::Removed,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::Sealed;

    fn id() -> WebhookEndpointId {
        WebhookEndpointId::default()
    }

    fn add() -> WebhookEndpointAdded {
        WebhookEndpointAdded {
            endpoint_id: id(),
            url: "https://hooks.example.com/leads".into(),
            events: vec![WebhookEventType::LeadCreated],
            description: None,
            secret: Sealed::new(vec![1]),
        }
    }

    fn disabled() -> WebhookEndpointDisabled {
        WebhookEndpointDisabled {
            endpoint_id: id(),
            reason: DisabledReason::Gone,
            last_failure: Some("status".into()),
        }
    }

    fn removed() -> Event {
        WebhookEndpointRemoved { endpoint_id: id() }.into()
    }

    fn endpoint() -> TestFramework<WebhookEndpoint> {
        TestFramework::with(())
    }

    #[test]
    fn an_endpoint_is_added_once() {
        endpoint()
            .given_no_previous_events()
            .when(WebhookEndpointCommand::Add(add()))
            .then_expect_events(vec![add().into()]);
        endpoint()
            .given(vec![add().into()])
            .when(WebhookEndpointCommand::Add(add()))
            .then_expect_error(WebhookEndpointRefusal::IdUsed);
    }

    #[test]
    fn disabling_twice_is_one_fact() {
        let disable = WebhookEndpointCommand::Disable(disabled());
        endpoint()
            .given(vec![add().into()])
            .when(disable.clone())
            .then_expect_events(vec![disabled().into()]);
        endpoint()
            .given(vec![add().into(), disabled().into()])
            .when(disable.clone())
            .then_expect_events(vec![]);
        endpoint()
            .given_no_previous_events()
            .when(disable)
            .then_expect_error(WebhookEndpointRefusal::Unknown);
    }

    #[test]
    fn an_endpoint_is_removed_once_even_while_disabled() {
        let remove = WebhookEndpointCommand::Remove(id());
        endpoint()
            .given(vec![add().into(), disabled().into()])
            .when(remove.clone())
            .then_expect_events(vec![removed()]);
        endpoint()
            .given(vec![add().into(), removed()])
            .when(remove)
            .then_expect_error(WebhookEndpointRefusal::Unknown);
    }
}
