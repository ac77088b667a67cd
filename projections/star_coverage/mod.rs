//! How many stars of a repository were captured in a span of time, and since when that is held against the public count.
//!
//! The API shows the coverage; ingestion measures it.

use std::collections::BTreeMap;

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::event::{LeadCaptured, LeadWithheld, SignalRecorded};
use domain::{AccountId, Event, RepoId, RepoKey, SignalKind, Timestamp};
use event_log::Recorded;

use crate::{Projection, columns};

/// The projection.
pub struct StarCoverage;

impl Projection for StarCoverage {
    fn name(&self) -> &'static str {
        "star_coverage"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        ""
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        self.apply_all(std::slice::from_ref(recorded))
    }

    /// Stars are summed first, so that one statement touches each row once: PostgreSQL refuses an upsert that meets a row
    /// twice.
    fn apply_all(&self, stretch: &[Recorded]) -> Vec<Statement> {
        let mut given: BTreeMap<(AccountId, RepoKey, Timestamp), u64> = BTreeMap::new();
        let mut statements = Vec::new();
        for recorded in stretch {
            if let Some((repo, at)) = star(&recorded.event) {
                *given.entry((recorded.account(), repo, at)).or_default() += 1;
            }
            statements.extend(count(recorded));
        }
        if !given.is_empty() {
            let row = |((account, repo, at), given): ((AccountId, RepoKey, Timestamp), u64)| {
                vec![
                    columns::id(account.ulid()),
                    repo.bytes().as_slice().into(),
                    columns::time(at),
                    given.into(),
                ]
            };
            statements.push(Statement::Insert {
                into: "star_moments (account, repo, occurred_at, given)",
                on_conflict: "ON CONFLICT (account, repo, occurred_at) DO UPDATE SET \
                              given = star_moments.given + excluded.given",
                rows: given.into_iter().map(row).collect(),
            });
        }
        statements
    }
}

fn star(event: &Event) -> Option<(RepoKey, Timestamp)> {
    let (Event::LeadCaptured(LeadCaptured { signal, .. })
    | Event::LeadWithheld(LeadWithheld { signal, .. })
    | Event::SignalRecorded(SignalRecorded { signal, .. })) = event
    else {
        return None;
    };
    (signal.kind == SignalKind::Stargazer).then_some((signal.repo, signal.occurred_at))
}

fn count(recorded: &Recorded) -> Option<Statement> {
    let account = columns::id(recorded.account().ulid());
    match &recorded.event {
        Event::StarsCounted(counted) => Some(Statement::insert(
            "star_coverage (account, repo_id, first, counted_at)",
            "ON CONFLICT DO NOTHING",
            vec![
                account,
                columns::id(counted.repo_id.ulid()),
                counted.stars.into(),
                columns::time(counted.counted_at),
            ],
        )),
        Event::RepoUntracked(untracked) => Some(Statement::sql(
            "DELETE FROM star_coverage WHERE account = $1 AND repo_id = $2",
            vec![account, columns::id(untracked.repo_id.ulid())],
        )),
        _ => None,
    }
}

/// What a repository's growth is measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstCount {
    /// The account that tracks it.
    pub account: AccountId,
    /// The tracked repository.
    pub repo_id: RepoId,
    /// Stars, as GitHub counted them then.
    pub stars: u64,
    /// When that was.
    pub counted_at: Timestamp,
}

/// The first counts of the account's repositories.
pub async fn list(views: &dyn Database, account: AccountId) -> Result<Vec<FirstCount>, DatabaseError> {
    let text = "SELECT account, repo_id, first, counted_at FROM star_coverage WHERE account = $1 ORDER BY repo_id";
    let rows = views
        .read(Statement::sql(text, vec![columns::id(account.ulid())]))
        .await?;
    Ok(rows.iter().map(first_count).collect::<Result<_, _>>()?)
}

/// The first counts of all accounts.
pub async fn all(views: &dyn Database) -> Result<Vec<FirstCount>, DatabaseError> {
    let text = "SELECT account, repo_id, first, counted_at FROM star_coverage ORDER BY account, repo_id";
    let rows = views.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(first_count).collect::<Result<_, _>>()?)
}

fn first_count(row: &Row) -> Result<FirstCount, ColumnError> {
    Ok(FirstCount {
        account: AccountId::new(columns::ulid(row, 0)?),
        repo_id: RepoId::new(columns::ulid(row, 1)?),
        stars: columns::count(row, 2)?,
        counted_at: columns::timestamp(row, 3)?,
    })
}

/// Stars of the repository, by its keyed hash, that were captured and were given after `from` and no later than `until`.
pub async fn captured(
    views: &dyn Database,
    account: AccountId,
    repo: RepoKey,
    from: Timestamp,
    until: Timestamp,
) -> Result<u64, DatabaseError> {
    let text = "SELECT CAST(coalesce(sum(given), 0) AS BIGINT) FROM star_moments WHERE account = $1 AND repo = $2 \
                AND occurred_at > $3 AND occurred_at <= $4";
    let params = vec![
        columns::id(account.ulid()),
        repo.bytes().as_slice().into(),
        columns::time(from),
        columns::time(until),
    ];
    let rows = views.read(Statement::sql(text, params)).await?;
    let sum = rows.first().map(|row| columns::count(row, 0)).transpose()?;
    Ok(sum.unwrap_or(0))
}

#[cfg(test)]
mod tests;
