//! Asks GitHub what is due, one thing after the other, as [`schedule::choose`] says; for one token, on one node at a time,
//! which holds the token's lease.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::{AccountId, Timestamp};
use projections::tracked_keywords;

use super::accept::Ingest;
use super::budgets;
use super::counts::Counts;
use super::lists::Lists;
use super::plan::{Grant, Load, Plan};
use super::poll_repos::Polls;
use super::pulls::Pulls;
use super::schedule::{Choice, Class, Due, Turns, choose};
use super::searches::{Kind, Searches};
use crate::github::{Client, Ledger, Resource};
use crate::lease::Lease;

/// Pause before looking again what is due.
const NAP: Duration = Duration::from_secs(1);
/// Pause after storage failed.
const REST: Duration = Duration::from_mins(1);
/// How often the budgets are put down, and it is looked for what is new to track at least.
const KEEP_EVERY: Duration = Duration::from_mins(1);

/// Something to ask; a repository stands for itself by its number among the tracked ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// The events feed of a repository.
    Feed(usize),
    /// The stargazer list of a repository.
    List(usize),
    /// The numbers of stars.
    Counts,
    /// Texts of pull requests.
    Pulls,
    /// Keywords in issues and pull requests.
    Issues,
    /// Keywords in discussions.
    Discussions,
}

/// What is done with one token.
pub struct Scheduler {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    lease: Lease,
    polls: Polls,
    counts: Counts,
    lists: Lists,
    pulls: Pulls,
    issues: Searches,
    discussions: Searches,
    turns: Turns,
    kept_at: Option<Timestamp>,
    kept: Ledger,
    plan: Option<Plan>,
}

