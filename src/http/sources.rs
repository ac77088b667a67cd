//! Where activity comes from and how reading it went last, as the records of tracked repositories and keywords tell it.

use database::Database;
use domain::{AccountId, Collector, RepoName, ScanTarget, ScanTargets, SourceReason, SourceState, Timestamp};
use projections::sources::{self, SourceRow};
use serde::Serialize;
use ulid::Ulid;
use utoipa::ToSchema;

use super::error::ApiError;
use super::openapi::words;
use crate::ingest::poll_cursor::{PollOutcome, PollState, poll_states};
use crate::ingest::source_cursor::{self, SourceCursor};

/// Where activity comes from, and how reading it went last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActivitySource)]
pub(super) struct Source {
    #[schema(value_type = words::SignalCollector)]
    collector: Collector,
    #[schema(value_type = words::SourceState)]
    state: PollOutcome,
    #[schema(value_type = Option<words::Time>, required)]
    last_success_at: Option<Timestamp>,
    /// When the source last showed less than had happened since the look before.
    #[schema(value_type = Option<words::Time>, required)]
    last_gap_at: Option<Timestamp>,
    /// What the log says of the source; null: nothing yet, or it is the feeds of several repositories.
    #[schema(required)]
    standing: Option<Standing>,
}

/// How a source works, as the log has it: what comes and goes within minutes is not told there.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = SourceStanding)]
struct Standing {
    #[schema(value_type = words::SourceStandingState)]
    state: SourceState,
    #[schema(value_type = words::SourceReason)]
    reason: SourceReason,
    #[schema(value_type = words::Time)]
    since: Timestamp,
}

impl From<&SourceRow> for Standing {
    fn from(row: &SourceRow) -> Self {
        Self {
            state: row.state,
            reason: row.reason,
            since: row.since,
        }
    }
}

/// What the polls say of the sources, and what the account was told of them.
pub(super) struct Polls {
    account: AccountId,
    feeds: Vec<PollState>,
    cursors: Vec<SourceCursor>,
    told: Vec<SourceRow>,
}

impl Polls {
    /// Reads what they say now.
    pub(super) async fn read(store: &dyn Database, views: &dyn Database, account: AccountId) -> Result<Self, ApiError> {
        Ok(Self {
            account,
            feeds: poll_states(store).await?,
            cursors: source_cursor::all(store).await?,
            told: sources::list(views, account).await?,
        })
    }

    /// The sources of a repository, the feed first; one that the polls do not know yet waits for its first look.
    pub(super) fn of_repo(&self, repo: &RepoName, id: Ulid) -> Vec<Source> {
        let mut feed = self.feed(repo);
        let standing = |row: &&SourceRow| row.subject == id && row.collector == Collector::EventsFeed;
        feed.standing = self.told.iter().find(standing).map(Standing::from);
        let subjects = self.keys(&repo.key()).map(|key| source_cursor::of_repo(&key));
        std::iter::once(feed).chain(self.told_of(id, subjects)).collect()
    }

    /// The sources of a keyword, besides the feeds: those that were told of, and those of its targets that were looked at and not
    /// told of yet.
    pub(super) fn of_keyword(&self, folded: &str, id: Ulid, targets: &ScanTargets) -> Vec<Source> {
        let subjects = self.keys(folded).map(|key| source_cursor::of_keyword(&key));
        let mut sources: Vec<Source> = self.told_of(id, subjects.clone()).collect();
        for search in targets.iter().map(ScanTarget::search) {
            if sources.iter().all(|source| source.collector != search) {
                let is_of_it =
                    |cursor: &&SourceCursor| subjects.contains(&cursor.subject) && cursor.collector == search;
                sources.extend(self.cursors.iter().find(is_of_it).map(untold));
            }
        }
        sources
    }

    /// What the name stands for, read with the account's own token or with the host's.
    fn keys(&self, name: &str) -> [String; 2] {
        [Some(self.account), None].map(|account| source_cursor::key(account, name))
    }

    fn told_of(&self, id: Ulid, subjects: [String; 2]) -> impl Iterator<Item = Source> {
        let told = self.told.iter();
        let told = told.filter(move |row| row.subject == id && row.collector != Collector::EventsFeed);
        told.map(move |row| {
            let is_of_it =
                |cursor: &&SourceCursor| subjects.contains(&cursor.subject) && cursor.collector == row.collector;
            let cursors = || self.cursors.iter().filter(is_of_it);
            Source {
                collector: row.collector,
                state: outcome(row),
                last_success_at: cursors().filter_map(|cursor| cursor.last_success_at).max(),
                last_gap_at: cursors().filter_map(|cursor| cursor.last_gap_at).max(),
                standing: Some(Standing::from(row)),
            }
        })
    }

    fn feed(&self, repo: &RepoName) -> Source {
        let keys = self.keys(&repo.key());
        let polls = self.feeds.iter().filter(|poll| keys.contains(&poll.repo));
        // Of the two, the one that is still read.
        let poll = polls.max_by_key(|poll| poll.next_poll_at);
        Source {
            collector: Collector::EventsFeed,
            state: poll.map_or(PollOutcome::Waiting, |poll| poll.outcome),
            last_success_at: poll.and_then(|poll| poll.last_success_at),
            last_gap_at: poll.and_then(|poll| poll.last_gap_at),
            standing: None,
        }
    }

    /// The feeds of several repositories as one source, which is as well as the best of them; none if there are none.
    pub(super) fn feeds<'a>(&self, repos: impl Iterator<Item = &'a RepoName>) -> Option<Source> {
        repos.map(|repo| self.feed(repo)).reduce(|one, other| Source {
            collector: one.collector,
            state: if rank(other.state) < rank(one.state) {
                other.state
            } else {
                one.state
            },
            last_success_at: one.last_success_at.max(other.last_success_at),
            last_gap_at: one.last_gap_at.max(other.last_gap_at),
            standing: None,
        })
    }
}

impl Source {
    /// Whether it is read, or will be in its turn.
    pub(super) const fn is_read(&self) -> bool {
        rank(self.state) < rank(PollOutcome::Failed)
    }
}

/// A source of which the log says nothing yet.
const fn untold(cursor: &SourceCursor) -> Source {
    let state = match (cursor.failures, cursor.last_success_at) {
        (0, Some(_)) => PollOutcome::Ok,
        (0, None) => PollOutcome::Waiting,
        _ => PollOutcome::Failed,
    };
    Source {
        collector: cursor.collector,
        state,
        last_success_at: cursor.last_success_at,
        last_gap_at: cursor.last_gap_at,
        standing: None,
    }
}

/// The word for the last look that fits what the log says.
const fn outcome(row: &SourceRow) -> PollOutcome {
    match (row.state, row.reason) {
        (SourceState::Active, _) => PollOutcome::Ok,
        (SourceState::RateLimited, _) => PollOutcome::Limited,
        (SourceState::Unavailable, SourceReason::NotFound) => PollOutcome::NotFound,
        (SourceState::Unavailable, SourceReason::Private) | (SourceState::Restricted, _) => PollOutcome::Denied,
        (SourceState::Unavailable, _) => PollOutcome::Failed,
    }
}

/// The smaller, the better.
const fn rank(state: PollOutcome) -> u8 {
    match state {
        PollOutcome::Ok => 0,
        PollOutcome::Limited => 1,
        PollOutcome::Waiting => 2,
        PollOutcome::Failed => 3,
        PollOutcome::Denied => 4,
        PollOutcome::NotFound => 5,
    }
}
