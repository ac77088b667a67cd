//! The keys of some people, in hand: what commands seal with, and HTTP, deliveries and the dashboard open with.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use domain::{AccountId, EventId, PersonRef, Sealed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::cipher::{Key, Place, Unopened};

/// Why a value was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The person was erased, or is none of those that the keyring was asked for.
    #[error("the person has no key")]
    Erased,
    /// The value has no JSON form.
    #[error("the value cannot be written as JSON")]
    Malformed,
}

/// Why a value was not opened. Says nothing of what was inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The person was erased, or is none of those that the keyring was asked for.
    #[error("the person has no key")]
    Erased,
    /// It was changed, or sealed for another account, person or event.
    #[error("the sealed value was changed or belongs elsewhere")]
    Tampered,
    /// It is in no format that this program knows, or holds another kind of value.
    #[error("the sealed value is of another form")]
    Malformed,
}

impl From<Unopened> for OpenError {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Malformed => Self::Malformed,
            Unopened::Tampered => Self::Tampered,
        }
    }
}

/// Keys of some people of one account. For the length of one request or batch: an erasure does not reach into it.
pub struct Keyring {
    account: AccountId,
    pub(crate) keys: HashMap<PersonRef, Arc<Key>>,
}

impl Keyring {
    pub(crate) fn new(account: AccountId, keys: HashMap<PersonRef, Arc<Key>>) -> Self {
        Self { account, keys }
    }

    /// Whether the person has a key here.
    pub fn has(&self, person: PersonRef) -> bool {
        self.keys.contains_key(&person)
    }

    /// Seals `value`, as JSON, for the person and the event that will carry it.
    pub fn seal<T: Serialize>(&self, person: PersonRef, event: EventId, value: &T) -> Result<Sealed, SealError> {
        let key = self.keys.get(&person).ok_or(SealError::Erased)?;
        let mut plain = Zeroizing::new(Vec::new());
        serde_json::to_writer(&mut *plain, value).map_err(|_| SealError::Malformed)?;
        Ok(Sealed::new(key.seal(&self.place(person, event), &plain)))
    }

    /// Opens what [`Keyring::seal`] sealed for the same account, person and event.
    pub fn open<T: DeserializeOwned>(
        &self,
        person: PersonRef,
        event: EventId,
        sealed: &Sealed,
    ) -> Result<T, OpenError> {
        let key = self.keys.get(&person).ok_or(OpenError::Erased)?;
        let plain = key.open(&self.place(person, event), sealed.bytes())?;
        // The cause is left out: it would quote the value.
        serde_json::from_slice(&plain).map_err(|_| OpenError::Malformed)
    }

    fn place(&self, person: PersonRef, event: EventId) -> Place {
        let (account, event) = (self.account.ulid().to_bytes(), event.ulid().to_bytes());
        Place::new("person", &[&account, person.bytes(), &event])
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.keys.len())
    }
}
