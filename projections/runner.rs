//! Follows the log and keeps every projection's rows up to date; the serving process and the command line run one.
//!
//! A stretch of the log is read once, folded by every projection that stands at its beginning, and written with their
//! checkpoints in one transaction. So a crash at any point repeats nothing and leaves nothing out.

mod tables;

use std::sync::Arc;
use std::time::Duration;

use database::{Database, DatabaseError};
use event_log::{EventLog, Position, ReadError, Scope};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fence::{Alone, Fence};
use crate::follower::{Follower, StandsStill, apply};
use crate::freshness::{Freshness, Mark};
use crate::tables::Slot;
use crate::{Projection, checkpoint, parked, stretch};

/// Events in one transaction: more gain little, and a reader that just wrote would wait longer.
const STRETCH: usize = 1_000;

/// A projection that cannot go on is tried again after this.
const REST: Duration = Duration::from_secs(5);

/// How often is looked how far other processes are with their projections, while they are behind.
const LOOK: Duration = Duration::from_millis(50);

/// Why the projections do not go on. Calling again goes on from what is stored.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The log could not be read.
    #[error("the log could not be read for the projections")]
    Log(#[from] ReadError),
    /// The read models' database failed.
    #[error("the read models could not be written")]
    Views(#[from] DatabaseError),
    /// No projection that is this process's to move goes on.
    #[error(transparent)]
    StandsStill(#[from] StandsStill),
}

/// A projection that is read, and whether this runner moves it.
struct Live {
    follower: Follower,
    /// Whether the rows are of this program's definition.
    usable: bool,
    /// Whether it was this process's to move at the last step.
    held: bool,
    /// Not tried again before.
    rests_until: Option<Instant>,
}

impl Live {
    fn moves(&self) -> bool {
        self.held && self.usable && self.rests_until.is_none()
    }

    fn position(&self) -> Position {
        self.follower.checkpoint.position
    }
}

/// Moves the projections of the read models' database, as far as they are this process's to move.
pub struct Runner {
    log: Arc<dyn EventLog>,
    views: Arc<dyn Database>,
    fence: Arc<dyn Fence>,
    lives: Vec<Live>,
    stretch: usize,
    /// What is stored may differ from what is remembered.
    unsure: bool,
    /// The log may end before the checkpoints, if it was restored; looked at once.
    may_end_before: bool,
    /// The last write was refused though nobody has moved a checkpoint: the fence's claim is gone.
    refused: bool,
    marks: watch::Sender<Vec<Mark>>,
}

impl Runner {
    /// A runner that moves all projections. Makes the tables of those that have none yet.
    pub async fn open(
        log: Arc<dyn EventLog>,
        views: Arc<dyn Database>,
        projections: Vec<Box<dyn Projection>>,
    ) -> Result<Self, RunnerError> {
        let live = |projection| Live {
            follower: Follower::new(projection, Slot::Live),
            usable: false,
            held: false,
            rests_until: None,
        };
        let mut runner = Self {
            log,
            views,
            fence: Arc::new(Alone),
            lives: projections.into_iter().map(live).collect(),
            stretch: STRETCH,
            unsure: true,
            may_end_before: true,
            refused: false,
            marks: watch::Sender::new(Vec::new()),
        };
        tables::make(&*runner.views, runner.lives.iter().map(|live| &live.follower)).await?;
        runner.load().await?;
        Ok(runner)
    }

    /// The same, for the projections that the fence says are this process's; the others are only observed.
    #[must_use]
    pub fn fenced(self, fence: Arc<dyn Fence>) -> Self {
        Self { fence, ..self }
    }

    /// How far the projections are, for those who wait for it.
    pub fn freshness(&self) -> Freshness {
        Freshness::new(self.marks.subscribe())
    }

    /// Applies the next stretch of the log to the projections that are this process's: to the foremost of them, and to the
    /// hindmost if they stand elsewhere, until they meet. With nothing to apply it looks what others have moved. True:
    /// there is more to do at once.
    pub async fn step(&mut self) -> Result<bool, RunnerError> {
        match self.try_step().await {
            Err(RunnerError::Views(DatabaseError::Stale)) => self.was_overtaken().await,
            ended => {
                // After a failure nobody knows what is stored.
                self.unsure |= ended.is_err();
                ended
            }
        }
    }

    /// Steps until all of the log is applied, as it stands then, as far as it is this process's to apply.
    pub async fn catch_up(&mut self) -> Result<Position, RunnerError> {
        while self.step().await? {}
        Ok(self.lives.iter().map(Live::position).min().unwrap_or_default())
    }

    /// Returns once there may be something to do, or when the time is up. Does not hold the runner meanwhile.
    pub fn wait(&self, at_most: Duration) -> impl Future<Output = ()> + Send + use<> {
        let log = self.log.clone();
        let others = self.lives.iter().any(|live| !live.held);
        let counted = self.lives.iter().filter(|live| live.moves() || others);
        let applied = counted.map(Live::position).min();
        let refused = self.refused;
        async move {
            match applied {
                Some(applied) if !refused => {
                    if others {
                        // They are behind until looked at again, and the log does not tell when they moved.
                        tokio::time::sleep(LOOK.min(at_most)).await;
                    }
                    log.wait(applied, at_most).await;
                }
                _ => tokio::time::sleep(at_most).await,
            }
        }
    }

    async fn try_step(&mut self) -> Result<bool, RunnerError> {
        self.take_hold().await?;
        Ok(self.apply_more().await? || self.look().await?)
    }

    async fn apply_more(&mut self) -> Result<bool, RunnerError> {
        let Some(front) = self.positions().max() else {
            return Ok(false);
        };
        let mut more = self.advance(front, None).await?;
        let rear = self.positions().min().unwrap_or_default();
        if let Some(next) = self.positions().filter(|position| *position > rear).min() {
            self.advance(rear, Some(next)).await?;
            more = true;
        }
        Ok(more && self.positions().next().is_some())
    }

    /// Asks which projections are this process's, reads what may have changed, and makes anew what cannot be gone on with.
    async fn take_hold(&mut self) -> Result<(), RunnerError> {
        self.refused = false;
        let now = Instant::now();
        let mut taken = false;
        for live in &mut self.lives {
            let guards = self.fence.guards(live.follower.projection.name());
            taken |= guards.is_some() && !live.held;
            live.held = guards.is_some();
            live.follower.fence = guards.unwrap_or_default();
            live.rests_until = live.rests_until.filter(|until| now < *until);
        }
        if self.unsure || taken {
            self.load().await?;
        }
        self.make_anew().await
    }

    /// Makes those of this process's projections anew that are defined otherwise than this program does, or that stand
    /// beyond the log's end (a restored log).
    async fn make_anew(&mut self) -> Result<(), RunnerError> {
        let end = if std::mem::take(&mut self.may_end_before) {
            Some(self.log.head().await?)
        } else {
            None
        };
        let is_beyond = |live: &Live| end.is_some_and(|end| live.position() > end);
        let mut made = false;
        for live in &self.lives {
            if live.held && (!live.usable || is_beyond(live)) {
                tables::make_anew(&*self.views, &live.follower).await?;
                made = true;
            }
        }
        if made {
            self.load().await?;
        }
        Ok(())
    }

    /// Reads what is stored of every projection.
    async fn load(&mut self) -> Result<(), RunnerError> {
        // The checkpoints first: if a stream is parked or released in between, the next write finds another revision.
        let stored = checkpoint::load(&*self.views).await?;
        let mut parked = parked::streams(&*self.views).await?;
        for live in &mut self.lives {
            live.take_over(stored.get(live.follower.projection.name()));
            live.follower.parked = parked.remove(live.follower.projection.name()).unwrap_or_default();
        }
        self.unsure = false;
        self.publish();
        Ok(())
    }

    /// Reads how far those are that others move; what is parked in them is read once they are taken hold of. True: one that
    /// this runner moves was moved by somebody else, such as a rebuild.
    async fn look(&mut self) -> Result<bool, RunnerError> {
        let stored = checkpoint::load(&*self.views).await?;
        for live in &mut self.lives {
            let found = stored.get(live.follower.projection.name());
            if !live.held {
                live.take_over(found);
            } else if found.map(|found| found.checkpoint) != Some(live.follower.checkpoint) {
                self.unsure = true;
            }
        }
        self.publish();
        Ok(self.unsure)
    }

    /// A write found a checkpoint elsewhere than it was remembered, or the fence's claim gone. True: go on at once.
    async fn was_overtaken(&mut self) -> Result<bool, RunnerError> {
        let revisions = |runner: &Self| -> Vec<u64> {
            let lives = runner.lives.iter();
            lives.map(|live| live.follower.checkpoint.revision).collect()
        };
        let before = revisions(self);
        self.unsure = true;
        self.load().await?;
        self.refused = revisions(self) == before;
        if self.refused {
            tracing::warn!("the projections are another process's to move");
        }
        Ok(!self.refused)
    }

    /// Applies the stretch after `from`, but nothing after `up_to`, to the projections that stand at `from`. True: the
    /// log holds more.
    async fn advance(&mut self, from: Position, up_to: Option<Position>) -> Result<bool, RunnerError> {
        let mut stretch = stretch::read(&*self.log, Scope::All, from, self.stretch).await?;
        let more = stretch.more();
        if let Some(up_to) = up_to {
            stretch = stretch.up_to(up_to);
        }
        let here = self
            .lives
            .iter_mut()
            .filter(|live| live.moves() && live.position() == from);
        let mut group: Vec<&mut Follower> = here.map(|live| &mut live.follower).collect();
        let still = apply(&*self.views, &mut group, &stretch).await?;
        if !more {
            for follower in group {
                // Only now: rows go in faster without indexes.
                if !follower.checkpoint.indexed && follower.checkpoint.position == stretch.end {
                    follower.index(&*self.views).await?;
                }
            }
        }
        self.publish();
        self.let_rest(still)?;
        Ok(more)
    }

    /// Those that cannot go on are left alone for a while, unless no other is left: then it is rather the database that
    /// fails, and the caller knows when to try again.
    fn let_rest(&mut self, still: Vec<StandsStill>) -> Result<(), StandsStill> {
        let until = Some(Instant::now() + REST);
        let is_still = |live: &Live| {
            still
                .iter()
                .any(|one| one.projection == live.follower.projection.name())
        };
        let goes_on = self.lives.iter().any(|live| live.moves() && !is_still(live));
        if !goes_on {
            return still.into_iter().next().map_or(Ok(()), Err);
        }
        for live in self.lives.iter_mut().filter(|live| is_still(live)) {
            live.rests_until = until;
        }
        for one in &still {
            tracing::error!(
                projection = one.projection,
                fault = one.fault,
                "a projection cannot go on"
            );
        }
        Ok(())
    }

    /// Where those stand that this runner moves.
    fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.lives.iter().filter(|live| live.moves()).map(Live::position)
    }

    fn publish(&self) {
        let mark = |live: &Live| Mark {
            name: live.follower.projection.name(),
            applied: live.position(),
            changed_at: live.follower.checkpoint.changed_at,
        };
        self.marks.send_replace(self.lives.iter().map(mark).collect());
    }
}

impl Live {
    fn take_over(&mut self, stored: Option<&checkpoint::Stored>) {
        let definition = checkpoint::definition(&*self.follower.projection);
        self.usable = stored.is_some_and(|stored| stored.definition == definition);
        self.follower.checkpoint = stored.map(|stored| stored.checkpoint).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
