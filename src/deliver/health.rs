//! How an endpoint fares, and so what it may be sent and when: its breaker, its room, its pace, and what it asked for. No I/O.

use domain::Timestamp;

use super::breaker::{Breaker, Change, May};
use super::pace::Pace;
use super::request::Outcome;
use super::room::Room;
use super::schedule;

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// How many requests may be under way.
    pub slots: usize,
    /// Not before this time; none: as far as the slots go, now.
    pub not_before: Option<Timestamp>,
}

/// What outlives the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Until when the receiver asked to be left alone.
    pub silent_until: Option<Timestamp>,
    /// Until when the breaker is open.
    pub open_until: Option<Timestamp>,
    /// How many times the breaker has opened without having closed meanwhile.
    pub openings: u32,
}

/// How one endpoint fares.
#[derive(Debug)]
pub struct Health {
    breaker: Breaker,
    room: Room,
    pace: Pace,
    silent_until: Option<Timestamp>,
}

impl Health {
    /// As it was left.
    pub fn left(kept: Kept) -> Self {
        Self {
            breaker: Breaker::left(kept.open_until, kept.openings),
            room: Room::new(),
            pace: Pace::default(),
            silent_until: kept.silent_until,
        }
    }

    /// What is to be kept.
    pub const fn to_keep(&self) -> Kept {
        let (open_until, openings) = self.breaker.to_keep();
        Kept {
            silent_until: self.silent_until,
            open_until,
            openings,
        }
    }

    /// Whether the breaker is not closed.
    pub fn is_broken(&self) -> bool {
        self.breaker.is_open()
    }

    /// What may be sent at `now`.
    pub fn gate(&self, now: Timestamp) -> Gate {
        let (slots, opens) = match self.breaker.may(now) {
            May::All => (self.room.slots(), None),
            May::One => (1, None),
            May::NotBefore(time) => (1, Some(time)),
            May::Await => (0, None),
        };
        let silent = self.silent_until.filter(|until| now < *until);
        Gate {
            slots,
            not_before: opens.max(silent).max(self.pace.next(now)),
        }
    }

    /// A request goes out at `now`.
    pub fn sent(&mut self, now: Timestamp) {
        self.breaker.sent();
        self.pace.sent(now);
    }

    /// What was to be sent was not, for a reason of our own.
    pub const fn unsent(&mut self) {
        self.breaker.unsent();
    }

    /// An attempt came to that, at `now`.
    pub fn note(&mut self, outcome: &Outcome, now: Timestamp, entropy: u64) -> Option<Change> {
        if let Some(asked) = outcome.asked_to_wait {
            self.silent_until = self.silent_until.max(Some(schedule::silent_until(now, asked)));
        }
        let failed = outcome.failure.is_some();
        self.room.note(failed, outcome.took);
        let change = if outcome.status == Some(429) {
            self.pace.slow_down(now);
            // It is there and says what it wants; whether it is well, the next message shows.
            self.breaker.unsent();
            None
        } else {
            self.breaker.note(failed, now, entropy)
        };
        if change == Some(Change::Closed) {
            self.room = Room::new();
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deliver::request::Failure;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_777_026_660 + secs)
    }

    fn outcome(status: u16, asked: Option<u64>) -> Outcome {
        Outcome {
            status: Some(status),
            failure: (status != 200).then_some(Failure::Status),
            took: Duration::from_millis(20),
            answer: Vec::new(),
            asked_to_wait: asked.map(Duration::from_secs),
        }
    }

    fn well() -> Health {
        let mut health = Health::left(Kept::default());
        (0..7).for_each(|_| _ = health.note(&outcome(200, None), at(0), 0));
        assert_eq!(health.gate(at(0)).slots, 8);
        health
    }

    #[test]
    fn a_wish_to_be_left_alone_is_kept_and_a_429_is_followed_by_a_pace() {
        let mut health = well();
        health.note(&outcome(503, Some(90)), at(0), 0);
        assert_eq!(health.gate(at(89)).not_before, Some(at(90)));
        assert_eq!(health.gate(at(90)).not_before, None);
        assert_eq!(Health::left(health.to_keep()).gate(at(89)).not_before, Some(at(90)));
        health.note(&outcome(429, None), at(100), 0);
        (0..4).for_each(|_| health.sent(at(100)));
        assert!(health.gate(at(100)).not_before.is_some());
    }

    #[test]
    fn many_answers_of_429_do_not_open_the_breaker_and_many_of_503_do() {
        let mut health = well();
        (0..40).for_each(|_| _ = health.note(&outcome(429, None), at(0), 0));
        assert!(!health.is_broken());
        (0..10).for_each(|_| _ = health.note(&outcome(503, None), at(0), 0));
        assert_eq!(health.gate(at(10)).not_before, Some(at(30)));
    }

    #[test]
    fn after_the_breaker_has_closed_it_begins_with_one_slot_and_doubles_them() {
        let mut health = well();
        (0..10).for_each(|_| _ = health.note(&outcome(500, None), at(0), 0));
        health.sent(at(30));
        assert_eq!(health.gate(at(30)).slots, 0);
        health.note(&outcome(200, None), at(30), 0);
        let mut slots = vec![health.gate(at(30)).slots];
        for _ in 0..7 {
            health.note(&outcome(200, None), at(30), 0);
            slots.push(health.gate(at(30)).slots);
        }
        assert_eq!(slots, [1, 2, 2, 4, 4, 4, 4, 8]);
    }
}
