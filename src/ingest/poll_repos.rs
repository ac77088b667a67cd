//! Reads the events feeds of tracked repositories, each when GitHub allows and the more often the newer its newest event is.
//! Used by the scheduler.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::Statement;
use domain::{AccountId, Collector, RepoName, RepoRelation, SourceSubject, Timestamp};
use event_log::Position;
use projections::tracked_repos;

use super::accept::Ingest;
use super::counts::{put_down_name, spread};
use super::feed_walk::{Reading, read};
use super::late_events::{LateEvents, LateLook};
use super::outage::Outage;
use super::poll_cursor::{PollOutcome, PollState, poll_states};
use super::pulls;
use super::shards::Part;
use super::source_cursor::{of_repo, repo_of};
use super::standing::{Look, Standings, Tracker};
use crate::github::events_feed::{self, Page};
use crate::github::{Answer, Client, repository};

/// GitHub's own pace for a feed, if it names none.
const PACE: Duration = Duration::from_mins(1);
/// Without a token GitHub grants 60 requests an hour, and an unchanged feed costs one as well: the feeds together take
/// 40 of them.
const PACE_WITHOUT_TOKEN: Duration = Duration::from_secs(90);
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);
/// Within the age of the last sign of life a feed is looked at so often.
const LOOKS: u32 = 4;
/// What a repository that has moved is called by now is asked so often.
const NAME_AGAIN: Duration = Duration::from_hours(24);
/// The feed of a repository in which nothing happens for days is looked at so often at least.
const LONGEST_PACE: Duration = Duration::from_hours(6);
/// Below the page that has all that is new, late events are looked for so often. Only feeds with more than a page within hours have
/// such pages, two at most.
const LATE_EVERY: Duration = Duration::from_hours(1);

/// A repository that some account tracks.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// Its name, as one of them spelt it.
    pub name: RepoName,
    /// What it was last said to be called, if somebody was told that it is called otherwise.
    pub called: Option<RepoName>,
    /// When an account last began to track it.
    pub since: Timestamp,
    /// Who tracks it.
    pub trackers: Vec<Tracker>,
    /// What it is to them.
    pub relations: Vec<RepoRelation>,
}

impl Tracked {
    /// Whether it is somebody's own.
    pub fn is_own(&self) -> bool {
        self.relations.contains(&RepoRelation::Own)
    }

    /// What log lines call it: an id, since its name says who owns it.
    pub fn id(&self) -> Option<String> {
        let subject = &self.trackers.first()?.subject;
        let SourceSubject::Repo { id, .. } = subject else {
            return None;
        };
        Some(id.to_string())
    }
}

/// A feed that is to be read.
#[derive(Debug)]
pub struct FeedDue<'a> {
    /// The repository's key.
    pub repo: String,
    /// When.
    pub at: Timestamp,
    /// Whether somebody tracks it for whom it was never read.
    pub is_new: bool,
    trackers: &'a [Tracker],
}

impl FeedDue<'_> {
    /// Whom it is read for.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.trackers.iter().map(|tracker| tracker.account)
    }
}

/// The polls.
pub struct Polls {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    tracked: HashMap<String, Tracked>,
    /// How far the read model was that `tracked` was read from.
    tracked_from: Option<Position>,
    states: HashMap<String, PollState>,
    /// When the number of stars was last seen to move, before the feed told why: it may lag by hours.
    moved: HashMap<String, Timestamp>,
    /// Until when GitHub asked not to be asked for the same feed again.
    not_before: HashMap<String, Timestamp>,
    /// When it was last asked what a repository is called by now, and whether its name led elsewhere then.
    named_at: HashMap<String, (Timestamp, bool)>,
    late: LateEvents,
    standings: Standings,
    outage: Outage,
}

