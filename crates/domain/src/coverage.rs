//! How much of a repository's growth in stars was captured: held against GitHub's public count since tracking began.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Event, StarsCounted, StarsUnattributed};
use crate::{RepoId, Timestamp};

/// Between two events about stars that nobody told us of.
const INTERVAL: Duration = Duration::from_hours(24);

/// The public number of stars at a moment, and what had been captured of its growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StarCount {
    /// Stars, as GitHub counts them.
    pub stars: u64,
    /// When they were counted.
    pub counted_at: Timestamp,
    /// Stars captured that were given after the first count and no later than this one.
    pub captured: u64,
}

/// What is known of a repository's stars.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StarCoverage {
    /// The count that the growth is measured from, and its time.
    first: Option<(u64, Timestamp)>,
    /// When something was last recorded.
    told_at: Timestamp,
    /// What was last said to be unattributed.
    unattributed: u64,
}

impl StarCoverage {
    /// What there is to record. The first count is what growth is measured from; after that only that more or fewer stars
    /// are unattributed than was said, once a day at most. Stars taken back make the growth smaller than what was given; then
    /// nothing is said to be missing.
    pub fn counted(&self, repo_id: RepoId, count: StarCount) -> Option<Event> {
        let StarCount {
            stars,
            counted_at,
            captured,
        } = count;
        let Some((first, _)) = self.first else {
            let event = StarsCounted {
                repo_id,
                stars,
                counted_at,
            };
            return Some(event.into());
        };
        let growth = stars.saturating_sub(first);
        let unattributed = growth.saturating_sub(captured);
        let is_due = counted_at.since(self.told_at) >= INTERVAL;
        (is_due && unattributed != self.unattributed).then(|| {
            StarsUnattributed {
                repo_id,
                stars,
                counted_at,
                growth,
                captured,
                unattributed,
            }
            .into()
        })
    }

    pub(crate) fn evolve(&mut self, event: &Event) {
        match event {
            Event::StarsCounted(counted) => {
                self.first = Some((counted.stars, counted.counted_at));
                self.told_at = counted.counted_at;
            }
            Event::StarsUnattributed(told) => {
                self.told_at = told.counted_at;
                self.unattributed = told.unattributed;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    /// Counts and takes note; what was recorded of it.
    fn count(coverage: &mut StarCoverage, hour: i64, stars: u64, captured: u64) -> Option<Event> {
        let count = StarCount {
            stars,
            counted_at: Timestamp::from_secs(1_000_000 + hour * 3600),
            captured,
        };
        let event = coverage.counted(RepoId::new(Ulid::from_parts(1, 1)), count);
        if let Some(event) = &event {
            coverage.evolve(event);
        }
        event
    }

    fn unattributed(event: Option<Event>) -> Option<(u64, u64)> {
        match event {
            Some(Event::StarsUnattributed(told)) => Some((told.growth, told.unattributed)),
            None => None,
            Some(other) => panic!("{}", other.name()),
        }
    }

    #[test]
    fn what_nobody_told_us_of_is_told_once_a_day_at_most_and_taken_back_when_it_turns_up() {
        let mut coverage = StarCoverage::default();
        assert_eq!(count(&mut coverage, 0, 100, 0).unwrap().name(), "StarsCounted");
        assert_eq!(unattributed(count(&mut coverage, 6, 110, 4)), None, "less than a day");
        assert_eq!(unattributed(count(&mut coverage, 24, 120, 8)), Some((20, 12)));
        assert_eq!(unattributed(count(&mut coverage, 30, 150, 8)), None);
        assert_eq!(unattributed(count(&mut coverage, 48, 120, 8)), None, "as was said");
        assert_eq!(unattributed(count(&mut coverage, 72, 121, 21)), Some((21, 0)));
    }

    #[test]
    fn full_coverage_and_stars_taken_back_need_no_words() {
        let mut coverage = StarCoverage::default();
        count(&mut coverage, 0, 100, 0);
        assert_eq!(unattributed(count(&mut coverage, 30, 130, 30)), None);
        assert_eq!(unattributed(count(&mut coverage, 60, 90, 35)), None);
    }
}
