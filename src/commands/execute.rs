//! One command on one stream: load, decide, append; again if the stream moved meanwhile.

use ::metrics::{counter, histogram};
use domain::{Decide, Event, EventId, StreamId};
use event_log::{AppendError, Appended, NewEvent, Position, Recorded, StreamAppend};
use tracing::{Instrument as _, info_span};

use super::{CommandError, Writer};
use crate::metrics;
use crate::telemetry::TRACE;

/// How often a decision is made anew when others change the same stream, and how often an append of unknown outcome
/// is repeated. Each round means that somebody else succeeded, so that it ends in practice long before.
pub(super) const ROUNDS: usize = 50;

/// A stream after a command.
pub(super) struct Executed {
    /// All its events, the new ones last.
    pub events: Vec<Recorded>,
    /// How many of them are new.
    pub new: usize,
}

impl Executed {
    /// The position of the stream's last event.
    pub fn position(&self) -> Position {
        self.events.last().map_or(Position::START, |event| event.position)
    }
}

/// What the events add up to.
pub(super) fn fold<A: Decide<Event = Event>>(events: &[Recorded]) -> A {
    let mut aggregate = A::default();
    for recorded in events {
        aggregate.apply(recorded.event.clone());
    }
    aggregate
}

/// Runs `command` on `stream`.
pub(super) async fn execute<A>(
    writer: &Writer,
    stream: StreamId,
    first_id: EventId,
    command: A::Command,
) -> Result<Executed, CommandError<A::Error>>
where
    A: Decide<Event = Event>,
    A::Command: Clone,
    A::Error: 'static,
{
    execute_with::<A>(writer, stream, first_id, |_| Ok(command.clone())).await
}

/// Runs on `stream` the command that `command` makes of its events, so that what was decided on is what was looked at. The
/// first event of the decision gets `first_id`, so that what the command carries can be sealed for it beforehand.
///
/// If an event of that id is in the stream, the command was carried out before and is not again: what comes back is the stream
/// as that event left it. (A request that is worked on twice draws the same ids, and decides on one event at most.)
pub(super) async fn execute_with<A>(
    writer: &Writer,
    stream: StreamId,
    first_id: EventId,
    command: impl Fn(&[Recorded]) -> Result<A::Command, CommandError<A::Error>>,
) -> Result<Executed, CommandError<A::Error>>
where
    A: Decide<Event = Event>,
    A::Error: 'static,
{
    for _ in 0..ROUNDS {
        let mut events = writer
            .log
            .read_streams(std::slice::from_ref(&stream))
            .await?
            .pop()
            .unwrap_or_default();
        if let Some(at) = events.iter().position(|event| event.id == first_id) {
            events.truncate(at + 1);
            return Ok(Executed { events, new: 1 });
        }
        let decided = fold::<A>(&events)
            .decide(command(&events)?)
            .map_err(CommandError::Refused)?;
        if decided.is_empty() {
            return Ok(Executed { events, new: 0 });
        }
        let mut ids = std::iter::once(first_id).chain(std::iter::repeat_with(|| EventId::new(writer.clock.ulid())));
        let append = StreamAppend {
            stream: stream.clone(),
            expected: events.last().map_or(0, |event| event.version),
            recorded_at: writer.clock.now(),
            events: decided
                .into_iter()
                .filter_map(|event| Some(NewEvent { id: ids.next()?, event }))
                .collect(),
        };
        match append_surely(writer, vec![append]).await.pop() {
            Some(Ok(appended)) => {
                let new = appended.events.len();
                events.extend(appended.events);
                return Ok(Executed { events, new });
            }
            // An id that is used is this one: somebody carries out the same request, and was first.
            Some(Err(AppendError::Conflict { .. } | AppendError::IdUsed(_))) | None => {}
            Some(Err(error)) => return Err(refused_append(error)),
        }
    }
    Err(CommandError::Contended)
}

/// Appends, and as long as the outcome of some is unknown appends those again: the log knows their ids.
pub(super) async fn append_surely(writer: &Writer, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
    let span = info_span!(target: TRACE, "append", streams = batch.len());
    let started = tokio::time::Instant::now();
    let mut answers = writer.log.append(batch.clone()).instrument(span).await;
    for _ in 0..ROUNDS {
        let unknown: Vec<usize> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| matches!(answer, Err(AppendError::Unknown(_))))
            .map(|(index, _)| index)
            .collect();
        if unknown.is_empty() {
            break;
        }
        let again = unknown.iter().filter_map(|index| batch.get(*index).cloned()).collect();
        for (index, answer) in unknown.into_iter().zip(writer.log.append(again).await) {
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        }
    }
    let appended = answers.iter().flatten().map(|appended| appended.events.len() as u64);
    counter!(metrics::EVENTS).increment(appended.sum());
    histogram!(metrics::APPEND_SECONDS).record(started.elapsed());
    answers
}

/// What is left of an append's error once conflicts are dealt with.
pub(super) fn refused_append<R: std::error::Error + 'static>(error: AppendError) -> CommandError<R> {
    match error {
        AppendError::Busy => CommandError::Busy,
        other => CommandError::Append(other),
    }
}
