//! Keeps what GitHub grants each token where a restart and other nodes find it. Used by the scheduler; the API and
//! `gitleads doctor` show it.

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::Timestamp;

use crate::github::{Budget, Client, Ledger, Resource};

/// The token of the host, which serves all accounts.
pub const HOST: &str = "host";

/// What GitHub granted a token when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRow {
    /// Whose token: `host`, or an account.
    pub token: String,
    /// What GitHub counts.
    pub resource: Resource,
    /// What is known of it.
    pub budget: Budget,
    /// When that was noted.
    pub noted_at: Timestamp,
}

/// The statements that put down what is known of a token's budgets.
pub(super) fn save(token: &str, ledger: &Ledger, now: Timestamp) -> Vec<Statement> {
    let time = |time: Option<Timestamp>| time.map(Timestamp::micros).into();
    let number = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)).into();
    let row = |resource: Resource| {
        let budget = ledger.budget(resource);
        let blocked = ledger.blocked(resource, now);
        if budget.limit.is_none() && blocked.is_none() {
            return None;
        }
        Some(Statement::insert(
            "rate_budget (token, resource, granted, remaining, resets_at, blocked_until, noted_at)",
            "ON CONFLICT (token, resource) DO UPDATE SET granted = excluded.granted, remaining = excluded.remaining, \
             resets_at = excluded.resets_at, blocked_until = excluded.blocked_until, noted_at = excluded.noted_at",
            vec![
                token.into(),
                resource.as_str().into(),
                number(budget.limit),
                number(budget.remaining),
                time(budget.resets_at),
                time(blocked),
                now.micros().into(),
            ],
        ))
    };
    Resource::ALL.into_iter().filter_map(row).collect()
}

/// What is known of the budgets of all tokens.
pub async fn all(store: &dyn Database) -> Result<Vec<BudgetRow>, DatabaseError> {
    let text = "SELECT token, resource, granted, remaining, resets_at, blocked_until, noted_at FROM rate_budget \
                ORDER BY token, resource";
    let rows = store.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(load).collect::<Result<_, _>>()?)
}

/// Goes on with what was known before.
pub(super) async fn restore(store: &dyn Database, token: &str, client: &Client) -> Result<(), DatabaseError> {
    for row in all(store).await?.into_iter().filter(|row| row.token == token) {
        client.restore(row.resource, row.budget);
    }
    Ok(())
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
        budget: Budget::known(number(2)?, number(3)?, time(4)?, time(5)?),
        noted_at: Timestamp::from_micros(row.int(6)?),
    })
}
