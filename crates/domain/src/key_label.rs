//! What an API key is called, to tell it from others.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

const LONGEST: usize = 128;

/// 1 to 128 characters, without white space around and without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyLabel(String);

/// Why a text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyLabel {
    /// Nothing is left of it, or too much.
    #[error("must have 1 to {LONGEST} characters after trimming")]
    Length,
    /// It would garble a list.
    #[error("must not contain control characters")]
    Control,
}

impl FromStr for KeyLabel {
    type Err = InvalidKeyLabel;

    fn from_str(text: &str) -> Result<Self, InvalidKeyLabel> {
        let label = text.trim();
        if !(1..=LONGEST).contains(&label.chars().count()) {
            return Err(InvalidKeyLabel::Length);
        }
        if label.chars().any(char::is_control) {
            return Err(InvalidKeyLabel::Control);
        }
        Ok(Self(label.to_owned()))
    }
}

impl fmt::Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for KeyLabel {
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
            "  continuous integration ".parse::<KeyLabel>().unwrap().to_string(),
            "continuous integration"
        );
        assert!("é".repeat(LONGEST).parse::<KeyLabel>().is_ok());
        for wrong in ["", " \t", &"x".repeat(LONGEST + 1)] {
            assert_eq!(wrong.parse::<KeyLabel>(), Err(InvalidKeyLabel::Length), "{wrong}");
        }
        assert_eq!("a\nb".parse::<KeyLabel>(), Err(InvalidKeyLabel::Control));
    }
}
