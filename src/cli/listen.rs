//! `gitleads listen`: posts the account's events to a server under development as they come, signed with a secret of its own.

use std::time::Duration;

use clap::Args;
use domain::AccountId;
use event_log::Scope;

use super::run::Asked;
use crate::app::App;
use crate::control::{Command, Output};
use crate::deliver::relay::Relay;
use crate::deliver::sign::Secret;

/// Events read at once.
const STRETCH: usize = 100;
/// How long to wait for further events before looking again.
const WAIT: Duration = Duration::from_secs(10);

/// Where to post them.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Arguments {
    /// The server's URL, such as <http://localhost:3000/hook>
    #[arg(long, value_name = "URL")]
    forward_to: String,
}

impl Arguments {
    pub(super) fn command(self) -> Asked {
        Asked::from(Command::Listen {
            forward_to: self.forward_to,
        })
    }
}

pub(super) async fn listen(app: &App, account: AccountId, url: &str, output: &Output) -> anyhow::Result<()> {
    let secret = Secret::random(app.writer.clock.as_ref());
    let relay = Relay::new(app.writer.clone(), url, secret.clone())?;
    let mut after = app.writer.log.head().await?;
    output
        .line(format!("Deliveries are signed with {}", secret.as_str()))
        .await?;
    output
        .line(format!("Waiting for events to post to {url}; Ctrl-C ends it."))
        .await?;
    loop {
        let page = app.writer.log.read(Scope::Account(account), after, STRETCH).await?;
        for recorded in &page.events {
            for told in relay.tell(recorded).await? {
                let line = format!(
                    "{}  {:<17}  {}  {} in {} ms",
                    recorded.recorded_at, told.event, told.id, told.answer, told.millis
                );
                output.line(line).await?;
            }
        }
        after = after.max(page.looked_to);
        if after >= page.head {
            app.writer.log.wait(after, WAIT).await;
        }
    }
}
