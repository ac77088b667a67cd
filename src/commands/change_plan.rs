//! Moves an account to another plan.

use domain::account::{AccountCommand, AccountRefusal};
use domain::{AccountId, PlanName};
use event_log::Position;

use super::open_account::change_account;
use super::{CommandError, Writer};

/// Puts the account on `plan`; nothing happens if it is on it already.
pub async fn change_plan(
    writer: &Writer,
    account: AccountId,
    plan: PlanName,
) -> Result<Position, CommandError<AccountRefusal>> {
    change_account(writer, account, AccountCommand::ChangePlan(plan)).await
}
