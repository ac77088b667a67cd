//! Everything that asks GitHub in one part of what is tracked: what of it is due, and doing it. Used by the scheduler.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{AccountId, Timestamp};

use super::accept::Ingest;
use super::code_hits::CodeHits;
use super::counts::{Counts, Swept};
use super::lists::Lists;
use super::missed::Missed;
use super::poll_repos::{FeedDue, Polls, Tracked};
use super::profiles::Profiles;
use super::pulls::Pulls;
use super::schedule::{Class, Due, Turns};
use super::searches::{Kind, Searches};
use super::shards::Part;
use super::standing::Look;
use crate::github::{Client, Ledger, Resource};

/// Something to ask; a repository stands for itself by its number among those that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// The events feed of a repository.
    Feed(usize),
    /// The stargazer list of a repository.
    List(usize),
    /// The record of what a repository's webhooks delivered.
    Record(usize),
    /// The numbers of stars.
    Counts,
    /// That of one repository.
    Count,
    /// Texts of pull requests.
    Pulls,
    /// Keywords in issues and pull requests.
    Issues,
    /// Keywords in discussions.
    Discussions,
    /// A keyword in code.
    Code,
    /// Whose a file is that was found.
    CodeHit,
    /// Profiles, many at once.
    Profiles,
    /// One profile.
    Profile,
}

/// What is to be done.
pub(super) struct Agenda {
    /// Each thing with its time.
    pub dues: Vec<Due<Work>>,
    /// The repositories that it names by number.
    repos: Vec<String>,
    /// When a feed is due that is not yet.
    pub later: Option<Timestamp>,
}

impl Agenda {
    /// The repository that work names by number.
    fn named<'a>(&self, tracked: &'a HashMap<String, Tracked>, number: usize) -> Option<(&'a str, &'a Tracked)> {
        let (repo, tracked) = tracked.get_key_value(self.repos.get(number)?)?;
        Some((repo, tracked))
    }
}

/// All that asks.
pub(super) struct Collectors {
    polls: Polls,
    counts: Counts,
    lists: Lists,
    missed: Missed,
    pulls: Pulls,
    issues: Searches,
    discussions: Searches,
    code: Searches,
    code_hits: CodeHits,
    profiles: Profiles,
}

impl Collectors {
    /// Goes on where everything stands in that part.
    pub async fn open(ingest: &Arc<Ingest>, client: &Arc<Client>, part: &Part) -> anyhow::Result<Self> {
        Ok(Self {
            polls: Polls::open(ingest.clone(), client.clone(), part.clone()).await?,
            counts: Counts::open(ingest.clone(), client.clone(), part.clone()).await?,
            lists: Lists::open(ingest.clone(), client.clone(), part.clone()).await?,
            missed: Missed::open(ingest.clone(), client.clone(), part.clone()).await?,
            pulls: Pulls::open(ingest.clone(), client.clone(), part.clone()).await?,
            issues: Searches::open(Kind::Issues, ingest.clone(), client.clone(), part.clone()).await?,
            discussions: Searches::open(Kind::Discussions, ingest.clone(), client.clone(), part.clone()).await?,
            code: Searches::open(Kind::Code, ingest.clone(), client.clone(), part.clone()).await?,
            code_hits: CodeHits::new(ingest.clone(), client.clone(), part.clone()),
            profiles: Profiles::new(ingest.clone(), client.clone(), part.clone()),
        })
    }

