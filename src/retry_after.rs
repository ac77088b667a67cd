//! Reads `Retry-After`. Used for what GitHub answers and for what receivers of webhooks do.

use std::time::{Duration, UNIX_EPOCH};

use domain::Timestamp;

/// How long it asks to wait, from `now` on: a number of seconds or an HTTP date (RFC 9110, section 10.2.3). A number that is too
/// large to hold means for ever; what is neither asks for nothing.
pub fn read(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let since_epoch = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(i64::try_from(since_epoch.as_secs()).ok()?).since(now))
}
