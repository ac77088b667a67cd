//! Lets a projection go on with a parked stream: applies the stream's events from where it stands, in their order, and
//! lets it go once none is left; `projections retry` and `projections skip` on the command line.
//!
//! The live runner passes the events of a parked stream, so nobody but a retry applies them: each step of one moves the
//! stream's row from where it was read. The last step stands on the projection's checkpoint too, so that no event falls
//! between the retry and the runner.

use std::panic::{AssertUnwindSafe, catch_unwind};

use database::{Database, DatabaseError};
use domain::StreamId;
use event_log::{EventLog, Position, ReadError, Recorded, Scope};

use crate::checkpoint::{self, Checkpoint};
use crate::follower::said;
use crate::parked::{self, Parked};
use crate::stretch::{self, Unreadable};
use crate::{Projection, batch};

/// Events read at a time.
const PAGE: usize = 1_000;

/// How often something is tried that the runner or another retry got in the way of.
const TRIES: u32 = 1_000;

/// Why a retry came to no end. What was applied before stays applied.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The log could not be read.
    #[error("the log could not be read")]
    Log(#[from] ReadError),
    /// The read models' database failed.
    #[error("the read models could not be written")]
    Views(#[from] DatabaseError),
    /// The stream is not parked.
    #[error("the stream {stream} is not parked in {projection}")]
    NotParked {
        /// The projection.
        projection: &'static str,
        /// The stream.
        stream: String,
    },
    /// The rows are of another definition.
    #[error("the rows of {0} are made by another version of gitleads than this one")]
    OtherVersion(&'static str),
}

/// What came of a parked stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// The stream.
    pub stream: String,
    /// How many events were applied.
    pub applied: u64,
    /// What it is still parked at; none: it was let go.
    pub still: Option<Parked>,
}

/// A projection's live rows, to go on with a parked stream.
pub struct Retry<'a> {
    /// The log.
    pub log: &'a dyn EventLog,
    /// The read models.
    pub views: &'a dyn Database,
    /// The projection.
    pub projection: &'a dyn Projection,
}

/// What came of a write.
enum Written {
    /// The last event that concerned the projection.
    Done(Position),
    /// Somebody else was there first.
    Stale,
    /// For what an event says.
    Refused(Unreadable),
}

fn done(written: Result<Vec<u64>, DatabaseError>, changed_at: Position) -> Result<Written, RetryError> {
    match written {
        Ok(_) => Ok(Written::Done(changed_at)),
        Err(DatabaseError::Stale) => Ok(Written::Stale),
        Err(error) => Err(error.into()),
    }
}

/// What stands next in a parked stream.
enum Next {
    Events(Vec<Recorded>),
    Unreadable(Unreadable),
}

