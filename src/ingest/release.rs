//! Releases withheld leads, oldest first, once there is room: the month turned or the plan was raised. On one node at a
//! time, which holds the lease.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::AccountId;
use projections::leads;

use super::accept::Ingest;
use crate::commands::{Allowance, release_leads};

/// The lease of whoever releases.
pub const LEASE: &str = "releases";

/// So many are released before the room is counted again.
const AT_ONCE: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_mins(1);
const PLAN_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Releases what there is room for; the number of leads.
///
/// # Errors
/// If storage fails; what was released until then stays released.
pub async fn release(ingest: &Ingest) -> anyhow::Result<u64> {
    let mut released = 0;
    let accounts = leads::accounts_with_withheld(&*ingest.views).await;
    for account in accounts.context("reading the accounts with withheld leads")? {
        released += release_of(ingest, account).await?;
    }
    Ok(released)
}

async fn release_of(ingest: &Ingest, account: AccountId) -> anyhow::Result<u64> {
    let mut released = 0;
    loop {
        let turn = ingest.turn(account).await?;
        let room = match ingest.allowance(account).await? {
            Allowance::Unlimited => AT_ONCE,
            Allowance::Room { left, .. } => left.min(AT_ONCE),
        };
        if room == 0 {
            return Ok(released);
        }
        let people = leads::withheld(&*ingest.views, account, room).await?;
        if people.is_empty() {
            return Ok(released);
        }
        turn.check()?;
        release_leads(&ingest.writer, account, &people)
            .await
            .context("releasing leads")?;
        released += people.len() as u64;
        // Before the next look, which would otherwise find the same ones again.
        ingest.caught_up(LOOK_EVERY).await?;
    }
}

/// Releases for as long as it is polled, and never ends: every minute, and soon after an account changed. Dropping it loses
/// nothing.
pub async fn run(ingest: Arc<Ingest>) -> anyhow::Result<()> {
    let mut ticks = 0;
    let mut seen = None;
    let every = LOOK_EVERY.as_secs() / PLAN_CHECK_EVERY.as_secs();
    loop {
        let changed = ingest.freshness.changed_at("accounts");
        if seen != Some(changed) || ticks % every == 0 {
            seen = Some(changed);
            match release(&ingest).await {
                Ok(0) => {}
                Ok(released) => tracing::info!(released, "released withheld leads"),
                Err(error) => tracing::warn!(error = format!("{error:#}"), "withheld leads wait for the next look"),
            }
        }
        ticks += 1;
        tokio::time::sleep(PLAN_CHECK_EVERY).await;
    }
}
