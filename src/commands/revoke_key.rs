//! Revokes an API key.

use domain::account::{AccountCommand, AccountRefusal};
use domain::{AccountId, ApiKeyId};
use event_log::Position;

use super::open_account::change_account;
use super::{CommandError, Writer};

/// Revokes the key; nothing happens if it is revoked already.
pub async fn revoke_key(
    writer: &Writer,
    account: AccountId,
    key_id: ApiKeyId,
) -> Result<Position, CommandError<AccountRefusal>> {
    change_account(writer, account, AccountCommand::RevokeKey(key_id)).await
}
