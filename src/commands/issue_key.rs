//! Issues an API key. The secret is in the answer and nowhere else.

use domain::account::{AccountCommand, AccountRefusal};
use domain::event::ApiKeyIssued;
use domain::{AccountId, ApiKeyId};

use super::open_account::change_account;
use super::{CommandError, Committed, Writer, api_key};

/// A key, with its secret this once.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedKey {
    /// The key.
    pub key_id: ApiKeyId,
    /// What requests carry; cannot be shown again.
    pub secret: String,
}

impl std::fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedKey")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Issues a key that `label` tells apart from others.
pub async fn issue_key(
    writer: &Writer,
    account: AccountId,
    label: String,
) -> Result<Committed<IssuedKey>, CommandError<AccountRefusal>> {
    let secret = api_key::generate([writer.clock.entropy(), writer.clock.entropy()]);
    let key_id = ApiKeyId::new(writer.clock.ulid());
    let issued = ApiKeyIssued {
        key_id,
        label,
        hash: api_key::hash(&secret).unwrap_or_default(),
        hint: api_key::hint(&secret),
    };
    let position = change_account(writer, account, AccountCommand::IssueKey(issued)).await?;
    Ok(Committed {
        value: IssuedKey { key_id, secret },
        position,
        created: true,
    })
}
