//! Puts down that a person took a star back.

use domain::lead::{Lead, LeadCommand, LeadRefusal};
use domain::{AccountId, Collector, Event, EventId, RepoName, Signal, SignalKey, SignalKind, StreamId, Timestamp};
use event_log::Recorded;

use super::execute::execute_with;
use super::{CommandError, Writer};

/// A star that was taken back, in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct StarGone {
    /// The numeric GitHub user id of who did it.
    pub user_id: u64,
    /// Where, as it is tracked.
    pub repo: RepoName,
    /// When we were told of it.
    pub at: Timestamp,
    /// Which source told of it.
    pub collector: Collector,
}

impl StarGone {
    /// The signal that the star is, if it is one.
    pub fn signal(&self, writer: &Writer, account: AccountId) -> SignalKey {
        let vault = &writer.vault;
        vault.signal_key(account, SignalKind::Stargazer, &self.repo, self.user_id, None)
    }
}

/// Puts it down if the star is a signal of the account's, and is there by what is known. Whether it was put down.
pub async fn take_star_back(
    writer: &Writer,
    account: AccountId,
    gone: &StarGone,
) -> Result<bool, CommandError<LeadRefusal>> {
    let person = writer.vault.person_ref(account, gone.user_id);
    let signal = gone.signal(writer, account);
    let stream = StreamId::lead(account, person);
    let command = |events: &[Recorded]| {
        Ok(LeadCommand::TakeStarBack {
            signal,
            // Without it the star is not known, and nothing is put down.
            recorded_by: recorded_by(events, &signal).unwrap_or_default(),
            // Sources tell times in whole seconds.
            taken_back_at: Timestamp::from_secs(gone.at.secs()),
            collector: gone.collector,
        })
    };
    let executed = execute_with::<Lead>(writer, stream, EventId::new(writer.clock.ulid()), command).await?;
    Ok(executed.new > 0)
}

fn recorded_by(events: &[Recorded], key: &SignalKey) -> Option<EventId> {
    let recorded = events
        .iter()
        .find(|recorded| signal(&recorded.event).is_some_and(|signal| signal.key == *key));
    recorded.map(|recorded| recorded.id)
}

const fn signal(event: &Event) -> Option<&Signal> {
    match event {
        Event::LeadCaptured(captured) => Some(&captured.signal),
        Event::LeadWithheld(withheld) => Some(&withheld.signal),
        Event::SignalRecorded(recorded) => Some(&recorded.signal),
        _ => None,
    }
}
