//! `gitleads events`: shows the log, what is sealed as such, and follows it.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use domain::Event;
use event_log::{Position, Recorded, Scope};
use serde_json::{Value, json};

use super::run::Asked;
use crate::app::App;
use crate::control::{Command, Output, wire};

/// Events read at once.
const STRETCH: usize = 500;
/// How long to wait for further events before looking again.
const WAIT: Duration = Duration::from_secs(10);

/// Which events, and how.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Arguments {
    /// Go on with the events that are yet to come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only events after this position
    #[arg(long, value_name = "POSITION", default_value_t = 0, value_parser = position)]
    after: u64,
    /// Only events of this type, such as `LeadCaptured`
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn position(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "must be a position, a whole number")
}

impl Arguments {
    pub(super) fn command(self) -> Asked {
        Asked::from(Command::Events(wire::Events {
            after: self.after,
            kind: self.kind,
            follow: self.follow,
            json: self.json,
        }))
    }
}

pub(super) async fn events(app: &App, asked: wire::Events, output: &Output) -> anyhow::Result<()> {
    if let Some(kind) = &asked.kind {
        let known = || Event::TYPES.iter().map(|(name, _)| *name);
        if !known().any(|name| name == kind) {
            bail!(
                "there is no event type {kind}; the types are {}",
                known().collect::<Vec<_>>().join(", ")
            );
        }
    }
    let mut after = Position::new(asked.after);
    loop {
        let page = app.writer.log.read(Scope::All, after, STRETCH).await?;
        for recorded in &page.events {
            if asked.kind.as_deref().is_none_or(|kind| kind == recorded.event.name()) {
                output.line(line(recorded, asked.json)?).await?;
            }
        }
        // A position beyond the log's end stays: what comes after it is what was asked for.
        after = after.max(page.looked_to);
        if after < page.head {
            continue;
        }
        if !asked.follow {
            return Ok(());
        }
        app.writer.log.wait(after, WAIT).await;
    }
}

fn line(recorded: &Recorded, json: bool) -> serde_json::Result<String> {
    let data = data(&recorded.event)?;
    if json {
        let object = json!({
            "position": recorded.position.get(),
            "id": recorded.id,
            "recorded_at": recorded.recorded_at,
            "type": recorded.event.name(),
            "version": recorded.event.version(),
            "stream": recorded.stream.as_str(),
            "data": data,
        });
        return Ok(object.to_string());
    }
    Ok(format!(
        "{:>8}  {:<27}  {:<23}  {}  {data}",
        recorded.position.get(),
        recorded.recorded_at.to_string(),
        recorded.event.name(),
        recorded.stream.as_str(),
    ))
}

/// The event's data as JSON, with a word in the place of what is sealed.
fn data(event: &Event) -> serde_json::Result<Value> {
    let mut data: Value = serde_json::from_str(&event.encode()?)?;
    let sealed: &[&str] = match event {
        Event::LeadCaptured(_) | Event::LeadWithheld(_) | Event::SignalRecorded(_) => &["/signal/person"],
        Event::LeadEnriched(_) => &["/profile"],
        Event::LeadUpdated(updated) if updated.notes.is_some() => &["/notes"],
        Event::WebhookEndpointAdded(_) | Event::WebhookSecretRotated(_) => &["/secret"],
        Event::AccountOpened(_)
        | Event::PlanChanged(_)
        | Event::ApiKeyIssued(_)
        | Event::ApiKeyRevoked(_)
        | Event::RepoTracked(_)
        | Event::RepoReclassified(_)
        | Event::RepoUntracked(_)
        | Event::KeywordTracked(_)
        | Event::KeywordRetargeted(_)
        | Event::KeywordUntracked(_)
        | Event::LeadReleased(_)
        | Event::LeadUpdated(_)
        | Event::LeadErased(_)
        | Event::WebhookEndpointChanged(_)
        | Event::WebhookEndpointPaused(_)
        | Event::WebhookEndpointResumed(_)
        | Event::WebhookReplayRequested(_)
        | Event::WebhookEndpointDisabled(_)
        | Event::RepoRenamed(_)
        | Event::SourceStateChanged(_)
        | Event::StarsCounted(_)
        | Event::StarsUnattributed(_)
        | Event::WebhookEndpointRemoved(_) => &[],
    };
    for place in sealed {
        if let Some(value) = data.pointer_mut(place) {
            *value = "(sealed)".into();
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, EventId, LeadId, PersonRef, Sealed, StreamId, Timestamp};
    use ulid::Ulid;

    use super::*;

    fn recorded() -> Recorded {
        let account = AccountId::new(Ulid::nil());
        let event = domain::event::LeadEnriched {
            lead_id: LeadId::new(Ulid::nil()),
            login: None,
            profile: Sealed::new(vec![7; 9]),
            changed: Vec::new(),
            withheld: false,
        };
        Recorded {
            position: Position::new(12),
            id: EventId::new(Ulid::nil()),
            stream: StreamId::lead(account, PersonRef::default()),
            version: 2,
            recorded_at: Timestamp::from_secs(1_777_026_660),
            event: event.into(),
        }
    }

    #[test]
    fn a_line_for_people_tells_position_time_type_stream_and_data() {
        let line = line(&recorded(), false).unwrap();
        let words: Vec<&str> = line.split_whitespace().take(4).collect();
        assert_eq!(words.first().copied(), Some("12"));
        assert_eq!(words[1..3], ["2026-04-24T10:31:00Z", "LeadEnriched"]);
        assert!(words[3].starts_with("lead-acct_"), "{line}");
        assert!(line.contains(r#""profile":"(sealed)""#), "{line}");
    }

    #[test]
    fn a_line_for_machines_is_one_json_object_without_ciphertext() {
        let line = line(&recorded(), true).unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&object["position"], &object["type"]),
            (&json!(12), &json!("LeadEnriched"))
        );
        assert_eq!(object["data"]["profile"], "(sealed)");
        assert!(!line.contains('\n'));
    }
}
