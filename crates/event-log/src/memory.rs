//! The log in memory: the promise in its plainest form, for the tests of whatever stands on a log.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::{EventId, StreamId, Timestamp};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::{
    AppendError, Appended, EventLog, NewEvent, Page, Position, ReadError, Recorded, Scope, StreamAppend, Version, retry,
};

/// A log that ends with its process.
pub struct MemoryLog {
    content: Mutex<Content>,
    head: watch::Sender<Position>,
}

#[derive(Default)]
struct Content {
    /// In order: the event at position n has index n - 1.
    events: Vec<Recorded>,
    /// The events of each stream again, in order.
    streams: HashMap<StreamId, Vec<Recorded>>,
    ids: HashMap<EventId, Position>,
    /// Nothing is recorded at or before that any more.
    advanced_to: Option<Timestamp>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self {
            content: Mutex::default(),
            head: watch::Sender::new(Position::START),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
        let mut content = self.content();
        let answers = batch.into_iter().map(|append| content.append(append)).collect();
        // Under the lock, so that the head never goes back.
        self.head.send_replace(content.head());
        answers
    }

    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        let content = self.content();
        Ok(streams.iter().map(|stream| content.stream(stream).to_vec()).collect())
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        let content = self.content();
        let wanted = |recorded: &&Recorded| match scope {
            Scope::All => true,
            Scope::Account(account) => recorded.account() == account,
        };
        let later = content.events.iter().filter(|recorded| recorded.position > after);
        let events: Vec<Recorded> = later.filter(wanted).take(limit).cloned().collect();
        Ok(Page::new(events, content.head(), limit))
    }

    async fn head(&self) -> Result<Position, ReadError> {
        Ok(self.content().head())
    }

    async fn advance_time(&self, time: Timestamp) -> Result<(), ReadError> {
        let mut content = self.content();
        content.advanced_to = content.advanced_to.max(Some(time));
        Ok(())
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        let mut head = self.head.subscribe();
        // Both ends of the wait mean the same to the caller: read and see.
        let _ = timeout(at_most, head.wait_for(|head| *head > after)).await;
    }
}

impl Content {
    fn head(&self) -> Position {
        self.events.last().map_or(Position::START, |last| last.position)
    }

    fn stream(&self, stream: &StreamId) -> &[Recorded] {
        self.streams.get(stream).map(Vec::as_slice).unwrap_or_default()
    }

    fn append(&mut self, append: StreamAppend) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Empty);
        }
        let used = self.first_used(&append.events);
        let stored = self.stream(&append.stream);
        let actual: Version = stored.last().map_or(0, |last| last.version);
        if actual != append.expected {
            let later: Vec<Recorded> = stored
                .iter()
                .filter(|recorded| recorded.version > append.expected)
                .take(append.events.len())
                .cloned()
                .collect();
            return retry::settle(&append, actual, &later, used);
        }
        match used {
            Some(id) => Err(AppendError::IdUsed(id)),
            None => Ok(self.push(append)),
        }
    }

    /// The first id that is in the log already, or twice among these.
    fn first_used(&self, events: &[NewEvent]) -> Option<EventId> {
        let mut earlier = Vec::with_capacity(events.len());
        events.iter().map(|new| new.id).find(|id| {
            let used = self.ids.contains_key(id) || earlier.contains(id);
            earlier.push(*id);
            used
        })
    }

    fn push(&mut self, append: StreamAppend) -> Appended {
        let newest = self.events.last().map(|last| last.recorded_at).max(self.advanced_to);
        let recorded_at = newest.map_or(append.recorded_at, |newest| after(newest).max(append.recorded_at));
        let first = Position::new(self.head().get() + 1);
        let stream = append.stream.clone();
        let appended = Appended::gapless(append, first, recorded_at);
        let ids = appended.events.iter().map(|recorded| (recorded.id, recorded.position));
        self.ids.extend(ids);
        self.events.extend_from_slice(&appended.events);
        self.streams
            .entry(stream)
            .or_default()
            .extend_from_slice(&appended.events);
        appended
    }
}

/// The next moment that can be told apart.
fn after(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::Arc;

    use super::*;

    fn empty() -> Ready<[(Arc<dyn EventLog>, ()); 1]> {
        ready([(Arc::new(MemoryLog::new()), ())])
    }

    crate::contract::common!(empty);
    crate::contract::gapless!(empty);
    crate::contract::unique_ids!(empty);
    crate::contract::writers_time!(empty);
}
