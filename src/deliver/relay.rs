//! Tells a developer's own server of the account's events as they come: the bodies and signatures of deliveries, one attempt each,
//! and nothing that is kept.

use std::slice;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use domain::{EventId, WebhookEventType};
use event_log::{Position, Recorded};
use http::Uri;
use url::Url;

use super::answer::Owner;
use super::body;
use super::connector::Connector;
use super::guard::Policy;
use super::request::{Attempt, Failure, Outcome, Sender};
use super::sign::{Secret, Secrets};
use crate::commands::Writer;

/// It is the developer's own machine that is told.
const ANYWHERE: Policy = Policy {
    allow_private: true,
    allow_http: true,
};

/// The way to one URL.
pub struct Relay {
    writer: Arc<Writer>,
    sender: Sender,
    uri: Uri,
    secrets: Secrets,
}

/// An event that was told.
pub struct Told {
    /// Its id: the `webhook-id`.
    pub id: EventId,
    /// Which webhook it is.
    pub event: WebhookEventType,
    /// The answer's status, or the word for why none came.
    pub answer: String,
    /// How long it took, in milliseconds.
    pub millis: u128,
}

impl Relay {
    /// A relay to `url` that signs with `secret`. Errs if the URL can be no endpoint's.
    pub fn new(writer: Arc<Writer>, url: &str, secret: Secret) -> anyhow::Result<Self> {
        let url: Url = ANYWHERE.check_url(url).context("the URL")?;
        Ok(Self {
            writer,
            sender: Sender::new(Connector::system(ANYWHERE)?)?,
            uri: url.as_str().parse().context("read the URL")?,
            secrets: secret.into(),
        })
    }

    /// Tells of the event, and of what was to wait for it; of nothing, if it is no webhook or its person was erased.
    pub async fn tell(&self, recorded: &Recorded) -> anyhow::Result<Vec<Told>> {
        if body::told_as(&recorded.event).is_none() {
            return Ok(Vec::new());
        }
        let owner = Owner::of(&self.writer.vault, &recorded.stream).await?;
        let history = match &owner {
            Owner::Account(_) => vec![recorded.clone()],
            Owner::Person(..) => {
                let streams = self.writer.log.read_streams(slice::from_ref(&recorded.stream)).await;
                streams.context("read the lead's stream")?.pop().unwrap_or_default()
            }
        };
        let mut places = vec![recorded.position];
        places.extend(body::released(&history, recorded.position));
        let mut told = Vec::new();
        for place in places {
            let found = history.iter().find(|event| event.position == place);
            let Some((id, event)) = found.and_then(|event| Some((event.id, body::event_type(&event.event)?))) else {
                continue;
            };
            let body = match &owner {
                Owner::Account(_) => Some(body::render_source(recorded)?),
                Owner::Person(person, keys) => body::render(&history, place, *person, keys)?,
            };
            let Some(body) = body else { continue };
            told.push(self.post((id, event), recorded.position, body).await);
        }
        Ok(told)
    }

    async fn post(&self, (id, event): (EventId, WebhookEventType), sequence: Position, body: Bytes) -> Told {
        let attempt = Attempt {
            uri: self.uri.clone(),
            event_type: event,
            event_id: id,
            sequence: Some(sequence),
            delivery: self.writer.clock.ulid(),
            number: 1,
            at: self.writer.clock.now(),
            body,
        };
        let outcome = self.sender.send(attempt, &self.secrets).await;
        Told {
            id,
            event,
            answer: answer(&outcome),
            millis: outcome.took.as_millis(),
        }
    }
}

fn answer(outcome: &Outcome) -> String {
    match (outcome.status, outcome.failure) {
        (Some(status), _) => status.to_string(),
        (None, failure) => failure.map_or("broken", Failure::as_str).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use event_log::Scope;

    use super::*;
    use crate::commands::Allowance;
    use crate::deliver::receiver::{Receiver, status};
    use crate::deliver::sandbox::Sandbox;

    async fn tell_all(sandbox: &Sandbox, relay: &Relay) -> Vec<Told> {
        let page = sandbox.writer.log.read(Scope::All, Position::START, 100).await.unwrap();
        let mut told = Vec::new();
        for recorded in &page.events {
            told.extend(relay.tell(recorded).await.unwrap());
        }
        told
    }

    #[tokio::test]
    async fn what_is_a_webhook_is_posted_once_with_the_signature_of_the_secret() {
        let sandbox = Sandbox::new().await;
        let receiver = Receiver::start(|_| status(500)).await;
        let relay = Relay::new(sandbox.writer.clone(), receiver.url(), Sandbox::secret()).unwrap();
        sandbox.star(7).await;
        sandbox.star_within(8, Allowance::Room { left: 0, cap: 50 }).await;
        let told = tell_all(&sandbox, &relay).await;
        let [told] = told.as_slice() else {
            panic!("{}", told.len())
        };
        assert_eq!(
            (told.event, told.answer.as_str()),
            (WebhookEventType::LeadCreated, "500")
        );
        let heard = receiver.hears(1).await;
        assert_eq!(
            (heard.len(), heard[0].header("webhook-id")),
            (1, told.id.to_string().as_str())
        );
        assert!(heard[0].body.contains("ada-example-7"));
        let ours = relay.secrets.sign(
            &told.id.to_string(),
            sandbox.writer.clock.now(),
            heard[0].body.as_bytes(),
        );
        assert_eq!(heard[0].header("webhook-signature"), ours.standard);
    }

    #[tokio::test]
    async fn a_server_that_does_not_run_is_told_of_and_a_url_that_is_none_is_refused() {
        let sandbox = Sandbox::new().await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", closed.local_addr().unwrap());
        drop(closed);
        sandbox.star(7).await;
        let relay = Relay::new(sandbox.writer.clone(), &url, Sandbox::secret()).unwrap();
        let told = tell_all(&sandbox, &relay).await.remove(0);
        assert_eq!(told.answer, "connect");
        assert!(Relay::new(sandbox.writer.clone(), "localhost:3000", Sandbox::secret()).is_err());
    }
}
