//! Follows the log and keeps every projection's rows up to date; the serving process and the command line run one.
//!
//! A stretch of the log is read once, folded by every projection that stands at its beginning, and written with their
//! checkpoints in one transaction. So a crash at any point repeats nothing and leaves nothing out.

use std::sync::Arc;
use std::time::Duration;

use database::{Database, DatabaseError, Statement};
use event_log::{EventLog, Position, ReadError, Recorded, Scope};
use tokio::sync::watch;

use crate::checkpoint::{self, Checkpoint};
use crate::freshness::{Freshness, Mark};
use crate::tables::Tables;
use crate::{Projection, batch};

/// Events in one transaction: more gain little, and a reader that just wrote would wait longer.
const STRETCH: usize = 1_000;

/// Why the projections do not go on. Calling again goes on from what is stored.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The log could not be read.
    #[error("the log could not be read for the projections")]
    Log(#[from] ReadError),
    /// The read models' database failed.
    #[error("the read models could not be written")]
    Views(#[from] DatabaseError),
    /// A projection was named that does not exist.
    #[error("there is no projection {0}")]
    UnknownProjection(String),
}

/// A projection and where it stands.
pub(crate) struct Follower {
    pub(crate) projection: Box<dyn Projection>,
    pub(crate) checkpoint: Checkpoint,
}

/// The one writer of the read models' database.
pub struct Runner {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) views: Arc<dyn Database>,
    pub(crate) followers: Vec<Follower>,
    pub(crate) stretch: usize,
    /// A write failed, so that the stored checkpoints may differ from the remembered ones.
    pub(crate) unsure: bool,
    marks: watch::Sender<Vec<Mark>>,
}

impl Runner {
    /// Makes what is missing: tables of new projections, and those of projections that were defined otherwise or that
    /// stand beyond the log's end (a restored log), which begin anew.
    pub async fn open(
        log: Arc<dyn EventLog>,
        views: Arc<dyn Database>,
        projections: Vec<Box<dyn Projection>>,
    ) -> Result<Self, RunnerError> {
        let fresh = |projection| Follower {
            projection,
            checkpoint: Checkpoint::default(),
        };
        let mut runner = Self {
            log,
            views,
            followers: projections.into_iter().map(fresh).collect(),
            stretch: STRETCH,
            unsure: true,
            marks: watch::Sender::new(Vec::new()),
        };
        runner.make_tables().await?;
        runner.recover().await?;
        Ok(runner)
    }

    /// How far the projections are, for those who wait for it.
    pub fn freshness(&self) -> Freshness {
        Freshness::new(self.marks.subscribe())
    }

    /// Applies the next stretch of the log: to the foremost projections, and to the hindmost if they stand elsewhere,
    /// until they meet. True: there is more to do at once.
    pub async fn step(&mut self) -> Result<bool, RunnerError> {
        self.recover().await?;
        let front = self.positions().max().unwrap_or_default();
        let mut more = self.advance(front, None).await?;
        let rear = self.positions().min().unwrap_or_default();
        if let Some(next) = self.positions().filter(|position| *position > rear).min() {
            self.advance(rear, Some(next)).await?;
            more = true;
        }
        Ok(more)
    }

    /// Steps until all of the log is applied, as it stands then.
    pub async fn catch_up(&mut self) -> Result<Position, RunnerError> {
        while self.step().await? {}
        Ok(self.positions().min().unwrap_or_default())
    }

    /// Returns once the log may hold something that is not applied yet, or when the time is up.
    pub async fn wait(&self, at_most: Duration) {
        let applied = self.positions().min().unwrap_or_default();
        self.log.wait(applied, at_most).await;
    }

    async fn make_tables(&self) -> Result<(), RunnerError> {
        self.views
            .write(vec![Statement::sql(checkpoint::SCHEMA, Vec::new())])
            .await?;
        let stored = checkpoint::load(&*self.views).await?;
        let head = self.log.head().await?;
        for Follower { projection, .. } in &self.followers {
            let tables = Tables::of(projection.schema());
            // Left behind by a rebuild that did not come to its end.
            let mut statements: Vec<_> = tables.drop_beside().collect();
            let found = stored.get(projection.name());
            let usable = found.is_some_and(|(checkpoint, definition)| {
                *definition == checkpoint::definition(&**projection) && checkpoint.position <= head
            });
            if !usable {
                if let Some((_, definition)) = found {
                    tracing::info!(projection = projection.name(), "the rows are made anew from the log");
                    statements.extend(Tables::of(definition).drop_live());
                }
                statements.extend(tables.drop_live());
                statements.push(Statement::sql(projection.schema(), Vec::new()));
                statements.push(checkpoint::save(&**projection, Checkpoint::default()));
            }
            self.views.write(statements).await?;
        }
        Ok(())
    }

