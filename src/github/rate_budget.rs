//! What GitHub grants one token: read from its answers, obeyed by the client, shown to the operator.
//!
//! The order in which a refusal is read is GitHub's: `Retry-After`, else a used-up primary limit and its reset, else a
//! minute. Where one refusal follows another, or the time that it names is over already, the minute doubles each time
//! (<https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).

use std::time::Duration;

use domain::Timestamp;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::retry_after;

/// A secondary limit without `Retry-After` is waited out so long at least.
const FIRST_WAIT: Duration = Duration::from_mins(1);
/// No wait is longer, whatever a header says: a clock that is wrong must not stop us for good.
const LONGEST_WAIT: Duration = Duration::from_hours(2);
/// A token that GitHub does not know or has suspended is tried again after so long.
const QUARANTINE: Duration = Duration::from_mins(15);

/// What is known of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Budget {
    /// Requests in the window.
    pub limit: Option<u64>,
    /// Requests left in the window.
    pub remaining: Option<u64>,
    /// When the window begins anew.
    pub resets_at: Option<Timestamp>,
    /// No request is sent before.
    pub blocked_until: Option<Timestamp>,
    /// That is because GitHub does not take the token; otherwise it asked to wait.
    pub is_refused: bool,
    /// What the next refusal in a row is waited out at least: a minute, doubled so many times less one.
    #[serde(skip)]
    strikes: u32,
}

/// What an answer means for the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request was served.
    Granted,
    /// Nothing: neither served nor refused for the sake of the budget.
    Silent,
    /// Too many requests; again after that moment.
    Limited(Timestamp),
    /// Refused for another reason.
    Denied,
}

impl Budget {
    /// What was known before: requests in the window and left in it, when it begins anew, until when none is sent, and
    /// whether that is because GitHub does not take the token.
    pub const fn known(
        limit: Option<u64>,
        remaining: Option<u64>,
        resets_at: Option<Timestamp>,
        blocked_until: Option<Timestamp>,
        is_refused: bool,
    ) -> Self {
        Self {
            limit,
            remaining,
            resets_at,
            blocked_until,
            is_refused,
            strikes: 0,
        }
    }

    /// The same, with as many refusals in a row as are known here.
    pub(super) const fn going_on_from(self, here: Self) -> Self {
        Self {
            strikes: here.strikes,
            ..self
        }
    }

    /// Until when no request may be sent, if that is so now.
    pub fn blocked(&self, now: Timestamp) -> Option<Timestamp> {
        let used_up = self.resets_at.filter(|_| self.remaining == Some(0));
        self.blocked_until.max(used_up).filter(|until| *until > now)
    }

    /// Until when work waits that leaves so many percent of the window to more urgent work.
    pub fn spared(&self, percent: u64, now: Timestamp) -> Option<Timestamp> {
        let scarce = matches!(
            (self.remaining, self.limit),
            (Some(remaining), Some(limit)) if remaining.saturating_mul(100) < limit.saturating_mul(percent)
        );
        let reset = self.resets_at.filter(|until| scarce && *until > now);
        self.blocked(now).max(reset)
    }

    /// Takes note of an answer. `text` is the beginning of a refusal's body, where GitHub names secondary limits.
    pub fn note(&mut self, status: StatusCode, headers: &HeaderMap, text: &str, now: Timestamp) -> Verdict {
        let remaining = number(headers, "x-ratelimit-remaining");
        if remaining.is_some() {
            self.remaining = remaining;
            self.limit = number(headers, "x-ratelimit-limit");
            self.resets_at = number(headers, "x-ratelimit-reset").map(|secs| bounded(moment(secs), now));
        }
        match status {
            // A list that is shown to admins alone may answer 401 to a token that is good for all else.
            StatusCode::UNAUTHORIZED
                if remaining.is_some() && !text.to_ascii_lowercase().contains("bad credentials") =>
            {
                Verdict::Denied
            }
            StatusCode::UNAUTHORIZED => self.quarantine(now),
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => self.refused(status, headers, text, now),
            StatusCode::NOT_MODIFIED => self.granted(),
            status if status.is_success() => self.granted(),
            _ => Verdict::Silent,
        }
    }

