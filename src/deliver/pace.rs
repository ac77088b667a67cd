//! How fast an endpoint takes requests that has said that they come too fast: a rate that is halved with every 429 and grows
//! by a tenth a second, until there is none any more. An endpoint that never said so has none. No I/O.

use std::time::Duration;

use domain::Timestamp;

/// The time between two requests after the first 429: ten a second.
const FIRST: Duration = Duration::from_millis(100);

/// The longest time between two: one in ten seconds.
const LONGEST: Duration = Duration::from_secs(10);

/// Requests that are closer together than this go unhindered.
const NONE: Duration = Duration::from_millis(1);

/// So many may come at once, after a pause.
const BURST: u32 = 4;

/// One endpoint's pace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace(Option<Limit>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit {
    /// The time between two requests, as it was at `since`.
    interval: Duration,
    since: Timestamp,
    /// When the next request would be due if all before had come evenly.
    due: Timestamp,
}

impl Pace {
    /// The receiver said at `now` that requests come too fast.
    pub fn slow_down(&mut self, now: Timestamp) {
        let interval = match self.interval(now) {
            // Said of requests that were under way together: once.
            Some(_)
                if self
                    .0
                    .is_some_and(|limit| now.since(limit.since) < Duration::from_secs(1)) =>
            {
                return;
            }
            Some(interval) => (interval * 2).min(LONGEST),
            None => FIRST,
        };
        let due = now.plus(interval);
        self.0 = Some(Limit {
            interval,
            since: now,
            due,
        });
    }

    /// The earliest time for the next request.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let interval = self.interval(now)?;
        let due = self.0?.due;
        let ahead = due.since(now);
        let allowed = interval * (BURST - 1);
        (ahead > allowed).then(|| now.plus(ahead.saturating_sub(allowed)))
    }

    /// A request goes out at `now`.
    pub fn sent(&mut self, now: Timestamp) {
        let interval = self.interval(now);
        match (&mut self.0, interval) {
            (Some(limit), Some(interval)) => limit.due = limit.due.max(now).plus(interval),
            (limit, _) => *limit = None,
        }
    }

    /// The time between two requests at `now`; none: they go unhindered.
    fn interval(&self, now: Timestamp) -> Option<Duration> {
        let limit = self.0?;
        let mut interval = limit.interval;
        for _ in 0..now.since(limit.since).as_secs() {
            interval = interval * 10 / 11;
            if interval <= NONE {
                return None;
            }
        }
        Some(interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_777_026_660_000_000 + millis * 1_000)
    }

    /// How many requests go out from one time to another, each as early as it may.
    fn sent(pace: &mut Pace, from: i64, to: i64) -> usize {
        let mut now = at(from);
        let mut count = 0;
        while let Some(next) = Some(pace.next(now).unwrap_or(now)).filter(|next| *next < at(to) && count < 10_000) {
            now = next;
            pace.sent(now);
            count += 1;
        }
        count
    }

    #[test]
    fn without_a_429_nothing_is_held_back() {
        let mut pace = Pace::default();
        assert_eq!(pace.next(at(0)), None);
        pace.sent(at(0));
        assert_eq!(pace, Pace::default());
    }

    #[test]
    fn after_the_first_429_it_is_ten_a_second_with_a_small_burst_and_grows_by_a_tenth_a_second() {
        let mut pace = Pace::default();
        pace.slow_down(at(0));
        let seconds: Vec<usize> = (0..4)
            .map(|second| sent(&mut pace, second * 1_000, second * 1_000 + 1_000))
            .collect();
        assert_eq!(seconds, [12, 11, 12, 13]);
        assert_eq!(pace.next(at(60_000)), None);
        pace.sent(at(60_000));
        assert_eq!(pace, Pace::default());
    }

    #[test]
    fn a_further_429_halves_it_but_those_of_one_second_do_so_once() {
        let mut pace = Pace::default();
        pace.slow_down(at(0));
        for millis in [1, 500, 999] {
            pace.slow_down(at(millis));
        }
        assert_eq!(pace.interval(at(999)), Some(FIRST));
        pace.slow_down(at(1_000));
        assert_eq!(pace.interval(at(1_000)), Some(FIRST * 10 / 11 * 2));
        for second in 2..20 {
            pace.slow_down(at(second * 1_000));
        }
        assert_eq!(pace.interval(at(19_000)), Some(LONGEST));
    }
}