    /// Reads the stored checkpoints, if what was remembered may not be what is stored.
    pub(crate) async fn recover(&mut self) -> Result<(), RunnerError> {
        if !self.unsure {
            return Ok(());
        }
        let stored = checkpoint::load(&*self.views).await?;
        for follower in &mut self.followers {
            let found = stored.get(follower.projection.name());
            follower.checkpoint = found.map(|(checkpoint, _)| *checkpoint).unwrap_or_default();
        }
        self.unsure = false;
        self.publish();
        Ok(())
    }

    /// Applies the stretch after `from`, but nothing after `up_to`, to the projections that stand at `from`. True: the
    /// log holds more.
    async fn advance(&mut self, from: Position, up_to: Option<Position>) -> Result<bool, RunnerError> {
        let mut page = self.log.read(Scope::All, from, self.stretch).await?;
        let more = page.looked_to < page.head;
        if let Some(up_to) = up_to.filter(|up_to| *up_to < page.looked_to) {
            page.events.retain(|recorded| recorded.position <= up_to);
            page.looked_to = up_to;
        }
        let mut statements = Vec::new();
        let mut moved = Vec::new();
        for (index, follower) in self.followers.iter().enumerate() {
            let before = follower.checkpoint;
            if before.position != from {
                continue;
            }
            let (rows, mut after) = fold(&*follower.projection, before, &page.events, page.looked_to);
            statements.extend(rows);
            // Only now: rows go in five times faster without indexes.
            if !more && !after.indexed {
                statements.extend(indexes(&*follower.projection));
                after.indexed = true;
            }
            if after != before {
                statements.push(checkpoint::save(&*follower.projection, after));
                moved.push((index, after));
            }
        }
        if moved.is_empty() {
            return Ok(more);
        }
        self.write(statements).await?;
        self.remember(moved);
        Ok(more)
    }

    /// Takes over checkpoints that were written, and tells those who wait.
    pub(crate) fn remember(&mut self, moved: Vec<(usize, Checkpoint)>) {
        for (index, after) in moved {
            if let Some(follower) = self.followers.get_mut(index) {
                follower.checkpoint = after;
            }
        }
        self.publish();
    }

    /// Writes rows and checkpoints together. After a failure nobody knows what is stored, so it is read again.
    pub(crate) async fn write(&mut self, statements: Vec<Statement>) -> Result<(), RunnerError> {
        // Set before the wait: a caller that gives up in the middle does not learn the outcome either.
        self.unsure = true;
        self.views.write(statements).await?;
        self.unsure = false;
        Ok(())
    }

    fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.followers.iter().map(|follower| follower.checkpoint.position)
    }

    fn publish(&self) {
        let mark = |follower: &Follower| Mark {
            name: follower.projection.name(),
            applied: follower.checkpoint.position,
            changed_at: follower.checkpoint.changed_at,
        };
        self.marks.send_replace(self.followers.iter().map(mark).collect());
    }
}

/// What a stretch that ends at `end` changes, and where the projection stands after it.
pub(crate) fn fold(
    projection: &dyn Projection,
    before: Checkpoint,
    stretch: &[Recorded],
    end: Position,
) -> (Vec<Statement>, Checkpoint) {
    let rows = batch::coalesce(projection.apply_all(stretch));
    let mut after = Checkpoint {
        position: end.max(before.position),
        ..before
    };
    if !rows.is_empty() {
        let mut newest_first = stretch.iter().rev();
        let concerned = newest_first.find(|recorded| !projection.apply(recorded).is_empty());
        after.changed_at = concerned.map_or(after.position, |recorded| recorded.position);
    }
    (rows, after)
}

/// Makes the further indexes, if the projection has any.
pub(crate) fn indexes(projection: &dyn Projection) -> Option<Statement> {
    let text = projection.indexes();
    (!text.is_empty()).then(|| Statement::sql(text, Vec::new()))
}

#[cfg(test)]
mod tests;