    /// Takes up what is new to track and whom to look up, and drops what nobody tracks any more. Whether anything is tracked
    /// otherwise.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn refresh(&mut self, now: Timestamp) -> anyhow::Result<bool> {
        self.profiles.look(now).await?;
        let mut is_changed = self.polls.refresh().await?;
        if is_changed {
            self.counts.keep(self.polls.tracked()).await?;
            self.lists.keep(self.polls.tracked()).await?;
            self.missed.keep(self.polls.tracked()).await?;
        }
        is_changed |= self.issues.refresh().await?;
        is_changed |= self.discussions.refresh().await?;
        is_changed |= self.code.refresh().await?;
        Ok(is_changed)
    }

    /// All that is to be done.
    pub fn agenda(&self, turns: &Turns, now: Timestamp) -> Agenda {
        let (feeds, later) = self.polls.due(now);
        let mut agenda = Agenda {
            dues: Vec::with_capacity(feeds.len() + 1),
            repos: Vec::with_capacity(feeds.len()),
            later,
        };
        self.add_feeds(&mut agenda, &feeds, turns, now);
        self.add_of_own(&mut agenda, turns);
        let (counts, pulls) = (self.counts.due_at(self.polls.tracked(), now), self.pulls.due_at(now));
        let (many, one) = (self.profiles.many_due_at(now), self.profiles.one_due_at(now));
        let files = self.code_hits.due_at(now);
        let count = self.counts.one_due_at(self.polls.tracked(), now);
        for (work, class, resource, at) in [
            (Work::Counts, Class::Sweep, Resource::Graphql, counts),
            (Work::Count, Class::Sweep, Resource::Core, count),
            (Work::Pulls, Class::Fresh, Resource::Graphql, pulls),
            (Work::Profiles, Class::Enrichment, Resource::Graphql, many),
            (Work::Profile, Class::Enrichment, Resource::Core, one),
            (Work::CodeHit, Class::Enrichment, Resource::Core, files),
        ] {
            agenda.dues.extend(at.map(|at| Due {
                work,
                class,
                resource,
                // What is done for many at once is everybody's.
                account: AccountId::default(),
                at,
            }));
        }
        let searches = [
            (Work::Issues, Kind::Issues, &self.issues),
            (Work::Discussions, Kind::Discussions, &self.discussions),
            (Work::Code, Kind::Code, &self.code),
        ];
        for (work, kind, searches) in searches {
            if kind == Kind::Code && !self.code_hits.has_room(now) {
                continue;
            }
            let Some((at, is_new, accounts)) = searches.due() else {
                continue;
            };
            agenda.dues.extend(turns.first(accounts).map(|account| Due {
                work,
                class: if is_new { Class::Interactive } else { Class::Sweep },
                resource: kind.resource(),
                account,
                at,
            }));
        }
        agenda
    }

    fn add_feeds(&self, agenda: &mut Agenda, feeds: &[FeedDue<'_>], turns: &Turns, now: Timestamp) {
        let paused = self.polls.pausing(now);
        for feed in feeds.iter().filter(|feed| !self.counts.is_hidden(&feed.repo)) {
            let Some(account) = turns.first(feed.accounts()) else {
                continue;
            };
            agenda.dues.push(Due {
                work: Work::Feed(agenda.repos.len()),
                class: if feed.is_new { Class::Interactive } else { Class::Fresh },
                resource: Resource::Core,
                account,
                at: feed.at.max(paused.unwrap_or(feed.at)),
            });
            agenda.repos.push(feed.repo.clone());
        }
    }

    /// What is read of own repositories alone.
    fn add_of_own(&self, agenda: &mut Agenda, turns: &Turns) {
        let tracked = self.polls.tracked();
        let list: fn(usize) -> Work = Work::List;
        let lists = self.lists.due(tracked);
        let lists = lists.map(|due| (list, Class::Fresh, self.lists.resource(due.0), due));
        let record: fn(usize) -> Work = Work::Record;
        let records = self.missed.due(tracked);
        let records = records.map(|due| (record, Class::Sweep, Resource::Core, due));
        let public = |(_, _, _, (repo, _)): &(_, _, _, (&str, _))| self.counts.is_public(repo);
        for (work, class, resource, (repo, at)) in lists.chain(records).filter(public) {
            let trackers = tracked.get(repo).map(|tracked| tracked.trackers.as_slice());
            let accounts = trackers.unwrap_or_default().iter().map(|tracker| tracker.account);
            let Some(account) = turns.first(accounts) else {
                continue;
            };
            agenda.dues.push(Due {
                work: work(agenda.repos.len()),
                class,
                resource,
                account,
                at,
            });
            agenda.repos.push(repo.to_owned());
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// If storage fails; what was not recorded is asked for again.
    pub async fn perform(&mut self, work: Work, agenda: &Agenda, now: Timestamp) -> anyhow::Result<()> {
        match work {
            Work::Feed(number) => {
                if let Some(repo) = agenda.repos.get(number) {
                    self.polls.poll(repo, now).await?;
                    self.pulls.look().await?;
                }
            }
            Work::List(number) => {
                if let Some((repo, tracked)) = agenda.named(self.polls.tracked(), number) {
                    self.lists.read((repo, tracked), self.counts.stars(repo), now).await?;
                }
            }
            Work::Record(number) => {
                if let Some(named) = agenda.named(self.polls.tracked(), number) {
                    self.missed.read(named, now).await?;
                }
            }
            Work::Pulls => self.pulls.read(now).await?,
            Work::Issues => self.issues.search(now).await?,
            Work::Discussions => self.discussions.search(now).await?,
            Work::Code => {
                if let Some(found) = self.code.search_code(now).await? {
                    self.code_hits.take(&found.keyword, found.files, now).await?;
                    self.code.took(found.whole);
                }
            }
            Work::CodeHit => self.code_hits.attribute(now).await?,
            Work::Profiles => self.profiles.many(now).await?,
            Work::Profile => self.profiles.one(now).await?,
            Work::Counts => {
                let swept = self.counts.count(self.polls.tracked(), now).await?;
                self.heed(swept, now).await?;
            }
            Work::Count => {
                let swept = self.counts.count_one(self.polls.tracked(), now).await?;
                self.heed(swept, now).await?;
            }
        }
        Ok(())
    }

    /// Looks where something moved or turned up again, and leaves alone what is private.
    async fn heed(&mut self, swept: Swept, now: Timestamp) -> anyhow::Result<()> {
        for repo in swept.moved.iter().chain(&swept.shown) {
            self.polls.hurry(repo, now);
            self.lists.hurry(repo, now);
        }
        for repo in &swept.absent {
            self.polls.doubt(repo, now);
            if let Some(tracked) = self.polls.tracked().get(repo) {
                self.lists.hide((repo, tracked), Look::ABSENT, now).await?;
                self.missed.hide((repo, tracked), Look::ABSENT, now).await?;
            }
        }
        for repo in &swept.hidden {
            self.polls.hide(repo, now).await?;
            if let Some(tracked) = self.polls.tracked().get(repo) {
                self.lists.hide((repo, tracked), Look::PRIVATE, now).await?;
                self.missed.hide((repo, tracked), Look::PRIVATE, now).await?;
            }
        }
        Ok(())
    }

    /// Looks for what other nodes left to this one, and tells what has become news without a look at GitHub.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn look(&mut self, ledger: &Ledger, now: Timestamp) -> anyhow::Result<()> {
        self.pulls.look().await?;
        self.polls.tell(now).await?;
        self.lists.tell(self.polls.tracked(), now).await?;
        self.missed.tell(self.polls.tracked(), now).await?;
        for searches in [&mut self.issues, &mut self.discussions, &mut self.code] {
            searches.tell_on(now).await?;
        }
        self.tell_refused(ledger, now).await
    }

    /// What is due and cannot be asked for, since GitHub does not take the token, is not shown to us: one request in a while tells of
    /// one source only.
    async fn tell_refused(&mut self, ledger: &Ledger, now: Timestamp) -> anyhow::Result<()> {
        if ledger.is_refused(Resource::Core, now) {
            let (feeds, _) = self.polls.due(now);
            let feeds = feeds.into_iter().map(|feed| feed.repo);
            for repo in feeds.filter(|repo| !self.counts.is_hidden(repo)).collect::<Vec<_>>() {
                self.polls.refused(&repo, now).await?;
            }
            let is_hidden = |repo: &str| self.counts.is_hidden(repo);
            self.lists.refused(self.polls.tracked(), is_hidden, now).await?;
            self.missed.refused(self.polls.tracked(), is_hidden, now).await?;
        }
        let searches = [
            (Kind::Issues, &mut self.issues),
            (Kind::Discussions, &mut self.discussions),
            (Kind::Code, &mut self.code),
        ];
        for (kind, searches) in searches {
            if ledger.is_refused(kind.resource(), now) {
                searches.refused(now).await?;
            }
        }
        Ok(())
    }
}
