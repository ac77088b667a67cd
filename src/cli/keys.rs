//! `gitleads keys`: creates, lists and revokes the account's API keys.

use clap::Subcommand;
use domain::{AccountId, ApiKeyId, Label, Timestamp};
use projections::api_keys::{self, ApiKeyRow};

use super::run::Asked;
use crate::app::App;
use crate::commands::{issue_key, revoke_key};
use crate::control::{Command, Output};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Create a key and print it, this once
    Create {
        /// What to call it, to tell it from others
        #[arg(long, default_value = "command line")]
        label: Label,
    },
    /// List all keys, without their secrets
    List,
    /// Revoke a key; requests that carry it are refused from then on
    Revoke {
        /// The key's id, as `keys list` shows it
        #[arg(value_name = "ID", value_parser = key_id)]
        key_id: ApiKeyId,
    },
}

fn key_id(text: &str) -> Result<ApiKeyId, &'static str> {
    let fault = "must be a key's id, such as key_01J8ZQ4N3M8YV7T6S5R4Q3P2N1; `gitleads keys list` shows them";
    text.parse().map_err(|_| fault)
}

impl Task {
    pub(super) fn command(self) -> Asked {
        Asked::from(match self {
            Self::Create { label } => Command::CreateKey { label },
            Self::List => Command::ListKeys,
            Self::Revoke { key_id } => Command::RevokeKey { key_id },
        })
    }
}

pub(super) async fn create(app: &App, account: AccountId, label: Label, output: &Output) -> anyhow::Result<()> {
    let issued = issue_key(&app.writer, account, label.to_string()).await?;
    app.settle(issued.position).await;
    output.line(issued.value.secret).await?;
    let note = format!("\nThis is the key {}. It is not shown again.", issued.value.key_id);
    Ok(output.line(note).await?)
}

pub(super) async fn list(app: &App, account: AccountId, output: &Output) -> anyhow::Result<()> {
    for line in table(&api_keys::list(&*app.storage.views, account).await?) {
        output.line(line).await?;
    }
    Ok(())
}

pub(super) async fn revoke(app: &App, account: AccountId, key_id: ApiKeyId, output: &Output) -> anyhow::Result<()> {
    let position = revoke_key(&app.writer, account, key_id).await?;
    app.settle(position).await;
    Ok(output.line(format!("{key_id} is revoked.")).await?)
}

fn table(keys: &[ApiKeyRow]) -> Vec<String> {
    let day = |time: Timestamp| time.date();
    let row = |id: &str, hint: &str, created: &str, state: &str, label: &str| {
        format!("{id:<30}  {hint:<6}  {created:<10}  {state:<18}  {label}")
            .trim_end()
            .to_owned()
    };
    let mut lines = vec![row("ID", "ENDS", "CREATED", "STATE", "LABEL")];
    lines.extend(keys.iter().map(|key| {
        let state = key
            .revoked_at
            .map_or("active".to_owned(), |time| format!("revoked {}", day(time)));
        let hint = format!("…{}", key.hint);
        row(&key.key_id.to_string(), &hint, &day(key.created_at), &state, &key.label)
    }));
    lines
}
