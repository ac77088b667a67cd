//! Releases withheld leads when the month turned or the plan was raised.

use domain::lead::{Lead, LeadCommand, LeadRefusal};
use domain::{AccountId, EventId, PersonRef, StreamId};
use event_log::Position;

use super::execute::execute;
use super::{CommandError, Writer};

/// Releases the leads of these people, in this order; those that are not withheld stay as they are. The position of
/// the last event, if there was one.
pub async fn release_leads(
    writer: &Writer,
    account: AccountId,
    people: &[PersonRef],
) -> Result<Position, CommandError<LeadRefusal>> {
    let mut last = Position::START;
    for person in people {
        let stream = StreamId::lead(account, *person);
        let event_id = EventId::new(writer.clock.ulid());
        last = execute::<Lead>(writer, stream, event_id, LeadCommand::Release)
            .await?
            .position();
    }
    Ok(last)
}
