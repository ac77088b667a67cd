//! Between our events and KurrentDB's.

use std::error::Error;

use kurrentdb::{EventData, RecordedEvent};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::names::Names;
use crate::codec::{EncodedEvent, StoredEvent};
use crate::{Position, ReadError, Recorded};

/// What stands beside an event, for us and for whoever else reads the stream.
#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    /// The version of the shape of the data.
    schema_version: u32,
    /// The writer's time, in microseconds since the epoch.
    recorded_at: i64,
}

/// The event as the server takes it.
pub(super) fn encode(event: EncodedEvent, recorded_at: i64) -> serde_json::Result<EventData> {
    let metadata = Metadata {
        schema_version: event.schema,
        recorded_at,
    };
    let data = RawValue::from_string(event.data)?;
    let encoded = EventData::json(event.name, &data)?.id(Uuid::from_bytes(event.id));
    encoded.metadata_as_json(&metadata)
}

/// The event as we know it.
pub(super) fn decode(names: &Names, event: &RecordedEvent) -> Result<Recorded, ReadError> {
    let position = position(event)?;
    let fault = |source: Box<dyn Error + Send + Sync>| ReadError::Decode {
        position,
        stream: names.stream(event.stream_id()).unwrap_or(event.stream_id()).to_owned(),
        source,
    };
    let metadata: Metadata = serde_json::from_slice(&event.custom_metadata).map_err(|error| fault(error.into()))?;
    let stored = StoredEvent {
        position: position.get(),
        id: event.id.as_bytes(),
        stream: names.stream(event.stream_id()).map_err(|error| fault(error.into()))?,
        version: event.revision + 1,
        recorded_at: created(event).ok_or_else(|| fault("the server did not tell when it was written".into()))?,
        name: &event.event_type,
        schema: metadata.schema_version,
        data: std::str::from_utf8(&event.data).map_err(|error| fault(error.into()))?,
    };
    stored.decode()
}

/// Where the event stands in `$all`.
pub(super) fn position(event: &RecordedEvent) -> Result<Position, ReadError> {
    if event.position.commit == u64::MAX {
        let told = "the server does not tell the position of a stream's events; 22.10 or later is needed";
        return Err(ReadError::Storage(told.into()));
    }
    Ok(Position::new(event.position.commit))
}

/// The leader's time, in microseconds; the client itself rounds it down to seconds.
pub(super) fn created(event: &RecordedEvent) -> Option<i64> {
    let ticks: i64 = event.metadata.get("created")?.parse().ok()?;
    Some(ticks / 10)
}
