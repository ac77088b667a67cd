//! Puts down how far the customer got with a lead, and what they noted.

use domain::lead::{Lead, LeadCommand, LeadRefusal};
use domain::{AccountId, Event, EventId, LeadStatus, PersonRef, StreamId, Timestamp};
use event_log::Recorded;
use vault::{Keyring, OpenError};

use super::execute::execute_with;
use super::{CommandError, Committed, Writer};

/// What is to change.
#[derive(Clone, PartialEq, Eq)]
pub struct LeadEdit {
    /// The status from now on; none: as it was.
    pub status: Option<LeadStatus>,
    /// What becomes of the notes.
    pub notes: NotesEdit,
}

/// What becomes of a lead's notes.
#[derive(Clone, PartialEq, Eq)]
pub enum NotesEdit {
    /// They stay.
    Keep,
    /// They go.
    Clear,
    /// They say this from now on.
    Write(String),
}

impl NotesEdit {
    fn of(&self, before: Option<&String>) -> Option<String> {
        match self {
            Self::Keep => before.cloned(),
            Self::Clear => None,
            Self::Write(text) => Some(text.clone()),
        }
    }
}

/// A lead as the customer left it. No `Debug`: notes may name people.
#[derive(Clone, PartialEq, Eq)]
pub struct EditedLead {
    /// How far they got.
    pub status: LeadStatus,
    /// What they noted.
    pub notes: Option<String>,
    /// When they last changed one of the two; none: never.
    pub edited_at: Option<Timestamp>,
}

/// Changes what `edit` names, and says what the lead is after that.
pub async fn update_lead(
    writer: &Writer,
    account: AccountId,
    person: PersonRef,
    edit: &LeadEdit,
) -> Result<Committed<EditedLead>, CommandError<LeadRefusal>> {
    let keys = writer.vault.keys(account, &[person]).await?;
    if !keys.has(person) {
        return Err(CommandError::Refused(LeadRefusal::Erased));
    }
    let stream = StreamId::lead(account, person);
    let event_id = EventId::new(writer.clock.ulid());
    let executed = execute_with::<Lead>(writer, stream, event_id, |history| {
        let before = edited(&keys, person, history).map_err(|error| CommandError::Sealed(error.into()))?;
        let after = edit.notes.of(before.notes.as_ref());
        let notes_changed = after != before.notes;
        let notes = after.map(|text| keys.seal(person, event_id, &text)).transpose();
        Ok(LeadCommand::Update {
            status: edit.status,
            notes: notes.map_err(|error| CommandError::Sealed(error.into()))?,
            notes_changed,
        })
    })
    .await?;
    Ok(Committed {
        value: edited(&keys, person, &executed.events).map_err(|error| CommandError::Sealed(error.into()))?,
        position: executed.position(),
        created: executed.new > 0,
    })
}

/// What the last edit left.
fn edited(keys: &Keyring, person: PersonRef, history: &[Recorded]) -> Result<EditedLead, OpenError> {
    for recorded in history.iter().rev() {
        if let Event::LeadUpdated(updated) = &recorded.event {
            let notes = updated.notes.as_ref();
            return Ok(EditedLead {
                status: updated.status,
                notes: notes.map(|notes| keys.open(person, recorded.id, notes)).transpose()?,
                edited_at: Some(recorded.recorded_at),
            });
        }
    }
    Ok(EditedLead {
        status: LeadStatus::default(),
        notes: None,
        edited_at: None,
    })
}
