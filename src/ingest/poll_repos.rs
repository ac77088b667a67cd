//! Reads the events feeds of all tracked repositories, one after the other, each when GitHub allows; on one node at a
//! time, which holds the lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::{RepoName, Timestamp};
use event_log::Position;
use projections::tracked_repos;

use super::accept::Ingest;
use super::outage::Outage;
use super::poll_cursor::{PollOutcome, PollState, poll_states};
use crate::github::events_feed::{self, PAGES, Page};
use crate::github::{Answer, Client};
use crate::lease::Lease;

/// The lease of whoever asks GitHub. The number is that of a token, of which there is one: its requests go out one after
/// the other.
pub const LEASE: &str = "polls:0";

/// GitHub's own pace for a feed, if it names none.
const PACE: Duration = Duration::from_mins(1);
/// Without a token GitHub grants 60 requests an hour, and an unchanged feed costs one as well: the feeds together take
/// 40 of them.
const PACE_WITHOUT_TOKEN: Duration = Duration::from_secs(90);
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);
/// Pause before looking again what is due.
const NAP: Duration = Duration::from_secs(1);

/// A repository that some account tracks.
struct Tracked {
    name: RepoName,
    /// When an account last began to track it.
    since: Timestamp,
}

/// The polls.
pub struct Polls {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    lease: Lease,
    tracked: HashMap<String, Tracked>,
    /// How far the read model was that `tracked` was read from.
    tracked_from: Option<Position>,
    states: HashMap<String, PollState>,
    outage: Outage,
}

/// How a feed was read.
enum Reading {
    Pages {
        pages: Vec<Page>,
        etag: Option<String>,
        pace: Option<Duration>,
        /// The feed ended before what was read the last time.
        gap: bool,
    },
    Same {
        pace: Option<Duration>,
    },
    Not {
        outcome: PollOutcome,
        until: Option<Timestamp>,
    },
    /// No usable answer, for that reason; other feeds would have none either.
    Unreachable(String),
}

