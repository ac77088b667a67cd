//! How well the sources of a tracked repository or keyword work, and when a change of that is worth an event.
//!
//! Used by both aggregates that are fed by sources. A source may answer and refuse by turns, and each poll sees it: the
//! rule in [`Sources::is_news`] keeps that out of the log.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signal::words;
use crate::{Collector, Keyword, KeywordId, RepoId, RepoName, Timestamp};

words!(
    /// How a source works.
    SourceState {
        /// It is read.
        Active = "active",
        /// GitHub does not show it to us.
        Restricted = "restricted",
        /// GitHub asks to wait.
        RateLimited = "rate_limited",
        /// It is not there, or does not answer.
        Unavailable = "unavailable",
    }
    all = "active, restricted, rate_limited, unavailable"
);

words!(
    /// Why a source is in its state.
    SourceReason {
        /// It answers.
        Answered = "answered",
        /// GitHub does not take the token (401).
        Unauthorized = "unauthorized",
        /// GitHub refuses it to the token (403).
        Forbidden = "forbidden",
        /// GitHub knows no such thing, or hides it (404, 410).
        NotFound = "not_found",
        /// GitHub must not show it (451).
        Legal = "legal",
        /// It is private: what happens there is nobody's to hear of, whoever may see it.
        Private = "private",
        /// The list is empty though the public count is not zero.
        Empty = "empty",
        /// The requests that GitHub grants are used up.
        RateLimit = "rate_limit",
        /// No answer, or none that can be used.
        NoAnswer = "no_answer",
        /// Nobody gave us a token that GitHub would show it to.
        NoToken = "no_token",
    }
    all = "answered, unauthorized, forbidden, not_found, legal, private, empty, rate_limit, no_answer, no_token"
);

/// What a source feeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceSubject {
    /// A tracked repository.
    Repo {
        /// Its id.
        id: RepoId,
        /// Its name, as the customer spelt it.
        full_name: RepoName,
    },
    /// A tracked keyword.
    Keyword {
        /// Its id.
        id: KeywordId,
        /// The phrase, as the customer spelt it.
        keyword: Keyword,
    },
}

/// How a source was seen to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The source.
    pub collector: Collector,
    /// How it works.
    pub state: SourceState,
    /// Why.
    pub reason: SourceReason,
    /// Since when every look has shown the same.
    pub since: Timestamp,
    /// When the last look was.
    pub seen_at: Timestamp,
}

/// What was last recorded of each source of one thing.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(BTreeMap<Collector, Standing>);

/// What was last recorded of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    state: SourceState,
    reason: SourceReason,
    since: Timestamp,
    /// Changes in a row of which each came within a day of the one before.
    restless: u32,
}

/// So long a new state has to hold before it is recorded, unless it is told at once.
pub const SETTLE: Duration = Duration::from_mins(10);
/// The time to settle doubles with each change that comes sooner than this after the one before.
const CALM: Duration = Duration::from_hours(24);
/// It doubles so often at most: 21 hours.
const MOST_DOUBLINGS: u32 = 7;

impl Sources {
    /// Whether the observation is to be recorded: it says something new, and it has held for ten minutes, doubled for each of
    /// the last changes that came within a day of one another. So a source that comes and goes is told of eight times a day
    /// at most. What GitHub itself says (it answers, refuses, knows of no such thing) is told at once where the source has
    /// been quiet for that time; that GitHub is silent or asks to wait passes too often to be told at once.
    pub fn is_news(&self, seen: &Observation) -> bool {
        let held = seen.seen_at.since(seen.since);
        let is_said = !matches!(seen.reason, SourceReason::RateLimit | SourceReason::NoAnswer);
        let Some(known) = self.0.get(&seen.collector) else {
            return is_said || held >= SETTLE;
        };
        if (known.state, known.reason) == (seen.state, seen.reason) {
            return false;
        }
        let settle = SETTLE.saturating_mul(1 << known.restless.min(MOST_DOUBLINGS));
        let was_quiet = seen.since.since(known.since) >= settle;
        (is_said && was_quiet) || held >= settle
    }

