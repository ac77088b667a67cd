//! Reads the events feed of a repository page after page, as far as something new may stand in it. Used by the polls.

use std::time::Duration;

use domain::{Collector, Timestamp};

use super::late_events::LateLook;
use super::poll_cursor::{PollOutcome, PollState};
use super::poll_repos::Tracked;
use super::sighting::unreadable;
use super::standing::Look;
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
        /// When the last events on the first page happened, if there are pages below it.
        below: Option<Timestamp>,
    },
    Same {
        pace: Option<Duration>,
    },
    Not(Refusal),
    /// The first pages; the one behind them was not answered so that the rest could be read.
    Part {
        pages: Vec<Page>,
        pace: Option<Duration>,
        refusal: Refusal,
    },
    /// No usable answer, for that reason; other feeds would have none either.
    Unreachable(String),
}

/// Why a feed, or a page of it, was not read.
pub(super) struct Refusal {
    pub outcome: PollOutcome,
    look: Look,
    /// Until when GitHub asks to wait.
    pub until: Option<Timestamp>,
}

/// Reads page after page until what was read before comes up. GitHub shows events late, below newer ones: with `late`, the pages
/// are read that may have one.
pub(super) async fn read(
    client: &Client,
    repo: &Tracked,
    state: &PollState,
    late: Option<&LateLook>,
    now: Timestamp,
) -> Reading {
    // A time that is yet to come tells nothing of how far was read.
    let newest = state.newest.as_ref().filter(|newest| newest.at <= now);
    let mut pages: Vec<Page> = Vec::new();
    let (mut first_etag, mut rest, mut is_moved, mut below) = (None, None, false, None);
    // That the first page is as it was tells nothing of those below it.
    let etag = state
        .etag
        .as_deref()
        .filter(|_| !late.is_some_and(|late| late.may_be_below));
    for number in 1..=PAGES {
        let etag = etag.filter(|_| number == 1);
        let fresh = match client.get(&events_feed::path(&repo.name, number), etag).await {
            Answer::Fresh(fresh) => fresh,
            other => return not_fresh(other, repo).after(pages, rest, repo),
        };
        match events_feed::read(&fresh.body, &repo.name, now) {
            Ok(page) => {
                unreadable(Collector::EventsFeed, page.broken);
                pages.push(page);
            }
            Err(error) => return Reading::Unreachable(error.to_string()).after(pages, rest, repo),
        }
        if number == 1 {
            (first_etag, rest, is_moved) = (fresh.etag, fresh.poll_interval, fresh.is_moved);
            below = events_feed::end(&pages).filter(|_| fresh.has_next);
        }
        let is_late = |mark: &Mark| late.is_some_and(|late| late.may_lack(mark.at));
        let is_read = newest.is_some_and(|newest| events_feed::reach(&pages, newest))
            && events_feed::end_in(&pages, |mark| !is_late(mark));
        if is_read || !fresh.has_next {
            break;
        }
    }
    let has_any = pages.iter().any(|page| page.items > 0);
    // What a feed that is not full does not show any more was read, unless nobody looked for as long as it stands there.
    let was_seen = state
        .last_success_at
        .is_some_and(|at| now.since(at) < events_feed::KEPT);
    let may_lack = has_any && (events_feed::is_full(&pages) || !was_seen);
    Reading::Pages {
        gap: may_lack && newest.is_some_and(|newest| !events_feed::join(&pages, newest)),
        pages,
        etag: first_etag,
        pace: rest,
        is_moved,
        below,
    }
}

impl Reading {
    const fn not(outcome: PollOutcome, look: Look) -> Self {
        Self::Not(Refusal::new(outcome, look))
    }

    /// The same of a page behind those: they were shown, and GitHub answers, so that this is the feed's own failure.
    fn after(self, pages: Vec<Page>, pace: Option<Duration>, repo: &Tracked) -> Self {
        if pages.is_empty() {
            return self;
        }
        let refusal = match self {
            Self::Not(refusal) => refusal,
            Self::Unreachable(reason) => {
                tracing::warn!(
                    repo_id = repo.id(),
                    reason,
                    "a later page of an events feed has no usable answer"
                );
                Refusal::new(PollOutcome::Failed, Look::SILENT)
            }
            // A page that nobody asked about cannot be the same.
            _ => Refusal::new(PollOutcome::Failed, Look::SILENT),
        };
        Self::Part { pages, pace, refusal }
    }

    /// What it says of the feed.
    pub(super) const fn look(&self) -> Look {
        match self {
            Self::Pages { .. } | Self::Same { .. } => Look::READ,
            Self::Not(refusal) | Self::Part { refusal, .. } => refusal.look,
            Self::Unreachable(_) => Look::SILENT,
        }
    }
}

impl Refusal {
    const fn new(outcome: PollOutcome, look: Look) -> Self {
        Self {
            outcome,
            look,
            until: None,
        }
    }
}

fn not_fresh(answer: Answer, repo: &Tracked) -> Reading {
    match answer {
        Answer::NotModified { poll_interval } => Reading::Same { pace: poll_interval },
        Answer::Limited { until } => Reading::Not(Refusal {
            until: Some(until),
            ..Refusal::new(PollOutcome::Limited, Look::LIMITED)
        }),
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
