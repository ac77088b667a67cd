//! What an API key or an account is called, to tell it from others.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

const LONGEST: usize = 128;

/// 1 to 128 characters, without white space around and without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label(String);

/// Why a text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    /// Nothing is left of it, or too much.
    #[error("must have 1 to {LONGEST} characters after trimming")]
    Length,
    /// It would garble a list.
    #[error("must not contain control characters")]
    Control,
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let label = text.trim();
        if !(1..=LONGEST).contains(&label.chars().count()) {
            return Err(InvalidLabel::Length);
        }
        if label.chars().any(char::is_control) {
            return Err(InvalidLabel::Control);
        }
        Ok(Self(label.to_owned()))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::parsed::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_trimmed_and_has_something_to_show() {
        assert_eq!(
            "  continuous integration ".parse::<Label>().unwrap().to_string(),
            "continuous integration"
        );
        assert!("é".repeat(LONGEST).parse::<Label>().is_ok());
        for wrong in ["", " \t", &"x".repeat(LONGEST + 1)] {
            assert_eq!(wrong.parse::<Label>(), Err(InvalidLabel::Length), "{wrong}");
        }
        assert_eq!("a\nb".parse::<Label>(), Err(InvalidLabel::Control));
    }
}
