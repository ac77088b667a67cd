//! Recognises an append that is already in the log, so that a retry gets the first answer; used by every adapter.

use crate::{AppendError, Appended, NewEvent, Position, Recorded, StreamAppend, Version};

/// The answer to an append whose stream does not have the expected version.
///
/// `stored` are the events of its stream after the expected version, at most as many as it brings; `used` is the first
/// of its ids that stands anywhere in the log.
pub fn settle(
    append: &StreamAppend,
    actual: Version,
    stored: &[Recorded],
    used: Option<domain::EventId>,
) -> Result<Appended, AppendError> {
    let is_all_there = stored.len() == append.events.len()
        && stored
            .iter()
            .zip(&append.events)
            .all(|(stored, new)| is_same(stored, new));
    if is_all_there {
        return Ok(Appended {
            events: stored.to_vec(),
        });
    }
    Err(used.map_or(
        AppendError::Conflict {
            expected: append.expected,
            actual,
        },
        AppendError::IdUsed,
    ))
}

fn is_same(stored: &Recorded, new: &NewEvent) -> bool {
    stored.id == new.id && stored.event == new.event
}

/// The last position that the answers speak of.
pub fn last_position(answers: &[Result<Appended, AppendError>]) -> Option<Position> {
    answers.iter().flatten().map(Appended::position).max()
}
