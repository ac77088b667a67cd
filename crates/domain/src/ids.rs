//! Names of things: prefixed ULIDs that clients see, and the keyed hashes that stand for people, logins, repositories and
//! signals.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

/// A text that is not the id it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {expected}: it looks like {example}")]
pub struct InvalidId {
    /// What the text was to be, in words.
    pub expected: &'static str,
    /// The shape of a valid one.
    pub example: &'static str,
}

/// One spelling an id: ULID decoding would also take lower case, look-alike letters and more than 128 bits.
fn is_spelt_right(ulid: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'Z') && !matches!(byte, b'I' | b'L' | b'O' | b'U');
    ulid.bytes().all(is_digit) && ulid.bytes().next().is_some_and(|first| first <= b'7')
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// The id around a ULID that the caller made.
            pub const fn new(ulid: Ulid) -> Self {
                Self(ulid)
            }

            /// The bare ULID, without the prefix.
            pub const fn ulid(self) -> Ulid {
                self.0
            }
        }

        /// The nil id: what an aggregate holds before its first event.
        impl Default for $name {
            fn default() -> Self {
                Self(Ulid::nil())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|rest| is_spelt_right(rest))
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .ok_or(InvalidId { expected: stringify!($name), example: concat!($prefix, "_01J8ZQ4N3M8YV7T6S5R4Q3P2N1") })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::parsed::parsed(deserializer)
            }
        }
    };
}

prefixed_id!(
    /// A customer: owns keys, tracked things, leads and webhook endpoints.
    AccountId, "acct"
);
prefixed_id!(
    /// An API key, without its secret.
    ApiKeyId, "key"
);
prefixed_id!(
    /// A recorded event; also the `webhook-id` that a subscriber sees.
    EventId, "evt"
);
prefixed_id!(
    /// A lead: a person within an account.
    LeadId, "lead"
);
prefixed_id!(
    /// A tracked repository.
    RepoId, "repo"
);
prefixed_id!(
    /// A tracked keyword.
    KeywordId, "kw"
);
prefixed_id!(
    /// A customer's URL that receives webhooks.
    WebhookEndpointId, "wh"
);
prefixed_id!(
    /// A request to send again to an endpoint what happened in a span of time.
    WebhookReplayId, "rpl"
);

macro_rules! keyed_hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The hash, as the vault computed it.
            pub const fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { expected: stringify!($name), example: "32 hexadecimal digits" };
                if text.len() != 32 || text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(invalid);
                }
                u128::from_str_radix(text, 16).map(|value| Self(value.to_be_bytes())).map_err(|_| invalid)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::parsed::parsed(deserializer)
            }
        }
    };
}

keyed_hash!(
    /// A person within an account: a keyed hash of account and numeric GitHub user id, so that the log names
    /// nobody and the same person always lands in the same stream.
    PersonRef
);
keyed_hash!(
    /// A repository within an account: a keyed hash of account and lower-case name. People write in repositories of
    /// their own, so the name of one is personal data; lists are filtered by this instead.
    RepoKey
);
keyed_hash!(
    /// A login within an account: a keyed hash of account and lower-case login, so that a person is found by name without
    /// opening what is sealed.
    LoginKey
);
keyed_hash!(
    /// The identity of a signal: a keyed hash of account, kind, source, person and (for keywords) the item's URL.
    SignalKey
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = LeadId::new(Ulid::from_parts(1_777_026_660_000, 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("lead_01"));
    }

    #[test]
    fn another_prefix_lower_case_and_rubbish_are_refused() {
        let text = LeadId::new(Ulid::from_parts(1_777_026_660_000, 7)).to_string();
        for wrong in [
            text.replace("lead", "repo"),
            text.to_lowercase(),
            "lead_".into(),
            String::new(),
            "lead_é".into(),
        ] {
            assert!(wrong.parse::<LeadId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_keyed_hash_reads_back_from_its_text_and_nothing_else_does() {
        let key = SignalKey::new([0xAB; 16]);
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in ["", "ab", &"AB".repeat(16), &"+b".repeat(16), &"zz".repeat(16)] {
            assert!(wrong.parse::<SignalKey>().is_err(), "{wrong}");
        }
    }
}