impl Scheduler {
    /// Goes on where everything stands.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, lease: Lease) -> anyhow::Result<Self> {
        budgets::restore(&*ingest.store, budgets::HOST, &client)
            .await
            .context("reading what GitHub grants")?;
        Ok(Self {
            polls: Polls::open(ingest.clone(), client.clone(), lease.clone()).await?,
            counts: Counts::open(ingest.clone(), client.clone(), lease.clone()).await?,
            lists: Lists::open(ingest.clone(), client.clone(), lease.clone()).await?,
            pulls: Pulls::open(ingest.clone(), client.clone(), lease.clone()).await?,
            issues: Searches::open(Kind::Issues, ingest.clone(), client.clone(), lease.clone()).await?,
            discussions: Searches::open(Kind::Discussions, ingest.clone(), client.clone(), lease.clone()).await?,
            ingest,
            client,
            lease,
            turns: Turns::default(),
            kept_at: None,
            kept: Ledger::default(),
            plan: None,
        })
    }

    /// Does what comes next. `None` if it did, otherwise when to look again.
    ///
    /// # Errors
    /// If storage fails; what was not recorded is asked for again.
    pub async fn step(&mut self) -> anyhow::Result<Option<Timestamp>> {
        let mut is_changed = self.polls.refresh().await?;
        if is_changed {
            self.counts.keep(self.polls.tracked()).await?;
            self.lists.keep(self.polls.tracked()).await?;
        }
        is_changed |= self.issues.refresh().await?;
        is_changed |= self.discussions.refresh().await?;
        if is_changed {
            self.tell_plan().await?;
        }
        let now = self.ingest.writer.clock.now();
        self.keep(now).await?;
        let (feeds, later) = self.polls.due(now);
        let (dues, names) = self.dues(&feeds, now);
        let look_again = now.plus(KEEP_EVERY);
        match choose(dues, &self.client.ledger(), &self.turns, now) {
            Choice::Nothing => Ok(Some(later.unwrap_or(look_again).min(look_again))),
            Choice::Wait(until) => Ok(Some(later.unwrap_or(until).min(until).min(look_again))),
            Choice::Do(due) => {
                self.turns.charge(due.account);
                match due.work {
                    Work::Feed(number) => {
                        if let Some(repo) = names.get(number) {
                            self.polls.poll(repo, now).await?;
                            self.pulls.look().await?;
                        }
                    }
                    Work::List(number) => {
                        if let Some((repo, tracked)) = names
                            .get(number)
                            .and_then(|repo| self.polls.tracked().get_key_value(repo))
                        {
                            self.lists.read((repo, tracked), self.counts.stars(repo), now).await?;
                        }
                    }
                    Work::Pulls => self.pulls.read(now).await?,
                    Work::Issues => self.issues.search(now).await?,
                    Work::Discussions => self.discussions.search(now).await?,
                    Work::Counts => {
                        let moved = self.counts.count(self.polls.tracked(), now).await?;
                        for repo in moved {
                            self.polls.hurry(&repo, now);
                            self.lists.hurry(&repo, now);
                        }
                    }
                }
                Ok(None)
            }
        }
    }

    /// All that is to be done, and the repositories that the work names by number.
    fn dues(&self, feeds: &[super::poll_repos::FeedDue], now: Timestamp) -> (Vec<Due<Work>>, Vec<String>) {
        let mut dues = Vec::with_capacity(feeds.len() + 1);
        let mut names = Vec::with_capacity(feeds.len());
        let paused = self.polls.pausing(now);
        for feed in feeds {
            let Some(account) = self.turns.first(feed.accounts()) else {
                continue;
            };
            dues.push(Due {
                work: Work::Feed(names.len()),
                class: if feed.is_new { Class::Interactive } else { Class::Fresh },
                resource: Resource::Core,
                account,
                at: feed.at.max(paused.unwrap_or(feed.at)),
            });
            names.push(feed.repo.clone());
        }
        for (repo, at) in self.lists.due(self.polls.tracked()) {
            let trackers = self
                .polls
                .tracked()
                .get(repo)
                .map(|tracked| tracked.trackers.as_slice());
            let accounts = trackers.unwrap_or_default().iter().map(|tracker| tracker.account);
            let Some(account) = self.turns.first(accounts) else {
                continue;
            };
            dues.push(Due {
                work: Work::List(names.len()),
                class: Class::Fresh,
                resource: Resource::Core,
                account,
                at,
            });
            names.push(repo.to_owned());
        }
        if let Some(at) = self.counts.due_at(self.polls.tracked(), now) {
            dues.push(Due {
                work: Work::Counts,
                class: Class::Sweep,
                resource: Resource::Graphql,
                // The sweep is everybody's.
                account: AccountId::default(),
                at,
            });
        }
        if let Some(at) = self.pulls.due_at(now) {
            dues.push(Due {
                work: Work::Pulls,
                class: Class::Fresh,
                resource: Resource::Graphql,
                account: AccountId::default(),
                at,
            });
        }
        let searches = [
            (Work::Issues, Kind::Issues, &self.issues),
            (Work::Discussions, Kind::Discussions, &self.discussions),
        ];
        for (work, kind, searches) in searches {
            let Some((at, is_new, accounts)) = searches.due() else {
                continue;
            };
            dues.extend(self.turns.first(accounts).map(|account| Due {
                work,
                class: if is_new { Class::Interactive } else { Class::Sweep },
                resource: kind.resource(),
                account,
                at,
            }));
        }
        (dues, names)
    }

    /// Puts down the budgets from time to time.
    async fn keep(&mut self, now: Timestamp) -> anyhow::Result<()> {
        if self.kept_at.is_some_and(|at| now.since(at) < KEEP_EVERY) {
            return Ok(());
        }
        self.kept_at = Some(now);
        let ledger = self.client.ledger();
        if ledger == self.kept {
            return Ok(());
        }
        self.kept = ledger;
        let statements = budgets::save(budgets::HOST, &ledger, now);
        if !statements.is_empty() {
            self.lease
                .write(&*self.ingest.store, statements)
                .await
                .context("keeping what GitHub grants")?;
        }
        Ok(())
    }

    /// Tells what can be done for what is tracked, if that is something else than before.
    async fn tell_plan(&mut self) -> anyhow::Result<()> {
        let views = &*self.ingest.views;
        let keywords = tracked_keywords::all(views)
            .await
            .context("reading the tracked keywords")?;
        let load = Load::of(
            self.polls.tracked().values().map(|tracked| &tracked.name),
            &keywords.iter().map(|row| (&row.keyword, &row.scan_targets)),
        );
        let grant = if self.client.has_token() {
            Grant::TOKEN
        } else {
            Grant::NOBODY
        };
        let plan = Plan::of(load, grant);
        if self.plan != Some(plan) {
            if plan.disappoints() {
                tracing::warn!(%plan, "one token is not enough for all that is tracked");
            } else {
                tracing::info!(%plan, "what can be done with the token");
            }
            self.plan = Some(plan);
        }
        Ok(())
    }
}

/// Works for as long as it is polled. Dropping it loses nothing: how far a source was read is put down only after what was
/// read is recorded.
///
/// # Errors
/// If it cannot be read at the start where everything stands. Later faults are logged and tried again.
pub async fn run(ingest: Arc<Ingest>, client: Arc<Client>, lease: Lease) -> anyhow::Result<()> {
    let mut scheduler = Scheduler::open(ingest, client, lease).await?;
    loop {
        match scheduler.step().await {
            Ok(None) => {}
            Ok(Some(_)) => tokio::time::sleep(NAP).await,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "what GitHub told could not be recorded");
                tokio::time::sleep(REST).await;
            }
        }
    }
}
