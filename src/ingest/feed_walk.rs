//! Reads the events feed of a repository page after page, as far as something new may stand in it. Used by the polls.

use std::time::Duration;

use domain::Timestamp;

use super::poll_cursor::{PollOutcome, PollState};
use super::poll_repos::Tracked;
use super::standing::Look;
use super::star_count::FEED_LAG;
use crate::github::events_feed::{self, Mark, PAGES, Page};
use crate::github::{Answer, Client};

/// How a feed was read.
pub(super) enum Reading {
    Pages {
        pages: Vec<Page>,
        etag: Option<String>,
        pace: Option<Duration>,
        /// The feed ended before what was read the last time.
        gap: bool,
        /// The repository has another name by now.
        is_moved: bool,
    },
    Same {
        pace: Option<Duration>,
    },
    Not {
        outcome: PollOutcome,
        look: Look,
        until: Option<Timestamp>,
    },
    /// No usable answer, for that reason; other feeds would have none either.
    Unreachable(String),
}

/// Reads page after page until what was read before comes up. GitHub shows an event up to [`FEED_LAG`] late, below newer ones:
/// with `late_since`, when it was last looked for those, the pages are read that may have one since.
pub(super) async fn read(
    client: &Client,
    repo: &Tracked,
    state: &PollState,
    late_since: Option<Timestamp>,
    now: Timestamp,
) -> Reading {
    // A time that is yet to come tells nothing of how far was read.
    let newest = state.newest.as_ref().filter(|newest| newest.at <= now);
    let mut pages: Vec<Page> = Vec::new();
    let (mut first_etag, mut rest, mut is_moved) = (None, None, false);
    for number in 1..=PAGES {
        let etag = state.etag.as_deref().filter(|_| number == 1);
        let fresh = match client.get(&events_feed::path(&repo.name, number), etag).await {
            Answer::Fresh(fresh) => fresh,
            other => return not_fresh(other, repo),
        };
        match events_feed::read(&fresh.body, &repo.name, now) {
            Ok(page) => pages.push(page),
            Err(error) => return Reading::Unreachable(error.to_string()),
        }
        if number == 1 {
            (first_etag, rest, is_moved) = (fresh.etag, fresh.poll_interval, fresh.is_moved);
        }
        let is_late = |mark: &Mark| late_since.is_some_and(|since| since.since(mark.at) < FEED_LAG);
        let is_read = newest.is_some_and(|newest| events_feed::reach(&pages, newest))
            && events_feed::end_in(&pages, |mark| !is_late(mark));
        if is_read || !fresh.has_next {
            break;
        }
    }
    let has_any = pages.iter().any(|page| page.items > 0);
    Reading::Pages {
        gap: has_any && newest.is_some_and(|newest| !events_feed::join(&pages, newest)),
        pages,
        etag: first_etag,
        pace: rest,
        is_moved,
    }
}

impl Reading {
    const fn not(outcome: PollOutcome, look: Look) -> Self {
        Self::Not {
            outcome,
            look,
            until: None,
        }
    }

    /// What it says of the feed.
    pub(super) const fn look(&self) -> Look {
        match self {
            Self::Pages { .. } | Self::Same { .. } => Look::READ,
            Self::Not { look, .. } => *look,
            Self::Unreachable(_) => Look::SILENT,
        }
    }
}

fn not_fresh(answer: Answer, repo: &Tracked) -> Reading {
    match answer {
        Answer::NotModified { poll_interval } => Reading::Same { pace: poll_interval },
        Answer::Limited { until } => Reading::Not {
            outcome: PollOutcome::Limited,
            look: Look::LIMITED,
            until: Some(until),
        },
        Answer::Denied(status) => {
            tracing::warn!(
                repo_id = repo.id(),
                status = status.as_u16(),
                "GitHub does not show the events feed"
            );
            Reading::not(PollOutcome::Denied, Look::refused(status.as_u16()))
        }
        Answer::NotFound => Reading::not(PollOutcome::NotFound, Look::ABSENT),
        Answer::Moved | Answer::Fresh(_) => Reading::not(PollOutcome::Failed, Look::SILENT),
        Answer::Invalid(status) => Reading::Unreachable(format!("answered {}", status.as_u16())),
        Answer::Failed(reason) => Reading::Unreachable(reason),
    }
}
