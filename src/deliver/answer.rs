//! What receivers answered is kept sealed, since it can repeat what was sent: for the person whom the event is about, and
//! where it is about none, for the account. What was answered to a message of several events is not kept at all.

use anyhow::Context as _;
use domain::{AccountId, EventId, PersonRef, Sealed, StreamId};
use vault::{Keyring, Vault};

/// Whom the answers to the events of a stream are sealed for.
pub enum Owner {
    /// The person of a lead's stream, with the keys at hand.
    Person(PersonRef, Keyring),
    /// The account of any other stream.
    Account(AccountId),
}

impl Owner {
    /// The owner of a stream; of a person's the key is fetched.
    pub async fn of(vault: &Vault, stream: &StreamId) -> anyhow::Result<Self> {
        let account = stream.account();
        let Some(person) = stream.person() else {
            return Ok(Self::Account(account));
        };
        let keys = vault.keys(account, &[person]).await;
        Ok(Self::Person(person, keys.context("get the person's key")?))
    }

    /// Seals the answer to that event; none: it is empty, or the person was erased.
    pub fn seal(&self, vault: &Vault, event: EventId, answer: &[u8]) -> Option<Sealed> {
        if answer.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(answer);
        match self {
            Self::Person(person, keys) => keys.seal(*person, event, &text).ok(),
            Self::Account(account) => Some(vault.seal_for_account(*account, event, text.as_bytes())),
        }
    }
}

/// Opens an answer that was sealed for the account.
pub fn open_for_account(vault: &Vault, account: AccountId, event: EventId, sealed: &Sealed) -> Option<String> {
    let opened = vault.open_for_account(account, event, sealed).ok()?;
    String::from_utf8(opened).ok()
}
