//! Whether an endpoint is worth a request at all: after many failures nothing is sent to it for a while, then one real
//! message tries it. No I/O; the ways of it are in record 14.

use std::collections::VecDeque;
use std::time::Duration;

use domain::Timestamp;

/// So many failures, one behind the other, open it …
const IN_A_ROW: u32 = 10;

/// … as does this share, in tenths, of at least so many attempts within `WINDOW`.
const TENTHS: u32 = 7;
const AT_LEAST: u32 = 20;
const WINDOW: Duration = Duration::from_mins(1);

/// What the window is counted in.
const SPAN_SECS: i64 = 5;

/// How long nothing is sent: at first, and at most. Up to a fifth is added, so that not all are tried at one moment.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Whatever is due.
    All,
    /// One message: it shows whether the endpoint is well again.
    One,
    /// Nothing before this time.
    NotBefore(Timestamp),
    /// Nothing before that one message has come to its end.
    Await,
}

/// What an outcome changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened: nothing is sent for a while.
    Opened,
    /// It closed: the endpoint is well again.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Closed,
    Open(Timestamp),
    Probing,
}

/// Attempts that ended within one span of the window.
#[derive(Debug, Clone, Copy)]
struct Span {
    number: i64,
    all: u32,
    failed: u32,
}

/// One endpoint's breaker.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
    /// How many times it has opened without having closed meanwhile.
    openings: u32,
    in_a_row: u32,
    window: VecDeque<Span>,
}

impl Breaker {
    /// A breaker as it was left: open until then, for the so-manieth time.
    pub fn left(open_until: Option<Timestamp>, openings: u32) -> Self {
        Self {
            state: open_until.map_or(State::Closed, State::Open),
            openings,
            ..Self::default()
        }
    }

    /// Until when it is open, and for the how-manieth time; to be kept. A probe that nobody knows the end of is made again.
    pub const fn to_keep(&self) -> (Option<Timestamp>, u32) {
        let until = match self.state {
            State::Closed => None,
            State::Open(until) => Some(until),
            State::Probing => Some(Timestamp::from_micros(0)),
        };
        (until, self.openings)
    }

    /// Whether it is not closed.
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// What may be sent at `now`.
    pub fn may(&self, now: Timestamp) -> May {
        match self.state {
            State::Closed => May::All,
            State::Open(until) if now < until => May::NotBefore(until),
            State::Open(_) => May::One,
            State::Probing => May::Await,
        }
    }

