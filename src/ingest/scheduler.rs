//! Asks GitHub what is due, one thing after the other, as [`schedule::choose`](super::schedule::choose) says: for one token,
//! on each of the nodes that share it, in the part of what is tracked that is the node's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::DatabaseError;
use domain::Timestamp;
use projections::{tracked_keywords, tracked_repos};

use super::accept::Ingest;
use super::budgets;
use super::collectors::Collectors;
use super::plan::{Grant, Load, Plan};
use super::schedule::{Choice, Turns, choose};
use super::shards::{Shards, Whose};
use super::token_turn::{self, Taken, TokenTurn};
use crate::github::Client;
use crate::lease::Leases;

/// Longest and shortest pause before looking again what is due.
const NAP: Duration = Duration::from_secs(1);
const BLINK: Duration = Duration::from_millis(20);
/// Pause after storage failed.
const REST: Duration = Duration::from_mins(1);
/// How often it is looked which part is this node's.
const DIVIDE_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for what is new to track at least, and for what other nodes left to this one.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// What is done with one token on one node.
pub struct Scheduler {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    shards: Shards,
    turn: TokenTurn,
    /// None: it has to be read anew where everything stands.
    collectors: Option<Collectors>,
    /// Whether the turn was had once: only then is known whether the token is the one that cursors wait for.
    is_begun: bool,
    turns: Turns,
    divided_at: Option<Timestamp>,
    looked_at: Option<Timestamp>,
    plan: Option<Plan>,
}

impl Scheduler {
    /// Has asked nothing yet, and holds no part.
    pub fn new(ingest: Arc<Ingest>, client: Arc<Client>, whose: Whose, leases: Leases) -> Self {
        let token = match &whose {
            Whose::Host(_) => budgets::HOST.to_owned(),
            Whose::Account(account) => account.to_string(),
        };
        let store = ingest.store.clone();
        Self {
            turn: TokenTurn::new(leases.clone(), store, client.clone(), token),
            shards: Shards::new(whose, leases),
            ingest,
            client,
            collectors: None,
            is_begun: false,
            turns: Turns::default(),
            divided_at: None,
            looked_at: None,
            plan: None,
        }
    }

    /// Does what comes next, for as long as this node is sure of its part. `None` if it did, otherwise when to look again.
    ///
    /// # Errors
    /// If storage fails; what was not recorded is asked for again.
    pub async fn step(&mut self) -> anyhow::Result<Option<Timestamp>> {
        let now = self.ingest.writer.clock.now();
        self.divide(now).await?;
        // From here on: what is given back is not lost.
        let lost = self.shards.lost();
        let stepped = tokio::select! {
            biased;
            () = lost => None,
            stepped = self.step_surely(now) => Some(stepped),
        };
        match stepped {
            // Another node has written since.
            Some(Err(error)) if matches!(error.downcast_ref(), Some(DatabaseError::Stale)) => {}
            Some(stepped) => return stepped,
            None => {}
        }
        self.collectors = None;
        self.divided_at = None;
        Ok(None)
    }

    async fn step_surely(&mut self, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
        if !self.is_begun {
            if let Taken::Busy(until) = self.turn.take(now).await? {
                return Ok(Some(until));
            }
            self.is_begun = true;
        }
        let collectors = match &mut self.collectors {
            Some(collectors) => collectors,
            none => none.insert(Collectors::open(&self.ingest, &self.client, &self.shards.part()).await?),
        };
        let is_changed = collectors.refresh(now).await?;
        if self.looked_at.is_none_or(|at| now.since(at) >= LOOK_EVERY) {
            collectors.look(&self.client.ledger(), now).await?;
            self.looked_at = Some(now);
        }
        if is_changed {
            self.tell_plan().await?;
        }
        self.choose(now).await
    }

    /// Holds what is this node's by now.
    async fn divide(&mut self, now: Timestamp) -> anyhow::Result<()> {
        if self.divided_at.is_some_and(|at| now.since(at) < DIVIDE_EVERY) {
            return Ok(());
        }
        self.divided_at = Some(now);
        let divided = self.shards.divide().await;
        if divided.context("dividing what is tracked among the nodes")? {
            self.collectors = None;
        }
        Ok(())
    }

    async fn choose(&mut self, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
        let Some(collectors) = &mut self.collectors else {
            return Ok(None);
        };
        let agenda = collectors.agenda(&self.turns, now);
        let look_again = now.plus(LOOK_EVERY);
        let chosen = choose(agenda.dues.iter().copied(), &self.client.ledger(), &self.turns, now);
        let wait = match chosen {
            Choice::Do(due) => match self.turn.take(now).await? {
                Taken::Held => {
                    self.turns.charge(due.account);
                    collectors.perform(due.work, &agenda, now).await?;
                    self.turn.pass(false, self.ingest.writer.clock.now()).await?;
                    return Ok(None);
                }
                Taken::Anew => return Ok(None),
                Taken::Busy(until) => return Ok(Some(until)),
            },
            Choice::Nothing => look_again,
            Choice::Wait(until) => until.min(look_again),
        };
        let is_idle = wait.since(now) >= token_turn::BLINK;
        self.turn.pass(is_idle, now).await?;
        Ok(Some(agenda.later.unwrap_or(wait).min(wait)))
    }

    /// Tells what can be done for what is tracked, if that is something else than before.
    async fn tell_plan(&mut self) -> anyhow::Result<()> {
        let views = &*self.ingest.views;
        let repos = tracked_repos::all(views)
            .await
            .context("reading the tracked repositories")?;
        let keywords = tracked_keywords::all(views)
            .await
            .context("reading the tracked keywords")?;
        let part = self.shards.part();
        let repos = repos.iter().filter(|row| part.serves(row.account));
        let keywords = keywords.iter().filter(|row| part.serves(row.account));
        let load = Load::of(
            repos.map(|row| &row.full_name),
            &keywords.map(|row| (&row.keyword, &row.scan_targets)),
        );
        let grant = if self.client.has_token() {
            Grant::TOKEN
        } else {
            Grant::NOBODY
        };
        let plan = Plan::of(load, grant);
        if self.plan != Some(plan) {
            let token = self.turn.token();
            if plan.is_empty() {
                // Nothing to tell.
            } else if plan.disappoints() {
                tracing::warn!(token, %plan, "one token is not enough for all that is tracked");
            } else {
                tracing::info!(token, %plan, "what can be done with the token");
            }
            self.plan = Some(plan);
        }
        Ok(())
    }

    fn pause(&self, until: Timestamp) -> Duration {
        until.since(self.ingest.writer.clock.now()).clamp(BLINK, NAP)
    }
}

/// Works for as long as it is polled. Dropping it loses nothing: how far a source was read is put down only after what was
/// read is recorded.
pub async fn run(mut scheduler: Scheduler) -> anyhow::Result<()> {
    loop {
        match scheduler.step().await {
            Ok(None) => {}
            Ok(Some(until)) => tokio::time::sleep(scheduler.pause(until)).await,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "what GitHub told could not be recorded");
                tokio::time::sleep(REST).await;
            }
        }
    }
}
