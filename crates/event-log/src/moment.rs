//! Finds a moment in a log that can be read after any position: a binary search, since `recorded_at` never goes back.

use domain::Timestamp;

use crate::{EventLog, Position, ReadError, Scope};

/// The last position that was recorded at or before `time`; the start if there is none. Reads one event for each halving
/// of the log.
pub(crate) async fn search<L: EventLog + ?Sized>(log: &L, time: Timestamp) -> Result<Position, ReadError> {
    let mut found = Position::START;
    // Whatever stands after it was recorded later, or while this goes on.
    let mut end = log.head().await?;
    while found < end {
        let middle = Position::new(u64::midpoint(found.get(), end.get()));
        let page = log.read(Scope::All, middle, 1).await?;
        match page.events.first() {
            Some(next) if next.recorded_at <= time => found = next.position,
            _ => end = middle,
        }
    }
    Ok(found)
}
