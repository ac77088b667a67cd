//! A setting that must not be shown; printing it for debugging shows nothing of it.

use std::fmt;
use std::str::FromStr;

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Any text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A text that can stand in an HTTP header.
    pub(super) fn header_value(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self::new(text))
        } else {
            Err("must have visible ASCII characters only, and at least one".into())
        }
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}
