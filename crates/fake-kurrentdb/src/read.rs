//! Reads: of a stream or of the whole log, forwards or backwards, or for as long as the client listens.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, stream};
use tonic::Status;

use crate::cluster::Cluster;
use crate::filter::Filter;
use crate::log::{Log, Record};
use crate::wire::event_store::client::streams::read_req::Options;
use crate::wire::event_store::client::streams::read_req::options::all_options::AllOption;
use crate::wire::event_store::client::streams::read_req::options::stream_options::RevisionOption;
use crate::wire::event_store::client::streams::read_req::options::{
    CountOption, ReadDirection, StreamOption, StreamOptions,
};
use crate::wire::event_store::client::streams::read_resp::{Content, StreamNotFound};
use crate::wire::event_store::client::streams::{ReadReq, ReadResp};
use crate::{answer, subscription};

type Answers = Pin<Box<dyn Stream<Item = Result<ReadResp, Status>> + Send>>;

pub fn answer(cluster: &Arc<Cluster>, request: ReadReq) -> Result<Answers, Status> {
    let options = request.options.unwrap_or_default();
    if options.uuid_option.is_none() {
        return Err(Status::invalid_argument("a read says how it wants ids"));
    }
    let backwards = options.read_direction() == ReadDirection::Backwards;
    let Options {
        stream_option,
        count_option,
        filter_option,
        ..
    } = options;
    match (stream_option, count_option) {
        (Some(StreamOption::Stream(asked)), Some(CountOption::Count(count))) => {
            Ok(at_once(of_stream(&cluster.log(), asked, backwards, count)?))
        }
        (Some(StreamOption::All(asked)), Some(CountOption::Count(count))) => {
            let filter = Filter::new(filter_option)?;
            let from = asked
                .all_option
                .ok_or_else(|| Status::invalid_argument("no position"))?;
            Ok(at_once(of_all(&cluster.log(), &filter, from, backwards, count)?))
        }
        (Some(StreamOption::All(asked)), Some(CountOption::Subscription(_))) => {
            let filter = Filter::new(filter_option)?;
            let from = asked
                .all_option
                .ok_or_else(|| Status::invalid_argument("no position"))?;
            subscription::open(cluster, filter, from).map(|answers| Box::pin(answers) as Answers)
        }
        _ => Err(Status::unimplemented("a read of this kind")),
    }
}

fn at_once(answers: Vec<ReadResp>) -> Answers {
    Box::pin(stream::iter(answers.into_iter().map(Ok)))
}

fn of_stream(log: &Log, asked: StreamOptions, backwards: bool, count: u64) -> Result<Vec<ReadResp>, Status> {
    let identifier = asked.stream_identifier.unwrap_or_default();
    let name = String::from_utf8_lossy(&identifier.stream_name).into_owned();
    let records = log.stream(&name);
    let Some(last) = records.last() else {
        let not_found = StreamNotFound {
            stream_identifier: Some(identifier),
        };
        return Ok(vec![answer::read(Content::StreamNotFound(not_found))]);
    };
    let from = match asked.revision_option {
        Some(RevisionOption::Revision(revision)) => revision,
        Some(RevisionOption::Start(_)) => 0,
        Some(RevisionOption::End(_)) => last.revision,
        None => return Err(Status::invalid_argument("no revision")),
    };
    let mut answers = if backwards {
        let wanted = records.iter().rev().filter(|record| record.revision <= from);
        events(wanted, count)
    } else {
        let wanted = records.iter().filter(|record| record.revision >= from);
        events(wanted, count)
    };
    answers.push(answer::read(Content::LastStreamPosition(last.revision)));
    Ok(answers)
}

fn of_all(log: &Log, filter: &Filter, from: AllOption, backwards: bool, count: u64) -> Result<Vec<ReadResp>, Status> {
    let from = match from {
        AllOption::Position(position) => place(log, position.commit_position)?,
        AllOption::Start(_) => 0,
        AllOption::End(_) => u64::MAX,
    };
    let allowed = log.all().iter().filter(|record| filter.allows(record));
    if backwards {
        // A position is taken for the end of a record here, for its beginning below.
        return Ok(events(allowed.rev().filter(|record| record.position < from), count));
    }
    Ok(events(allowed.filter(|record| record.position >= from), count))
}

/// A position to begin at.
pub fn place(log: &Log, position: u64) -> Result<u64, Status> {
    if log.is_place(position) {
        return Ok(position);
    }
    Err(Status::invalid_argument("Trying to read from an invalid position."))
}

fn events<'log>(records: impl Iterator<Item = &'log Arc<Record>>, count: u64) -> Vec<ReadResp> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    records.take(count).map(|record| answer::event(record)).collect()
}
