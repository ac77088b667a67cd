//! Reads the log a stretch at a time, past events that do not decode; the runner, rebuilds and retries follow it so.

use std::error::Error;

use domain::event::DecodeError;
use event_log::{EventLog, Page, Position, ReadError, Recorded, Scope};

use crate::parked;

/// What comes next in the log: events, or one that does not decode.
#[derive(Debug)]
pub struct Stretch {
    /// The events, in order; none if the next one does not decode.
    pub events: Vec<Recorded>,
    /// The event that does not decode.
    pub unreadable: Option<Unreadable>,
    /// How far this stretch goes.
    pub end: Position,
    /// The last position of the log.
    pub head: Position,
}

/// An event that does not decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it stands.
    pub position: Position,
    /// The name of its stream.
    pub stream: String,
    /// Why it does not.
    pub error: String,
}

impl Stretch {
    /// Whether the log goes on after this stretch.
    pub fn more(&self) -> bool {
        self.end < self.head
    }

    /// The stretch without what stands after `last`.
    #[must_use]
    pub fn up_to(mut self, last: Position) -> Self {
        self.events.retain(|recorded| recorded.position <= last);
        self.unreadable = self.unreadable.filter(|unreadable| unreadable.position <= last);
        self.end = self.end.min(last);
        self
    }
}

/// Reads at most `limit` events after `after`.
///
/// An event of a kind or a version that this program does not know is an error: a newer program wrote it and can read
/// it, so there is nothing wrong with it.
pub async fn read(log: &dyn EventLog, scope: Scope, after: Position, limit: usize) -> Result<Stretch, ReadError> {
    let mut limit = limit;
    loop {
        match log.read(scope, after, limit).await {
            Ok(page) => return Ok(page.into()),
            // Somewhere in the page: it is the next one if nothing shorter can be read.
            Err(ReadError::Decode { source, .. }) if limit > 1 && !is_newer(&*source) => limit /= 2,
            Err(ReadError::Decode {
                position,
                stream,
                source,
            }) if !is_newer(&*source) => {
                let error = parked::told(&*source);
                return Ok(Stretch {
                    events: Vec::new(),
                    unreadable: Some(Unreadable {
                        position,
                        stream,
                        error,
                    }),
                    end: position,
                    head: log.head().await?.max(position),
                });
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_newer(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<DecodeError>();
    matches!(
        error,
        Some(DecodeError::NewerVersion { .. } | DecodeError::UnknownType(_))
    )
}

impl From<Page> for Stretch {
    fn from(page: Page) -> Self {
        Self {
            events: page.events,
            unreadable: None,
            end: page.looked_to,
            head: page.head,
        }
    }
}
