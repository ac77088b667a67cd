//! The service that appends and reads; what no client of the tests asks for is not implemented.

use std::pin::Pin;

use futures_util::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::log::{Expected, Proposed};
use crate::misbehaviour::Misbehaviour;
use crate::node::Service;
use crate::wire::event_store::client::streams::append_req::options::ExpectedStreamRevision;
use crate::wire::event_store::client::streams::append_req::{Content, ProposedMessage};
use crate::wire::event_store::client::streams::streams_server::Streams;
use crate::wire::event_store::client::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, ReadResp, TombstoneReq,
    TombstoneResp,
};
use crate::wire::event_store::client::{Uuid, uuid};
use crate::{answer, read};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Streams for Service {
    type ReadStream = Answers<ReadResp>;
    type BatchAppendStream = Answers<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        self.must_lead(request.metadata())?;
        read::answer(&self.cluster, request.into_inner()).map(Response::new)
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        self.must_lead(request.metadata())?;
        let Append {
            stream,
            expected,
            events,
        } = Append::receive(request.into_inner()).await?;
        let misbehaviour = self.own.next_misbehaviour();
        match misbehaviour {
            Some(Misbehaviour::DropBeforeCommit) => {
                self.own.cut();
                return Err(Status::unavailable("the connection breaks before this arrives"));
            }
            Some(Misbehaviour::NotReady) => return Err(Status::unavailable("Server Is Not Ready")),
            Some(Misbehaviour::TooBusy) => return Err(Status::unavailable("Server Is Too Busy")),
            Some(Misbehaviour::Silence) => std::future::pending().await,
            Some(Misbehaviour::DropAfterCommit) | None => {}
        }
        let outcome = self.cluster.change(|log| log.append(&stream, expected, events));
        if misbehaviour.is_some() {
            self.own.cut();
        }
        Ok(Response::new(answer::append(&outcome, expected)))
    }

    async fn delete(&self, _: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Err(Status::unimplemented("delete"))
    }

    async fn tombstone(&self, _: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        Err(Status::unimplemented("tombstone"))
    }

    async fn batch_append(
        &self,
        _: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        Err(Status::unimplemented("batch append"))
    }
}

impl Service {
    /// A node that follows sends those who want the leader to it.
    fn must_lead(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let wants_leader = metadata.get("requires-leader").is_some_and(|value| value == "true");
        let leader = self.cluster.members().leader;
        if wants_leader && leader != self.own.address {
            return Err(answer::not_leader(leader));
        }
        Ok(())
    }
}

/// An append, put together from its messages.
struct Append {
    stream: String,
    expected: Expected,
    events: Vec<Proposed>,
}

impl Append {
    async fn receive(mut messages: Streaming<AppendReq>) -> Result<Self, Status> {
        let first = messages.message().await?.and_then(|first| first.content);
        let Some(Content::Options(options)) = first else {
            return Err(Status::invalid_argument("an append begins with its options"));
        };
        let expected = match options.expected_stream_revision {
            Some(ExpectedStreamRevision::Revision(revision)) => Some(revision),
            Some(ExpectedStreamRevision::NoStream(_)) => None,
            _ => return Err(Status::unimplemented("an append that expects no certain revision")),
        };
        let name = options.stream_identifier.unwrap_or_default().stream_name;
        let mut append = Self {
            stream: String::from_utf8(name.into()).map_err(|error| Status::invalid_argument(error.to_string()))?,
            expected,
            events: Vec::new(),
        };
        while let Some(message) = messages.message().await? {
            let Some(Content::ProposedMessage(proposed)) = message.content else {
                return Err(Status::invalid_argument("an append has options once"));
            };
            append.events.push(event(proposed)?);
        }
        if append.events.is_empty() {
            return Err(Status::unimplemented("an append of nothing"));
        }
        Ok(append)
    }
}

fn event(mut message: ProposedMessage) -> Result<Proposed, Status> {
    let mut property = |name: &str| {
        let found = message.metadata.remove(name);
        found.ok_or_else(|| Status::invalid_argument(format!("Required Metadata Property '{name}' is missing")))
    };
    Ok(Proposed {
        kind: property("type")?,
        content_type: property("content-type")?,
        id: id(message.id.as_ref())?,
        data: message.data,
        metadata: message.custom_metadata,
    })
}

fn id(id: Option<&Uuid>) -> Result<::uuid::Uuid, Status> {
    match id.and_then(|id| id.value.as_ref()) {
        Some(uuid::Value::Structured(halves)) => Ok(::uuid::Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
        Some(uuid::Value::String(text)) => text.parse().map_err(|_| Status::invalid_argument("no id")),
        None => Err(Status::invalid_argument("no id")),
    }
}
