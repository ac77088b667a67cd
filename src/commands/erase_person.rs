//! Erases a person: destroys the key of what was sealed of them, and says so in the log.

use domain::lead::{Lead, LeadCommand, LeadRefusal};
use domain::{AccountId, EventId, PersonRef, StreamId};
use event_log::Position;

use super::execute::execute;
use super::{CommandError, Writer};

/// Erases the person for ever. The key goes first: once that is done nothing of them can be read or recorded any more,
/// whatever becomes of the rest. The vault keeps in mind that the rest is to be done, until it is: the same call again
/// makes up for it, and so does `erasures`. The position of the event.
pub async fn erase_person(
    writer: &Writer,
    account: AccountId,
    person: PersonRef,
) -> Result<Position, CommandError<LeadRefusal>> {
    writer.vault.destroy(account, person).await?;
    let stream = StreamId::lead(account, person);
    let event_id = EventId::new(writer.clock.ulid());
    let executed = execute::<Lead>(writer, stream, event_id, LeadCommand::Erase).await;
    // Whoever never gave a signal has nothing in the log to be erased.
    if matches!(executed, Ok(_) | Err(CommandError::Refused(_))) {
        writer.vault.erasure_finished(account, person).await?;
    }
    Ok(executed?.position())
}
