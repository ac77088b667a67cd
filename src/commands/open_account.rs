//! Opens an account; the first start of a server does it.

use domain::account::{Account, AccountCommand, AccountRefusal};
use domain::event::AccountOpened;
use domain::{AccountId, EventId, PlanName, StreamId};
use event_log::Position;
use ulid::Ulid;

use super::execute::execute;
use super::{CommandError, Committed, Writer};

/// Opens an account of that name on that plan.
pub async fn open_account(
    writer: &Writer,
    name: String,
    plan: PlanName,
) -> Result<Committed<AccountId>, CommandError<AccountRefusal>> {
    open(writer, AccountId::new(writer.clock.ulid()), name, plan).await
}

/// Opens the account that an installation begins with, unless it is open. Its id follows from the root key, so that of
/// several nodes that start at once all mean the same account.
pub async fn open_first_account(
    writer: &Writer,
    name: String,
    plan: PlanName,
) -> Result<AccountId, CommandError<AccountRefusal>> {
    let key = writer.vault.purpose_key("the first account");
    let random = key
        .into_iter()
        .take(10)
        .fold(0, |number, byte| number << 8 | u128::from(byte));
    // Without a time: its nodes' clocks need not agree.
    let account = AccountId::new(Ulid::from_parts(0, random));
    match open(writer, account, name, plan).await {
        Ok(_) | Err(CommandError::Refused(AccountRefusal::AlreadyOpened)) => Ok(account),
        Err(error) => Err(error),
    }
}

async fn open(
    writer: &Writer,
    account: AccountId,
    name: String,
    plan: PlanName,
) -> Result<Committed<AccountId>, CommandError<AccountRefusal>> {
    let command = AccountCommand::Open(AccountOpened { name, plan });
    let stream = StreamId::account_stream(account);
    let executed = execute::<Account>(writer, stream, EventId::new(writer.clock.ulid()), command).await?;
    Ok(Committed {
        value: account,
        position: executed.position(),
        created: true,
    })
}

/// Moves an account; shared by the commands that only need to know that it happened.
pub(super) async fn change_account(
    writer: &Writer,
    account: AccountId,
    command: AccountCommand,
) -> Result<Position, CommandError<AccountRefusal>> {
    let stream = StreamId::account_stream(account);
    let executed = execute::<Account>(writer, stream, EventId::new(writer.clock.ulid()), command).await?;
    Ok(executed.position())
}
