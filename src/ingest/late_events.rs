//! Events that GitHub shows late, below newer ones: when they are looked for, and how far down. Used by the polls.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;

use super::poll_cursor::PollState;
use super::star_count::FEED_LAG;

/// When which feed was last looked through for late events. It does not outlive the process.
#[derive(Debug, Default)]
pub(super) struct LateEvents {
    looks: HashMap<String, Timestamp>,
    /// When the last events on the first page happened, if there are pages below it, as of the last reading.
    below: HashMap<String, Option<Timestamp>>,
}

/// A look for late events.
#[derive(Debug)]
pub(super) struct LateLook {
    /// When the look before was, or one that came soon after it.
    since: Timestamp,
    /// How long before that an event happened that was not shown then.
    lag: Duration,
    /// Whether there may be some below the first page, even where that is as it was.
    pub may_be_below: bool,
}

impl LateLook {
    /// Whether an event of that time may not have been shown at the look before.
    pub fn may_lack(&self, at: Timestamp) -> bool {
        self.since.since(at) < self.lag
    }
}

impl LateEvents {
    /// The look that is due in a feed, if each is due so often.
    pub fn due(&self, state: &PollState, every: Duration, now: Timestamp) -> Option<LateLook> {
        let (since, lag) = match (self.looks.get(&state.repo), state.last_success_at) {
            (Some(at), _) if now.since(*at) < every => return None,
            (Some(at), _) => (*at, FEED_LAG),
            // Another process looked, at most so long before it last read the feed.
            (None, Some(at)) => (at, FEED_LAG + every),
            (None, None) => (now, FEED_LAG),
        };
        let newest = || state.newest.as_ref().map(|mark| mark.at);
        let below = self.below.get(&state.repo).copied().unwrap_or_else(newest);
        let mut look = LateLook {
            since,
            lag,
            may_be_below: false,
        };
        look.may_be_below = below.is_some_and(|at| look.may_lack(at));
        Some(look)
    }

    /// They were looked for.
    pub fn looked(&mut self, repo: &str, now: Timestamp) {
        self.looks.insert(repo.to_owned(), now);
    }

    /// Where the first page of a feed ends, if there are pages below it.
    pub fn ends(&mut self, repo: &str, below: Option<Timestamp>) {
        self.below.insert(repo.to_owned(), below);
    }

    /// Nobody tracks it any more.
    pub fn forget(&mut self, repo: &str) {
        self.looks.remove(repo);
        self.below.remove(repo);
    }
}
