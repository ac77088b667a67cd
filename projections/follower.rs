//! A making of a projection that follows the log: what a stretch changes in it, written with its checkpoint; the runner
//! and rebuilds move their followers with it.
//!
//! An event that it cannot apply (its fold panics, or the database refuses its values) parks the event's stream; so does
//! one that does not decode. Whatever else fails is no fault of an event.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use database::{Database, DatabaseError, Statement};
use event_log::{Position, Recorded};

use crate::checkpoint::{self, Checkpoint};
use crate::parked::{self, Parked};
use crate::stretch::{Stretch, Unreadable};
use crate::tables::{Slot, Tables};
use crate::{Projection, batch};

/// A making of a projection, and where it stands.
pub struct Follower {
    pub projection: Box<dyn Projection>,
    pub tables: Tables,
    pub slot: Slot,
    pub checkpoint: Checkpoint,
    /// The streams that it does not go on with.
    pub parked: BTreeSet<String>,
    /// What its writes stand on besides the checkpoint.
    pub fence: Vec<Statement>,
}

/// What a stretch changes, and where the checkpoint stands after it.
struct Move {
    rows: Vec<Statement>,
    after: Checkpoint,
}

/// A projection that cannot go on, by no fault of a single event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the projection {projection} cannot go on: {fault}")]
pub struct StandsStill {
    /// Which one.
    pub projection: &'static str,
    /// Why not.
    pub fault: String,
}

/// Applies the stretch to the followers, which all stand at its beginning, in one transaction; if that cannot be done,
/// to each of them on its own, so that one that fails does not stop the others. Those are the answer.
pub async fn apply(
    views: &dyn Database,
    followers: &mut [&mut Follower],
    stretch: &Stretch,
) -> Result<Vec<StandsStill>, DatabaseError> {
    let mut statements = Vec::new();
    let mut moved = Vec::new();
    let mut alone = Vec::new();
    for follower in followers {
        let planned = match &stretch.unreadable {
            Some(unreadable) => follower.park_unreadable(unreadable),
            None => follower.fold(&stretch.events, stretch.end).map_err(drop),
        };
        match planned {
            Ok(None) => {}
            Ok(Some(planned)) => {
                let after = planned.after;
                statements.extend(follower.write(planned));
                moved.push((follower, after));
            }
            Err(()) => alone.push(follower),
        }
    }
    let written = if statements.is_empty() {
        Ok(Vec::new())
    } else {
        views.write(statements).await
    };
    match written {
        Ok(_) => {
            for (follower, after) in moved {
                follower.moved_to(after);
                stretch.unreadable.iter().for_each(|event| follower.has_parked(event));
            }
        }
        Err(DatabaseError::Refused(_) | DatabaseError::Engine(_) | DatabaseError::Column(_)) => {
            alone.extend(moved.into_iter().map(|(follower, _)| follower));
        }
        Err(error) => return Err(error),
    }
    let mut still = Vec::new();
    for follower in alone {
        still.extend(follower.go_alone(views, stretch).await?);
    }
    Ok(still)
}

impl Follower {
    /// A follower whose checkpoint is yet to be read.
    pub fn new(projection: Box<dyn Projection>, slot: Slot) -> Self {
        Self {
            tables: Tables::of(projection.schema()),
            projection,
            slot,
            checkpoint: Checkpoint::default(),
            parked: BTreeSet::new(),
            fence: Vec::new(),
        }
    }

    /// The name of its checkpoint.
    pub fn row(&self) -> String {
        self.slot.of(self.projection.name())
    }

    /// Makes the further indexes, once the tables are filled: rows go in faster without them.
    pub async fn index(&mut self, views: &dyn Database) -> Result<(), DatabaseError> {
        let generation = self.checkpoint.generation;
        let made = self.tables.index(self.projection.indexes(), self.slot, generation);
        let after = Checkpoint {
            indexed: true,
            ..self.checkpoint
        };
        let mut statements = self.guards(after);
        statements.extend(made);
        views.write(statements).await?;
        self.moved_to(after);
        Ok(())
    }

    /// The checkpoint was moved there; its row has the next revision.
    pub fn moved_to(&mut self, after: Checkpoint) {
        self.checkpoint = Checkpoint {
            revision: self.checkpoint.revision + 1,
            ..after
        };
    }

    /// What a write that moves the checkpoint stands on, first of all so that two who meet wait here.
    pub fn guards(&self, after: Checkpoint) -> Vec<Statement> {
        let mut guards = self.fence.clone();
        guards.push(checkpoint::moved(&self.row(), self.checkpoint, after));
        guards
    }

    fn write(&self, planned: Move) -> Vec<Statement> {
        let mut statements = self.guards(planned.after);
        let rows = planned.rows.into_iter();
        statements.extend(rows.map(|row| self.tables.statement_in(row, self.slot)));
        statements
    }

    /// What the events change and where the projection stands after them, at `end`; none if nothing moves. An error is
    /// what the fold panicked with.
    fn fold(&self, events: &[Recorded], end: Position) -> Result<Option<Move>, String> {
        // What stands before the checkpoint is applied, however it came to be read again.
        let seen = events.partition_point(|recorded| recorded.position <= self.checkpoint.position);
        let events = self.without_parked(events.get(seen..).unwrap_or_default());
        let folded = catch_unwind(AssertUnwindSafe(|| {
            let rows = batch::coalesce(self.projection.apply_all(&events));
            let mut newest_first = events.iter().rev();
            let concerned =
                newest_first.find(|recorded| !rows.is_empty() && !self.projection.apply(recorded).is_empty());
            (rows, concerned.map(|recorded| recorded.position))
        }));
        let (rows, concerned) = folded.map_err(|panic| said(&*panic))?;
        let before = self.checkpoint;
        let position = end.max(before.position);
        let changed_at = match concerned {
            None if rows.is_empty() => before.changed_at,
            concerned => concerned.unwrap_or(position),
        };
        let after = Checkpoint {
            position,
            changed_at,
            ..before
        };
        Ok((after != before).then_some(Move { rows, after }))
    }

