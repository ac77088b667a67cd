//! `gitleads accounts`: opens further accounts and lists them. An installation begins with one.

use anyhow::Context as _;
use clap::Subcommand;
use domain::{Label, PlanName, Plans};
use projections::accounts::{self, AccountRow};

use super::plan::check;
use super::run::Asked;
use crate::app::App;
use crate::commands::open_account;
use crate::control::{Command, Output};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Open a further account and print its id
    Open {
        /// What to call it
        name: Label,
        /// The plan that it begins on
        #[arg(long, value_name = "NAME", default_value = Plans::FIRST)]
        plan: PlanName,
    },
    /// List all accounts, the one that the installation began with first
    List,
}

impl Task {
    pub(super) fn command(self) -> Asked {
        Asked::from(match self {
            Self::Open { name, plan } => Command::OpenAccount { name, plan },
            Self::List => Command::ListAccounts,
        })
    }
}

pub(super) async fn open(app: &App, name: Label, plan: PlanName, output: &Output) -> anyhow::Result<()> {
    check(app, &plan)?;
    let opened = open_account(&app.writer, name.to_string(), plan).await?;
    app.settle(opened.position).await;
    let id = opened.value;
    output.line(id.to_string()).await?;
    let note = format!("\nThe account “{name}” is open. `gitleads --account {id} keys create` makes a key for it.");
    Ok(output.line(note).await?)
}

pub(super) async fn list(app: &App, output: &Output) -> anyhow::Result<()> {
    let accounts = accounts::all(&*app.storage.views).await;
    for line in table(&accounts.context("reading the accounts")?) {
        output.line(line).await?;
    }
    Ok(())
}

fn table(accounts: &[AccountRow]) -> Vec<String> {
    let row = |id: &str, opened: &str, plan: &str, name: &str| {
        let line = format!("{id:<31}  {opened:<10}  {plan:<10}  {name}");
        line.trim_end().to_owned()
    };
    let mut lines = vec![row("ID", "OPENED", "PLAN", "NAME")];
    lines.extend(accounts.iter().map(|account| {
        let opened = account.opened_at.date();
        row(
            &account.account.to_string(),
            &opened,
            account.plan.as_str(),
            &account.name,
        )
    }));
    lines
}