    const fn granted(&mut self) -> Verdict {
        self.strikes = 0;
        Verdict::Granted
    }

    fn refused(&mut self, status: StatusCode, headers: &HeaderMap, text: &str, now: Timestamp) -> Verdict {
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        if let Some(wait) = asked.and_then(|value| retry_after::read(value, now)) {
            return self.strike(Some(now.plus(wait)), now);
        }
        if number(headers, "x-ratelimit-remaining") == Some(0) {
            return self.strike(number(headers, "x-ratelimit-reset").map(moment), now);
        }
        let text = text.to_ascii_lowercase();
        if status == StatusCode::TOO_MANY_REQUESTS || text.contains("rate limit") || text.contains("abuse") {
            return self.strike(None, now);
        }
        if number(headers, "x-ratelimit-remaining").is_none() {
            return self.quarantine(now);
        }
        Verdict::Denied
    }

    /// Waits until the moment that the refusal names, if that lies ahead, and no less than refusals in a row ask for.
    fn strike(&mut self, named: Option<Timestamp>, now: Timestamp) -> Verdict {
        let ahead = named.filter(|until| *until > now);
        if ahead.is_none() {
            self.strikes = self.strikes.max(1);
        }
        let least = match self.strikes.checked_sub(1) {
            Some(doubled) => FIRST_WAIT.saturating_mul(1 << doubled.min(7)),
            None => Duration::ZERO,
        };
        self.strikes = self.strikes.saturating_add(1);
        let until = bounded(now.plus(least).max(ahead.unwrap_or(now)), now);
        self.blocked_until = Some(until);
        self.is_refused = false;
        Verdict::Limited(until)
    }

