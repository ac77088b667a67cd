//! Asks GitHub what is due, one thing after the other, as [`schedule::choose`] says; for one token, on one node at a time,
//! which holds the token's lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::{AccountId, Timestamp};
use projections::tracked_keywords;

use super::accept::Ingest;
use super::budgets;
use super::counts::{Counts, Swept};
use super::lists::Lists;
use super::missed::Missed;
use super::plan::{Grant, Load, Plan};
use super::poll_repos::{Polls, Tracked};
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
    /// The record of what a repository's webhooks delivered.
    Record(usize),
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
    missed: Missed,
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
            missed: Missed::open(ingest.clone(), client.clone(), lease.clone()).await?,
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
            self.missed.keep(self.polls.tracked()).await?;
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
                        if let Some((repo, tracked)) = named(self.polls.tracked(), &names, number) {
                            self.lists.read((repo, tracked), self.counts.stars(repo), now).await?;
                        }
                    }
                    Work::Record(number) => {
                        if let Some(named) = named(self.polls.tracked(), &names, number) {
                            self.missed.read(named, now).await?;
                        }
                    }
                    Work::Pulls => self.pulls.read(now).await?,
                    Work::Issues => self.issues.search(now).await?,
                    Work::Discussions => self.discussions.search(now).await?,
                    Work::Counts => {
                        let swept = self.counts.count(self.polls.tracked(), now).await?;
                        self.heed(swept, now).await?;
                    }
                }
                Ok(None)
            }
        }
    }

    /// Looks where something moved or turned up again, and leaves alone what is private.
    async fn heed(&mut self, swept: Swept, now: Timestamp) -> anyhow::Result<()> {
        for repo in swept.moved.iter().chain(&swept.shown) {
            self.polls.hurry(repo, now);
            self.lists.hurry(repo, now);
        }
        for repo in &swept.absent {
            self.polls.doubt(repo, now);
        }
        for repo in &swept.hidden {
            self.polls.hide(repo, now).await?;
            if let Some(tracked) = self.polls.tracked().get(repo) {
                self.lists.hide((repo, tracked), now).await?;
                self.missed.hide((repo, tracked), now).await?;
            }
        }
        Ok(())
    }

    /// All that is to be done, and the repositories that the work names by number.
    fn dues(&self, feeds: &[super::poll_repos::FeedDue], now: Timestamp) -> (Vec<Due<Work>>, Vec<String>) {
        let mut dues = Vec::with_capacity(feeds.len() + 1);
        let mut names = Vec::with_capacity(feeds.len());
        let paused = self.polls.pausing(now);
        for feed in feeds.iter().filter(|feed| !self.counts.is_hidden(&feed.repo)) {
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
        let tracked = self.polls.tracked();
        let list: fn(usize) -> Work = Work::List;
        let lists = self.lists.due(tracked).map(|due| (list, Class::Fresh, due));
        let record: fn(usize) -> Work = Work::Record;
        let records = self.missed.due(tracked).map(|due| (record, Class::Sweep, due));
        let shown = |(_, _, (repo, _)): &(_, _, (&str, _))| !self.counts.is_hidden(repo);
        for (work, class, (repo, at)) in lists.chain(records).filter(shown) {
            let trackers = tracked.get(repo).map(|tracked| tracked.trackers.as_slice());
            let accounts = trackers.unwrap_or_default().iter().map(|tracker| tracker.account);
            let Some(account) = self.turns.first(accounts) else {
                continue;
            };
            dues.push(Due {
                work: work(names.len()),
                class,
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

    /// Puts down the budgets: at once if GitHub told of one for the first time, otherwise from time to time.
    async fn keep(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let ledger = self.client.ledger();
        let is_told = |ledger: &Ledger, resource| ledger.budget(resource).limit.is_some();
        let is_new = |resource| is_told(&ledger, resource) && !is_told(&self.kept, resource);
        let is_time = self.kept_at.is_none_or(|at| now.since(at) >= KEEP_EVERY);
        if ledger == self.kept || !(is_time || Resource::ALL.into_iter().any(is_new)) {
            return Ok(());
        }
        self.kept_at = Some(now);
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

/// The repository that work names by number.
fn named<'a>(tracked: &'a HashMap<String, Tracked>, names: &[String], number: usize) -> Option<(&'a str, &'a Tracked)> {
    let (repo, tracked) = tracked.get_key_value(names.get(number)?)?;
    Some((repo, tracked))
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
