//! The promise of the log: what every adapter keeps, whichever engine stands behind it.
//!
//! * Positions grow in commit order; a reader that goes on after the last position it saw misses nothing.
//! * An append names the version it expects; it is taken whole or refused whole.
//! * Event ids are the writer's; the same append again gets the first answer again.
//! * An acknowledged event is durable.
//! * `recorded_at` never goes back along positions.
//!
//! The adapters with tables promise more: positions without gaps, ids that are unique in the whole log, the writer's own
//! time on the events, each append recorded later than the one before it, and moments that stay as they are
//! ([`EventLog::advance_time`]). What stands above the log works without them, if less well; [`crate::kurrentdb`] says what it keeps
//! instead.

use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountId, Event, EventId, StreamId, Timestamp};

use crate::moment;

/// A place in the log: compared, never added to. 0 stands before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// A position that a log or a checkpoint gave.
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The number, for storing and showing.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How many events a stream holds; the first event has version 1.
pub type Version = u64;

/// An event on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Chosen by the writer, so that a retry is recognised.
    pub id: EventId,
    /// The fact.
    pub event: Event,
}

/// Events for one stream, taken whole or refused whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// The version that the stream has if the decision behind these events still holds; 0: the stream is empty.
    pub expected: Version,
    /// The time to put on the events; the log moves it forward to that of the last recorded event if need be, and a
    /// log whose server keeps the time puts its own on them.
    pub recorded_at: Timestamp,
    /// The facts, at least one.
    pub events: Vec<NewEvent>,
}

/// What an append came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The events as the log holds them, at least one, in order.
    pub events: Vec<Recorded>,
}

impl Appended {
    /// The answer of a log without gaps: the events stand one behind the other from `first` on.
    pub(crate) fn gapless(append: StreamAppend, first: Position, recorded_at: Timestamp) -> Self {
        let StreamAppend {
            stream,
            expected,
            events,
            ..
        } = append;
        let places = (first.get()..).zip(expected + 1..);
        let recorded = events
            .into_iter()
            .zip(places)
            .map(|(new, (position, version))| Recorded {
                position: Position::new(position),
                id: new.id,
                stream: stream.clone(),
                version,
                recorded_at,
                event: new.event,
            });
        Self {
            events: recorded.collect(),
        }
    }

    /// The position of the last of the events.
    pub fn position(&self) -> Position {
        self.events.last().map_or(Position::START, |last| last.position)
    }
}

/// Why an append was not taken. Nothing of it is in the log, but for [`AppendError::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream has moved on, or back: load, decide and append again.
    #[error("the stream has version {actual}, not {expected}")]
    Conflict {
        /// The version that the append expected.
        expected: Version,
        /// The version that the stream has.
        actual: Version,
    },
    /// An id is in the log already, with something else under it.
    #[error("the event id {0} is used by another event")]
    IdUsed(EventId),
    /// No events to append.
    #[error("an append needs at least one event")]
    Empty,
    /// Too many appends wait, or the server is away; nothing was done.
    #[error("the log is busy; nothing was written")]
    Busy,
    /// Storage failed; nothing was written.
    #[error("the log could not be written")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Storage failed at the commit: the events may or may not be there. Append again with the same ids.
    #[error("the log may or may not have been written")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Storage failed.
    #[error("the log could not be read")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No event stands there, and this log can go on only after one that does.
    #[error("no event stands at position {0}")]
    NoSuchPosition(Position),
    /// A stored event does not decode.
    #[error("the event at position {position} does not decode")]
    Decode {
        /// Where it stands.
        position: Position,
        /// The name of its stream, as it is stored: it may be what does not decode.
        stream: String,
        /// What was wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its version in the stream.
    pub version: Version,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The fact.
    pub event: Event,
}

impl Recorded {
    /// The account it belongs to.
    pub const fn account(&self) -> AccountId {
        self.stream.account()
    }
}

/// A stretch of the log, read in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The events, in order.
    pub events: Vec<Recorded>,
    /// How far was looked: a follower goes on after here, whether or not an event stands there.
    pub looked_to: Position,
    /// The last position of the log at that moment.
    pub head: Position,
}

impl Page {
    /// A page of `events`, of which at most `limit` were asked for, read in a snapshot that ends at `head`.
    pub fn new(events: Vec<Recorded>, head: Position, limit: usize) -> Self {
        let full = events.len() >= limit;
        let last = events.last().map(|last| last.position);
        Self {
            looked_to: last.filter(|_| full).unwrap_or(head),
            events,
            head,
        }
    }
}

/// Which part of the log a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    All,
    /// One account's part, served by an index.
    Account(AccountId),
}

/// The append-only log; one adapter an engine, all held to one contract suite.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends to several streams, each on its own: a refused one does not hurt the others. One answer each, in order.
    /// All that were taken are durable when this returns.
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>>;

    /// The events of each stream, in order; empty for a stream that does not exist. Each is whole up to a version that
    /// it had meanwhile.
    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError>;

    /// At most `limit` (at least 1) events after `after`.
    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError>;

    /// The last position of the log.
    async fn head(&self) -> Result<Position, ReadError>;

    /// A position that parts the scope's events: those up to it were recorded at or before `time`, those after it later.
    async fn position_at(&self, _scope: Scope, time: Timestamp) -> Result<Position, ReadError> {
        moment::search(self, time).await
    }

    /// Sees to it that nothing is recorded at or before `time` from now on, whichever process appends it, so that an answer that is of
    /// that moment stays true. A log whose server puts the times on the events does nothing.
    async fn advance_time(&self, _time: Timestamp) -> Result<(), ReadError> {
        Ok(())
    }

    /// Returns once the log may hold something after `after`, or when the time is up: a hint, so read to know.
    async fn wait(&self, after: Position, at_most: Duration);
}