    /// Something is being sent: if only one message may be, this is it.
    pub fn sent(&mut self) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Probing;
        }
    }

    /// What was to be sent was not, for a reason of our own: it shows nothing.
    pub const fn unsent(&mut self) {
        if matches!(self.state, State::Probing) {
            self.state = State::Open(Timestamp::from_micros(0));
        }
    }

    /// An attempt ended at `now`; `entropy` says how much is added to the pause.
    pub fn note(&mut self, failed: bool, now: Timestamp, entropy: u64) -> Option<Change> {
        match (self.state, failed) {
            // Of before it opened: it has had its say.
            (State::Open(_), _) => None,
            (State::Probing, true) => {
                self.open(now, entropy);
                Some(Change::Opened)
            }
            (State::Probing, false) => {
                *self = Self::default();
                Some(Change::Closed)
            }
            (State::Closed, failed) => {
                self.count(failed, now);
                if !failed || !self.is_too_much() {
                    return None;
                }
                self.open(now, entropy);
                Some(Change::Opened)
            }
        }
    }

    fn count(&mut self, failed: bool, now: Timestamp) {
        self.in_a_row = if failed { self.in_a_row.saturating_add(1) } else { 0 };
        let number = now.secs().div_euclid(SPAN_SECS);
        let kept = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX) / SPAN_SECS;
        while self.window.front().is_some_and(|span| span.number <= number - kept) {
            self.window.pop_front();
        }
        if self.window.back().is_none_or(|span| span.number != number) {
            let (all, failed) = (0, 0);
            self.window.push_back(Span { number, all, failed });
        }
        if let Some(span) = self.window.back_mut() {
            span.all += 1;
            span.failed += u32::from(failed);
        }
    }

    fn is_too_much(&self) -> bool {
        let sum = |part: fn(&Span) -> u32| self.window.iter().map(part).sum::<u32>();
        let (all, failed) = (sum(|span| span.all), sum(|span| span.failed));
        self.in_a_row >= IN_A_ROW || (all >= AT_LEAST && failed * 10 >= all * TENTHS)
    }

    fn open(&mut self, now: Timestamp, entropy: u64) {
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.openings.min(10))
            .min(LONGEST_PAUSE);
        let spread = u64::try_from((pause / 5).as_millis()).unwrap_or(u64::MAX);
        let added = Duration::from_millis(entropy % spread.saturating_add(1));
        *self = Self::left(Some(now.plus(pause + added)), self.openings.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_777_026_660 + secs)
    }

    fn fail(breaker: &mut Breaker, times: u32, secs: i64) -> Option<Change> {
        (0..times).fold(None, |_, _| breaker.note(true, at(secs), 0))
    }

    #[test]
    fn ten_failures_in_a_row_open_it_and_a_success_between_does_not_let_them() {
        let mut breaker = Breaker::default();
        assert_eq!(fail(&mut breaker, 9, 0), None);
        assert_eq!(breaker.note(false, at(0), 0), None);
        assert_eq!(fail(&mut breaker, 9, 0), None);
        assert_eq!(breaker.may(at(0)), May::All);
        assert_eq!(fail(&mut breaker, 1, 0), Some(Change::Opened));
        assert_eq!(breaker.may(at(29)), May::NotBefore(at(30)));
        assert_eq!(breaker.may(at(30)), May::One);
    }

    #[test]
    fn seven_of_ten_within_a_minute_open_it_once_there_were_twenty() {
        // Two successes, then five failures, and so on: 14 of 20 have failed.
        let outcomes = |count: u32| (0..count).map(|number| number % 7 >= 2);
        let mut breaker = Breaker::default();
        let changes: Vec<_> = outcomes(19)
            .filter_map(|failed| breaker.note(failed, at(0), 0))
            .collect();
        assert_eq!(changes, []);
        assert_eq!(breaker.note(true, at(10), 0), Some(Change::Opened));
        // Spread over more than a minute they do not.
        let mut breaker = Breaker::default();
        let spread = (0..)
            .zip(outcomes(200))
            .filter_map(|(number, failed)| breaker.note(failed, at(number * 4), 0));
        assert_eq!(spread.count(), 0);
    }

    #[test]
    fn one_message_tries_it_and_each_failure_doubles_the_pause_up_to_a_quarter_of_an_hour() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 10, 0);
        let mut now = 0;
        for pause in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(breaker.may(at(now + pause - 1)), May::NotBefore(at(now + pause)));
            now += pause;
            assert_eq!(breaker.may(at(now)), May::One);
            breaker.sent();
            assert_eq!(breaker.may(at(now)), May::Await);
            assert_eq!(breaker.note(true, at(now), 0), Some(Change::Opened));
        }
        breaker.sent();
        assert_eq!(breaker.note(false, at(now), 0), Some(Change::Closed));
        assert_eq!(breaker.may(at(now)), May::All);
        fail(&mut breaker, 10, now);
        assert_eq!(breaker.may(at(now)), May::NotBefore(at(now + 30)));
    }

    #[test]
    fn up_to_a_fifth_is_added() {
        for entropy in [0, 6_000, 6_001, u64::MAX] {
            let mut breaker = Breaker::default();
            (0..10).for_each(|_| _ = breaker.note(true, at(0), entropy));
            let (until, _) = breaker.to_keep();
            let pause = until.unwrap().since(at(0));
            assert!((30_000..=36_000).contains(&pause.as_millis()), "{pause:?}");
        }
    }

    #[test]
    fn it_is_kept_over_a_restart_and_a_probe_without_an_end_is_made_again() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 10, 0);
        let (until, openings) = breaker.to_keep();
        let mut again = Breaker::left(until, openings);
        assert_eq!(again.may(at(29)), May::NotBefore(at(30)));
        again.sent();
        let (until, openings) = again.to_keep();
        let mut again = Breaker::left(until, openings);
        assert_eq!(again.may(at(30)), May::One);
        again.sent();
        again.unsent();
        assert_eq!(again.may(at(30)), May::One);
        again.sent();
        again.note(true, at(30), 0);
        assert_eq!(again.may(at(30)), May::NotBefore(at(90)));
    }

    #[test]
    fn what_was_under_way_when_it_opened_changes_nothing() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 10, 0);
        assert_eq!(breaker.note(false, at(1), 0), None);
        assert_eq!(breaker.note(true, at(1), 0), None);
        assert_eq!(breaker.to_keep(), (Some(at(30)), 1));
    }
}
