//! The API keys, without their secrets; authentication and key management read it.

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::{AccountId, ApiKeyId, Event, Timestamp};
use event_log::Recorded;

use crate::{Projection, columns};

/// The projection.
pub struct ApiKeys;

impl Projection for ApiKeys {
    fn name(&self) -> &'static str {
        "api_keys"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        ""
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        let account = columns::id(recorded.account().ulid());
        let now = columns::time(recorded.recorded_at);
        match &recorded.event {
            Event::ApiKeyIssued(issued) => vec![Statement::insert(
                "api_keys (account, key_id, label, hash, hint, created_at)",
                "ON CONFLICT DO NOTHING",
                vec![
                    account,
                    columns::id(issued.key_id.ulid()),
                    issued.label.as_str().into(),
                    issued.hash.as_str().into(),
                    issued.hint.as_str().into(),
                    now,
                ],
            )],
            Event::ApiKeyRevoked(revoked) => vec![Statement::sql(
                "UPDATE api_keys SET revoked_at = $1 WHERE account = $2 AND key_id = $3",
                vec![now, account, columns::id(revoked.key_id.ulid())],
            )],
            _ => Vec::new(),
        }
    }
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its id.
    pub key_id: ApiKeyId,
    /// What the host calls it.
    pub label: String,
    /// The last four characters of the secret.
    pub hint: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was revoked; none: it is valid.
    pub revoked_at: Option<Timestamp>,
}

/// Every key that was not revoked: the hash of its secret (SHA-256, lower-case hexadecimal), its account and its id.
pub async fn valid(views: &dyn Database) -> Result<Vec<(String, AccountId, ApiKeyId)>, DatabaseError> {
    let text = "SELECT hash, account, key_id FROM api_keys WHERE revoked_at IS NULL";
    let rows = views.read(Statement::sql(text, Vec::new())).await?;
    let valid = rows.iter().map(|row| {
        let account = AccountId::new(columns::ulid(row, 1)?);
        Ok::<_, ColumnError>((row.text(0)?.to_owned(), account, ApiKeyId::new(columns::ulid(row, 2)?)))
    });
    Ok(valid.collect::<Result<_, _>>()?)
}

/// The account's key of that id, revoked or not.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    key_id: ApiKeyId,
) -> Result<Option<ApiKeyRow>, DatabaseError> {
    let text = "SELECT account, key_id, label, hint, created_at, revoked_at FROM api_keys WHERE account = $1 \
                AND key_id = $2";
    let params = vec![columns::id(account.ulid()), columns::id(key_id.ulid())];
    let rows = views.read(Statement::sql(text, params)).await?;
    Ok(rows.first().map(api_key_row).transpose()?)
}

/// The account's keys, revoked ones too, oldest first.
pub async fn list(views: &dyn Database, account: AccountId) -> Result<Vec<ApiKeyRow>, DatabaseError> {
    let text = "SELECT account, key_id, label, hint, created_at, revoked_at FROM api_keys WHERE account = $1 \
                ORDER BY key_id";
    let rows = views
        .read(Statement::sql(text, vec![columns::id(account.ulid())]))
        .await?;
    Ok(rows.iter().map(api_key_row).collect::<Result<_, _>>()?)
}

fn api_key_row(row: &Row) -> Result<ApiKeyRow, ColumnError> {
    Ok(ApiKeyRow {
        account: AccountId::new(columns::ulid(row, 0)?),
        key_id: ApiKeyId::new(columns::ulid(row, 1)?),
        label: row.text(2)?.to_owned(),
        hint: row.text(3)?.to_owned(),
        created_at: columns::timestamp(row, 4)?,
        revoked_at: columns::find_timestamp(row, 5)?,
    })
}

#[cfg(test)]
mod tests;
