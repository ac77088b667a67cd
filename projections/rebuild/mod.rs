//! Makes projections anew from the log beside the rows that are read, which go on being read and kept up to date by their
//! runner: `replay` on the command line.
//!
//! The new rows are made in tables of their own, each with a checkpoint of its own. Once they are as far as the live
//! ones, one short transaction exchanges their names: a reader sees the old rows or the new ones, and never waits. Killed
//! before that, the live rows are untouched; the next rebuild of the projection removes what was begun. Of two rebuilds
//! of one projection the later takes it over, and the earlier can write nothing any more.

mod exchange;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use database::{Database, DatabaseError};
use event_log::{EventLog, Position, ReadError, Scope};
use tokio::time::Instant;

use crate::checkpoint::{self, Checkpoint, Stored};
use crate::follower::{Follower, StandsStill, apply};
use crate::generations::{set_aside, sweep};
use crate::stretch::{self, Stretch};
use crate::tables::Slot;
use crate::{Projection, parked};

pub use verify::{Compared, Difference};

/// Events in one transaction at most.
const STRETCH: usize = 2_000;

/// A transaction of the rebuild takes about so long, however fast the machine is, and has at least so many events: the
/// live rows wait behind it where one thread does all writing, and share processors and disk with it elsewhere.
const HOLD_UP: Duration = Duration::from_millis(20);
const SHORTEST: usize = 50;

/// The same while nobody appends, so that only the first who does may have to wait so long. Longer transactions write the
/// pages that are written to over and over less often.
const HOLD_UP_NOBODY: Duration = Duration::from_millis(80);

/// The same where every writer has a connection of its own, and waits for no other.
const HOLD_UP_BESIDE: Duration = Duration::from_millis(250);

/// Live rows that are compared in one snapshot, about.
const LOOK: u64 = 50_000;

/// How often something is tried that the live rows or a busy database got in the way of.
const TRIES: u32 = 1_000;

/// The pause before it is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A rebuild's revisions begin at its token, shifted by so many bits.
const TOKEN: u32 = 24;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last event that was applied.
    pub position: Position,
    /// The last event of the log.
    pub head: Position,
}

