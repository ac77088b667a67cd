//! Given an endpoint's events, when something is asked of it, then these facts or this refusal.

use cqrs_es::test::TestFramework;

use super::*;
use crate::{DisabledReason, StartFrom, WebhookKind, WebhookReplayId};

fn id() -> WebhookEndpointId {
    WebhookEndpointId::default()
}

fn add() -> WebhookEndpointAdded {
    WebhookEndpointAdded {
        endpoint_id: id(),
        kind: WebhookKind::Webhook,
        url: "https://hooks.example.com/leads".into(),
        events: vec![WebhookEventType::LeadCreated],
        filters: WebhookFilters::default(),
        start_from: StartFrom::Now,
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

fn paused() -> Event {
    WebhookEndpointPaused { endpoint_id: id() }.into()
}

fn resumed() -> Event {
    WebhookEndpointResumed { endpoint_id: id() }.into()
}

fn rotated(secs: i64) -> Event {
    WebhookSecretRotated {
        endpoint_id: id(),
        secret: Sealed::new(vec![2]),
        previous_valid_until: Timestamp::from_secs(secs + 86_400),
    }
    .into()
}

fn rotate(secs: i64) -> WebhookEndpointCommand {
    WebhookEndpointCommand::RotateSecret {
        endpoint_id: id(),
        secret: Sealed::new(vec![2]),
        at: Timestamp::from_secs(secs),
    }
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
fn pausing_and_resuming_twice_are_one_fact_each() {
    let (pause, resume) = (
        WebhookEndpointCommand::Pause(id()),
        WebhookEndpointCommand::Resume(id()),
    );
    endpoint()
        .given(vec![add().into()])
        .when(pause.clone())
        .then_expect_events(vec![paused()]);
    endpoint()
        .given(vec![add().into(), paused()])
        .when(pause.clone())
        .then_expect_events(vec![]);
    endpoint()
        .given(vec![add().into(), paused()])
        .when(resume.clone())
        .then_expect_events(vec![resumed()]);
    endpoint()
        .given(vec![add().into(), paused(), resumed()])
        .when(resume.clone())
        .then_expect_events(vec![]);
    for command in [pause, resume] {
        endpoint()
            .given(vec![add().into(), removed()])
            .when(command)
            .then_expect_error(WebhookEndpointRefusal::Unknown);
    }
}

#[test]
fn a_disabled_endpoint_keeps_its_reason_when_it_is_paused_and_is_enabled_by_resuming() {
    endpoint()
        .given(vec![add().into(), disabled().into()])
        .when(WebhookEndpointCommand::Pause(id()))
        .then_expect_events(vec![]);
    endpoint()
        .given(vec![add().into(), disabled().into()])
        .when(WebhookEndpointCommand::Resume(id()))
        .then_expect_events(vec![resumed()]);
    // What was learnt of an endpoint while it was being paused is still true.
    endpoint()
        .given(vec![add().into(), paused()])
        .when(WebhookEndpointCommand::Disable(disabled()))
        .then_expect_events(vec![disabled().into()]);
}

#[test]
fn a_change_says_the_whole_new_value_and_is_no_fact_if_it_changes_nothing() {
    let edit = EndpointEdit {
        events: Some(vec![WebhookEventType::LeadErased]),
        description: Some(Some("CRM".into())),
        ..EndpointEdit::default()
    };
    let changed = WebhookEndpointChanged {
        endpoint_id: id(),
        url: add().url,
        events: vec![WebhookEventType::LeadErased],
        filters: WebhookFilters::default(),
        description: Some("CRM".into()),
    };
    let change = WebhookEndpointCommand::Change(id(), edit);
    endpoint()
        .given(vec![add().into()])
        .when(change.clone())
        .then_expect_events(vec![changed.clone().into()]);
    endpoint()
        .given(vec![add().into(), changed.clone().into()])
        .when(change.clone())
        .then_expect_events(vec![]);
    let clear = EndpointEdit {
        description: Some(None),
        ..EndpointEdit::default()
    };
    let cleared = WebhookEndpointChanged {
        description: None,
        ..changed.clone()
    };
    endpoint()
        .given(vec![add().into(), changed.into()])
        .when(WebhookEndpointCommand::Change(id(), clear))
        .then_expect_events(vec![cleared.into()]);
    endpoint()
        .given_no_previous_events()
        .when(change)
        .then_expect_error(WebhookEndpointRefusal::Unknown);
}

#[test]
fn a_secret_is_not_rotated_while_the_one_before_is_still_valid() {
    endpoint()
        .given(vec![add().into()])
        .when(rotate(0))
        .then_expect_events(vec![rotated(0)]);
    endpoint()
        .given(vec![add().into(), rotated(0)])
        .when(rotate(86_399))
        .then_expect_error(WebhookEndpointRefusal::Overlap {
            until: Timestamp::from_secs(86_400),
        });
    endpoint()
        .given(vec![add().into(), rotated(0)])
        .when(rotate(86_400))
        .then_expect_events(vec![rotated(86_400)]);
}

#[test]
fn a_replay_is_of_a_span_that_is_not_empty() {
    let replay = |until| WebhookReplayRequested {
        endpoint_id: id(),
        replay_id: WebhookReplayId::default(),
        since: Timestamp::from_secs(10),
        until: Timestamp::from_secs(until),
    };
    endpoint()
        .given(vec![add().into(), paused()])
        .when(WebhookEndpointCommand::RequestReplay(replay(11)))
        .then_expect_events(vec![replay(11).into()]);
    for until in [9, 10] {
        endpoint()
            .given(vec![add().into()])
            .when(WebhookEndpointCommand::RequestReplay(replay(until)))
            .then_expect_error(WebhookEndpointRefusal::EmptySpan);
    }
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
