//! Reads: of one stream, and of all that are ours in the order of the log.

use std::time::Duration;

use domain::StreamId;
use kurrentdb::{Error, ReadAllOptions, ReadStream, ReadStreamOptions, RecordedEvent, StreamPosition};

use super::Server;
use super::encoding::{decode, position};
use crate::{Position, ReadError, Recorded, Scope, Version};

/// How long a read may take; the server may have to pass over much that is not ours.
const AT_MOST: Duration = Duration::from_secs(30);

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
        let events = self.read_all(options).await?;
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

    async fn read_all(&self, options: ReadAllOptions) -> Result<Vec<RecordedEvent>, ReadError> {
        let read = self.connection.read(AT_MOST, async |client| {
            let events = client.read_all(&options).await?;
            collect(events).await
        });
        Ok(read.await?)
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
