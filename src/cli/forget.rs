//! `gitleads forget`: erases a person.

use anyhow::{Context as _, bail};
use clap::Args;
use domain::AccountId;

use super::run::Asked;
use crate::app::App;
use crate::commands::erase_person;
use crate::control::{Command, Output};
use crate::whom;

/// Whom to erase.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Arguments {
    /// What the person is called on GitHub, letter case does not count; or the id of the lead, or id: and GitHub's number
    #[arg(value_name = "USERNAME")]
    username: String,
}

impl Arguments {
    pub(super) fn command(self) -> Asked {
        Asked::from(Command::Forget {
            username: self.username,
        })
    }
}

pub(super) async fn forget(app: &App, account: AccountId, username: &str, output: &Output) -> anyhow::Result<()> {
    let found = whom::find(&app.writer, &*app.storage.views, account, username)
        .await
        .context("look for the person")?;
    let Some(person) = found else {
        bail!(
            "nobody is found by the name {username}: a login means whoever was called so last; the id of a lead, and id: with \
             GitHub's number, name a person too"
        );
    };
    let position = erase_person(&app.writer, account, person.person).await?;
    app.settle(position).await;
    let line = format!(
        "{username} is erased: nothing of {} can be read any more, and nothing more will be recorded of the person.",
        person.lead_id
    );
    output.line(line).await?;
    let note = "Copies of the destroyed key may still stand in backups and in the database's own log; \
                docs/operations.md says how they go.";
    Ok(output.line(note).await?)
}
