//! Deserialises what is written as a text, without a copy of the text in between; used by the words, ids and times.

use std::fmt;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Parses the text that the deserialiser holds; anything but a text is refused.
pub(crate) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    parsed_by(T::from_str, deserializer)
}

/// The same, with a rule of the caller's.
pub(crate) fn parsed_by<'de, T, F, D>(parse: fn(&str) -> Result<T, F>, deserializer: D) -> Result<T, D::Error>
where
    F: fmt::Display,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Text(parse))
}

struct Text<T, F>(fn(&str) -> Result<T, F>);

impl<T, F: fmt::Display> Visitor<'_> for Text<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::Timestamp;

    #[test]
    fn a_text_is_parsed_with_its_escapes_resolved_and_anything_else_is_refused() {
        let parse = serde_json::from_str::<Timestamp>;
        let plain = parse(r#""1970-01-01T00:00:01Z""#).unwrap();
        assert_eq!(plain, Timestamp::from_secs(1));
        assert_eq!(parse(r#""1970\u002d01-01T00:00:01Z""#).unwrap(), plain);
        assert!(parse("1").unwrap_err().to_string().contains("expected a string"));
        assert!(parse(r#""yesterday""#).is_err());
    }
}
