//! Times as GitHub writes them and as the simulated clock counts them: seconds since 1970.

use jiff::Timestamp;

/// A time as GitHub writes it: RFC 3339, in UTC, whole seconds. `seconds` counts from 1970.
pub fn rfc3339(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// The other way round; nothing for what is no such time, or before 1970.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_second()).ok()
}

/// The first second of a day such as `2026-11-22`.
pub(crate) fn day(text: &str) -> Option<u64> {
    seconds(&format!("{text}T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_alike() {
        assert_eq!(rfc3339(1_795_363_200), "2026-11-22T16:00:00Z");
        assert_eq!(seconds("2026-11-22T16:00:00Z"), Some(1_795_363_200));
        assert_eq!(seconds("2026-11-22T17:00:00+01:00"), Some(1_795_363_200));
        assert_eq!(seconds("yesterday"), None);
        assert_eq!(day("2026-11-22"), Some(1_795_363_200 - 16 * 3600));
    }
}
