//! Opens an endpoint's signing secrets: for those who sign, and for whoever asks to see them.

use anyhow::Context as _;
use domain::{AccountId, EventId, Sealed};
use projections::webhook_endpoints::WebhookEndpointRow;

use super::sign::{Secret, Secrets};
use crate::commands::Writer;

/// The endpoint's secrets, opened.
pub fn secrets(writer: &Writer, endpoint: &WebhookEndpointRow) -> anyhow::Result<Secrets> {
    let account = endpoint.account;
    let current = open(writer, account, endpoint.secret_event, &endpoint.secret)?;
    let previous = endpoint.previous.as_ref().map(|previous| {
        let secret = open(writer, account, previous.event, &previous.secret)?;
        anyhow::Ok((secret, previous.valid_until))
    });
    Ok(Secrets::new(current, previous.transpose()?))
}

fn open(writer: &Writer, account: AccountId, event: EventId, sealed: &Sealed) -> anyhow::Result<Secret> {
    let opened = writer.vault.open_for_account(account, event, sealed);
    let opened = opened.context("open the endpoint's secret")?;
    let text = std::str::from_utf8(&opened).context("read the endpoint's secret")?;
    Secret::try_new(text).context("read the endpoint's secret")
}
