//! Reads: of one stream, and of all that are ours in the order of the log.

use std::time::Duration;

use domain::{StreamId, Timestamp};
use kurrentdb::{Error, ReadAllOptions, ReadStream, ReadStreamOptions, RecordedEvent, StreamPosition};

use super::Server;
use super::encoding::{created, decode, position};
use crate::{Position, ReadError, Recorded, Scope, Version};

/// How long a read may take; the server may have to pass over much that is not ours.
const AT_MOST: Duration = Duration::from_secs(30);
/// Events that are read at once on the way back to a moment.
const STRETCH: usize = 1_000;
/// gRPC's code for a position at which no event stands, among others.
const INVALID_ARGUMENT: i32 = 3;

impl Server {
    /// At most `limit` events of the stream after a version.
    pub(super) async fn stream_after(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let name = self.names.of(stream);
        let options = ReadStreamOptions::default()
            .position(StreamPosition::Position(after))
            .max_count(limit);
        let read = self.connection.read(AT_MOST, async |client| {
            match client.read_stream(name.as_str(), &options).await {
                Ok(events) => collect(events).await,
                Err(error) => Err(error),
            }
        });
        match read.await {
            Ok(events) => self.decode(&events),
            Err(Error::ResourceNotFound) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// At most `limit` events of the scope after a position.
    pub(super) async fn all_after(
        &self,
        scope: Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let options = ReadAllOptions::default()
            .filter(self.names.filter(scope))
            .position(place(after))
            // The server begins with the event at the position itself.
            .max_count(limit.saturating_add(1));
        let read = self.read_all(options).await;
        let events = read.map_err(|error| match error {
            Error::Grpc { code, .. } if i32::from(code) == INVALID_ARGUMENT => ReadError::NoSuchPosition(after),
            error => error.into(),
        })?;
        let mut events = self.decode(&events)?;
        events.retain(|recorded| recorded.position > after);
        events.truncate(limit);
        Ok(events)
    }

    /// The position of our last event.
    pub(super) async fn head(&self) -> Result<Position, ReadError> {
        let options = ReadAllOptions::default()
            .filter(self.names.filter(Scope::All))
            .position(StreamPosition::End)
            .max_count(1);
        let last = self.read_all(options).await?;
        last.first().map_or(Ok(Position::START), position)
    }

    /// The last event of the scope that was recorded at or before `time`.
    pub(super) async fn last_by(&self, scope: Scope, time: Timestamp) -> Result<Position, ReadError> {
        let mut before = StreamPosition::End;
        loop {
            let options = ReadAllOptions::default()
                .filter(self.names.filter(scope))
                .backwards()
                .position(before)
                .max_count(STRETCH);
            let events = self.read_all(options).await?;
            let is_by = |event: &&RecordedEvent| created(event).is_some_and(|micros| micros <= time.micros());
            if let Some(event) = events.iter().find(is_by) {
                return position(event);
            }
            let Some(oldest) = events.last() else {
                return Ok(Position::START);
            };
            before = place(position(oldest)?);
        }
    }

    async fn read_all(&self, options: ReadAllOptions) -> kurrentdb::Result<Vec<RecordedEvent>> {
        let read = self.connection.read(AT_MOST, async |client| {
            let events = client.read_all(&options).await?;
            collect(events).await
        });
        read.await
    }

    fn decode(&self, events: &[RecordedEvent]) -> Result<Vec<Recorded>, ReadError> {
        events.iter().map(|event| decode(&self.names, event)).collect()
    }
}

async fn collect(mut stream: ReadStream) -> kurrentdb::Result<Vec<RecordedEvent>> {
    let mut events = Vec::new();
    while let Some(resolved) = stream.next().await? {
        events.extend(resolved.event);
    }
    Ok(events)
}

/// The place in `$all` of an event of ours: it is its own commit.
const fn place(position: Position) -> StreamPosition<kurrentdb::Position> {
    if position.get() == Position::START.get() {
        return StreamPosition::Start;
    }
    StreamPosition::Position(kurrentdb::Position {
        commit: position.get(),
        prepare: position.get(),
    })
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Storage(Box::new(error))
    }
}
