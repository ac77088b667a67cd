//! An append to one stream: write, read back, and compare.

use std::time::Duration;

use domain::EventId;
use kurrentdb::{AppendToStreamOptions, CurrentRevision, Error, EventData, StreamState};

use super::Server;
use super::encoding::encode;
use crate::codec::EncodedAppend;
use crate::{AppendError, Appended, NewEvent, StreamAppend, retry};

/// How long a write may take.
const AT_MOST: Duration = Duration::from_secs(10);
/// gRPC's codes for what the server refused before it wrote anything.
const REFUSED: [i32; 2] = [3 /* invalid argument */, 9 /* failed precondition */];

impl Server {
    pub(super) async fn append(&self, append: StreamAppend) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Empty);
        }
        if let Some(id) = first_repeated(&append.events) {
            return Err(AppendError::IdUsed(id));
        }
        let EncodedAppend { append, events, .. } = EncodedAppend::new(append).map_err(storage)?;
        let recorded_at = append.recorded_at.micros();
        let events = events.into_iter().map(|event| encode(event, recorded_at));
        let events = events.collect::<Result<Vec<_>, _>>().map_err(storage)?;
        let written = self.write(&append, events).await;
        let actual = match written {
            Ok(()) => append.expected,
            Err(Error::WrongExpectedVersion { current, .. }) => match current {
                CurrentRevision::Current(revision) => revision + 1,
                CurrentRevision::NoStream => 0,
            },
            Err(error) => return Err(not_taken(error)),
        };
        self.settle(&append, actual).await
    }

    async fn write(&self, append: &StreamAppend, events: Vec<EventData>) -> kurrentdb::Result<()> {
        let name = self.names.of(&append.stream);
        let options = AppendToStreamOptions::default().stream_state(match append.expected.checked_sub(1) {
            Some(revision) => StreamState::StreamRevision(revision),
            None => StreamState::NoStream,
        });
        let write = self.connection.call(AT_MOST, async |client| {
            let written = client.append_to_stream(name.as_str(), &options, events.clone());
            written.await.map(|_| ())
        });
        write.await
    }

    /// Answers with what stands where the append would go. The server says yes to events that were there already, and
    /// tells neither that nor when it wrote them, so this is needed even where it did.
    async fn settle(&self, append: &StreamAppend, actual: u64) -> Result<Appended, AppendError> {
        let stored = self.stream_after(&append.stream, append.expected, append.events.len());
        let stored = stored.await.map_err(|error| AppendError::Unknown(error.into()))?;
        let ids = append.events.iter().map(|new| new.id);
        let used = ids.clone().find(|id| stored.iter().any(|recorded| recorded.id == *id));
        match retry::settle(append, actual, &stored, used) {
            Err(AppendError::Conflict { .. }) if actual == append.expected => {
                let told = "the server took the events, but its stream does not show them";
                Err(AppendError::Unknown(told.into()))
            }
            settled => settled,
        }
    }
}

/// The first id that an earlier event of the append has.
fn first_repeated(events: &[NewEvent]) -> Option<EventId> {
    let mut earlier = Vec::with_capacity(events.len());
    events.iter().map(|new| new.id).find(|id| {
        let repeated = earlier.contains(id);
        earlier.push(*id);
        repeated
    })
}

/// What a failed write means: nothing was written only if the server said so, or was never reached.
fn not_taken(error: Error) -> AppendError {
    let says = |words: &str| matches!(&error, Error::ServerError(told) if told.contains(words));
    if says("Server Is Too Busy") {
        return AppendError::Busy;
    }
    let nothing_written = match &error {
        Error::AccessDenied
        | Error::ConnectionClosed
        | Error::GrpcConnectionError(_)
        | Error::InitializationError(_)
        | Error::NotLeaderException(_)
        | Error::ResourceDeleted => true,
        Error::Grpc { code, .. } => REFUSED.contains(&i32::from(*code)),
        // The client tells both as text only.
        Error::ServerError(_) => says("Server Is Not Ready") || says("client error (Connect)"),
        _ => false,
    };
    if nothing_written {
        storage(error)
    } else {
        AppendError::Unknown(Box::new(error))
    }
}

fn storage(error: impl std::error::Error + Send + Sync + 'static) -> AppendError {
    AppendError::Storage(Box::new(error))
}
