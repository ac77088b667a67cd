//! Keeps what GitHub grants each token where a restart and other nodes find it. Used by the scheduler; the API and
//! `gitleads doctor` show it.

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::{SourceState, Timestamp};
use ulid::Ulid;

use super::poll_cursor::PollOutcome;
use super::source_cursor::{of_keyword, of_repo};
use crate::github::{Budget, Client, Ledger, Resource};

/// The token of the host, which serves all accounts.
pub const HOST: &str = "host";

/// What GitHub granted a token when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRow {
    /// Whose token: `host`, or an account.
    pub token: String,
    /// Which token that is, by its fingerprint; none: one of a version that did not note it.
    pub fingerprint: Option<String>,
    /// What GitHub counts.
    pub resource: Resource,
    /// What is known of it.
    pub budget: Budget,
    /// When that was noted.
    pub noted_at: Timestamp,
}

/// The statements that put down what is known of a token's budgets.
pub(super) fn save(token: &str, fingerprint: &str, ledger: &Ledger, now: Timestamp) -> Vec<Statement> {
    let time = |time: Option<Timestamp>| time.map(Timestamp::micros).into();
    let number = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)).into();
    let row = |resource: Resource| {
        let budget = ledger.budget(resource);
        let blocked = ledger.blocked(resource, now);
        if budget.limit.is_none() && blocked.is_none() {
            return None;
        }
        Some(Statement::insert(
            "rate_budget (token, resource, granted, remaining, resets_at, blocked_until, noted_at, fingerprint, is_refused)",
            "ON CONFLICT (token, resource) DO UPDATE SET granted = excluded.granted, remaining = excluded.remaining, \
             resets_at = excluded.resets_at, blocked_until = excluded.blocked_until, noted_at = excluded.noted_at, \
             fingerprint = excluded.fingerprint, is_refused = excluded.is_refused",
            vec![
                token.into(),
                resource.as_str().into(),
                number(budget.limit),
                number(budget.remaining),
                time(budget.resets_at),
                time(blocked),
                now.micros().into(),
                fingerprint.into(),
                ledger.is_refused(resource, now).into(),
            ],
        ))
    };
    Resource::ALL.into_iter().filter_map(row).collect()
}

/// What is known of the budgets of all tokens.
pub async fn all(store: &dyn Database) -> Result<Vec<BudgetRow>, DatabaseError> {
    let text = "SELECT token, resource, granted, remaining, resets_at, blocked_until, noted_at, fingerprint, is_refused \
                FROM rate_budget ORDER BY token, resource";
    let rows = store.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(load).collect::<Result<_, _>>()?)
}

/// Goes on with what was known before. Whether some of it was told to another token: of that nothing is taken over.
pub(super) async fn restore(store: &dyn Database, token: &str, client: &Client) -> Result<bool, DatabaseError> {
    let fingerprint = client.fingerprint();
    let mut is_other = false;
    for row in all(store).await?.into_iter().filter(|row| row.token == token) {
        if row.fingerprint.as_ref() == Some(&fingerprint) {
            client.restore(row.resource, row.budget);
        } else {
            is_other = true;
        }
    }
    Ok(is_other)
}

/// Forgets the budgets of tokens but these: they are asked for nobody any more.
///
/// # Errors
/// If storage fails.
pub async fn keep(store: &dyn Database, tokens: &[String]) -> Result<(), DatabaseError> {
    for row in all(store).await? {
        if !tokens.contains(&row.token) {
            let text = "DELETE FROM rate_budget WHERE token = $1 AND resource = $2";
            let params = vec![row.token.into(), row.resource.as_str().into()];
            store.write(vec![Statement::sql(text, params)]).await?;
        }
    }
    Ok(())
}

