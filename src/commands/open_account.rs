//! Opens an account; the first start of a server does it.

use domain::account::{Account, AccountCommand, AccountRefusal};
use domain::event::AccountOpened;
use domain::{AccountId, EventId, PlanName, StreamId};
use event_log::Position;

use super::execute::execute;
use super::{CommandError, Committed, Writer};

/// Opens an account of that name on that plan.
pub async fn open_account(
    writer: &Writer,
    name: String,
    plan: PlanName,
) -> Result<Committed<AccountId>, CommandError<AccountRefusal>> {
    let account = AccountId::new(writer.clock.ulid());
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
