//! Where activity comes from and how reading it went last, as the records of tracked repositories and keywords tell it.

use database::{Database, DatabaseError};
use domain::{Collector, RepoName, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::words;
use crate::ingest::poll_cursor::{PollOutcome, PollState, poll_states};

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
}

/// What the polls say of the events feeds.
pub(super) struct Polls(Vec<PollState>);

impl Polls {
    /// Reads what they say now.
    pub(super) async fn read(store: &dyn Database) -> Result<Self, DatabaseError> {
        poll_states(store).await.map(Self)
    }

    /// The feed of a repository; one that the polls do not know yet waits for its first.
    pub(super) fn feed(&self, repo: &RepoName) -> Source {
        let key = repo.key();
        let poll = self.0.iter().find(|poll| poll.repo == key);
        Source {
            collector: Collector::EventsFeed,
            state: poll.map_or(PollOutcome::Waiting, |poll| poll.outcome),
            last_success_at: poll.and_then(|poll| poll.last_success_at),
            last_gap_at: poll.and_then(|poll| poll.last_gap_at),
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
        })
    }
}

impl Source {
    /// Whether it is read, or will be in its turn.
    pub(super) const fn is_read(&self) -> bool {
        rank(self.state) < rank(PollOutcome::Failed)
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
