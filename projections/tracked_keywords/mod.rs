//! The keywords that accounts track; the API lists them, ingestion matches texts against them.

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, Event, Keyword, KeywordId, ScanTargets, Timestamp};
use event_log::Recorded;

use crate::{Projection, columns};

/// The projection.
pub struct TrackedKeywords;

impl Projection for TrackedKeywords {
    fn name(&self) -> &'static str {
        "tracked_keywords"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        ""
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        let account = columns::id(recorded.account().ulid());
        match &recorded.event {
            Event::KeywordTracked(tracked) => vec![Statement::insert(
                "tracked_keywords (account, keyword_id, keyword, scan_targets, created_at, targets_since)",
                "ON CONFLICT DO NOTHING",
                vec![
                    account,
                    columns::id(tracked.keyword_id.ulid()),
                    tracked.keyword.as_str().into(),
                    tracked.scan_targets.to_string().into(),
                    columns::time(recorded.recorded_at),
                    columns::time(recorded.recorded_at),
                ],
            )],
            Event::KeywordRetargeted(changed) => vec![Statement::sql(
                "UPDATE tracked_keywords SET scan_targets = $1, targets_since = $2 WHERE account = $3 AND keyword_id = $4",
                vec![
                    changed.scan_targets.to_string().into(),
                    columns::time(recorded.recorded_at),
                    account,
                    columns::id(changed.keyword_id.ulid()),
                ],
            )],
            Event::KeywordUntracked(untracked) => vec![Statement::sql(
                "DELETE FROM tracked_keywords WHERE account = $1 AND keyword_id = $2",
                vec![account, columns::id(untracked.keyword_id.ulid())],
            )],
            _ => Vec::new(),
        }
    }
}

/// A tracked keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedKeywordRow {
    /// The account that tracks it.
    pub account: AccountId,
    /// Its id.
    pub keyword_id: KeywordId,
    /// The phrase, as the customer spelt it.
    pub keyword: Keyword,
    /// Where it is looked for.
    pub scan_targets: ScanTargets,
    /// Since when it is tracked.
    pub created_at: Timestamp,
    /// Since when it is looked for in these places.
    pub targets_since: Timestamp,
}

/// What the account tracks, oldest first.
pub async fn list(views: &dyn Database, account: AccountId) -> Result<Vec<TrackedKeywordRow>, DatabaseError> {
    let text = "SELECT account, keyword_id, keyword, scan_targets, created_at, targets_since FROM tracked_keywords \
                WHERE account = $1 ORDER BY keyword_id";
    read(views, text, vec![columns::id(account.ulid())]).await
}

/// What all accounts track.
pub async fn all(views: &dyn Database) -> Result<Vec<TrackedKeywordRow>, DatabaseError> {
    let text = "SELECT account, keyword_id, keyword, scan_targets, created_at, targets_since FROM tracked_keywords \
                ORDER BY account, keyword_id";
    read(views, text, Vec::new()).await
}

/// The account's tracked keyword of that id.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    keyword_id: KeywordId,
) -> Result<Option<TrackedKeywordRow>, DatabaseError> {
    let text = "SELECT account, keyword_id, keyword, scan_targets, created_at, targets_since FROM tracked_keywords \
                WHERE account = $1 AND keyword_id = $2";
    let params = vec![columns::id(account.ulid()), columns::id(keyword_id.ulid())];
    Ok(read(views, text, params).await?.pop())
}

async fn read(
    views: &dyn Database,
    text: &'static str,
    params: Vec<Value>,
) -> Result<Vec<TrackedKeywordRow>, DatabaseError> {
    let rows = views.read(Statement::sql(text, params)).await?;
    Ok(rows.iter().map(tracked_keyword_row).collect::<Result<_, _>>()?)
}

fn tracked_keyword_row(row: &Row) -> Result<TrackedKeywordRow, ColumnError> {
    Ok(TrackedKeywordRow {
        account: AccountId::new(columns::ulid(row, 0)?),
        keyword_id: KeywordId::new(columns::ulid(row, 1)?),
        keyword: columns::parsed(row, 2, "keyword")?,
        scan_targets: columns::parsed(row, 3, "list of scan targets")?,
        created_at: columns::timestamp(row, 4)?,
        targets_since: columns::timestamp(row, 5)?,
    })
}

#[cfg(test)]
mod tests;