    /// Takes note of a recorded change.
    pub(crate) fn note(&mut self, changed: &crate::event::SourceStateChanged) {
        let restless = self.0.get(&changed.collector).map_or(0, |known| {
            if changed.since.since(known.since) < CALM {
                known.restless.saturating_add(1)
            } else {
                0
            }
        });
        let standing = Standing {
            state: changed.state,
            reason: changed.reason,
            since: changed.since,
            restless,
        };
        self.0.insert(changed.collector, standing);
    }
}

impl Observation {
    /// The event that records it.
    pub(crate) fn recorded(self, subject: SourceSubject) -> crate::Event {
        crate::event::SourceStateChanged {
            subject,
            collector: self.collector,
            state: self.state,
            reason: self.reason,
            since: self.since,
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + minute * 60)
    }

    fn seen(reason: SourceReason, since: i64, now: i64) -> Observation {
        let state = match reason {
            SourceReason::Answered => SourceState::Active,
            SourceReason::RateLimit => SourceState::RateLimited,
            SourceReason::NoAnswer => SourceState::Unavailable,
            _ => SourceState::Restricted,
        };
        Observation {
            collector: Collector::EventsFeed,
            state,
            reason,
            since: at(since),
            seen_at: at(now),
        }
    }

    /// Looks once and records what is news.
    fn look(sources: &mut Sources, seen: Observation) -> bool {
        let is_news = sources.is_news(&seen);
        if is_news {
            let subject = SourceSubject::Repo {
                id: RepoId::new(Ulid::from_parts(1, 1)),
                full_name: "acme/sdk".parse().unwrap(),
            };
            let crate::Event::SourceStateChanged(changed) = seen.recorded(subject) else {
                panic!("another event");
            };
            sources.note(&changed);
        }
        is_news
    }

    #[test]
    fn what_github_says_is_told_at_once_and_only_once() {
        use SourceReason::{Answered, Forbidden};
        let mut sources = Sources::default();
        assert!(look(&mut sources, seen(Answered, 0, 0)));
        assert!(!look(&mut sources, seen(Answered, 0, 600)));
        assert!(look(&mut sources, seen(Forbidden, 601, 601)));
        assert!(!look(&mut sources, seen(Forbidden, 601, 700)));
        assert!(look(&mut sources, seen(Answered, 701, 701)));
    }

    #[test]
    fn silence_and_limits_are_told_only_if_they_last() {
        use SourceReason::{Answered, NoAnswer, RateLimit};
        let mut sources = Sources::default();
        assert!(!look(&mut sources, seen(NoAnswer, 0, 9)), "nothing is known yet either");
        assert!(look(&mut sources, seen(Answered, 10, 10)));
        assert!(!look(&mut sources, seen(RateLimit, 1_000, 1_009)));
        assert!(look(&mut sources, seen(RateLimit, 1_000, 1_010)));
    }

    #[test]
    fn another_reason_for_the_same_state_is_news() {
        use SourceReason::{Forbidden, NotFound};
        let mut sources = Sources::default();
        assert!(look(&mut sources, seen(Forbidden, 0, 0)));
        assert!(look(&mut sources, seen(NotFound, 60, 60)));
    }

    #[test]
    fn a_source_that_comes_and_goes_is_told_of_eight_times_a_day_at_most() {
        use SourceReason::{Answered, Forbidden};
        for period in [1, 7, 11, 23, 60, 200] {
            let mut sources = Sources::default();
            let (mut told, mut since) = (0, 0);
            for minute in 0..24 * 60 {
                let reason = if minute / period % 2 == 0 { Answered } else { Forbidden };
                if minute % period == 0 {
                    since = minute;
                }
                told += i32::from(look(&mut sources, seen(reason, since, minute)));
            }
            assert!((1..=8).contains(&told), "every {period} minutes: {told}");
        }
    }
}
