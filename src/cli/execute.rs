//! The one place that executes commands, for this process and for the control socket.

use anyhow::Context as _;
use async_trait::async_trait;

use super::{
    accounts, backfill, backfill_hours, doctor, events, forget, keys, listen, log, plan, projections, replay, track,
    webhooks,
};
use crate::app::App;
use crate::control::{Command, Execute, Input, Order, Output};

#[async_trait]
impl Execute for App {
    async fn execute(&self, order: Order, input: Option<Input>, output: &Output) -> anyhow::Result<()> {
        let account = match order.account {
            Some(asked) => self.known_account(asked).await?,
            None => self.account().await?.account,
        };
        match order.command {
            Command::OpenAccount { name, plan } => accounts::open(self, name, plan, output).await,
            Command::ListAccounts => accounts::list(self, output).await,
            Command::CreateKey { label } => keys::create(self, account, label, output).await,
            Command::ListKeys => keys::list(self, account, output).await,
            Command::RevokeKey { key_id } => keys::revoke(self, account, key_id, output).await,
            Command::SetPlan { plan } => plan::set(self, account, plan, output).await,
            Command::TrackRepo { repo, relation } => track::repo(self, account, repo, relation, output).await,
            Command::TrackKeyword { keyword, scan_targets } => {
                track::keyword(self, account, keyword, scan_targets, output).await
            }
            Command::Backfill { name, bytes } => {
                let input = input.context("a backfill needs an input")?;
                backfill::backfill(self, &name, bytes, input, output).await
            }
            Command::BackfillHours { from, to, source } => {
                backfill_hours::backfill_hours(self, from, to, source, output).await
            }
            Command::BackfillGaps => backfill_hours::gaps(self, output).await,
            Command::VerifyLog => log::verify_log(self, output).await,
            Command::Replay { projection, verify } => replay::replay(self, projection, verify, output).await,
            Command::Projections(asked) => projections::execute(self, asked, output).await,
            Command::Doctor => doctor::doctor(self, account, output).await,
            Command::Events(asked) => events::events(self, asked, output).await,
            Command::Webhooks(asked) => webhooks::execute(self, account, asked, output).await,
            Command::Listen { forward_to } => listen::listen(self, account, &forward_to, output).await,
            Command::Forget { username } => forget::forget(self, account, &username, output).await,
        }
    }
}