impl Retry<'_> {
    /// Tries the parked streams again, or one of them.
    pub async fn run(&self, stream: Option<&str>) -> Result<Vec<Retried>, RetryError> {
        let mut parked = parked::list(self.views, self.name()).await?;
        if let Some(stream) = stream {
            parked.retain(|parked| parked.stream == stream);
            if parked.is_empty() {
                return Err(self.not_parked(stream));
            }
        }
        let mut retried = Vec::new();
        for parked in parked {
            retried.push(self.go_on(parked).await?);
        }
        Ok(retried)
    }

    /// Leaves out the event that a stream is parked at, writes that down, and goes on with the rest.
    pub async fn skip(&self, stream: &str) -> Result<(Parked, Retried), RetryError> {
        for _ in 0..TRIES {
            let Some(parked) = self.find(stream).await? else {
                return Err(self.not_parked(stream));
            };
            let after = Parked {
                done: parked.position,
                ..parked.clone()
            };
            let statements = vec![
                parked::moved(self.name(), &parked, &after),
                parked::skip(self.name(), &parked),
            ];
            match self.views.write(statements).await {
                Ok(_) => return Ok((parked, self.go_on(after).await?)),
                Err(DatabaseError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DatabaseError::Stale.into())
    }

    async fn go_on(&self, parked: Parked) -> Result<Retried, RetryError> {
        let stream = parked.stream.clone();
        let mut at = Some(parked);
        let (mut applied, mut changed_at, mut tries) = (0, Position::START, 0);
        while let Some(parked) = at {
            let checkpoint = self.checkpoint().await?;
            let (count, written) = match self.next(&parked, checkpoint.position).await? {
                Next::Events(events) if events.is_empty() => (0, self.let_go(&parked, checkpoint, changed_at).await?),
                Next::Events(events) => self.apply_some(&parked, &events).await?,
                Next::Unreadable(event) => (0, Written::Refused(event)),
            };
            match written {
                Written::Done(changed) => {
                    applied += count;
                    changed_at = changed_at.max(changed);
                }
                Written::Stale if tries < TRIES => tries += 1,
                Written::Stale => return Err(DatabaseError::Stale.into()),
                Written::Refused(event) => {
                    let still = self.stands_at(parked, event).await?;
                    return Ok(Retried { stream, applied, still });
                }
            }
            at = self.find(&stream).await?;
        }
        Ok(Retried {
            stream,
            applied,
            still: None,
        })
    }

    /// Applies the events, or, if they cannot be applied together, the first of them.
    async fn apply_some(&self, at: &Parked, events: &[Recorded]) -> Result<(u64, Written), RetryError> {
        let first = events.get(..1).unwrap_or_default();
        let written = self.apply(at, events).await?;
        if !matches!(written, Written::Refused(_)) || events.len() == first.len() {
            return Ok((u64::try_from(events.len()).unwrap_or(u64::MAX), written));
        }
        Ok((1, self.apply(at, first).await?))
    }

    /// Applies the events, which follow where the stream stands.
    async fn apply(&self, at: &Parked, events: &[Recorded]) -> Result<Written, RetryError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(Written::Done(Position::START));
        };
        let refused = |error| Unreadable {
            position: first.position,
            stream: at.stream.clone(),
            error,
        };
        let folded = catch_unwind(AssertUnwindSafe(|| {
            let mut newest_first = events.iter().rev();
            let concerned = newest_first.find(|event| !self.projection.apply(event).is_empty());
            let changed_at = concerned.map(|event| event.position).unwrap_or_default();
            (batch::coalesce(self.projection.apply_all(events)), changed_at)
        }));
        let (rows, changed_at) = match folded {
            Ok(folded) => folded,
            Err(panic) => return Ok(Written::Refused(refused(said(&*panic)))),
        };
        let after = Parked {
            done: last.position,
            ..at.clone()
        };
        let mut statements = vec![parked::moved(self.name(), at, &after)];
        statements.extend(rows);
        match self.views.write(statements).await {
            Err(DatabaseError::Refused(error)) => Ok(Written::Refused(refused(parked::told(&*error)))),
            written => done(written, changed_at),
        }
    }

    /// Nothing of the stream is left up to the checkpoint: from there on the runner goes on with it.
    async fn let_go(&self, at: &Parked, checkpoint: Checkpoint, changed_at: Position) -> Result<Written, RetryError> {
        let after = Checkpoint {
            changed_at: checkpoint.changed_at.max(changed_at),
            ..checkpoint
        };
        let guards = vec![
            checkpoint::moved(self.name(), checkpoint, after),
            parked::released(self.name(), at),
        ];
        done(self.views.write(guards).await, changed_at)
    }

    /// Writes down what the stream stands at now.
    async fn stands_at(&self, at: Parked, event: Unreadable) -> Result<Option<Parked>, RetryError> {
        let after = Parked {
            position: event.position,
            error: event.error,
            ..at.clone()
        };
        let written = self.views.write(vec![parked::moved(self.name(), &at, &after)]).await;
        match done(written, Position::START)? {
            Written::Done(_) => Ok(Some(after)),
            _ => self.find(&at.stream).await,
        }
    }

    /// The stream's events after where it stands, up to the checkpoint, as far as they decode.
    async fn next(&self, at: &Parked, up_to: Position) -> Result<Next, ReadError> {
        let stream = at.stream.parse::<StreamId>().ok();
        if let Some(stream) = &stream
            && let Ok(mut streams) = self.log.read_streams(std::slice::from_ref(stream)).await
        {
            let mut events = streams.pop().unwrap_or_default();
            events.retain(|event| event.position > at.done && event.position <= up_to);
            return Ok(Next::Events(events));
        }
        // An event of the stream does not decode: event by event, up to that one.
        let scope = stream.map_or(Scope::All, |stream| Scope::Account(stream.account()));
        let mut found = Vec::new();
        let mut after = at.done;
        while after < up_to {
            let stretch = stretch::read(self.log, scope, after, PAGE).await?.up_to(up_to);
            let own = |recorded: &Recorded| recorded.stream.as_str() == at.stream;
            found.extend(stretch.events.into_iter().filter(own));
            match stretch.unreadable.filter(|unreadable| unreadable.stream == at.stream) {
                Some(unreadable) if found.is_empty() => return Ok(Next::Unreadable(unreadable)),
                Some(_) => break,
                None => after = stretch.end,
            }
        }
        Ok(Next::Events(found))
    }

    async fn find(&self, stream: &str) -> Result<Option<Parked>, RetryError> {
        let parked = parked::list(self.views, self.name()).await?;
        Ok(parked.into_iter().find(|parked| parked.stream == stream))
    }

    async fn checkpoint(&self) -> Result<Checkpoint, RetryError> {
        let stored = checkpoint::load(self.views).await?;
        let live = stored.get(self.name());
        let live = live.filter(|live| live.definition == checkpoint::definition(self.projection));
        Ok(live.ok_or(RetryError::OtherVersion(self.name()))?.checkpoint)
    }

    fn name(&self) -> &'static str {
        self.projection.name()
    }

    fn not_parked(&self, stream: &str) -> RetryError {
        RetryError::NotParked {
            projection: self.name(),
            stream: stream.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
