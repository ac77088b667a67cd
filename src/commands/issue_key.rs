//! Issues an API key. The secret is in the answer and nowhere else.

use domain::account::{Account, AccountCommand, AccountRefusal};
use domain::event::ApiKeyIssued;
use domain::{AccountId, ApiKeyId, EventId, StreamId, Timestamp};

use super::execute::execute;
use super::{CommandError, Committed, Writer, api_key};

/// A key, with its secret this once.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedKey {
    /// The key.
    pub key_id: ApiKeyId,
    /// What requests carry; cannot be shown again.
    pub secret: String,
    /// The last characters of the secret.
    pub hint: String,
    /// When it was issued.
    pub created_at: Timestamp,
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
    let hint = api_key::hint(&secret);
    let command = AccountCommand::IssueKey(ApiKeyIssued {
        key_id,
        label,
        hash: api_key::hash(&secret).unwrap_or_default(),
        hint: hint.clone(),
    });
    let (stream, first_id) = (StreamId::account_stream(account), EventId::new(writer.clock.ulid()));
    let executed = execute::<Account>(writer, stream, first_id, command).await?;
    let issued = executed.events.last();
    Ok(Committed {
        value: IssuedKey {
            key_id,
            secret,
            hint,
            created_at: issued.map_or_else(|| writer.clock.now(), |issued| issued.recorded_at),
        },
        position: executed.position(),
        created: true,
    })
}
