//! An hour of the public timeline, which is a file of GH Archive. Used by the backfill by hours.

use std::fmt;
use std::str::FromStr;

use domain::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SECONDS: i64 = 3_600;

/// An hour in UTC, written `2026-01-01T05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveHour {
    /// Hours since 1970-01-01T00:00:00Z.
    number: i64,
}

/// A text that is no hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an hour in UTC, such as 2026-01-01T05")]
pub struct InvalidHour;

impl ArchiveHour {
    /// The hour after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self {
            number: self.number.saturating_add(1),
        }
    }

    /// Whether it is over.
    pub fn is_over(self, now: Timestamp) -> bool {
        now.secs() >= self.next().number.saturating_mul(SECONDS)
    }

    /// The name of its file, whose hour has one digit where one is enough: `2026-01-01-5.json.gz`.
    pub fn file_name(self) -> String {
        let start = Timestamp::from_secs(self.number * SECONDS);
        format!("{}-{}.json.gz", start.date(), self.number.rem_euclid(24))
    }
}

impl FromStr for ArchiveHour {
    type Err = InvalidHour;

    fn from_str(text: &str) -> Result<Self, InvalidHour> {
        // The longest there is, so that nothing else that a time may hold comes through.
        if text.len() != "2026-01-01T05".len() {
            return Err(InvalidHour);
        }
        let start: Timestamp = format!("{text}:00:00Z").parse().map_err(|_| InvalidHour)?;
        let hour = Self {
            number: start.secs().div_euclid(SECONDS),
        };
        if hour.to_string() == text {
            Ok(hour)
        } else {
            Err(InvalidHour)
        }
    }
}

impl fmt::Display for ArchiveHour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Timestamp::from_secs(self.number * SECONDS);
        write!(formatter, "{}T{:02}", start.date(), self.number.rem_euclid(24))
    }
}

impl Serialize for ArchiveHour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ArchiveHour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_names_its_file_and_the_next_one_follows_over_every_border() {
        let mut hour: ArchiveHour = "2023-12-31T22".parse().unwrap();
        let mut names = Vec::new();
        for _ in 0..3 {
            names.push((hour.to_string(), hour.file_name()));
            hour = hour.next();
        }
        let expected = [
            ("2023-12-31T22", "2023-12-31-22.json.gz"),
            ("2023-12-31T23", "2023-12-31-23.json.gz"),
            ("2024-01-01T00", "2024-01-01-0.json.gz"),
        ];
        assert_eq!(names, expected.map(|(hour, name)| (hour.to_owned(), name.to_owned())));
        let leap: ArchiveHour = "2024-02-28T23".parse().unwrap();
        assert_eq!(leap.next().file_name(), "2024-02-29-0.json.gz");
    }

    #[test]
    fn what_is_no_hour_is_refused() {
        for text in [
            "",
            "2026-01-01",
            "2026-01-01T5",
            "2026-01-01T24",
            "2026-02-30T00",
            "2026-01-01 05",
            "2026-01-01T+5",
        ] {
            assert_eq!(text.parse::<ArchiveHour>(), Err(InvalidHour), "{text}");
        }
    }
}
