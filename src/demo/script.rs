//! Plays the invented people's part: changes their GitHub and sends the webhooks that GitHub would send.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::Timestamp;
use fake_github::FakeGithub;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::world::{self, OWN, Turn};
use crate::clock::Clock;
use crate::tls;

/// Between two turns.
const PACE: Duration = Duration::from_secs(2);

/// Who plays.
pub struct Script<'a> {
    /// Their GitHub.
    pub github: &'a FakeGithub,
    /// The server that hears of it, such as `http://127.0.0.1:8080`.
    pub server: &'a str,
    /// What GitHub signs its webhooks with.
    pub secret: &'a str,
    /// What time it is.
    pub clock: &'a dyn Clock,
}

impl Script<'_> {
    /// Plays to the end: half a minute.
    ///
    /// # Errors
    /// If the server does not take a webhook.
    pub async fn play(&self) -> anyhow::Result<()> {
        let http = client()?;
        for (number, turn) in (2_u64..).zip(world::turns()) {
            tokio::time::sleep(PACE).await;
            let (event, body) = self.take(turn, number);
            let body = serde_json::to_vec(&body)?;
            let signature = signature(self.secret, &body)?;
            let answer = http
                .post(format!("{}/github/webhooks", self.server))
                .header("content-type", "application/json")
                .header("x-github-event", event)
                .header("x-github-delivery", format!("00000000-0000-4000-8000-{number:012}"))
                .header("x-hub-signature-256", signature)
                .body(body);
            let status = answer.send().await.context("the server took no webhook")?.status();
            ensure!(status.is_success(), "the server answered {status} to a webhook");
        }
        Ok(())
    }

    /// Has it happen on GitHub; the webhook that tells of it.
    fn take(&self, turn: Turn, number: u64) -> (&'static str, Value) {
        let now = self.clock.now();
        let at = Timestamp::from_secs(now.secs()).to_string();
        let (Turn::Star(who) | Turn::Issue(who)) = turn;
        let person = world::person(who);
        let sender = json!({ "id": person.id, "login": person.login, "type": "User" });
        let repository = json!({ "full_name": OWN });
        match turn {
            Turn::Star(_) => {
                self.github.change(|world| world.star(OWN, &person, &at));
                let body = json!({ "action": "created", "starred_at": at, "repository": repository, "sender": sender });
                ("star", body)
            }
            Turn::Issue(_) => {
                let post = world::question(who, number);
                self.github.change(|world| world.open_issue(OWN, &post, &at));
                let issue = json!({
                    "html_url": format!("https://github.com/{OWN}/issues/{number}"),
                    "title": post.title,
                    "body": post.body,
                    "user": sender,
                    "created_at": at,
                });
                let body = json!({ "action": "opened", "issue": issue, "repository": repository, "sender": sender });
                ("issues", body)
            }
        }
    }
}

/// A client that goes to this machine only, and past any proxy.
pub fn client() -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls::client_config()?);
    Ok(builder.no_proxy().timeout(Duration::from_secs(30)).build()?)
}

/// `X-Hub-Signature-256`, as GitHub makes it.
fn signature(secret: &str, body: &[u8]) -> anyhow::Result<String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?.chain_update(body);
    let digest: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("sha256={digest}"))
}
