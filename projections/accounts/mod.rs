//! The accounts and their plans; authentication, quota and the command line read it.

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::{AccountId, Event, PlanName, Timestamp};
use event_log::Recorded;

use crate::{Projection, columns};

/// The projection.
pub struct Accounts;

impl Projection for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
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
            Event::AccountOpened(opened) => vec![Statement::insert(
                "accounts (account, name, plan, opened_at)",
                "ON CONFLICT DO NOTHING",
                vec![
                    account,
                    opened.name.as_str().into(),
                    opened.plan.as_str().into(),
                    columns::time(recorded.recorded_at),
                ],
            )],
            Event::PlanChanged(changed) => vec![Statement::sql(
                "UPDATE accounts SET plan = $1 WHERE account = $2",
                vec![changed.plan.as_str().into(), account],
            )],
            _ => Vec::new(),
        }
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its id.
    pub account: AccountId,
    /// What the host calls it.
    pub name: String,
    /// The plan it is on.
    pub plan: PlanName,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// Every account, oldest id first.
pub async fn all(views: &dyn Database) -> Result<Vec<AccountRow>, DatabaseError> {
    let text = "SELECT account, name, plan, opened_at FROM accounts ORDER BY account";
    let rows = views.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(account_row).collect::<Result<_, _>>()?)
}

/// The account of that id.
pub async fn find(views: &dyn Database, account: AccountId) -> Result<Option<AccountRow>, DatabaseError> {
    let text = "SELECT account, name, plan, opened_at FROM accounts WHERE account = $1";
    let rows = views
        .read(Statement::sql(text, vec![columns::id(account.ulid())]))
        .await?;
    Ok(rows.first().map(account_row).transpose()?)
}

fn account_row(row: &Row) -> Result<AccountRow, ColumnError> {
    Ok(AccountRow {
        account: AccountId::new(columns::ulid(row, 0)?),
        name: row.text(1)?.to_owned(),
        plan: columns::parsed(row, 2, "plan's name")?,
        opened_at: columns::timestamp(row, 3)?,
    })
}

#[cfg(test)]
mod tests;
