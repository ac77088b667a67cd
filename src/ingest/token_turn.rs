//! The turn of one node among those that share a token: its requests go out one after the other, on whichever node.
//!
//! With the turn goes what is known of the budgets: who passes it on puts that down, who takes it reads it. Used by the
//! scheduler.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::Database;
use domain::Timestamp;

use super::budgets;
use crate::github::{Client, Ledger, Resource};
use crate::lease::{Lease, Leases, Role};

/// With others waiting the turn is passed on after so long; what is under way comes to its end first.
const LONGEST: Duration = Duration::from_secs(2);
/// Who has less than that to wait for is not idle: passing it on would take longer.
pub const BLINK: Duration = Duration::from_millis(300);
/// Who passed it on leaves it to others for so long, who look for it more often than that.
const REST: Duration = Duration::from_millis(300);
/// How often is looked whether the turn is free.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the budgets are put down by who keeps the turn; a new one, and a time to wait, at once.
const KEEP_EVERY: Duration = Duration::from_mins(1);

/// What came of asking for the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is this node's.
    Held,
    /// It is this node's from now on, and with it what is known of the budgets: what comes next is to be chosen anew.
    Anew,
    /// It is another's; to be asked for again then.
    Busy(Timestamp),
}

/// A token's turn.
pub struct TokenTurn {
    leases: Leases,
    store: Arc<dyn Database>,
    client: Arc<Client>,
    /// Whose the token is: the host's, or an account's.
    token: String,
    held: Option<(Lease, Timestamp)>,
    rests_until: Option<Timestamp>,
    kept: Ledger,
    kept_at: Option<Timestamp>,
}

impl TokenTurn {
    /// The turn of this token; it is not held yet.
    pub fn new(leases: Leases, store: Arc<dyn Database>, client: Arc<Client>, token: String) -> Self {
        Self {
            leases,
            store,
            client,
            token,
            held: None,
            rests_until: None,
            kept: Ledger::default(),
            kept_at: None,
        }
    }

    /// Whose the token is: `host`, or an account.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Takes the turn, if it is free.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn take(&mut self, now: Timestamp) -> anyhow::Result<Taken> {
        if self.held.as_ref().is_some_and(|(lease, _)| lease.is_held()) {
            return Ok(Taken::Held);
        }
        self.held = None;
        if let Some(until) = self.rests_until.filter(|until| *until > now) {
            return Ok(Taken::Busy(until));
        }
        let name = format!("token:{}", self.token);
        let taken = self.leases.try_acquire(&name).await;
        let Some(lease) = taken.context("asking for the turn of a token")? else {
            return Ok(Taken::Busy(now.plus(LOOK_EVERY)));
        };
        let is_other = budgets::restore(&*self.store, &self.token, &self.client)
            .await
            .context("reading what GitHub grants")?;
        if is_other {
            tracing::info!(
                token = self.token,
                "another token than before: what GitHub told that one is forgotten"
            );
            let statements = budgets::begin_anew(&self.token, &self.client.fingerprint(), now);
            lease
                .write(&*self.store, statements)
                .await
                .context("forgetting what another token was told")?;
        }
        if self.leases.share(Role::Ingest).is_divided() {
            self.client.follow_on();
        }
        self.kept = self.client.ledger();
        self.held = Some((lease, now));
        Ok(Taken::Anew)
    }

    /// After a piece of work, or with none to do: passes the turn on if others may want it, and puts down what is known of
    /// the budgets.
    ///
    /// # Errors
    /// If storage fails; the turn is held no longer then.
    pub async fn pass(&mut self, is_idle: bool, now: Timestamp) -> anyhow::Result<()> {
        let Some((lease, since)) = self.held.take() else {
            return Ok(());
        };
        let is_shared = self.leases.share(Role::Ingest).is_divided();
        let is_over = is_shared && (is_idle || now.since(since) >= LONGEST);
        let is_time = self.kept_at.is_none_or(|at| now.since(at) >= KEEP_EVERY);
        if is_over || is_time || self.is_told_more(now) {
            self.keep(&lease, now).await?;
        }
        if is_over {
            lease.release().await;
            self.rests_until = Some(now.plus(REST));
        } else {
            self.held = Some((lease, since));
        }
        Ok(())
    }

    /// Whether GitHub told of a budget for the first time, or asks to wait for longer than before.
    fn is_told_more(&self, now: Timestamp) -> bool {
        let ledger = self.client.ledger();
        let is_told = |ledger: &Ledger, resource| ledger.budget(resource).limit.is_some();
        Resource::ALL.into_iter().any(|resource| {
            is_told(&ledger, resource) && !is_told(&self.kept, resource)
                || ledger.blocked(resource, now) > self.kept.blocked(resource, now)
        })
    }

    async fn keep(&mut self, lease: &Lease, now: Timestamp) -> anyhow::Result<()> {
        self.kept_at = Some(now);
        let ledger = self.client.ledger();
        let statements = budgets::save(&self.token, &self.client.fingerprint(), &ledger, now);
        if ledger != self.kept && !statements.is_empty() {
            lease
                .write(&*self.store, statements)
                .await
                .context("keeping what GitHub grants")?;
            self.kept = ledger;
        }
        Ok(())
    }
}