/// Why a rebuild does not go on. The live rows are as they were.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log could not be read.
    #[error("the log could not be read for the rebuild")]
    Log(#[from] ReadError),
    /// The read models' database failed.
    #[error("the rebuild could not be written")]
    Views(#[from] DatabaseError),
    /// The database does not take the new rows.
    #[error(transparent)]
    StandsStill(#[from] StandsStill),
    /// Another rebuild of the projection was begun.
    #[error("another rebuild of {0} was begun and has taken this one over")]
    TakenOver(&'static str),
    /// The live rows are of another definition.
    #[error("the rows of {0} are made by another version of gitleads than this one, or by none yet")]
    OtherVersion(&'static str),
    /// The live rows were always ahead, or moved while they were to be compared.
    #[error("the live rows of {0} did not stand still long enough")]
    NeverMet(&'static str),
}

/// Projections that are being made anew. Dropped before the end, it leaves behind what the next rebuild removes.
pub struct Rebuild {
    log: Arc<dyn EventLog>,
    views: Arc<dyn Database>,
    /// All at one position, until they are exchanged one after the other.
    followers: Vec<Follower>,
    stretch: usize,
    look: u64,
}

impl Rebuild {
    /// Begins to make these projections anew. The `token` is drawn by chance: two rebuilds never have the same.
    pub async fn begin(
        log: Arc<dyn EventLog>,
        views: Arc<dyn Database>,
        projections: Vec<Box<dyn Projection>>,
        token: u32,
    ) -> Result<Self, RebuildError> {
        let mut followers = Vec::with_capacity(projections.len());
        for projection in projections {
            followers.push(begin(&*views, projection, token).await?);
        }
        Ok(Self {
            log,
            views,
            followers,
            stretch: STRETCH / 4,
            look: LOOK,
        })
    }

    /// Fills the new tables up to the end of the log, and tells `progress` after every stretch.
    pub async fn fill(&mut self, mut progress: impl FnMut(Progress) + Send) -> Result<(), RebuildError> {
        self.follow(&mut progress).await?;
        if self.followers.iter().all(|follower| follower.checkpoint.indexed) {
            return Ok(());
        }
        for follower in &mut self.followers {
            let name = follower.projection.name();
            taken_over(name, follower.index(&*self.views).await)?;
        }
        self.follow(&mut progress).await
    }

    /// Puts the new rows in the place of the live ones, which are kept as the old generation.
    pub async fn exchange(&mut self) -> Result<(), RebuildError> {
        'next: while let Some(name) = self.followers.first().map(|first| first.projection.name()) {
            for _ in 0..TRIES {
                self.follow(&mut |_| ()).await?;
                if self.exchange_first().await? {
                    self.followers.remove(0);
                    continue 'next;
                }
            }
            return Err(RebuildError::NeverMet(name));
        }
        Ok(())
    }

    /// Removes the new rows that were not exchanged, unless another rebuild has taken them over; the live ones stay.
    pub async fn give_up(self) -> Result<(), RebuildError> {
        for follower in self.followers {
            let projection = &*follower.projection;
            let own = |checkpoint: &Checkpoint| token(*checkpoint) == token(follower.checkpoint);
            sweep(&*self.views, projection).await?;
            set_aside(&*self.views, projection, Slot::Next, own).await?;
            sweep(&*self.views, projection).await?;
        }
        Ok(())
    }

    /// Applies what the log holds, up to its end. The next stretch is read while one is written.
    async fn follow(&mut self, progress: &mut (impl FnMut(Progress) + Send)) -> Result<(), RebuildError> {
        let Some(first) = self.followers.first() else {
            return Ok(());
        };
        let log = self.log.clone();
        let read = |after, limit| stretch::read(&*log, Scope::All, after, limit);
        let mut head = Position::START;
        let mut next = Some(read(first.checkpoint.position, self.stretch).await?);
        while let Some(stretch) = next {
            let limit = self.stretch;
            let reading = async {
                if stretch.more() {
                    read(stretch.end, limit).await.map(Some)
                } else {
                    Ok(None)
                }
            };
            let applying = async {
                let start = Instant::now();
                let applied = self.apply(&stretch).await;
                applied.map(|()| start.elapsed())
            };
            let (took, read) = tokio::join!(applying, reading);
            let took = took?;
            let somebody_appends = stretch.head > head && head > Position::START;
            self.pace(took, somebody_appends);
            head = stretch.head;
            progress(Progress {
                position: stretch.end,
                head: stretch.head,
            });
            next = read?;
            if somebody_appends {
                // So that whoever does finds the disk and the processors free for as long as they were taken.
                tokio::time::sleep(took).await;
            }
        }
        Ok(())
    }

    /// Makes the next stretches shorter or longer, by how long one took.
    fn pace(&mut self, took: Duration, somebody_appends: bool) {
        let hold_up = match (somebody_appends, self.views.has_one_writer()) {
            (true, _) => HOLD_UP,
            (false, true) => HOLD_UP_NOBODY,
            (false, false) => HOLD_UP_BESIDE,
        };
        if took > hold_up {
            self.stretch = (self.stretch * 2 / 3).max(SHORTEST.min(self.stretch));
        } else if took < hold_up / 2 {
            self.stretch = (self.stretch * 3 / 2).clamp(1, STRETCH);
        }
    }

    async fn apply(&mut self, stretch: &Stretch) -> Result<(), RebuildError> {
        for _ in 0..TRIES {
            let name = self.followers.first().map_or("", |first| first.projection.name());
            let mut group: Vec<&mut Follower> = self.followers.iter_mut().collect();
            match taken_over(name, apply(&*self.views, &mut group, stretch).await) {
                Err(RebuildError::Views(DatabaseError::Busy)) => tokio::time::sleep(PAUSE).await,
                applied => return applied?.into_iter().next().map_or(Ok(()), |still| Err(still.into())),
            }
        }
        Err(DatabaseError::Busy.into())
    }
}

async fn begin(views: &dyn Database, projection: Box<dyn Projection>, drawn: u32) -> Result<Follower, RebuildError> {
    let name = projection.name();
    let mut follower = Follower::new(projection, Slot::Next);
    let projection = &*follower.projection;
    let stored = checkpoint::load(views).await?;
    let definition = checkpoint::definition(projection);
    if stored.get(name).is_none_or(|live| live.definition != definition) {
        return Err(RebuildError::OtherVersion(name));
    }
    // The generation before the live one is let go, and what is left of a rebuild that was killed.
    sweep(views, projection).await?;
    if set_aside(views, projection, Slot::Next, |_| true).await? {
        sweep(views, projection).await?;
    }
    set_aside(views, projection, Slot::Old, |_| true).await?;
    let index_first = views.has_one_writer();
    let checkpoint = Checkpoint {
        indexed: index_first,
        generation: checkpoint::next_generation(&stored, name),
        // So that no write of a rebuild before this one, or after it, finds its own revision.
        revision: u64::from(drawn) << TOKEN,
        ..Checkpoint::default()
    };
    let mut statements = vec![checkpoint::first(&Slot::Next.of(name), &definition, checkpoint)];
    statements.extend(parked::forget(name, Slot::Next));
    // Of GitLeads 0.1, which kept no checkpoint of them.
    statements.extend(follower.tables.drop(Slot::Next));
    statements.push(follower.tables.create(projection.schema(), Slot::Next));
    if index_first {
        // Made at the end they would hold up all other writes for seconds.
        let made = follower
            .tables
            .index(projection.indexes(), Slot::Next, checkpoint.generation);
        statements.extend(made);
    }
    taken_over(name, views.write(statements).await)?;
    follower.checkpoint = checkpoint;
    Ok(follower)
}

/// What tells the writes of one rebuild from those of another.
const fn token(checkpoint: Checkpoint) -> u64 {
    checkpoint.revision >> TOKEN
}

/// A rebuild's checkpoint is moved by nobody but another rebuild of the projection.
fn taken_over<T>(name: &'static str, written: Result<T, DatabaseError>) -> Result<T, RebuildError> {
    written.map_err(|error| match error {
        DatabaseError::Stale => RebuildError::TakenOver(name),
        error => error.into(),
    })
}

/// The checkpoint of the live rows.
async fn live(views: &dyn Database, name: &'static str) -> Result<Stored, RebuildError> {
    let mut stored = checkpoint::load(views).await?;
    stored.remove(name).ok_or(RebuildError::OtherVersion(name))
}

#[cfg(test)]
mod tests;
