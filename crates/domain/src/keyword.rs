//! A tracked phrase, and the one folding that makes text and phrase comparable.

use std::fmt;
use std::str::FromStr;

use caseless::Caseless as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// A phrase of 2 to 256 characters, trimmed, as the customer wrote it. Two keywords with the same [`Keyword::folded`]
/// form are the same keyword.
#[derive(Debug, Clone)]
pub struct Keyword {
    text: String,
    folded: String,
}

/// Why a text is no keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyword {
    /// Fewer than 2 or more than 256 characters after trimming.
    #[error("must have 2 to 256 characters after trimming")]
    Length,
    /// A control character inside.
    #[error("must not contain control characters")]
    Control,
    /// No letter and no digit, so that it has no word boundaries.
    #[error("must contain a letter or a digit")]
    NoWord,
}

impl Keyword {
    /// The trimmed text, as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is compared: see [`fold`].
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// Canonical composition (NFC), Unicode's full case folding, and one space for every run of white space:
/// `Straße` equals `STRASSE`, and a line break inside a phrase does not hide it.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    for character in fold_characters(text) {
        if character.is_whitespace() {
            gap = true;
            continue;
        }
        if gap && !folded.is_empty() {
            folded.push(' ');
        }
        gap = false;
        folded.push(character);
    }
    folded
}

/// What [`fold`] compares, its white space as it stands. No ASCII character has a part in what comes before it, so a
/// text may be folded in pieces that each begin with one.
pub fn fold_characters(text: &str) -> impl Iterator<Item = char> {
    text.nfc().default_case_fold().nfc()
}

impl FromStr for Keyword {
    type Err = InvalidKeyword;

    fn from_str(text: &str) -> Result<Self, InvalidKeyword> {
        let text = text.trim();
        if !(2..=256).contains(&text.chars().count()) {
            return Err(InvalidKeyword::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidKeyword::Control);
        }
        if !text.chars().any(char::is_alphanumeric) {
            return Err(InvalidKeyword::NoWord);
        }
        Ok(Self {
            text: text.to_owned(),
            folded: fold(text),
        })
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for Keyword {}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Keyword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Keyword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::parsed::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_after_trimming() {
        assert!("  é€  ".parse::<Keyword>().is_ok());
        assert!("ж".repeat(256).parse::<Keyword>().is_ok());
        for wrong in ["", " a ", "ж".repeat(257).as_str()] {
            assert_eq!(wrong.parse::<Keyword>(), Err(InvalidKeyword::Length), "{wrong}");
        }
    }

    #[test]
    fn control_characters_and_bare_punctuation_are_refused() {
        assert_eq!("a\u{0}b".parse::<Keyword>(), Err(InvalidKeyword::Control));
        assert_eq!("a\nb".parse::<Keyword>(), Err(InvalidKeyword::Control));
        assert_eq!("--".parse::<Keyword>(), Err(InvalidKeyword::NoWord));
    }

    #[test]
    fn case_composition_and_white_space_do_not_make_another_keyword() {
        for (a, b) in [
            ("Straße", "STRASSE"),
            ("cafe\u{301}", "CAFÉ"),
            ("event  sourcing", "Event Sourcing"),
            ("ΟΔΟΣ", "οδος"),
        ] {
            assert_eq!(a.parse::<Keyword>().unwrap(), b.parse().unwrap(), "{a} {b}");
        }
        assert_ne!("docker".parse::<Keyword>().unwrap(), "dockers".parse().unwrap());
    }

    #[test]
    fn folding_twice_changes_nothing_more() {
        for text in ["Straße  X", "İstanbul", "ﬁne\tprint", "  lead  "] {
            assert_eq!(fold(&fold(text)), fold(text));
        }
    }
}
