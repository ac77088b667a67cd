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
        let mut moments: BTreeMap<(AccountId, RepoKey, Timestamp), Stars> = BTreeMap::new();
        let mut statements = Vec::new();
        for recorded in stretch {
            if let Some((repo, at, stars)) = star(&recorded.event) {
                let moment = moments.entry((recorded.account(), repo, at)).or_default();
                moment.given += stars.given;
                moment.taken_back += stars.taken_back;
            }
            statements.extend(count(recorded));
        }
        if !moments.is_empty() {
            let row = |((account, repo, at), stars): ((AccountId, RepoKey, Timestamp), Stars)| {
                vec![
                    columns::id(account.ulid()),
                    repo.bytes().as_slice().into(),
                    columns::time(at),
                    stars.given.into(),
                    stars.taken_back.into(),
                ]
            };
            statements.push(Statement::Insert {
                into: "star_moments (account, repo, occurred_at, given, taken_back)",
                on_conflict: "ON CONFLICT (account, repo, occurred_at) DO UPDATE SET \
                              given = star_moments.given + excluded.given, \
                              taken_back = star_moments.taken_back + excluded.taken_back",
                rows: moments.into_iter().map(row).collect(),
            });
        }
        statements
    }
}

/// A star that was given or taken back: where and when.
fn star(event: &Event) -> Option<(RepoKey, Timestamp, Stars)> {
    let (given, taken_back) = (
        Stars {
            given: 1,
            taken_back: 0,
        },
        Stars {
            given: 0,
            taken_back: 1,
        },
    );
    match event {
        Event::StarTakenBack(told) => return Some((told.repo, told.taken_back_at, taken_back)),
        Event::StarGivenAgain(told) => return Some((told.repo, told.occurred_at, given)),
        _ => {}
    }
    let (Event::LeadCaptured(LeadCaptured { signal, .. })
    | Event::LeadWithheld(LeadWithheld { signal, .. })
    | Event::SignalRecorded(SignalRecorded { signal, .. })) = event
    else {
        return None;
    };
    (signal.kind == SignalKind::Stargazer).then_some((signal.repo, signal.occurred_at, given))
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

/// Captured stars of a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stars {
    /// Those that were given in it.
    pub given: u64,
    /// Those of which we were told in it that they were taken back.
    pub taken_back: u64,
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

/// Captured stars of the repository, by its keyed hash, that were given or taken back after `from` and no later than `until`.
pub async fn captured(
    views: &dyn Database,
    account: AccountId,
    repo: RepoKey,
    from: Timestamp,
    until: Timestamp,
) -> Result<Stars, DatabaseError> {
    let text = "SELECT CAST(coalesce(sum(given), 0) AS BIGINT), CAST(coalesce(sum(taken_back), 0) AS BIGINT) \
                FROM star_moments WHERE account = $1 AND repo = $2 AND occurred_at > $3 AND occurred_at <= $4";
    let params = vec![
        columns::id(account.ulid()),
        repo.bytes().as_slice().into(),
        columns::time(from),
        columns::time(until),
    ];
    let rows = views.read(Statement::sql(text, params)).await?;
    let Some(row) = rows.first() else {
        return Ok(Stars::default());
    };
    Ok(Stars {
        given: columns::count(row, 0)?,
        taken_back: columns::count(row, 1)?,
    })
}

#[cfg(test)]
mod tests;
