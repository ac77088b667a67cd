//! Deliveries of GitHub's own webhooks: verified, taken once, recorded before they are answered.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use database::Statement;
use domain::{Collector, Timestamp};

use super::accept::{Accepted, Ingest};
use super::activity::Activity;
use crate::github::activity::{EventKind, Skip, of_delivery};
use crate::github::signature::is_genuine;
use crate::github::wire::{Delivery, Payload};

/// GitHub lets a delivery be sent again for three days; a little longer does no harm.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Taken, and what it came to.
    Accepted(Accepted),
    /// Taken before, under the same delivery id.
    Duplicate,
    /// Genuine, and of no interest here.
    Ignored,
    /// Not signed with the secret.
    BadSignature,
    /// No secret is configured, so nothing can be verified.
    NotConfigured,
    /// Genuine, and not what GitHub says it is. The reason quotes nothing of it.
    Malformed(String),
}

/// Takes a delivery: `delivery` is its `X-GitHub-Delivery`, `event` its `X-GitHub-Event`, `signature` its
/// `X-Hub-Signature-256`, `body` the raw bytes that were signed.
///
/// # Errors
/// If storage fails: GitHub may send it again.
pub async fn receive(
    ingest: &Ingest,
    secret: Option<&str>,
    delivery: Option<&str>,
    event: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
) -> anyhow::Result<Receipt> {
    let Some(secret) = secret else {
        return Ok(Receipt::NotConfigured);
    };
    if !signature.is_some_and(|signature| is_genuine(secret, signature, body)) {
        return Ok(Receipt::BadSignature);
    }
    let Some(kind) = event.and_then(EventKind::of_delivery) else {
        return Ok(Receipt::Ignored);
    };
    if let Some(delivery) = delivery
        && was_taken(ingest, delivery).await?
    {
        return Ok(Receipt::Duplicate);
    }
    let now = ingest.writer.clock.now();
    let activity = match activity_of(kind, &json(body), now, Collector::GithubWebhook) {
        Ok(Some(activity)) => activity,
        Ok(None) => return Ok(Receipt::Ignored),
        Err(reason) => return Ok(Receipt::Malformed(reason)),
    };
    let accepted = ingest.accept(vec![activity]).await?;
    if let Some(delivery) = delivery {
        remember(ingest, delivery).await?;
    }
    Ok(Receipt::Accepted(accepted))
}

/// GitHub sends JSON as it is or, if the webhook was made with its default settings, as the form field `payload`.
fn json(body: &[u8]) -> Cow<'_, [u8]> {
    if !body.starts_with(b"payload=") {
        return Cow::Borrowed(body);
    }
    let payload = url::form_urlencoded::parse(body).next();
    Cow::Owned(
        payload
            .map(|(_, json)| json.into_owned().into_bytes())
            .unwrap_or_default(),
    )
}

/// The activity, `None` if there is none in it, or why it cannot be read. `at` is its time if it names none.
pub(super) fn activity_of(
    kind: EventKind,
    body: &[u8],
    at: Timestamp,
    collector: Collector,
) -> Result<Option<Activity>, String> {
    // What the parser says may quote the body, so only the place is told.
    let place = |error: serde_json::Error| format!("no such JSON: line {} column {}", error.line(), error.column());
    let delivery: Delivery<'_> = serde_json::from_slice(body).map_err(place)?;
    let payload: Payload<'_> = serde_json::from_slice(body).map_err(place)?;
    // What happens in a private repository is no public act, whoever may see it.
    if delivery
        .repository
        .as_ref()
        .is_some_and(|repository| repository.private)
    {
        return Ok(None);
    }
    match of_delivery(kind, &delivery, &payload, &at.to_string()) {
        Ok(seen) => match seen.to_activity(collector) {
            Some(activity) => Ok(Some(activity)),
            None => Err("its time is none".to_owned()),
        },
        Err(Skip::Incomplete(field)) => Err(format!("the {field} is missing")),
        Err(Skip::NotUsed | Skip::WithoutText | Skip::WithoutAuthor) => Ok(None),
    }
}

async fn was_taken(ingest: &Ingest, delivery: &str) -> anyhow::Result<bool> {
    Ok(!were_taken(ingest, &[delivery]).await?.is_empty())
}

/// Those of these deliveries, by their ids, that were taken already.
pub(super) async fn were_taken(ingest: &Ingest, deliveries: &[&str]) -> anyhow::Result<HashSet<String>> {
    if deliveries.is_empty() {
        return Ok(HashSet::new());
    }
    let places: Vec<String> = (1..=deliveries.len()).map(|number| format!("${number}")).collect();
    let text = format!(
        "SELECT delivery_id FROM github_delivery WHERE delivery_id IN ({})",
        places.join(", ")
    );
    let query = Statement::sql(text, deliveries.iter().map(|delivery| (*delivery).into()).collect());
    let rows = ingest.store.read(query).await.context("looking for deliveries")?;
    let taken = rows.iter().map(|row| row.text(0).map(str::to_owned));
    Ok(taken.collect::<Result<_, _>>()?)
}

/// Only after the append: a crash in between makes GitHub's repetition welcome, and the signal keys make it harmless.
async fn remember(ingest: &Ingest, delivery: &str) -> anyhow::Result<()> {
    let statements = remembering(&[delivery], ingest.writer.clock.now())?;
    ingest
        .store
        .write(statements)
        .await
        .context("remembering the delivery")?;
    Ok(())
}

/// The statements that remember these deliveries, by their ids, and forget the oldest of all.
pub(super) fn remembering(deliveries: &[&str], now: Timestamp) -> anyhow::Result<Vec<Statement>> {
    let oldest = now.micros() - i64::try_from(REMEMBERED.as_micros())?;
    let remember = |delivery: &&str| {
        Statement::insert(
            "github_delivery (delivery_id, received_at)",
            "ON CONFLICT DO NOTHING",
            vec![(*delivery).into(), now.micros().into()],
        )
    };
    let forget = Statement::sql(
        "DELETE FROM github_delivery WHERE received_at < $1",
        vec![oldest.into()],
    );
    Ok(deliveries.iter().map(remember).chain([forget]).collect())
}
