//! How the sources of tracked repositories and keywords work; the API shows it, ingestion asks what was told already.

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, Collector, Event, KeywordId, RepoId, SourceReason, SourceState, SourceSubject, Timestamp};
use event_log::Recorded;
use ulid::Ulid;

use crate::{Projection, columns};

/// The projection.
pub struct Sources;

impl Projection for Sources {
    fn name(&self) -> &'static str {
        "sources"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        ""
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        let account = columns::id(recorded.account().ulid());
        let gone = |subject: Ulid| {
            let text = "DELETE FROM sources WHERE account = $1 AND subject = $2";
            vec![Statement::sql(text, vec![account.clone(), columns::id(subject)])]
        };
        match &recorded.event {
            // A statement of its own each, not a row of a longer one, in which PostgreSQL wants no key twice.
            Event::SourceStateChanged(changed) => vec![Statement::sql(
                "INSERT INTO sources (account, subject, collector, state, reason, since) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account, subject, collector) DO UPDATE SET \
                 state = excluded.state, reason = excluded.reason, since = excluded.since",
                vec![
                    account,
                    columns::id(subject(&changed.subject)),
                    changed.collector.as_str().into(),
                    changed.state.as_str().into(),
                    changed.reason.as_str().into(),
                    columns::time(changed.since),
                ],
            )],
            Event::RepoUntracked(untracked) => gone(untracked.repo_id.ulid()),
            Event::KeywordUntracked(untracked) => gone(untracked.keyword_id.ulid()),
            _ => Vec::new(),
        }
    }
}

const fn subject(subject: &SourceSubject) -> Ulid {
    match subject {
        SourceSubject::Repo { id, .. } => id.ulid(),
        SourceSubject::Keyword { id, .. } => id.ulid(),
    }
}

/// How a source works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRow {
    /// The account that is fed.
    pub account: AccountId,
    /// The id of the tracked repository or keyword, without its prefix.
    pub subject: Ulid,
    /// The source.
    pub collector: Collector,
    /// How it works.
    pub state: SourceState,
    /// Why.
    pub reason: SourceReason,
    /// Since when.
    pub since: Timestamp,
}

impl SourceRow {
    /// Whether it feeds this repository.
    pub fn feeds_repo(&self, repo: RepoId) -> bool {
        self.subject == repo.ulid()
    }

    /// Whether it feeds this keyword.
    pub fn feeds_keyword(&self, keyword: KeywordId) -> bool {
        self.subject == keyword.ulid()
    }
}

/// The sources of everything that the account tracks.
pub async fn list(views: &dyn Database, account: AccountId) -> Result<Vec<SourceRow>, DatabaseError> {
    let text = "SELECT account, subject, collector, state, reason, since FROM sources WHERE account = $1 \
                ORDER BY subject, collector";
    read(views, text, vec![columns::id(account.ulid())]).await
}

/// The sources of one thing that the account tracks.
pub async fn of(views: &dyn Database, account: AccountId, subject: Ulid) -> Result<Vec<SourceRow>, DatabaseError> {
    let text = "SELECT account, subject, collector, state, reason, since FROM sources WHERE account = $1 \
                AND subject = $2 ORDER BY collector";
    read(views, text, vec![columns::id(account.ulid()), columns::id(subject)]).await
}

/// All sources of all accounts.
pub async fn all(views: &dyn Database) -> Result<Vec<SourceRow>, DatabaseError> {
    let text =
        "SELECT account, subject, collector, state, reason, since FROM sources ORDER BY account, subject, collector";
    read(views, text, Vec::new()).await
}

async fn read(views: &dyn Database, text: &'static str, params: Vec<Value>) -> Result<Vec<SourceRow>, DatabaseError> {
    let rows = views.read(Statement::sql(text, params)).await?;
    Ok(rows.iter().map(source_row).collect::<Result<_, _>>()?)
}

fn source_row(row: &Row) -> Result<SourceRow, ColumnError> {
    Ok(SourceRow {
        account: AccountId::new(columns::ulid(row, 0)?),
        subject: columns::ulid(row, 1)?,
        collector: columns::parsed(row, 2, "collector")?,
        state: columns::parsed(row, 3, "state of a source")?,
        reason: columns::parsed(row, 4, "reason for a source's state")?,
        since: columns::timestamp(row, 5)?,
    })
}

#[cfg(test)]
mod tests;
