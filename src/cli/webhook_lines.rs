//! What `gitleads webhooks` prints: a line for each endpoint, delivery and replay.

use std::fmt::Write as _;

use domain::WebhookEventType;
use projections::webhook_endpoints::{EndpointStatus, WebhookEndpointRow};

use crate::deliver::journal::Delivery;
use crate::deliver::replay::Progress;

/// What a receiver answered, without what would steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let is_harmless = |character: char| character == '\n' || !character.is_control();
    text.chars().filter(|character| is_harmless(*character)).collect()
}

/// How a delivery stands, and its last attempt.
pub(super) fn delivery_line(delivery: &Delivery) -> String {
    let event = delivery.event.map_or("", WebhookEventType::as_str);
    let mut line = format!("{}  {event:<17}  {:<9}", delivery.event_id, delivery.status.as_str());
    if let Some(last) = delivery.attempts.last() {
        let status = last
            .status
            .map_or_else(|| last.outcome.clone(), |status| status.to_string());
        // Writing to a string cannot fail.
        let _ = write!(line, "  attempt {} at {}: {status}", last.number, last.at);
    }
    if let Some(next) = delivery.next_attempt_at {
        let joint = if delivery.attempts.is_empty() { "  " } else { ", " };
        let _ = write!(line, "{joint}next at {next}");
    }
    line.trim_end().to_owned()
}

/// How far a replay is.
pub(super) fn replay_line(replay: &Progress) -> String {
    format!(
        "{}  {:<7}  {:>3} %  from {} to {}",
        replay.replay_id,
        replay.state.as_str(),
        replay.percent,
        replay.since,
        replay.until
    )
}

/// The endpoints, below a line of headings.
pub(super) fn table(rows: &[WebhookEndpointRow]) -> Vec<String> {
    let row = |id: &str, kind: &str, status: &str, url: &str| format!("{id:<29}  {kind:<7}  {status:<18}  {url}");
    let mut lines = vec![row("ID", "KIND", "STATUS", "URL")];
    lines.extend(rows.iter().map(|endpoint| {
        let status = match endpoint.status {
            EndpointStatus::Disabled(reason) => format!("disabled: {reason}"),
            other => other.word().to_string(),
        };
        row(
            &endpoint.endpoint_id.to_string(),
            endpoint.kind.as_str(),
            &status,
            &endpoint.url,
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use domain::{DeliveryStatus, EventId, Timestamp};
    use event_log::Position;

    use super::*;
    use crate::deliver::journal::Tried;
    use crate::deliver::replay::State;

    #[test]
    fn a_line_of_a_delivery_tells_how_it_stands_and_what_the_last_attempt_came_to() {
        let tried = |number, status, outcome: &str| Tried {
            id: "dlv_1".into(),
            number,
            at: Timestamp::from_secs(1_777_026_660),
            took_micros: 5,
            status,
            outcome: outcome.into(),
            answer: None,
        };
        let delivery = |status, next_attempt_at, attempts| Delivery {
            event_id: EventId::default(),
            event: Some(WebhookEventType::LeadCreated),
            position: Position::START,
            status,
            next_attempt_at,
            attempts,
        };
        let waits = delivery(
            DeliveryStatus::Waiting,
            Some(Timestamp::from_secs(1_777_026_690)),
            vec![tried(1, Some(503), "status"), tried(2, None, "timeout")],
        );
        let id = EventId::default();
        assert_eq!(
            delivery_line(&waits),
            format!(
                "{id}  lead.created       waiting    attempt 2 at 2026-04-24T10:31:00Z: timeout, next at 2026-04-24T10:31:30Z"
            )
        );
        let taken = delivery(DeliveryStatus::Delivered, None, vec![tried(1, Some(200), "delivered")]);
        assert!(delivery_line(&taken).ends_with("delivered  attempt 1 at 2026-04-24T10:31:00Z: 200"));
        assert!(delivery_line(&delivery(DeliveryStatus::Waiting, None, Vec::new())).ends_with("waiting"));
        let untried = delivery(
            DeliveryStatus::Waiting,
            Some(Timestamp::from_secs(1_777_026_690)),
            Vec::new(),
        );
        assert!(delivery_line(&untried).ends_with("waiting    next at 2026-04-24T10:31:30Z"));
    }

    #[test]
    fn an_answer_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\r"), "a[2Jb\nc");
    }

    #[test]
    fn a_line_of_a_replay_tells_how_far_it_is() {
        let replay = Progress {
            replay_id: "rpl_01J8ZQ4N3M8YV7T6S5R4Q3P2N1".parse().unwrap(),
            since: Timestamp::from_secs(1_777_026_660),
            until: Timestamp::from_secs(1_777_026_690),
            state: State::Running,
            percent: 42,
        };
        assert_eq!(
            replay_line(&replay),
            "rpl_01J8ZQ4N3M8YV7T6S5R4Q3P2N1  running   42 %  from 2026-04-24T10:31:00Z to 2026-04-24T10:31:30Z"
        );
    }
}
