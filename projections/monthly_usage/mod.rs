//! How many leads an account captured in a month, and how many were withheld; the quota and the usage page read it.

use std::collections::BTreeMap;

use database::{Database, DatabaseError, Statement};
use domain::{AccountId, Event, Month};
use event_log::Recorded;

use crate::{Projection, columns};

/// The projection.
pub struct MonthlyUsage;

impl Projection for MonthlyUsage {
    fn name(&self) -> &'static str {
        "monthly_usage"
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

    /// Summed first, so that one statement touches each row once: PostgreSQL refuses an upsert that meets a row twice.
    fn apply_all(&self, stretch: &[Recorded]) -> Vec<Statement> {
        let mut sums: BTreeMap<(AccountId, Month), Usage> = BTreeMap::new();
        for recorded in stretch {
            let (captured, withheld) = match recorded.event {
                Event::LeadCaptured(_) | Event::LeadReleased(_) => (1, 0),
                Event::LeadWithheld(_) => (0, 1),
                _ => continue,
            };
            let sum = sums
                .entry((recorded.account(), recorded.recorded_at.month()))
                .or_default();
            sum.captured += captured;
            sum.withheld += withheld;
        }
        if sums.is_empty() {
            return Vec::new();
        }
        let rows = sums.into_iter().map(|((account, month), sum)| {
            vec![
                columns::id(account.ulid()),
                month.to_string().into(),
                sum.captured.into(),
                sum.withheld.into(),
            ]
        });
        vec![Statement::Insert {
            into: "monthly_usage (account, month, captured, withheld)",
            on_conflict: "ON CONFLICT (account, month) DO UPDATE SET \
                          captured = monthly_usage.captured + excluded.captured, \
                          withheld = monthly_usage.withheld + excluded.withheld",
            rows: rows.collect(),
        }]
    }
}

/// A month's leads, by the time that their events were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Captured or released in the month: what the quota counts.
    pub captured: u64,
    /// Withheld in the month, whether or not they were released since.
    pub withheld: u64,
}

/// The account's usage in that month.
pub async fn find(views: &dyn Database, account: AccountId, month: Month) -> Result<Usage, DatabaseError> {
    let text = "SELECT captured, withheld FROM monthly_usage WHERE account = $1 AND month = $2";
    let params = vec![columns::id(account.ulid()), month.to_string().into()];
    let rows = views.read(Statement::sql(text, params)).await?;
    let Some(row) = rows.first() else {
        return Ok(Usage::default());
    };
    Ok(Usage {
        captured: columns::count(row, 0)?,
        withheld: columns::count(row, 1)?,
    })
}

#[cfg(test)]
mod tests;
