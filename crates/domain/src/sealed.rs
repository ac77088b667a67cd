//! Ciphertext as the log carries it: opaque here, sealed and opened in the vault alone.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Sealed bytes. Which account, person and event they belong to is bound in as associated data, not written inside.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps what the vault sealed.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The ciphertext.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::parsed::parsed_by(|text| STANDARD.decode(text).map(Self), deserializer)
    }
}
