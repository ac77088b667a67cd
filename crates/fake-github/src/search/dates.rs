//! `created:` and `updated:` of searches: `>=`, `>`, `<=`, `<`, a day, a time, and ranges such as `A..B` and `A..*`.

use crate::clock::{day, seconds};

const DAY: u64 = 24 * 3_600;

/// From the first second to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub from: u64,
    pub until: u64,
}

impl Span {
    /// Nothing for what is no date.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, until) = if let Some(rest) = text.strip_prefix(">=") {
            (moment(rest)?.from, u64::MAX)
        } else if let Some(rest) = text.strip_prefix('>') {
            (moment(rest)?.until, u64::MAX)
        } else if let Some(rest) = text.strip_prefix("<=") {
            (0, moment(rest)?.until)
        } else if let Some(rest) = text.strip_prefix('<') {
            (0, moment(rest)?.from)
        } else if let Some((from, until)) = text.split_once("..") {
            let from = if from == "*" { 0 } else { moment(from)?.from };
            let until = if until == "*" { u64::MAX } else { moment(until)?.until };
            (from, until)
        } else {
            return moment(text);
        };
        Some(Self { from, until })
    }

    pub const fn has(self, at: u64) -> bool {
        self.from <= at && at < self.until
    }
}

/// A second or a day.
fn moment(text: &str) -> Option<Span> {
    if let Some(from) = day(text) {
        return Some(Span {
            from,
            until: from + DAY,
        });
    }
    let from = seconds(text)?;
    Some(Span { from, until: from + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_ends_that_their_signs_say() {
        let span = |text: &str| Span::parse(text).map(|span| (span.from, span.until));
        let start = day("2026-11-22").unwrap();
        assert_eq!(span("2026-11-22"), Some((start, start + DAY)));
        assert_eq!(span(">=2026-11-22"), Some((start, u64::MAX)));
        assert_eq!(span(">2026-11-22"), Some((start + DAY, u64::MAX)));
        assert_eq!(span("<2026-11-22T00:00:01Z"), Some((0, start + 1)));
        assert_eq!(span("<=2026-11-22T00:00:01+00:00"), Some((0, start + 2)));
        assert_eq!(span("2026-11-22..2026-11-23T00:00:00Z"), Some((start, start + DAY + 1)));
        assert_eq!(span("2026-11-22..*"), Some((start, u64::MAX)));
        assert_eq!(span("soon"), None);
    }
}
