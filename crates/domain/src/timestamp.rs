//! A moment in UTC, in microseconds, and the calendar month that quotas count in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z. Written as ISO 8601 with a trailing `Z`, the fraction only if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// A text that is no moment, or none that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    /// It is written otherwise, or the calendar has no such moment.
    #[error("not an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z")]
    Malformed,
    /// Times are counted without leap seconds, so that it would become another moment.
    #[error("a leap second, which cannot be told from the second after it; use that one")]
    LeapSecond,
    /// Not every offset could write it.
    #[error("must lie between 0000-01-01T00:00:00Z and 9999-12-30T21:59:59Z")]
    OutOfRange,
}

impl Timestamp {
    /// The first and the last whole microsecond of the years 0 to 9999 that every offset can write.
    const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_207_199_999_999;

    /// A moment from microseconds since the epoch; moments outside of the years 0 to 9999 are moved to the nearest.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < *Self::RANGE.start() {
            Self(*Self::RANGE.start())
        } else if micros > *Self::RANGE.end() {
            Self(*Self::RANGE.end())
        } else {
            Self(micros)
        }
    }

    /// A moment from whole seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole milliseconds since the epoch, rounded down; 0 for earlier moments. What a ULID begins with.
    pub fn ulid_millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000)).unwrap_or(0)
    }

    /// The moment so much later.
    #[must_use]
    pub fn plus(self, span: std::time::Duration) -> Self {
        Self::from_micros(
            self.0
                .saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// The time from `earlier` to this moment; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The UTC calendar month that the moment lies in.
    pub fn month(self) -> Month {
        let date = self.instant().to_zoned(TimeZone::UTC).date();
        Month {
            year: date.year(),
            month: date.month(),
        }
    }

    /// The UTC date, as `2026-04-24`.
    pub fn date(self) -> String {
        self.instant().to_zoned(TimeZone::UTC).date().to_string()
    }

    fn instant(self) -> Instant {
        // The constructor keeps the value in range, so the fallback is never seen.
        Instant::from_microsecond(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All six digits or none: some clients' parsers know no other number of them.
        if self.0.rem_euclid(1_000_000) == 0 {
            write!(f, "{:.0}", self.instant())
        } else {
            write!(f, "{:.6}", self.instant())
        }
    }
}

/// Whether the text has the shape of RFC 3339's `date-time`, with at most nine digits of a fraction and upper-case
/// letters. The calendar library reads more than that: other separators, short forms, time zones in brackets.
fn is_rfc_3339(text: &str) -> bool {
    let Some((date_time, rest)) = text.as_bytes().split_at_checked(19) else {
        return false;
    };
    let fits = |(byte, place): (&u8, &u8)| {
        if *place == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == place
        }
    };
    let offset = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            rest.get(digits..).filter(|_| (1..=9).contains(&digits))
        }
        _ => Some(rest),
    };
    date_time.iter().zip(b"0000-00-00T00:00:00").all(fits) && offset.is_some_and(is_offset)
}

/// `Z`, or hours up to 23 and minutes up to 59 behind a sign.
fn is_offset(text: &[u8]) -> bool {
    match text {
        [b'Z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()) && (*h1, *h2) <= (b'2', b'3') && *m1 <= b'5'
        }
        _ => false,
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        // RFC 3339 leaves the case of its two letters open.
        let text = text.to_ascii_uppercase();
        if !is_rfc_3339(&text) {
            return Err(InvalidTimestamp::Malformed);
        }
        if text.get(17..19) == Some("60") {
            return Err(InvalidTimestamp::LeapSecond);
        }
        let instant: Instant = text.parse().map_err(|_| refused(&text))?;
        let micros = instant.as_microsecond();
        if !Self::RANGE.contains(&micros) {
            return Err(InvalidTimestamp::OutOfRange);
        }
        Ok(Self(micros))
    }
}

/// Why the calendar has no instant for a text of the right shape: no such day or hour, or one beyond its end.
fn refused(text: &str) -> InvalidTimestamp {
    let is_local_time = text.get(..19).is_some_and(|local| local.parse::<DateTime>().is_ok());
    if is_local_time {
        InvalidTimestamp::OutOfRange
    } else {
        InvalidTimestamp::Malformed
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::parsed::parsed(deserializer)
    }
}

