//! How many requests an endpoint may have under way: few until it has shown that it takes them, and few while it takes long.
//! No I/O.

use std::collections::VecDeque;
use std::time::Duration;

/// Requests of one endpoint under way at the same time.
pub const MOST: usize = 8;

/// What an endpoint gets whose answers take long.
const SLOW: usize = 2;

/// Over this in the middle an endpoint counts as slow, and under this no longer.
const SLOW_FROM: Duration = Duration::from_secs(5);
const SLOW_UNTIL: Duration = Duration::from_secs(2);

/// How many of the newest times are looked at, and without how many nothing is said.
const LOOKED_AT: usize = 16;
const ENOUGH: usize = 5;

/// One endpoint's room.
#[derive(Debug)]
pub struct Room {
    /// 1, 2, 4, 8: doubled whenever as many have succeeded.
    slots: usize,
    succeeded: usize,
    times: VecDeque<Duration>,
    is_slow: bool,
}

impl Room {
    /// The room of an endpoint of which nothing is known, or that is just well again.
    pub const fn new() -> Self {
        Self {
            slots: 1,
            succeeded: 0,
            times: VecDeque::new(),
            is_slow: false,
        }
    }

    /// How many may be under way.
    pub fn slots(&self) -> usize {
        if self.is_slow { self.slots.min(SLOW) } else { self.slots }
    }

    /// An attempt ended after `took`.
    pub fn note(&mut self, failed: bool, took: Duration) {
        self.succeeded = if failed { 0 } else { self.succeeded + 1 };
        if self.succeeded >= self.slots {
            self.slots = (self.slots * 2).min(MOST);
            self.succeeded = 0;
        }
        if self.times.len() >= LOOKED_AT {
            self.times.pop_front();
        }
        self.times.push_back(took);
        // Almost always nothing has to be sorted.
        if self.is_slow || took > SLOW_FROM {
            self.judge();
        }
    }

    fn judge(&mut self) {
        if self.times.len() < ENOUGH {
            return;
        }
        let mut times: Vec<Duration> = self.times.iter().copied().collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        self.is_slow = median > if self.is_slow { SLOW_UNTIL } else { SLOW_FROM };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(20);

    #[test]
    fn it_begins_with_one_and_doubles_with_as_many_successes() {
        let mut room = Room::new();
        let mut seen = vec![room.slots()];
        for _ in 0..15 {
            room.note(false, QUICK);
            seen.push(room.slots());
        }
        assert_eq!(seen, [1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
        room.note(true, QUICK);
        assert_eq!(room.slots(), 8);
        let mut room = Room::new();
        (0..20).for_each(|_| room.note(true, QUICK));
        assert_eq!(room.slots(), 1);
    }

    #[test]
    fn an_endpoint_that_takes_long_gets_two_until_it_is_quick_again() {
        let mut room = Room::new();
        (0..20).for_each(|_| room.note(false, QUICK));
        (0..8).for_each(|_| room.note(false, Duration::from_secs(6)));
        assert_eq!(room.slots(), 2);
        // Not slow enough to become slow is still too slow to be quick again.
        (0..16).for_each(|_| room.note(false, Duration::from_secs(3)));
        assert_eq!(room.slots(), 2);
        (0..9).for_each(|_| room.note(false, QUICK));
        assert_eq!(room.slots(), 8);
    }

    #[test]
    fn a_few_slow_answers_say_nothing() {
        let mut room = Room::new();
        (0..4).for_each(|_| room.note(true, Duration::from_secs(15)));
        assert!(!room.is_slow);
        room.note(true, Duration::from_secs(15));
        assert!(room.is_slow);
    }
}
