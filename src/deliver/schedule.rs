//! When a failed delivery is tried again: the published schedule, as arithmetic, for the dispatcher.

use std::time::Duration;

use domain::Timestamp;

/// The pauses between the attempts, in seconds: 12 attempts over about 76 hours.
const PAUSES: [u64; 11] = [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The longest wait that a receiver can ask for with `Retry-After`: the longest pause of our own.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// The longest time for which one `Retry-After` silences the whole endpoint: then one delivery asks again.
const LONGEST_SILENCE: Duration = Duration::from_hours(1);

/// An endpoint whose every attempt has failed for so long is disabled …
const GIVE_UP_AFTER: Duration = Duration::from_hours(5 * 24);

/// … if there were as many attempts as one delivery gets: two bad minutes five quiet days apart are no dead endpoint.
const GIVE_UP_ATTEMPTS: u32 = 12;

/// When to try again after the `made`-th attempt (the first is 1) failed at `now`; none: that was the last.
///
/// Jitter is only ever added: up to a fifth of the pause, where a fifth counts as at least 1 s and at most 15 min;
/// `entropy` says how much of that. `asked` is the receiver's own wish, obeyed up to a day.
pub fn next_attempt(made: u32, now: Timestamp, asked: Option<Duration>, entropy: u64) -> Option<Timestamp> {
    let index = usize::try_from(made.checked_sub(1)?).ok()?;
    let pause = Duration::from_secs(*PAUSES.get(index)?);
    let spread = (pause / 5).clamp(Duration::from_secs(1), Duration::from_mins(15));
    let jitter =
        Duration::from_millis(entropy % (u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).saturating_add(1)));
    Some(now.plus(pause.max(asked.unwrap_or_default().min(LONGEST_ASKED)) + jitter))
}

/// Until when nothing goes to an endpoint that asked at `now` to be left alone.
pub fn silent_until(now: Timestamp, asked: Duration) -> Timestamp {
    now.plus(asked.min(LONGEST_SILENCE))
}

/// Whether an endpoint with `failures` failed attempts since `since`, and no other ones, is to be disabled at `now`.
pub fn is_given_up(since: Timestamp, failures: u32, now: Timestamp) -> bool {
    failures >= GIVE_UP_ATTEMPTS && now.since(since) >= GIVE_UP_AFTER
}

/// How long the receiver asks to be left alone: `Retry-After` of a 429 or 503, a day at most. Anything else asks for
/// nothing.
pub fn asked_to_wait(status: u16, retry_after: Option<&str>, now: Timestamp) -> Option<Duration> {
    if !matches!(status, 429 | 503) {
        return None;
    }
    Some(crate::retry_after::read(retry_after?, now)?.min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn pause(made: u32, asked: Option<u64>, entropy: u64) -> Option<u64> {
        let now = at("2026-04-24T10:31:00Z");
        next_attempt(made, now, asked.map(Duration::from_secs), entropy).map(|due| due.since(now).as_secs())
    }

    #[test]
    fn twelve_attempts_follow_the_published_pauses_and_then_none() {
        let published = [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        let pauses: Vec<u64> = (1..=11).map(|made| pause(made, None, 0).unwrap()).collect();
        assert_eq!(pauses, published);
        assert_eq!(pauses.iter().sum::<u64>(), 272_555);
        assert_eq!(pause(12, None, 0), None);
        assert_eq!(pause(0, None, 0), None);
    }

    #[test]
    fn jitter_only_adds_and_stays_within_its_bounds() {
        let now = at("2026-04-24T10:31:00Z");
        // (attempts made, the pause, the most that may be added), in milliseconds.
        for (made, base, most) in [
            (1, 5_000, 1_000),
            (2, 30_000, 6_000),
            (4, 600_000, 120_000),
            (11, 86_400_000, 900_000),
        ] {
            for entropy in [0, 1, most, most + 1, u64::MAX] {
                let due = next_attempt(made, now, None, entropy).unwrap();
                let waited = u64::try_from(due.since(now).as_millis()).unwrap();
                assert!((base..=base + most).contains(&waited), "{made} {entropy}: {waited}");
            }
            let longest = next_attempt(made, now, None, most).unwrap();
            assert_eq!(u64::try_from(longest.since(now).as_millis()).unwrap(), base + most);
        }
    }

    #[test]
    fn a_receiver_can_ask_for_a_longer_pause_but_not_for_a_shorter_one() {
        assert_eq!(pause(1, Some(90), 0), Some(90));
        assert_eq!(pause(3, Some(1), 0), Some(120));
        assert_eq!(pause(1, Some(10_000_000), 0), Some(86_400));
        assert_eq!(pause(12, Some(90), 0), None);
    }

    #[test]
    fn the_whole_endpoint_is_silent_for_an_hour_at_most() {
        let now = at("2026-04-24T10:31:00Z");
        assert_eq!(silent_until(now, Duration::from_secs(90)).since(now).as_secs(), 90);
        assert_eq!(silent_until(now, Duration::from_hours(25)).since(now).as_secs(), 3_600);
    }

    #[test]
    fn retry_after_is_seconds_or_an_http_date() {
        let now = at("2026-04-24T10:31:00Z");
        let asked = |status, value| asked_to_wait(status, value, now).map(|asked| asked.as_secs());
        assert_eq!(asked(429, Some("120")), Some(120));
        assert_eq!(asked(503, Some(" 7 ")), Some(7));
        assert_eq!(asked(503, Some("Fri, 24 Apr 2026 10:32:30 GMT")), Some(90));
        assert_eq!(asked(503, Some("Fri, 24 Apr 2026 10:30:00 GMT")), Some(0));
        assert_eq!(asked(429, Some("99999999999999999999999")), Some(86_400));
        for (status, value) in [
            (500, Some("120")),
            (429, None),
            (429, Some("")),
            (429, Some("soon")),
            (429, Some("-5")),
            (429, Some("1.5")),
        ] {
            assert_eq!(asked(status, value), None, "{status} {value:?}");
        }
    }

    #[test]
    fn an_endpoint_is_given_up_after_five_days_of_many_failures() {
        let since = at("2026-04-20T00:00:00Z");
        assert!(is_given_up(since, 12, at("2026-04-25T00:00:00Z")));
        assert!(!is_given_up(since, 11, at("2026-04-25T00:00:00Z")));
        assert!(!is_given_up(since, 500, at("2026-04-24T23:59:59Z")));
    }
}