    fn without_parked<'a>(&self, events: &'a [Recorded]) -> Cow<'a, [Recorded]> {
        let is_parked = |recorded: &Recorded| self.parked.contains(recorded.stream.as_str());
        if self.parked.is_empty() || !events.iter().any(is_parked) {
            return Cow::Borrowed(events);
        }
        Cow::Owned(events.iter().filter(|recorded| !is_parked(recorded)).cloned().collect())
    }

    /// Applies the stretch in ever shorter parts, until the events are found that cannot be applied.
    async fn go_alone(
        &mut self,
        views: &dyn Database,
        stretch: &Stretch,
    ) -> Result<Option<StandsStill>, DatabaseError> {
        if let Some(unreadable) = &stretch.unreadable {
            return self.park(views, unreadable).await;
        }
        let mut rest = stretch.events.as_slice();
        let mut size = rest.len();
        loop {
            let (part, tail) = rest.split_at(size.min(rest.len()));
            let last = part.last().filter(|_| !tail.is_empty());
            let end = last.map_or(stretch.end, |last| last.position);
            match (self.try_part(views, part, end).await?, part) {
                (Tried::Applied, _) if tail.is_empty() => return Ok(None),
                (Tried::Applied, _) => (rest, size) = (tail, tail.len()),
                (Tried::Refused(error), [event]) => {
                    let unreadable = Unreadable {
                        position: event.position,
                        stream: event.stream.as_str().to_owned(),
                        error,
                    };
                    if let Some(still) = self.park(views, &unreadable).await? {
                        return Ok(Some(still));
                    }
                    (rest, size) = (tail, tail.len());
                }
                (Tried::Refused(fault), []) | (Tried::Failed(fault), _) => return Ok(Some(self.stands_still(fault))),
                (Tried::Refused(_), part) => size = part.len() / 2,
            }
        }
    }

    async fn try_part(
        &mut self,
        views: &dyn Database,
        part: &[Recorded],
        end: Position,
    ) -> Result<Tried, DatabaseError> {
        let planned = match self.fold(part, end) {
            Err(panic) => return Ok(Tried::Refused(panic)),
            Ok(None) => return Ok(Tried::Applied),
            Ok(Some(planned)) => planned,
        };
        let after = planned.after;
        match views.write(self.write(planned)).await {
            Ok(_) => {
                self.moved_to(after);
                Ok(Tried::Applied)
            }
            Err(DatabaseError::Refused(error)) => Ok(Tried::Refused(parked::told(&*error))),
            Err(DatabaseError::Engine(error)) => Ok(Tried::Failed(parked::told(&*error))),
            Err(DatabaseError::Column(error)) => Ok(Tried::Failed(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Parks the event's stream and passes the event.
    async fn park(&mut self, views: &dyn Database, event: &Unreadable) -> Result<Option<StandsStill>, DatabaseError> {
        let Ok(Some(planned)) = self.park_unreadable(event) else {
            return Ok(Some(
                self.stands_still(format!("{} streams are parked", self.parked.len())),
            ));
        };
        let after = planned.after;
        match views.write(self.write(planned)).await {
            Ok(_) => {
                self.moved_to(after);
                self.has_parked(event);
                Ok(None)
            }
            Err(DatabaseError::Refused(error) | DatabaseError::Engine(error)) => {
                Ok(Some(self.stands_still(parked::told(&*error))))
            }
            Err(error) => Err(error),
        }
    }

    /// Passes the event and parks its stream, unless it is parked. Refused if too many are.
    fn park_unreadable(&self, event: &Unreadable) -> Result<Option<Move>, ()> {
        let after = Checkpoint {
            position: event.position,
            ..self.checkpoint
        };
        if self.parked.contains(&event.stream) {
            return Ok(Some(Move {
                rows: Vec::new(),
                after,
            }));
        }
        if self.parked.len() >= parked::MOST {
            return Err(());
        }
        let Unreadable {
            position,
            stream,
            error,
        } = event.clone();
        let parked = Parked {
            stream,
            done: self.checkpoint.position,
            position,
            error,
        };
        let rows = vec![parked::put(&self.row(), &parked)];
        Ok(Some(Move { rows, after }))
    }

    /// Notes that the event's stream is parked now, and tells it.
    fn has_parked(&mut self, event: &Unreadable) {
        if !self.parked.insert(event.stream.clone()) {
            return;
        }
        tracing::error!(
            projection = self.row(),
            stream = event.stream,
            position = %event.position,
            error = event.error,
            "an event cannot be applied: its stream is parked in this projection"
        );
    }

    fn stands_still(&self, fault: String) -> StandsStill {
        StandsStill {
            projection: self.projection.name(),
            fault,
        }
    }
}

/// What came of a part of a stretch.
enum Tried {
    Applied,
    /// By the fold or by the database, for what an event says.
    Refused(String),
    /// The database failed otherwise.
    Failed(String),
}

/// What a panic said.
pub fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    parked::cut(format!("the fold panicked: {}", text.unwrap_or("without a word")))
}
