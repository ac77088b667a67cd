//! How far the endpoints of a node are behind the log, for those who watch over it: as each worker says where it is, and the log
//! what follows there. Used by the dispatcher.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::metrics::gauge;
use domain::{AccountId, Timestamp};
use event_log::{EventLog, Position, ReadError, Scope};

use super::tail::{Stretch, Tail};
use crate::metrics;

/// Events that are counted at most.
const COUNTED: usize = 1_000;

/// Where a worker is: everything up to here is told or tried again.
#[derive(Debug, Clone, Default)]
pub struct Place(Arc<AtomicU64>);

impl Place {
    /// There is more after that; none: there is nothing.
    pub fn set(&self, place: Option<Position>) {
        // Zero says that there is nothing: a worker may stand at the log's beginning.
        self.0.store(
            place.map_or(0, |place| place.get().saturating_add(1)),
            Ordering::Relaxed,
        );
    }

    fn get(&self) -> Option<Position> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Position::new)
    }
}

/// How far the endpoint is behind that is furthest behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Behind {
    /// Events of the account that it has not come past, up to a thousand.
    pub events: usize,
    /// The age of the oldest of them.
    pub age: Duration,
}

impl Behind {
    /// That of these workers at `now`.
    pub async fn of(
        workers: Vec<(AccountId, Place)>,
        log: &dyn EventLog,
        tail: &Tail,
        now: Timestamp,
    ) -> Result<Self, ReadError> {
        let mut furthest = Self::default();
        for (account, place) in workers {
            let Some(place) = place.get() else { continue };
            let stretch = match tail.after(account, place, COUNTED) {
                Some(stretch) => stretch,
                None => Stretch::from(log.read(Scope::Account(account), place, COUNTED).await?),
            };
            let age = stretch.events.first().map(|first| now.since(first.recorded_at));
            furthest.events = furthest.events.max(stretch.events.len());
            furthest.age = furthest.age.max(age.unwrap_or_default());
        }
        Ok(furthest)
    }

    /// Says so.
    pub fn tell(self) {
        #[expect(clippy::cast_precision_loss, reason = "a thousand at most")]
        gauge!(metrics::WEBHOOK_LAG_EVENTS).set(self.events as f64);
        gauge!(metrics::WEBHOOK_LAG).set(self.age.as_secs_f64());
    }
}