impl Polls {
    /// Goes on where the cursors stand.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        let states = poll_states(&*ingest.store).await.context("reading the poll cursors")?;
        let own = states.into_iter().filter(|state| part.has(&of_repo(&state.repo)));
        Ok(Self {
            states: own.map(|state| (state.repo.clone(), state)).collect(),
            standings: Standings::open(ingest.clone(), part.clone(), &[Collector::EventsFeed]).await?,
            ingest,
            client,
            part,
            tracked: HashMap::new(),
            tracked_from: None,
            moved: HashMap::new(),
            not_before: HashMap::new(),
            named_at: HashMap::new(),
            late: LateEvents::default(),
            outage: Outage::none("polling"),
        })
    }

    /// What is tracked, by its key: the name in lower case, for the host's token.
    pub const fn tracked(&self) -> &HashMap<String, Tracked> {
        &self.tracked
    }

    /// Until when no feed is read, since none would be answered.
    pub fn pausing(&self, now: Timestamp) -> Option<Timestamp> {
        self.outage.pausing(now)
    }

    /// The feeds that are due, and when the next of the others is.
    pub fn due(&self, now: Timestamp) -> (Vec<FeedDue<'_>>, Option<Timestamp>) {
        let due = |state: &PollState| {
            let tracked = self.tracked.get(&state.repo)?;
            Some(FeedDue {
                repo: state.repo.clone(),
                at: state.next_poll_at,
                is_new: state.failures == 0 && state.serves < Some(tracked.since),
                trackers: &tracked.trackers,
            })
        };
        let is_due = |state: &&PollState| state.next_poll_at <= now;
        let later = self.states.values().filter(|state| !is_due(state));
        let later = later.map(|state| state.next_poll_at).min();
        (self.states.values().filter(is_due).filter_map(due).collect(), later)
    }

    /// The repository's number of stars moved: its feed is looked at now, and often for a while. No sooner than GitHub asked
    /// to be asked again.
    pub fn hurry(&mut self, repo: &str, now: Timestamp) {
        if let Some(state) = self.states.get_mut(repo)
            && state.failures == 0
        {
            let known = self.not_before.get(repo).copied();
            let allowed = known.or_else(|| state.last_success_at.map(|at| at.plus(PACE)));
            let allowed = allowed.unwrap_or(now);
            state.next_poll_at = state.next_poll_at.min(allowed.max(now));
            self.moved.insert(repo.to_owned(), now);
        }
    }

    /// The repository may be gone: its feed, which tells, is asked now if it was there the last time.
    pub fn doubt(&mut self, repo: &str, now: Timestamp) {
        if let Some(state) = self.states.get_mut(repo)
            && state.outcome == PollOutcome::Ok
        {
            let allowed = self.not_before.get(repo).copied().unwrap_or(now);
            state.next_poll_at = state.next_poll_at.min(allowed.max(now));
        }
    }

    /// The repository is private: its feed is not for us, and whoever tracks it is told so.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn hide(&mut self, repo: &str, now: Timestamp) -> anyhow::Result<()> {
        self.deny(repo).await?;
        let Some(tracked) = self.tracked.get(repo) else {
            return Ok(());
        };
        let (subject, feed) = (of_repo(repo), Collector::EventsFeed);
        self.standings
            .saw(&subject, feed, Look::PRIVATE, &tracked.trackers, now)
            .await
    }

    /// Puts down that the feed is not shown to us.
    async fn deny(&mut self, repo: &str) -> anyhow::Result<()> {
        let known = self.states.get_mut(repo);
        let Some(state) = known.filter(|state| state.outcome != PollOutcome::Denied) else {
            return Ok(());
        };
        state.outcome = PollOutcome::Denied;
        self.part
            .write(&*self.ingest.store, [of_repo(repo).as_str()], vec![state.save()])
            .await
            .context("writing the poll cursor")
    }

    /// GitHub does not take the token that the feed is due to be read with.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn refused(&mut self, repo: &str, now: Timestamp) -> anyhow::Result<()> {
        self.deny(repo).await?;
        let Some(tracked) = self.tracked.get(repo) else {
            return Ok(());
        };
        let (subject, feed) = (of_repo(repo), Collector::EventsFeed);
        self.standings.refused(&subject, feed, &tracked.trackers, now).await
    }

    /// Tells what is news by now of looks that were made a while ago.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn tell(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let tracked = &self.tracked;
        let trackers = |subject: &str| Some(tracked.get(repo_of(subject)?)?.trackers.as_slice());
        self.standings.tell(trackers, now).await
    }

    /// Reads the feed of a repository, by its key.
    ///
    /// # Errors
    /// If storage fails; the cursor then stays where it was.
    pub async fn poll(&mut self, repo: &str, now: Timestamp) -> anyhow::Result<()> {
        let Some(state) = self.states.get(repo).cloned() else {
            return Ok(());
        };
        self.read_feed(state, now).await
    }

    /// Takes up new repositories and drops those that nobody tracks any more. Whether there were any.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn refresh(&mut self) -> anyhow::Result<bool> {
        let from = self.ingest.freshness.changed_at("tracked_repos");
        if self.tracked_from == Some(from) {
            return Ok(false);
        }
        let rows = tracked_repos::all(&*self.ingest.views)
            .await
            .context("reading the tracked repositories")?;
        self.tracked.clear();
        for row in rows {
            let key = self.part.key(&row.full_name.key());
            if !self.part.serves(row.account) || !self.part.has(&of_repo(&key)) {
                continue;
            }
            let tracked = self.tracked.entry(key).or_insert_with(|| Tracked {
                name: row.full_name.clone(),
                called: None,
                since: row.created_at,
                trackers: Vec::new(),
                relations: Vec::new(),
            });
            tracked.since = tracked.since.max(row.created_at);
            tracked.called = row
                .called
                .filter(|called| *called != row.full_name)
                .or(tracked.called.take());
            tracked.relations.push(row.relation);
            tracked.trackers.push(Tracker {
                account: row.account,
                subject: SourceSubject::Repo {
                    id: row.repo_id,
                    full_name: row.full_name,
                },
            });
        }
        let now = self.ingest.writer.clock.now();
        for (key, tracked) in &self.tracked {
            let state = self
                .states
                .entry(key.clone())
                .or_insert_with(|| PollState::new(key.clone(), now));
            if state.serves.is_some_and(|serves| serves < tracked.since) {
                state.next_poll_at = now;
            }
        }
        let left: Vec<String> = self
            .states
            .keys()
            .filter(|key| !self.tracked.contains_key(*key))
            .cloned()
            .collect();
        for key in left {
            let (subject, text) = (of_repo(&key), "DELETE FROM poll_cursor WHERE repo = $1");
            let delete = Statement::sql(text, vec![key.as_str().into()]);
            self.part
                .write(&*self.ingest.store, [subject.as_str()], vec![delete])
                .await
                .context("dropping a poll cursor")?;
            self.standings.forget(&subject).await?;
            self.states.remove(&key);
            self.moved.remove(&key);
            self.not_before.remove(&key);
            self.named_at.remove(&key);
            self.late.forget(&key);
        }
        let tracked = &self.tracked;
        let trackers = |subject: &str| Some(tracked.get(repo_of(subject)?)?.trackers.as_slice());
        self.standings.tell_others(trackers, now);
        self.tracked_from = Some(from);
        Ok(true)
    }

    async fn read_feed(&mut self, mut state: PollState, now: Timestamp) -> anyhow::Result<()> {
        let Some(tracked) = self.tracked.get(&state.repo) else {
            return Ok(());
        };
        let (since, trackers) = (tracked.since, tracked.trackers.clone());
        // Whoever began to track it after the last reading wants all that the feed still has.
        if state.serves < Some(since) {
            state.etag = None;
            state.newest = None;
        }
        let late = self.late_look(&state, now);
        let reading = read(&self.client, tracked, &state, late.as_ref(), now).await;
        match &reading {
            Reading::Unreachable(reason) => self.outage.failed(reason, now),
            // That may have been said without asking.
            Reading::Not(refusal) if refusal.outcome == PollOutcome::Limited => {}
            _ => self.outage.over(),
        }
        let look = reading.look();
        if late.is_some() && matches!(reading, Reading::Pages { .. } | Reading::Same { .. }) {
            self.late.looked(&state.repo, now);
        }
        let mut statements = Vec::new();
        match reading {
            Reading::Pages {
                pages,
                etag,
                pace,
                gap,
                is_moved,
                below,
            } => {
                self.follow_name(&state.repo, is_moved, now).await?;
                self.late.ends(&state.repo, below);
                let newest = events_feed::newest(&pages).cloned();
                statements = self.record(pages, now).await?;
                if newest
                    .as_ref()
                    .is_some_and(|newest| state.newest.as_ref() != Some(newest))
                {
                    self.moved.remove(&state.repo);
                }
                state.etag = etag;
                state.newest = newest.or(state.newest);
                state.last_gap_at = if gap { Some(now) } else { state.last_gap_at };
                self.succeeded(&mut state, since, pace, now);
            }
            Reading::Same { pace } => self.succeeded(&mut state, since, pace, now),
            // The mark stays where it is, so that the rest is read the next time.
            Reading::Part { pages, pace, refusal } => {
                statements = self.record(pages, now).await?;
                failed(&mut state, refusal.outcome, refusal.until, now);
                state.next_poll_at = state.next_poll_at.max(now.plus(pace.unwrap_or(PACE)));
            }
            Reading::Not(refusal) => failed(&mut state, refusal.outcome, refusal.until, now),
            Reading::Unreachable(_) => failed(&mut state, PollOutcome::Failed, None, now),
        }
        statements.push(state.save());
        let subject = of_repo(&state.repo);
        self.part
            .write(&*self.ingest.store, [subject.as_str()], statements)
            .await
            .context("writing the poll cursor")?;
        self.states.insert(state.repo.clone(), state);
        self.standings
            .saw(&subject, Collector::EventsFeed, look, &trackers, now)
            .await
    }

    /// Records what the pages show; what is still to be written down with the cursor.
    async fn record(&self, pages: Vec<Page>, now: Timestamp) -> anyhow::Result<Vec<Statement>> {
        let bare: Vec<_> = pages.iter().flat_map(|page| page.bare.iter().cloned()).collect();
        let statements = pulls::note(&self.ingest, &self.part, &bare, now).await?;
        let newest_first = pages.into_iter().flat_map(|page| page.activities);
        let mut activities: Vec<_> = newest_first.collect();
        activities.reverse();
        self.ingest.accept_for(self.part.account(), activities).await?;
        Ok(statements)
    }

    /// Puts down what a repository is called by now whose name leads elsewhere, or did. With a token the sweep of counts says it
    /// for all.
    async fn follow_name(&mut self, repo: &str, is_moved: bool, now: Timestamp) -> anyhow::Result<()> {
        let asked = self.named_at.get(repo);
        let was_asked = asked.is_some_and(|(at, was_moved)| now.since(*at) < NAME_AGAIN && *was_moved == is_moved);
        let is_doubtful = |tracked: &&Tracked| is_moved || tracked.called.is_some();
        let tracked = self.tracked.get(repo).filter(is_doubtful);
        let Some(tracked) = tracked.filter(|_| !was_asked && !self.client.has_token()) else {
            return Ok(());
        };
        if let Answer::Fresh(fresh) = self.client.get(&repository::path(&tracked.name), None).await
            && let Some(repository) = repository::read(&fresh.body)
        {
            put_down_name(&self.ingest, tracked, &repository.full_name).await?;
            self.named_at.insert(repo.to_owned(), (now, is_moved));
        }
        Ok(())
    }

    /// The look for late events in a feed; none: it is not time yet.
    fn late_look(&self, state: &PollState, now: Timestamp) -> Option<LateLook> {
        let every = if self.client.has_token() {
            LATE_EVERY
        } else {
            LATE_EVERY.saturating_mul(self.feeds())
        };
        self.late.due(state, every, now)
    }

    fn feeds(&self) -> u32 {
        u32::try_from(self.states.len()).unwrap_or(u32::MAX)
    }

    fn succeeded(&mut self, state: &mut PollState, serves: Timestamp, pace: Option<Duration>, now: Timestamp) {
        let asked = pace.unwrap_or(PACE).max(PACE);
        self.not_before.insert(state.repo.clone(), now.plus(asked));
        let asked = asked.max(spread(self.pace(state, now), self.ingest.writer.clock.entropy()));
        let pace = if self.client.has_token() {
            asked
        } else {
            asked.max(PACE_WITHOUT_TOKEN.saturating_mul(self.feeds()))
        };
        state.outcome = PollOutcome::Ok;
        state.failures = 0;
        state.serves = Some(serves);
        state.last_success_at = Some(now);
        state.next_poll_at = now.plus(pace);
    }

    /// How long to wait for more, by the age of the last sign that there may be some.
    fn pace(&self, state: &PollState, now: Timestamp) -> Duration {
        let newest = state.newest.as_ref().map(|mark| mark.at);
        let sign = newest.or(state.serves).max(self.moved.get(&state.repo).copied());
        sign.map_or(PACE, |at| now.since(at) / LOOKS).min(LONGEST_PACE)
    }
}

/// GitHub's own time to wait if it named one; otherwise a minute that doubles with each failure, an hour at most.
fn failed(state: &mut PollState, outcome: PollOutcome, until: Option<Timestamp>, now: Timestamp) {
    state.outcome = outcome;
    let doubled = PACE.saturating_mul(1 << state.failures.min(10)).min(LONGEST_BACKOFF);
    // To be told to wait is no failure of the repository.
    if until.is_none() {
        state.failures = state.failures.saturating_add(1);
    }
    state.next_poll_at = until.unwrap_or_else(|| now.plus(doubled));
}