/// A UTC calendar month; written `2026-04`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    year: i16,
    month: i8,
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_with_a_fraction_only_where_there_is_one() {
        let plain: Timestamp = "2026-04-24T12:31:00+02:00".parse().unwrap();
        assert_eq!(plain.to_string(), "2026-04-24T10:31:00Z");
        for (micros, fraction) in [(5, ".000005"), (500_000, ".500000")] {
            let time = Timestamp::from_micros(plain.micros() + micros);
            assert_eq!(time.to_string(), format!("2026-04-24T10:31:00{fraction}Z"));
        }
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        for wrong in ["2026-04-24T10:31:00", "2026-04-24", "yesterday", "", "1777026660"] {
            assert_eq!(wrong.parse::<Timestamp>(), Err(InvalidTimestamp::Malformed), "{wrong}");
        }
    }

    #[test]
    fn only_rfc_3339_is_taken() {
        for right in [
            "2026-04-24T10:31:00Z",
            "2026-04-24T10:31:00.1Z",
            "2026-04-24T10:31:00.123456789-07:30",
            "2026-04-24T10:31:00+23:59",
            "0000-01-01T00:00:00Z",
            "2026-04-24t10:31:00z",
            "9999-12-30T21:59:59.999999Z",
            "9999-12-31T21:58:59+23:59",
        ] {
            assert!(right.parse::<Timestamp>().is_ok(), "{right}");
        }
        for wrong in [
            "2026-04-24T10:31:00Z[UTC]",
            "2026-04-24T10:31:00+02:00[Europe/Berlin]",
            "2026-04-24 10:31:00Z",
            "20260424T103100Z",
            "2026-04-24T10:31Z",
            "2026-04-24T10Z",
            "+002026-04-24T10:31:00Z",
            "-000001-04-24T10:31:00Z",
            "2026-04-24T10:31:00.Z",
            "2026-04-24T10:31:00,5Z",
            "2026-04-24T10:31:00.1234567891Z",
            "2026-04-24T10:31:00+02",
            "2026-04-24T10:31:00+0200",
            "2026-04-24T10:31:00+24:00",
            "2026-04-24T10:31:00+23:60",
            "2026-04-24T10:31:00+02:00:00",
            "2026-02-30T10:31:00Z",
            "2026-04-24T25:31:00Z",
            " 2026-04-24T10:31:00Z",
            "2026-04-24T10:31:0\u{660}Z",
        ] {
            assert_eq!(wrong.parse::<Timestamp>(), Err(InvalidTimestamp::Malformed), "{wrong}");
        }
    }

    #[test]
    fn a_moment_that_cannot_be_kept_exactly_is_refused_and_says_why() {
        use InvalidTimestamp::{LeapSecond, Malformed, OutOfRange};
        for (text, fault) in [
            ("2016-12-31T23:59:60Z", LeapSecond),
            ("2017-01-01T00:59:60+01:00", LeapSecond),
            ("9999-12-31T23:59:59Z", OutOfRange),
            ("9999-12-30T22:00:00Z", OutOfRange),
            ("0000-01-01T00:00:00+00:01", OutOfRange),
            ("9999-12-32T23:59:59Z", Malformed),
            ("2026-04-24T10:31:61Z", Malformed),
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(fault), "{text}");
        }
        let lower: Timestamp = "2026-04-24t12:31:00.5z".parse().unwrap();
        assert_eq!(lower.to_string(), "2026-04-24T12:31:00.500000Z");
    }

    #[test]
    fn the_month_turns_at_midnight_utc() {
        let last: Timestamp = "2026-04-30T23:59:59.999999Z".parse().unwrap();
        assert_eq!(last.month().to_string(), "2026-04");
        assert_eq!(Timestamp::from_micros(last.micros() + 1).month().to_string(), "2026-05");
    }

    #[test]
    fn extreme_values_stay_writable() {
        for micros in [i64::MIN, i64::MAX] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
