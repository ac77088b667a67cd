//! The repositories that accounts track; the API lists them, ingestion matches stars against them.

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, Event, RepoId, RepoName, RepoRelation, Timestamp};
use event_log::Recorded;

use crate::{Projection, columns};

/// The projection.
pub struct TrackedRepos;

impl Projection for TrackedRepos {
    fn name(&self) -> &'static str {
        "tracked_repos"
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
            Event::RepoTracked(tracked) => vec![Statement::insert(
                "tracked_repos (account, repo_id, full_name, relation, created_at)",
                "ON CONFLICT DO NOTHING",
                vec![
                    account,
                    columns::id(tracked.repo_id.ulid()),
                    tracked.full_name.as_str().into(),
                    tracked.relation.as_str().into(),
                    columns::time(recorded.recorded_at),
                ],
            )],
            Event::RepoReclassified(changed) => vec![Statement::sql(
                "UPDATE tracked_repos SET relation = $1 WHERE account = $2 AND repo_id = $3",
                vec![
                    changed.relation.as_str().into(),
                    account,
                    columns::id(changed.repo_id.ulid()),
                ],
            )],
            Event::RepoRenamed(renamed) => vec![Statement::sql(
                "UPDATE tracked_repos SET called = $1 WHERE account = $2 AND repo_id = $3",
                vec![
                    renamed.full_name.as_str().into(),
                    account,
                    columns::id(renamed.repo_id.ulid()),
                ],
            )],
            Event::RepoUntracked(untracked) => vec![Statement::sql(
                "DELETE FROM tracked_repos WHERE account = $1 AND repo_id = $2",
                vec![account, columns::id(untracked.repo_id.ulid())],
            )],
            _ => Vec::new(),
        }
    }
}

/// A tracked repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedRepoRow {
    /// The account that tracks it.
    pub account: AccountId,
    /// Its id.
    pub repo_id: RepoId,
    /// Its name, as the customer spelt it.
    pub full_name: RepoName,
    /// What it is to the account.
    pub relation: RepoRelation,
    /// Since when it is tracked.
    pub created_at: Timestamp,
    /// Its name on GitHub, if that was another once since.
    pub called: Option<RepoName>,
}

/// What the account tracks, oldest first.
pub async fn list(views: &dyn Database, account: AccountId) -> Result<Vec<TrackedRepoRow>, DatabaseError> {
    let text = "SELECT account, repo_id, full_name, relation, created_at, called FROM tracked_repos WHERE account = $1 \
                ORDER BY repo_id";
    read(views, text, vec![columns::id(account.ulid())]).await
}

/// What all accounts track.
pub async fn all(views: &dyn Database) -> Result<Vec<TrackedRepoRow>, DatabaseError> {
    let text =
        "SELECT account, repo_id, full_name, relation, created_at, called FROM tracked_repos ORDER BY account, repo_id";
    read(views, text, Vec::new()).await
}

/// The account's tracked repository of that id.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    repo_id: RepoId,
) -> Result<Option<TrackedRepoRow>, DatabaseError> {
    let text = "SELECT account, repo_id, full_name, relation, created_at, called FROM tracked_repos WHERE account = $1 \
                AND repo_id = $2";
    let params = vec![columns::id(account.ulid()), columns::id(repo_id.ulid())];
    Ok(read(views, text, params).await?.pop())
}

async fn read(
    views: &dyn Database,
    text: &'static str,
    params: Vec<Value>,
) -> Result<Vec<TrackedRepoRow>, DatabaseError> {
    let rows = views.read(Statement::sql(text, params)).await?;
    Ok(rows.iter().map(tracked_repo_row).collect::<Result<_, _>>()?)
}

fn tracked_repo_row(row: &Row) -> Result<TrackedRepoRow, ColumnError> {
    Ok(TrackedRepoRow {
        account: AccountId::new(columns::ulid(row, 0)?),
        repo_id: RepoId::new(columns::ulid(row, 1)?),
        full_name: columns::parsed(row, 2, "repository's name")?,
        relation: columns::parsed(row, 3, "repository's relation")?,
        created_at: columns::timestamp(row, 4)?,
        called: row
            .find_text(5)?
            .map(|_| columns::parsed(row, 5, "repository's name"))
            .transpose()?,
    })
}

#[cfg(test)]
mod tests;