impl Polls {
    /// Goes on where the cursors stand.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, lease: Lease) -> anyhow::Result<Self> {
        let states = poll_states(&*ingest.store).await.context("reading the poll cursors")?;
        Ok(Self {
            ingest,
            client,
            lease,
            tracked: HashMap::new(),
            tracked_from: None,
            states: states.into_iter().map(|state| (state.repo.clone(), state)).collect(),
            outage: Outage::none("polling"),
        })
    }

    /// Polls the repository that has been due for longest. `None` if it did, otherwise when the next one is due.
    ///
    /// # Errors
    /// If storage fails; the cursor then stays where it was.
    pub async fn step(&mut self) -> anyhow::Result<Option<Timestamp>> {
        self.read_tracked().await?;
        let now = self.ingest.writer.clock.now();
        if let Some(until) = self.outage.pausing(now) {
            return Ok(Some(until));
        }
        let due = self
            .states
            .values()
            .min_by_key(|state| (state.next_poll_at, &state.repo));
        let Some(state) = due.cloned() else {
            return Ok(Some(now.plus(PACE)));
        };
        if state.next_poll_at > now {
            return Ok(Some(state.next_poll_at));
        }
        self.poll(state, now).await?;
        Ok(None)
    }

    /// Takes up new repositories and drops those that nobody tracks any more.
    async fn read_tracked(&mut self) -> anyhow::Result<()> {
        let from = self.ingest.freshness.changed_at("tracked_repos");
        if self.tracked_from == Some(from) {
            return Ok(());
        }
        let rows = tracked_repos::all(&*self.ingest.views)
            .await
            .context("reading the tracked repositories")?;
        self.tracked.clear();
        for row in rows {
            let tracked = self.tracked.entry(row.full_name.key()).or_insert(Tracked {
                name: row.full_name,
                since: row.created_at,
            });
            tracked.since = tracked.since.max(row.created_at);
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
        let delete = |key: &String| {
            database::Statement::sql("DELETE FROM poll_cursor WHERE repo = $1", vec![key.as_str().into()])
        };
        if !left.is_empty() {
            self.lease
                .write(&*self.ingest.store, left.iter().map(delete).collect())
                .await
                .context("dropping poll cursors")?;
        }
        for key in left {
            self.states.remove(&key);
        }
        self.tracked_from = Some(from);
        Ok(())
    }

    async fn poll(&mut self, mut state: PollState, now: Timestamp) -> anyhow::Result<()> {
        let Some(Tracked { name, since }) = self.tracked.get(&state.repo) else {
            return Ok(());
        };
        let since = *since;
        // Whoever began to track it after the last reading wants all that the feed still has.
        if state.serves < Some(since) {
            state.etag = None;
            state.newest = None;
        }
        let reading = self.read(name, &state).await;
        match &reading {
            Reading::Unreachable(reason) => self.outage.failed(reason, now),
            // That may have been said without asking.
            Reading::Not {
                outcome: PollOutcome::Limited,
                ..
            } => {}
            _ => self.outage.over(),
        }
        match reading {
            Reading::Pages { pages, etag, pace, gap } => {
                let newest = pages.first().and_then(Page::newest).cloned();
                let newest_first = pages.into_iter().flat_map(|page| page.activities);
                let mut activities: Vec<_> = newest_first.collect();
                activities.reverse();
                self.ingest.accept(activities).await?;
                state.etag = etag;
                state.newest = newest.or(state.newest);
                state.last_gap_at = if gap { Some(now) } else { state.last_gap_at };
                self.succeeded(&mut state, since, pace, now);
            }
            Reading::Same { pace } => self.succeeded(&mut state, since, pace, now),
            Reading::Not { outcome, until } => failed(&mut state, outcome, until, now),
            Reading::Unreachable(_) => failed(&mut state, PollOutcome::Failed, None, now),
        }
        self.lease
            .write(&*self.ingest.store, vec![state.save()])
            .await
            .context("writing the poll cursor")?;
        self.states.insert(state.repo.clone(), state);
        Ok(())
    }

    /// Reads page after page until what was read before comes up.
    async fn read(&self, repo: &RepoName, state: &PollState) -> Reading {
        let mut pages: Vec<Page> = Vec::new();
        let (mut first_etag, mut rest) = (None, None);
        for number in 1..=PAGES {
            let etag = state.etag.as_deref().filter(|_| number == 1);
            let fresh = match self.client.get(&events_feed::path(repo, number), etag).await {
                Answer::Fresh(fresh) => fresh,
                other => return not_fresh(other, repo),
            };
            let page = match events_feed::read(&fresh.body, repo) {
                Ok(page) => page,
                Err(error) => return Reading::Unreachable(format!("{repo}: {error}")),
            };
            if number == 1 {
                (first_etag, rest) = (fresh.etag, fresh.poll_interval);
            }
            let reached = state.newest.as_ref().is_some_and(|newest| page.reaches(newest));
            pages.push(page);
            if reached || !fresh.has_next {
                return Reading::Pages {
                    gap: !reached && state.newest.is_some() && pages.iter().any(|page| page.items > 0),
                    pages,
                    etag: first_etag,
                    pace: rest,
                };
            }
        }
        Reading::Pages {
            pages,
            etag: first_etag,
            pace: rest,
            gap: state.newest.is_some(),
        }
    }

    fn succeeded(&self, state: &mut PollState, serves: Timestamp, pace: Option<Duration>, now: Timestamp) {
        let asked = pace.unwrap_or(PACE).max(PACE);
        let repos = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        let pace = if self.client.has_token() {
            asked
        } else {
            asked.max(PACE_WITHOUT_TOKEN.saturating_mul(repos))
        };
        state.outcome = PollOutcome::Ok;
        state.failures = 0;
        state.serves = Some(serves);
        state.last_success_at = Some(now);
        state.next_poll_at = now.plus(pace);
    }
}

impl Reading {
    const fn not(outcome: PollOutcome) -> Self {
        Self::Not { outcome, until: None }
    }
}

fn not_fresh(answer: Answer, repo: &RepoName) -> Reading {
    match answer {
        Answer::NotModified { poll_interval } => Reading::Same { pace: poll_interval },
        Answer::Limited { until } => Reading::Not {
            outcome: PollOutcome::Limited,
            until: Some(until),
        },
        Answer::Denied(status) => {
            tracing::warn!(%repo, status = status.as_u16(), "GitHub does not show the events feed");
            Reading::not(PollOutcome::Denied)
        }
        Answer::NotFound => Reading::not(PollOutcome::NotFound),
        Answer::Moved | Answer::Fresh(_) => Reading::not(PollOutcome::Failed),
        Answer::Failed(reason) => Reading::Unreachable(format!("{repo}: {reason}")),
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

/// Polls for as long as it is polled itself. Dropping it loses nothing: a cursor moves only after what it covers was
/// recorded.
///
/// # Errors
/// If the cursors cannot be read at the start. Later faults are logged and tried again.
pub async fn run(ingest: Arc<Ingest>, client: Arc<Client>, lease: Lease) -> anyhow::Result<()> {
    let mut polls = Polls::open(ingest, client, lease).await?;
    loop {
        match polls.step().await {
            Ok(None) => {}
            Ok(Some(_)) => tokio::time::sleep(NAP).await,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "a poll could not be recorded");
                tokio::time::sleep(PACE).await;
            }
        }
    }
}
