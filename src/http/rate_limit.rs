//! How many requests an account has left this minute; asked by `auth` for every request with a known key.
//!
//! A process that is alone counts in its memory, nodes that share a database count in that: see `shared`.

mod shared;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use database::Database;
use domain::{AccountId, Timestamp};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const WINDOW_SECS: i64 = 60;

/// What an account used of the UTC minute that starts at `start` (seconds since the epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    start: i64,
    used: u32,
}

/// Where an account stands; what the `X-RateLimit` headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests a minute.
    pub limit: u32,
    /// Requests left in this minute.
    pub remaining: u32,
    /// When the minute ends, in seconds since the epoch.
    pub reset: i64,
    /// Seconds until then, at least 1.
    pub retry_after: u64,
    /// Whether the request that was asked about is within the limit.
    pub granted: bool,
}

/// When the UTC minute that `now` lies in began: a fixed window, so that a limit of 300 is exactly 300.
const fn minute(now: Timestamp) -> i64 {
    now.secs() - now.secs().rem_euclid(WINDOW_SECS)
}

/// Takes one request out of the minute that `now` lies in.
pub fn take(window: Window, limit: u32, now: Timestamp) -> (Window, Standing) {
    let start = minute(now);
    let used = if window.start == start { window.used } else { 0 };
    let granted = used < limit;
    let used = used + u32::from(granted);
    (Window { start, used }, Standing::new(limit, used, granted, start, now))
}

impl Standing {
    fn new(limit: u32, used: u32, granted: bool, start: i64, now: Timestamp) -> Self {
        let reset = start + WINDOW_SECS;
        Self {
            limit,
            // A plan may have shrunk within the minute.
            remaining: limit.saturating_sub(used),
            reset,
            retry_after: u64::try_from(reset - now.secs()).unwrap_or(1).max(1),
            granted,
        }
    }

    /// Writes the three headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset));
    }
}

/// The windows of all accounts.
pub enum Windows {
    /// Those of a process that is alone: one an account, so no more than there are accounts.
    Own(Mutex<HashMap<AccountId, Window>>),
    /// Those that nodes count together.
    Shared(shared::Shared),
}

impl Windows {
    /// Counts in this database; none: in memory.
    pub fn new(store: Option<Arc<dyn Database>>) -> Self {
        store.map_or_else(
            || Self::Own(Mutex::default()),
            |store| Self::Shared(shared::Shared::new(store)),
        )
    }

    /// Takes one request of the account.
    pub async fn take(&self, account: AccountId, limit: u32, now: Timestamp) -> Standing {
        match self {
            Self::Own(windows) => take_own(windows, account, limit, now),
            Self::Shared(shared) => shared.take(account, limit, now).await,
        }
    }
}

fn take_own(windows: &Mutex<HashMap<AccountId, Window>>, account: AccountId, limit: u32, now: Timestamp) -> Standing {
    let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
    let window = windows.entry(account).or_default();
    let (next, standing) = take(*window, limit, now);
    *window = next;
    standing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn exactly_the_limit_is_granted_in_a_minute_and_again_in_the_next() {
        let windows = Mutex::default();
        let account = AccountId::default();
        let granted = |now| {
            let taken = (0..1000).map(|_| take_own(&windows, account, 300, now));
            taken.filter(|standing| standing.granted).count()
        };
        assert_eq!(granted(at("2026-04-24T10:31:00Z")), 300);
        assert_eq!(granted(at("2026-04-24T10:31:59.999999Z")), 0);
        assert_eq!(granted(at("2026-04-24T10:32:00Z")), 300);
    }

    #[test]
    fn the_standing_counts_down_to_the_end_of_the_utc_minute() {
        let now = at("2026-04-24T10:31:20Z");
        let (window, first) = take(Window::default(), 2, now);
        assert_eq!((first.remaining, first.granted, first.retry_after), (1, true, 40));
        assert_eq!(first.reset, at("2026-04-24T10:32:00Z").secs());
        let (window, second) = take(window, 2, now);
        assert_eq!((second.remaining, second.granted), (0, true));
        let (_, third) = take(window, 2, at("2026-04-24T10:31:59.9Z"));
        assert_eq!((third.remaining, third.granted, third.retry_after), (0, false, 1));
    }

    #[test]
    fn a_limit_that_shrinks_or_grows_within_the_minute_counts_at_once() {
        let now = at("2026-04-24T10:31:20Z");
        let used = Window {
            start: now.secs() - 20,
            used: 100,
        };
        let (_, shrunk) = take(used, 60, now);
        assert_eq!((shrunk.remaining, shrunk.granted), (0, false));
        let (_, grown) = take(used, 300, now);
        assert_eq!((grown.remaining, grown.granted), (199, true));
    }

    #[test]
    fn accounts_do_not_use_up_each_other() {
        let windows = Mutex::default();
        let now = at("2026-04-24T10:31:20Z");
        let other = AccountId::new(ulid::Ulid::from_parts(1, 1));
        assert!(take_own(&windows, AccountId::default(), 1, now).granted);
        assert!(!take_own(&windows, AccountId::default(), 1, now).granted);
        assert!(take_own(&windows, other, 1, now).granted);
    }
}