    fn quarantine(&mut self, now: Timestamp) -> Verdict {
        self.blocked_until = Some(now.plus(QUARANTINE));
        self.is_refused = true;
        Verdict::Denied
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn moment(secs: u64) -> Timestamp {
    Timestamp::from_secs(i64::try_from(secs).unwrap_or(i64::MAX))
}

fn bounded(until: Timestamp, now: Timestamp) -> Timestamp {
    until.clamp(now.plus(Duration::from_secs(1)), now.plus(LONGEST_WAIT))
}

/// How long GitHub asks to wait before the same feed is read again.
pub fn poll_interval(headers: &HeaderMap) -> Option<Duration> {
    number(headers, "x-poll-interval").map(|secs| Duration::from_secs(secs).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (http::HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn after(secs: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_refusal_is_read_in_githubs_order() {
        let used_up = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-reset", "1000500"),
        ];
        let both = [&used_up[..], &[("retry-after", "7")]].concat();
        let left = [
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-reset", "1000500"),
        ];
        for (status, pairs, text, expected) in [
            (403, &both[..], "", Verdict::Limited(after(7))),
            (
                403,
                &[("retry-after", "Mon, 12 Jan 1970 14:15:00 GMT")],
                "",
                Verdict::Limited(after(1_700)),
            ),
            (429, &used_up[..], "", Verdict::Limited(after(500))),
            (403, &used_up[..], "", Verdict::Limited(after(500))),
            (429, &left[..], "", Verdict::Limited(after(60))),
            (
                403,
                &left[..],
                "You have exceeded a secondary rate limit",
                Verdict::Limited(after(60)),
            ),
            (403, &left[..], "Repository access blocked", Verdict::Denied),
            (404, &left[..], "", Verdict::Silent),
        ] {
            let verdict = Budget::default().note(StatusCode::from_u16(status).unwrap(), &headers(pairs), text, NOW);
            assert_eq!(verdict, expected, "{status} {pairs:?} {text}");
        }
    }

    #[test]
    fn refusals_without_a_time_double_the_wait_until_one_is_granted() {
        let mut budget = Budget::default();
        let none = HeaderMap::new();
        let mut refuse = |status| budget.note(status, &none, "", NOW);
        assert_eq!(refuse(StatusCode::TOO_MANY_REQUESTS), Verdict::Limited(after(60)));
        assert_eq!(refuse(StatusCode::TOO_MANY_REQUESTS), Verdict::Limited(after(120)));
        assert_eq!(refuse(StatusCode::OK), Verdict::Granted);
        assert_eq!(refuse(StatusCode::TOO_MANY_REQUESTS), Verdict::Limited(after(60)));
    }

    #[test]
    fn a_wait_that_is_over_or_does_not_help_doubles_until_a_request_is_served() {
        let past = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-reset", "999990"),
        ];
        for (pairs, waits) in [
            (&past[..], [60, 120, 240, 480]),
            (&[("retry-after", "0")][..], [60, 120, 240, 480]),
            (&[("retry-after", "1")][..], [1, 60, 120, 240]),
            (&[("retry-after", "100")][..], [100, 100, 120, 240]),
        ] {
            let mut budget = Budget::default();
            for wait in waits {
                let verdict = budget.note(StatusCode::FORBIDDEN, &headers(pairs), "", NOW);
                assert_eq!(verdict, Verdict::Limited(after(wait)), "{pairs:?}");
                assert_eq!(budget.blocked(NOW), Some(after(wait)), "{pairs:?}");
                for status in [StatusCode::BAD_GATEWAY, StatusCode::NOT_FOUND] {
                    assert_eq!(budget.note(status, &HeaderMap::new(), "", NOW), Verdict::Silent);
                }
            }
            let served = budget.note(StatusCode::NOT_MODIFIED, &HeaderMap::new(), "", NOW);
            assert_eq!(served, Verdict::Granted);
            let verdict = budget.note(StatusCode::FORBIDDEN, &headers(pairs), "", NOW);
            assert_eq!(verdict, Verdict::Limited(after(waits[0])), "{pairs:?}");
        }
    }

    #[test]
    fn a_used_up_window_is_not_asked_again_before_it_begins_anew() {
        let mut budget = Budget::default();
        let last = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-reset", "1000500"),
        ];
        assert_eq!(budget.note(StatusCode::OK, &headers(&last), "", NOW), Verdict::Granted);
        assert_eq!(budget.blocked(NOW), Some(after(500)));
        assert_eq!(budget.blocked(after(500)), None);
    }

    #[test]
    fn work_that_can_wait_leaves_a_part_to_what_cannot() {
        let mut budget = Budget::default();
        let scarce = [
            ("x-ratelimit-remaining", "11"),
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-reset", "1000500"),
        ];
        budget.note(StatusCode::OK, &headers(&scarce), "", NOW);
        assert_eq!((budget.blocked(NOW), budget.spared(20, NOW)), (None, Some(after(500))));
    }

    #[test]
    fn a_list_that_is_refused_does_not_put_the_token_aside() {
        let left = headers(&[("x-ratelimit-remaining", "9"), ("x-ratelimit-limit", "60")]);
        let mut budget = Budget::default();
        let told = budget.note(StatusCode::UNAUTHORIZED, &left, "Requires authentication", NOW);
        assert_eq!((told, budget.blocked(NOW)), (Verdict::Denied, None));
        budget.note(StatusCode::UNAUTHORIZED, &left, r#"{"message":"Bad credentials"}"#, NOW);
        assert_eq!(budget.blocked(NOW), Some(after(900)));
    }

    #[test]
    fn an_unknown_or_suspended_token_is_put_aside_and_no_wait_is_endless() {
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            let mut budget = Budget::default();
            assert_eq!(budget.note(status, &HeaderMap::new(), "", NOW), Verdict::Denied);
            assert_eq!(budget.blocked(NOW), Some(after(900)));
        }
        let forever = headers(&[("retry-after", "99999999999")]);
        let verdict = Budget::default().note(StatusCode::FORBIDDEN, &forever, "", NOW);
        assert_eq!(verdict, Verdict::Limited(after(7200)));
    }
}
