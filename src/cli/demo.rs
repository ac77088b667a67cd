//! `gitleads demo`: a real server with an invented GitHub in front of it and a subscriber behind it, in one process.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Parser as _;
use domain::Timestamp;
use fake_github::FakeGithub;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::serve::{self, Started};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Flags, Secret};
use crate::deliver::sign;
use crate::demo::world::{self, KEYWORD, OWN, RIVAL};
use crate::demo::{Receiver, Script, script};

/// GitHub signs with it, the server checks it; nothing else knows of it.
const GITHUB_SECRET: &str = "the demonstration's own";

/// Ends the script when the server ends.
struct Playing(AbortHandle);

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs the demonstration until the process is told to end. Of the settings it takes where to listen and, if given,
/// the data directory, which must not hold data.
pub async fn run(flags: &Flags) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir().context("cannot make a directory for the data")?;
    let data_dir = flags
        .find("data_dir")
        .map_or_else(|| temporary.path().to_owned(), Into::into);
    if data_dir.join("gitleads.db").exists() {
        bail!(
            "{} holds data already, and invented people do not belong to it",
            data_dir.display()
        );
    }
    let clock = SystemClock;
    let secret = sign::Secret::random(&clock);
    let receiver = Receiver::start(secret.clone())
        .await
        .context("cannot listen for webhooks")?;
    let github = FakeGithub::start().await.context("cannot start the invented GitHub")?;
    github.change(|world| world::fill(world, &Timestamp::from_secs(clock.now().secs()).to_string()));
    let listen = flags.find("listen").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let config = config(&data_dir, &listen, github.url())?;
    let github = Arc::new(github);
    serve::run_with(config, async |started| {
        let key = started
            .first_key
            .clone()
            .context("a new installation has a first key")?;
        set_up(&started.url, &key, &receiver, &secret).await?;
        tell(&started, &key, &receiver);
        let (github, server) = (github.clone(), started.url);
        let playing = tokio::spawn(async move {
            let (server, secret) = (server.as_str(), GITHUB_SECRET);
            let script = Script {
                github: &github,
                server,
                secret,
                clock: &SystemClock,
            };
            if let Err(error) = script.play().await {
                tracing::warn!("the script was broken off: {error:#}");
            }
        });
        Ok(Playing(playing.abort_handle()))
    })
    .await
}

/// Nothing of the environment or of a file in the way: no token, no other database, and nothing but loopback.
fn config(data_dir: &Path, listen: &str, github: &str) -> anyhow::Result<Config> {
    let data_dir = data_dir.to_str().context("the data directory's name is not UTF-8")?;
    let line = super::Line::try_parse_from([
        "gitleads",
        "--data-dir",
        data_dir,
        "--listen",
        listen,
        "--github-api-url",
        github,
        // With a token enrichment does not hold back as it must without one.
        "--github-token",
        "invented",
        "--allow-private-webhooks",
        "--allow-http-webhooks",
        "--log-level",
        "warn",
    ])?;
    let mut config = Config::from_layers(&line.settings, &|_| None)?;
    config.github.webhook_secret = Some(Secret::new(GITHUB_SECRET));
    Ok(config)
}

/// Tracks two repositories and a keyword and adds the subscriber, as anybody would: over the API.
async fn set_up(url: &str, key: &str, receiver: &Receiver, secret: &sign::Secret) -> anyhow::Result<()> {
    let http = script::client()?;
    let post = async |path: &str, body: Value| -> anyhow::Result<()> {
        let request = http.post(format!("{url}{path}")).bearer_auth(key).json(&body);
        let status = request.send().await?.status();
        ensure!(status.is_success(), "{path} answered {status}");
        Ok(())
    };
    let hook = json!({
        "url": receiver.hook(),
        "secret": secret.as_str(),
        "events": ["lead.created", "lead.enriched"],
        "description": "the demonstration's subscriber",
    });
    post("/v1/webhooks", hook).await?;
    post("/v1/tracked-repos", json!({ "full_name": RIVAL, "type": "competitor" })).await?;
    post("/v1/tracked-repos", json!({ "full_name": OWN, "type": "own" })).await?;
    post(
        "/v1/tracked-keywords",
        json!({ "keyword": KEYWORD, "scan_targets": ["issues"] }),
    )
    .await
}

fn tell(started: &Started, key: &str, receiver: &Receiver) {
    let Started { url, place, .. } = started;
    let text = format!(
        "
  GitLeads shows itself with invented people on an invented GitHub; nothing leaves this machine.

    API       {url}/v1/leads
    Webhooks  {}    what a subscriber hears, live
    Data      {place}

    export KEY={key}

  Leads arrive for half a minute from now on:

    curl \"{url}/v1/leads?limit=3\" -H \"Authorization: Bearer $KEY\"
    curl -N \"{url}/v1/events\" -H \"Authorization: Bearer $KEY\" -H 'Accept: text/event-stream'

  Ctrl-C ends it.
",
        receiver.page()
    );
    // Somebody who closed the output does not want to read it.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}
