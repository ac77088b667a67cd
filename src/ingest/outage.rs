//! GitHub out of reach: everything of one kind pauses, not only what was asked for. Used by the polls and the enrichment.

use std::time::Duration;

use domain::Timestamp;

const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Failures in a row, whatever was asked for, and the pause they led to. It does not outlive the process.
#[derive(Debug)]
pub struct Outage {
    /// What pauses, for the operator.
    what: &'static str,
    failures: u32,
    until: Option<Timestamp>,
}

impl Outage {
    /// None so far.
    pub const fn none(what: &'static str) -> Self {
        Self {
            what,
            failures: 0,
            until: None,
        }
    }

    /// Until when nothing is asked for, if that is so now.
    pub fn pausing(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }

    /// No usable answer: a minute's pause that doubles from one failure to the next, an hour at most. Only the first
    /// of a row is told of; `reason` names no person.
    pub fn failed(&mut self, reason: &str, now: Timestamp) {
        if self.failures == 0 {
            tracing::warn!(reason, "no usable answer from GitHub: the {} pauses", self.what);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now.plus(pause));
    }

    /// GitHub answered.
    pub fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!(
                failures = self.failures,
                "GitHub answers again: the {} goes on",
                self.what
            );
        }
        *self = Self::none(self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_an_hour_and_begins_anew_after_an_answer() {
        let now = Timestamp::from_secs(1_000_000);
        let mut outage = Outage::none("test");
        assert_eq!(outage.pausing(now), None);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            outage.failed("answered 502", now);
            let until = now.plus(Duration::from_mins(minutes));
            assert_eq!((outage.pausing(now), outage.pausing(until)), (Some(until), None));
        }
        outage.over();
        assert_eq!(outage.pausing(now), None);
        outage.failed("answered 502", now);
        assert_eq!(outage.pausing(now), Some(now.plus(Duration::from_mins(1))));
    }
}
