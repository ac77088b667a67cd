//! The server's answers as they go over the wire.

use std::collections::HashMap;
use std::net::SocketAddr;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::log::{Expected, Outcome, Record};
use crate::wire::event_store::client::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::wire::event_store::client::streams::append_resp::wrong_expected_version as wrong;
use crate::wire::event_store::client::streams::append_resp::{self, WrongExpectedVersion};
use crate::wire::event_store::client::streams::read_resp::read_event::{self, RecordedEvent};
use crate::wire::event_store::client::streams::read_resp::{Content, ReadEvent};
use crate::wire::event_store::client::streams::{AppendResp, ReadResp};
use crate::wire::event_store::client::{Empty, StreamIdentifier, Uuid, uuid};

/// What an append came to.
pub fn append(outcome: &Outcome, expected: Expected) -> AppendResp {
    let result = match outcome {
        Outcome::Taken(last) => append_resp::Result::Success(append_resp::Success {
            current_revision_option: Some(CurrentRevisionOption::CurrentRevision(last.revision)),
            position_option: Some(PositionOption::Position(append_resp::Position {
                commit_position: last.position,
                prepare_position: last.position,
            })),
        }),
        Outcome::WrongVersion(current) => append_resp::Result::WrongExpectedVersion(WrongExpectedVersion {
            current_revision_option: Some(current.map_or(
                wrong::CurrentRevisionOption::CurrentNoStream(Empty {}),
                wrong::CurrentRevisionOption::CurrentRevision,
            )),
            expected_revision_option: Some(expected.map_or(
                wrong::ExpectedRevisionOption::ExpectedNoStream(Empty {}),
                wrong::ExpectedRevisionOption::ExpectedRevision,
            )),
            ..WrongExpectedVersion::default()
        }),
    };
    AppendResp { result: Some(result) }
}

/// One message of a read.
pub fn read(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

/// A record as a reader gets it.
pub fn event(record: &Record) -> ReadResp {
    let metadata = [
        ("type", record.event.kind.clone()),
        ("content-type", record.event.content_type.clone()),
        ("created", record.created.to_string()),
    ];
    let event = RecordedEvent {
        id: Some(Uuid {
            value: Some(uuid::Value::String(record.event.id.to_string())),
        }),
        stream_identifier: Some(StreamIdentifier {
            stream_name: record.stream.clone().into(),
        }),
        stream_revision: record.revision,
        prepare_position: record.position,
        commit_position: record.position,
        metadata: metadata
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect::<HashMap<_, _>>(),
        custom_metadata: record.event.metadata.clone(),
        data: record.event.data.clone(),
    };
    read(Content::Event(ReadEvent {
        event: Some(event),
        link: None,
        position: Some(read_event::Position::CommitPosition(record.position)),
    }))
}

/// This node does not lead; that one does.
pub fn not_leader(leader: SocketAddr) -> Status {
    let mut metadata = MetadataMap::new();
    let (host, port) = (leader.ip().to_string(), leader.port().to_string());
    let told = [
        ("exception", "not-leader"),
        ("leader-endpoint-host", &host),
        ("leader-endpoint-port", &port),
    ];
    for (key, value) in told {
        if let Ok(value) = value.parse() {
            metadata.insert(key, value);
        }
    }
    Status::with_metadata(Code::NotFound, "Leader info available", metadata)
}