/// The statements that forget what another token was told: its budgets, and until when those sources are left alone that did not
/// answer it. What is asked with other tokens keeps its time.
pub(super) fn begin_anew(token: &str, fingerprint: &str, now: Timestamp) -> Vec<Statement> {
    let of_others = "DELETE FROM rate_budget WHERE token = $1 AND (fingerprint IS NULL OR fingerprint <> $2)";
    // The keys of what is asked with an account's token bear its name, and those of the host's none.
    let (is_own, key) = if token == HOST {
        (
            "NOT",
            format!("acct_{}:%", "_".repeat(Ulid::default().to_string().len())),
        )
    } else {
        ("", format!("{token}:%"))
    };
    let feeds = format!(
        "UPDATE poll_cursor SET next_poll_at = $1, failures = 0 WHERE state <> $2 AND next_poll_at > $1 \
         AND {is_own} (repo LIKE $3)"
    );
    let sources = format!(
        "UPDATE source_cursor SET next_at = $1, failures = 0 WHERE next_at > $1 AND EXISTS (SELECT 1 FROM \
         source_look WHERE source_look.subject = source_cursor.subject \
         AND source_look.collector = source_cursor.collector AND source_look.state <> $2) \
         AND {is_own} (subject LIKE $3 OR subject LIKE $4)"
    );
    let ok = PollOutcome::Ok.as_str().into();
    let active = SourceState::Active.as_str().into();
    let (of_repo, of_keyword) = (of_repo(&key), of_keyword(&key));
    vec![
        Statement::sql(of_others, vec![token.into(), fingerprint.into()]),
        Statement::sql(feeds, vec![now.micros().into(), ok, key.into()]),
        Statement::sql(
            sources,
            vec![now.micros().into(), active, of_repo.into(), of_keyword.into()],
        ),
    ]
}

fn load(row: &Row) -> Result<BudgetRow, ColumnError> {
    let number = |index| {
        let number = row.find_int(index)?;
        Ok::<_, ColumnError>(number.and_then(|number| u64::try_from(number).ok()))
    };
    let time = |index| Ok::<_, ColumnError>(row.find_int(index)?.map(Timestamp::from_micros));
    Ok(BudgetRow {
        token: row.text(0)?.to_owned(),
        resource: Resource::find(row.text(1)?).ok_or(ColumnError {
            index: 1,
            expected: "resource of GitHub's",
        })?,
        budget: Budget::known(number(2)?, number(3)?, time(4)?, time(5)?, row.int(8)? != 0),
        fingerprint: row.find_text(7)?.map(str::to_owned),
        noted_at: Timestamp::from_micros(row.int(6)?),
    })
}

#[cfg(test)]
mod tests {
    use database::migrate::{MIGRATIONS, migrate};
    use database::{Durability, Sqlite};
    use domain::AccountId;

    use super::*;
    use crate::ingest::poll_cursor::{PollState, poll_states};
    use crate::ingest::source_cursor::key;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[tokio::test]
    async fn another_token_begins_anew_with_what_is_asked_with_it_alone() {
        let account = |number| AccountId::new(Ulid::from_parts(number, 1));
        let owners = [None, Some(account(1)), Some(account(2))];
        for owner in owners {
            let folder = tempfile::tempdir().unwrap();
            let store = Sqlite::open(&folder.path().join("test.db"), Durability::Disposable).unwrap();
            migrate(&store, MIGRATIONS).await.unwrap();
            let later = NOW.plus(std::time::Duration::from_hours(1));
            for owner in owners {
                let feed = PollState {
                    outcome: PollOutcome::Denied,
                    ..PollState::new(key(owner, "acme/kit"), later)
                };
                let mut statements = vec![feed.save()];
                for subject in [of_repo(&key(owner, "acme/kit")), of_keyword(&key(owner, "to: do"))] {
                    let of_both = [
                        "INSERT INTO source_cursor (subject, collector, next_at, pace, failures) VALUES ($1, $2, $3, 60, 1)",
                        "INSERT INTO source_look (subject, collector, state, reason, since) \
                         VALUES ($1, $2, 'restricted', 'forbidden', $3)",
                    ];
                    statements.extend(of_both.map(|text| {
                        let params = vec![subject.as_str().into(), "issue_search".into(), later.micros().into()];
                        Statement::sql(text, params)
                    }));
                }
                store.write(statements).await.unwrap();
            }
            let token = owner.map_or_else(|| HOST.to_owned(), |account| account.to_string());
            store.write(begin_anew(&token, "other", NOW)).await.unwrap();

            let feeds = poll_states(&store).await.unwrap().into_iter();
            let feeds = feeds.map(|feed| (feed.repo.clone(), feed.next_poll_at));
            let sources = crate::ingest::source_cursor::all(&store).await.unwrap().into_iter();
            let sources = sources.map(|source| (source.subject.clone(), source.next_at));
            let begun: Vec<String> = feeds
                .chain(sources)
                .filter(|(_, at)| *at == NOW)
                .map(|(name, _)| name)
                .collect();
            let own = [
                key(owner, "acme/kit"),
                of_keyword(&key(owner, "to: do")),
                of_repo(&key(owner, "acme/kit")),
            ];
            assert_eq!(begun, own);
        }
    }
}
