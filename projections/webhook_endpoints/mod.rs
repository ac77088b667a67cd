//! The webhook endpoints, their secrets sealed, and the replays asked for; the API lists them, delivery sends to the active ones.

mod queries;

use database::Statement;
use domain::event::{WebhookEndpointAdded, WebhookEndpointChanged, WebhookReplayRequested, WebhookSecretRotated};
use domain::{Event, WebhookEndpointId, WebhookEventType, WebhookFilters, WebhookStatus};
use event_log::Recorded;

use crate::{Projection, columns};

pub use queries::{
    Count, EndpointStatus, PreviousSecret, ReplayRow, WebhookEndpointRow, active, count, find, list, page, replays,
};

/// The projection.
pub struct WebhookEndpoints;

impl Projection for WebhookEndpoints {
    fn name(&self) -> &'static str {
        "webhook_endpoints"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        ""
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        match &recorded.event {
            Event::WebhookEndpointAdded(added) => vec![insert(recorded, added)],
            Event::WebhookEndpointChanged(changed) => vec![change(recorded, changed)],
            Event::WebhookSecretRotated(rotated) => vec![rotate(recorded, rotated)],
            Event::WebhookEndpointPaused(paused) => {
                vec![set_status(recorded, paused.endpoint_id, EndpointStatus::Paused, None)]
            }
            Event::WebhookEndpointResumed(resumed) => {
                vec![set_status(recorded, resumed.endpoint_id, EndpointStatus::Active, None)]
            }
            Event::WebhookEndpointDisabled(disabled) => {
                let status = EndpointStatus::Disabled(disabled.reason);
                let last_failure = disabled.last_failure.as_deref();
                vec![set_status(recorded, disabled.endpoint_id, status, last_failure)]
            }
            Event::WebhookReplayRequested(replay) => vec![insert_replay(recorded, replay)],
            Event::WebhookEndpointRemoved(removed) => remove(recorded, removed.endpoint_id),
            _ => Vec::new(),
        }
    }
}

/// As PostgreSQL keeps texts: without NUL, which earlier versions took.
fn description(text: Option<&str>) -> Option<String> {
    text.map(|text| text.replace('\0', "\u{fffd}"))
}

fn insert(recorded: &Recorded, added: &WebhookEndpointAdded) -> Statement {
    Statement::insert(
        "webhook_endpoints (account, endpoint_id, kind, url, events, filters, start_from, description, secret, \
         secret_event, status, status_since, added_at, changed_at, receiver_since, created_at)",
        "ON CONFLICT DO NOTHING",
        vec![
            columns::id(recorded.account().ulid()),
            columns::id(added.endpoint_id.ulid()),
            added.kind.as_str().into(),
            added.url.as_str().into(),
            words(&added.events).into(),
            json(&added.filters).into(),
            added.start_from.to_string().into(),
            description(added.description.as_deref()).into(),
            added.secret.bytes().into(),
            columns::id(recorded.id.ulid()),
            WebhookStatus::Active.as_str().into(),
            columns::time(recorded.recorded_at),
            columns::place(recorded.position),
            columns::place(recorded.position),
            columns::place(recorded.position),
            columns::time(recorded.recorded_at),
        ],
    )
}

fn change(recorded: &Recorded, changed: &WebhookEndpointChanged) -> Statement {
    Statement::sql(
        "UPDATE webhook_endpoints SET url = $1, events = $2, filters = $3, description = $4, changed_at = $5, \
         receiver_since = CASE WHEN url <> $1 THEN $5 ELSE receiver_since END WHERE account = $6 AND endpoint_id = $7",
        vec![
            changed.url.as_str().into(),
            words(&changed.events).into(),
            json(&changed.filters).into(),
            description(changed.description.as_deref()).into(),
            columns::place(recorded.position),
            columns::id(recorded.account().ulid()),
            columns::id(changed.endpoint_id.ulid()),
        ],
    )
}

fn rotate(recorded: &Recorded, rotated: &WebhookSecretRotated) -> Statement {
    Statement::sql(
        "UPDATE webhook_endpoints SET previous_secret = secret, previous_event = secret_event, previous_until = $1, \
         secret = $2, secret_event = $3, changed_at = $4 WHERE account = $5 AND endpoint_id = $6",
        vec![
            columns::time(rotated.previous_valid_until),
            rotated.secret.bytes().into(),
            columns::id(recorded.id.ulid()),
            columns::place(recorded.position),
            columns::id(recorded.account().ulid()),
            columns::id(rotated.endpoint_id.ulid()),
        ],
    )
}

fn set_status(
    recorded: &Recorded,
    endpoint_id: WebhookEndpointId,
    status: EndpointStatus,
    last_failure: Option<&str>,
) -> Statement {
    let reason = match status {
        EndpointStatus::Active | EndpointStatus::Paused => None,
        EndpointStatus::Disabled(reason) => Some(reason.as_str()),
    };
    // What is disabled leaves that state by being resumed, and in no other way.
    Statement::sql(
        "UPDATE webhook_endpoints SET status = $1, status_since = $2, disabled_reason = $3, last_failure = $4, \
         changed_at = $5, receiver_since = CASE WHEN status = 'disabled' THEN $5 ELSE receiver_since END WHERE account = $6 AND endpoint_id = $7",
        vec![
            status.word().as_str().into(),
            columns::time(recorded.recorded_at),
            reason.into(),
            last_failure.into(),
            columns::place(recorded.position),
            columns::id(recorded.account().ulid()),
            columns::id(endpoint_id.ulid()),
        ],
    )
}

fn insert_replay(recorded: &Recorded, replay: &WebhookReplayRequested) -> Statement {
    Statement::insert(
        "webhook_replays (account, endpoint_id, replay_id, since, until, requested_at, place)",
        "ON CONFLICT DO NOTHING",
        vec![
            columns::id(recorded.account().ulid()),
            columns::id(replay.endpoint_id.ulid()),
            columns::id(replay.replay_id.ulid()),
            columns::time(replay.since),
            columns::time(replay.until),
            columns::time(recorded.recorded_at),
            columns::place(recorded.position),
        ],
    )
}

fn remove(recorded: &Recorded, endpoint_id: WebhookEndpointId) -> Vec<Statement> {
    [
        "DELETE FROM webhook_endpoints WHERE account = $1 AND endpoint_id = $2",
        "DELETE FROM webhook_replays WHERE account = $1 AND endpoint_id = $2",
    ]
    .map(|text| {
        let account = columns::id(recorded.account().ulid());
        Statement::sql(text, vec![account, columns::id(endpoint_id.ulid())])
    })
    .into()
}

fn words(events: &[WebhookEventType]) -> String {
    let words: Vec<_> = events.iter().map(|event| event.as_str()).collect();
    words.join(",")
}

fn json(filters: &WebhookFilters) -> String {
    // Lists of texts: there is nothing in them that JSON cannot hold.
    serde_json::to_string(filters).unwrap_or_default()
}

#[cfg(test)]
mod tests;
