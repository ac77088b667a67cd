//! `gitleads webhooks`: adds, tries and looks after webhook endpoints.

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Subcommand;
use domain::{
    AccountId, DeliveryStatus, Keyword, RepoName, SignalKind, StartFrom, Timestamp, WebhookEndpointId,
    WebhookEventType, WebhookFilters, WebhookKind, webhook,
};
use event_log::Position;
use projections::webhook_endpoints::{self, WebhookEndpointRow};

use super::run::Asked;
use super::serve::policy;
use super::webhook_lines::{delivery_line, printable, replay_line, table};
use crate::app::App;
use crate::commands::{
    NewEndpoint, add_webhook_endpoint, pause_webhook_endpoint, remove_webhook_endpoint, request_webhook_replay,
    resume_webhook_endpoint, rotate_webhook_secret,
};
use crate::control::wire::Webhooks;
use crate::control::{Command, Output};
use crate::deliver::connector::Connector;
use crate::deliver::journal::{self, Wanted};
use crate::deliver::request::Sender;
use crate::deliver::sign::Secret;
use crate::deliver::{probe, replay};

/// What to do with webhook endpoints.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// List them, without their secrets
    List,
    /// Add one and print its secret
    Add {
        /// Where deliveries go
        #[arg(value_name = "URL")]
        url: String,
        /// What reads it: webhook, slack or discord
        #[arg(long, value_name = "KIND", default_value = "webhook")]
        kind: WebhookKind,
        /// Which events it hears of, with commas [default: lead.created,lead.enriched,lead.updated]
        #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
        events: Vec<WebhookEventType>,
        /// Only leads for these kinds of signals, with commas: stargazer and the like
        #[arg(long, value_name = "KINDS", value_delimiter = ',')]
        signal_types: Vec<SignalKind>,
        /// Only leads of these repositories, with commas
        #[arg(long, value_name = "REPOS", value_delimiter = ',')]
        repos: Vec<RepoName>,
        /// Only leads found by this keyword; may be given several times
        #[arg(long = "keyword", value_name = "TEXT")]
        keywords: Vec<Keyword>,
        /// Where it begins: now, beginning, or a time
        #[arg(long, value_name = "PLACE", default_value = "now")]
        start_from: StartFrom,
        /// A few words that tell it from others
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Send a test and show the answer
    Test {
        /// The endpoint's id, as `webhooks list` shows it
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
    },
    /// Send nothing more until it is resumed; nothing is lost
    Pause {
        /// The endpoint's id
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
    },
    /// Go on from where a paused or disabled endpoint stopped
    Resume {
        /// The endpoint's id
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
    },
    /// Give it another secret and print it; the one before stays valid for 24 hours
    RotateSecret {
        /// The endpoint's id
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
    },
    /// Remove it
    Remove {
        /// The endpoint's id
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
    },
    /// Send again what happened in a span of time
    Replay {
        /// The endpoint's id
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
        /// Events recorded at this time or later
        #[arg(long, value_name = "TIME")]
        since: Timestamp,
        /// Events recorded before this time [default: now]
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Show the replays that were asked for, the newest first, and how far each is
    Replays {
        /// The endpoint's id
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
    },
    /// Show the newest deliveries, each with its last attempt
    Deliveries {
        /// The endpoint's id
        #[arg(value_name = "ID", value_parser = endpoint_id)]
        id: WebhookEndpointId,
        /// Only those that stand so: waiting, delivered, failed or erased
        #[arg(long, value_name = "STATUS")]
        status: Option<DeliveryStatus>,
        /// Only of events recorded after this time
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Only of events recorded at this time or before
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// Go on with what the last line of the page before says
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<u64>,
        /// How many
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
}

fn endpoint_id(text: &str) -> Result<WebhookEndpointId, &'static str> {
    let fault = "must be an endpoint's id, such as wh_01J8ZQ4N3M8YV7T6S5R4Q3P2N1; `gitleads webhooks list` shows them";
    text.parse().map_err(|_| fault)
}

impl Task {
    pub(super) fn command(self) -> Asked {
        Asked::from(Command::Webhooks(match self {
            Self::List => Webhooks::List,
            Self::Add {
                url,
                kind,
                events,
                signal_types,
                repos,
                keywords,
                start_from,
                description,
            } => Webhooks::Add {
                url,
                kind,
                events,
                filters: WebhookFilters {
                    signal_types,
                    repos,
                    keywords,
                },
                start_from,
                description,
            },
            Self::Test { id } => Webhooks::Test(id),
            Self::Pause { id } => Webhooks::Pause(id),
            Self::Resume { id } => Webhooks::Resume(id),
            Self::RotateSecret { id } => Webhooks::RotateSecret(id),
            Self::Remove { id } => Webhooks::Remove(id),
            Self::Replay { id, since, until } => Webhooks::Replay { id, since, until },
            Self::Replays { id } => Webhooks::Replays(id),
            Self::Deliveries {
                id,
                status,
                since,
                until,
                cursor,
                limit,
            } => Webhooks::Deliveries {
                id,
                status,
                since,
                until,
                before: cursor,
                limit,
            },
        }))
    }
}

pub(super) async fn execute(app: &App, account: AccountId, asked: Webhooks, output: &Output) -> anyhow::Result<()> {
    let (writer, views) = (&app.writer, &*app.storage.views);
    let line = match asked {
        Webhooks::List => {
            for line in table(&webhook_endpoints::list(views, account).await?) {
                output.line(line).await?;
            }
            return Ok(());
        }
        Webhooks::Add {
            url,
            kind,
            events,
            filters,
            start_from,
            description,
        } => {
            let new = NewEndpoint {
                kind,
                url,
                events,
                filters,
                start_from,
                description,
                secret: Secret::random(writer.clock.as_ref()).as_str().to_owned(),
            };
            return add(app, account, new, output).await;
        }
        Webhooks::Test(id) => {
            let sender = Sender::new(Connector::system(policy(app))?)?;
            let tried = probe::test(
                writer,
                &sender,
                &find(app, account, id).await?,
                WebhookEventType::WebhookTest,
            )
            .await?;
            return show_test(&tried, output).await;
        }
        Webhooks::Pause(id) => {
            app.settle(pause_webhook_endpoint(writer, account, id).await?).await;
            format!("{id} gets nothing more until it is resumed.")
        }
        Webhooks::Resume(id) => {
            app.settle(resume_webhook_endpoint(writer, account, id).await?).await;
            format!("{id} goes on from where it stopped.")
        }
        Webhooks::RotateSecret(id) => {
            let secret = Secret::random(writer.clock.as_ref());
            let rotated = rotate_webhook_secret(writer, account, id, secret.as_str()).await?;
            app.settle(rotated.position).await;
            output.line(secret.as_str().to_owned()).await?;
            let until = rotated.previous_valid_until;
            format!("\nThis is the new secret of {id}. The one before is valid until {until}.")
        }
        Webhooks::Remove(id) => {
            app.settle(remove_webhook_endpoint(writer, account, id).await?).await;
            format!("{id} is removed.")
        }
        Webhooks::Replay { id, since, until } => {
            let now = writer.clock.now();
            let until = until.unwrap_or(now);
            ensure!(since <= now, "--since must not be in the future");
            ensure!(until <= now, "--until must not be in the future");
            let replay = request_webhook_replay(writer, account, id, since, until).await?;
            app.settle(replay.position).await;
            format!(
                "{id} is sent again what happened from {since} to {until} ({}).",
                replay.replay_id
            )
        }
        Webhooks::Replays(id) => {
            let id = find(app, account, id).await?.endpoint_id;
            for replay in replay::all(&*writer.log, &*app.storage.store, account, id).await? {
                output.line(replay_line(&replay)).await?;
            }
            return Ok(());
        }
        Webhooks::Deliveries {
            id,
            status,
            since,
            until,
            before,
            limit,
        } => {
            let wanted = Wanted {
                since,
                until,
                before: before.map(Position::new),
                status,
                limit,
            };
            return deliveries(app, account, id, wanted, output).await;
        }
    };
    Ok(output.line(line).await?)
}

async fn find(app: &App, account: AccountId, id: WebhookEndpointId) -> anyhow::Result<WebhookEndpointRow> {
    let found = webhook_endpoints::find(&*app.storage.views, account, id).await?;
    found.with_context(|| format!("there is no webhook endpoint {id}"))
}

async fn add(app: &App, account: AccountId, mut new: NewEndpoint, output: &Output) -> anyhow::Result<()> {
    new.url = policy(app).check_url(&new.url).context("the URL")?.into();
    let WebhookFilters {
        signal_types,
        repos,
        keywords,
    } = new.filters;
    let filters = WebhookFilters::try_new(signal_types, repos, keywords);
    new.filters = filters.map_err(|fault| anyhow!("the list of {} {fault}", fault.list))?;
    new.events = heard(new.events);
    new.description = webhook::description(new.description).context("the description")?;
    if matches!(new.start_from, StartFrom::Time(time) if time > app.writer.clock.now()) {
        bail!("--start-from must not be in the future");
    }
    let secret = new.secret.clone();
    let added = add_webhook_endpoint(&app.writer, account, new).await?;
    app.settle(added.position).await;
    output.line(secret).await?;
    let note = format!("\nThis is the signing secret of {}.", added.value.endpoint_id);
    Ok(output.line(note).await?)
}

/// Each event once; the usual ones if none was named.
fn heard(named: Vec<WebhookEventType>) -> Vec<WebhookEventType> {
    match WebhookEventType::distinct(named) {
        none if none.is_empty() => WebhookEventType::USUAL.to_vec(),
        some => some,
    }
}

/// What came of a test, for a person.
fn verdict(tried: &probe::Tried) -> String {
    let millis = tried.took.as_millis();
    match (tried.status, tried.failure) {
        (Some(status), None) => format!("{status} in {millis} ms: a delivery would be taken."),
        (Some(410), Some(_)) => format!("410 in {millis} ms: a delivery would disable the endpoint."),
        (Some(status), Some(_)) => format!("{status} in {millis} ms: a delivery would be tried again."),
        (None, failure) => format!("no answer in {millis} ms: {}", failure.unwrap_or("broken")),
    }
}

async fn show_test(tried: &probe::Tried, output: &Output) -> anyhow::Result<()> {
    output.line(verdict(tried)).await?;
    if !tried.answer.is_empty() {
        output.line(printable(&tried.answer)).await?;
    }
    ensure!(tried.failure.is_none(), "the endpoint did not take the test");
    Ok(())
}

async fn deliveries(
    app: &App,
    account: AccountId,
    id: WebhookEndpointId,
    wanted: Wanted,
    output: &Output,
) -> anyhow::Result<()> {
    let endpoint = find(app, account, id).await?;
    let page = journal::page(&app.writer, &*app.storage.store, &endpoint, wanted).await?;
    for delivery in &page.deliveries {
        output.line(delivery_line(delivery)).await?;
    }
    if let Some(next) = page.next {
        output.line(format!("More with --cursor {next}")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_answers_410_would_disable_the_endpoint() {
        let tried = |status, failure| probe::Tried {
            id: domain::EventId::default(),
            status,
            failure,
            took: std::time::Duration::from_millis(41),
            answer: String::new(),
        };
        let cases = [
            (tried(Some(200), None), "200 in 41 ms: a delivery would be taken."),
            (
                tried(Some(410), Some("status")),
                "410 in 41 ms: a delivery would disable the endpoint.",
            ),
            (
                tried(Some(500), Some("status")),
                "500 in 41 ms: a delivery would be tried again.",
            ),
            (tried(None, Some("timeout")), "no answer in 41 ms: timeout"),
        ];
        for (tried, line) in cases {
            assert_eq!(verdict(&tried), line);
        }
    }

    #[tokio::test]
    async fn a_test_that_was_not_taken_is_an_error() {
        let (output, mut printed) = Output::channel();
        let tried = probe::Tried {
            id: domain::EventId::default(),
            status: Some(500),
            failure: Some("status"),
            took: std::time::Duration::ZERO,
            answer: String::new(),
        };
        assert!(show_test(&tried, &output).await.is_err());
        assert!(printed.recv().await.is_some());
    }

    #[test]
    fn an_event_is_heard_once() {
        let twice = vec![WebhookEventType::LeadErased; 2];
        assert_eq!(heard(twice), [WebhookEventType::LeadErased]);
        assert_eq!(heard(Vec::new()), WebhookEventType::USUAL);
    }

    #[test]
    fn a_wrong_id_says_what_one_looks_like() {
        assert!(endpoint_id("wh_1").unwrap_err().contains("gitleads webhooks list"));
    }
}
