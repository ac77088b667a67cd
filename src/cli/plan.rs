//! `gitleads plan`: moves the account to another plan of the configuration.

use anyhow::bail;
use clap::Subcommand;
use domain::{AccountId, PlanName};

use super::run::Asked;
use crate::app::App;
use crate::commands::change_plan;
use crate::control::{Command, Output};

/// What to do with the plan.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Move the account to a plan
    Set {
        /// The plan's name
        #[arg(value_name = "NAME")]
        plan: PlanName,
    },
}

impl Task {
    pub(super) fn command(self) -> Asked {
        let Self::Set { plan } = self;
        Asked::from(Command::SetPlan { plan })
    }
}

/// Refuses a plan that the configuration does not have.
pub(super) fn check(app: &App, plan: &PlanName) -> anyhow::Result<()> {
    if app.plans.find(plan).is_none() {
        let names: Vec<&str> = app.plans.names().map(PlanName::as_str).collect();
        bail!("there is no plan {plan}; the plans are {}", names.join(", "));
    }
    Ok(())
}

pub(super) async fn set(app: &App, account: AccountId, plan: PlanName, output: &Output) -> anyhow::Result<()> {
    check(app, &plan)?;
    let position = change_plan(&app.writer, account, plan.clone()).await?;
    app.settle(position).await;
    Ok(output.line(format!("The account is on the plan {plan}.")).await?)
}
