//! Makes projections anew from the log while their readers go on reading: `replay` on the command line.
//!
//! The new rows are made in tables beside the live ones, without the further indexes. Once they are as far as the live
//! ones, one transaction drops the live tables, puts the new ones in their place and makes the indexes: a reader sees
//! the old rows or the new ones, and never waits. Killed before that, the live rows are untouched, and the next
//! [`Runner::open`] removes what was begun.

use database::Statement;
use event_log::{Position, Scope};

use crate::checkpoint::{self, Checkpoint};
use crate::runner::{Follower, Runner, RunnerError, fold, indexes};
use crate::tables::Tables;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last event that was applied.
    pub position: Position,
    /// The last event of the log.
    pub head: Position,
}

/// A projection that is being made anew.
struct Beside {
    /// Which of the runner's followers.
    index: usize,
    tables: Tables,
    checkpoint: Checkpoint,
}

impl Runner {
    /// The names of the projections, as [`Runner::rebuild`] takes them.
    pub fn names(&self) -> Vec<&'static str> {
        let names = self.followers.iter().map(|follower| follower.projection.name());
        names.collect()
    }

    /// Makes the projections of these names anew, and tells `progress` after every stretch of the log. The other
    /// projections and the live rows are kept up to date meanwhile; only the exchange at the end holds them up, for as
    /// long as the indexes take.
    pub async fn rebuild(
        &mut self,
        names: &[&str],
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<(), RunnerError> {
        let mut rebuilt = names
            .iter()
            .map(|name| self.beside(name))
            .collect::<Result<Vec<_>, _>>()?;
        self.make_tables_beside(&rebuilt).await?;
        loop {
            // The rows may be made anew because they cannot be written any more, so that is no reason to stop.
            if let Err(error) = self.step().await {
                tracing::warn!(%error, "the live rows fall behind during the rebuild");
                self.recover().await?;
            }
            let reached = self.advance_beside(&mut rebuilt).await?;
            progress(reached);
            let live = rebuilt.iter().filter_map(|beside| self.followers.get(beside.index));
            let live = live.map(|follower| follower.checkpoint.position).max();
            if live.is_none_or(|live| live <= reached.position) {
                break;
            }
        }
        self.exchange(rebuilt).await
    }

    fn beside(&self, name: &str) -> Result<Beside, RunnerError> {
        let mut followers = self.followers.iter().enumerate();
        let found = followers.find(|(_, follower)| follower.projection.name() == name);
        let (index, follower) = found.ok_or_else(|| RunnerError::UnknownProjection(name.to_owned()))?;
        Ok(Beside {
            index,
            tables: Tables::of(follower.projection.schema()),
            checkpoint: Checkpoint::default(),
        })
    }

    async fn make_tables_beside(&mut self, rebuilt: &[Beside]) -> Result<(), RunnerError> {
        let mut statements = Vec::new();
        for beside in rebuilt {
            // Left behind by a rebuild that was given up.
            statements.extend(beside.tables.drop_beside());
            if let Some(Follower { projection, .. }) = self.followers.get(beside.index) {
                statements.push(Statement::sql(
                    beside.tables.beside_text(projection.schema()),
                    Vec::new(),
                ));
            }
        }
        self.write(statements).await
    }

    async fn advance_beside(&mut self, rebuilt: &mut [Beside]) -> Result<Progress, RunnerError> {
        let from = rebuilt
            .first()
            .map_or(Position::START, |beside| beside.checkpoint.position);
        let page = self.log.read(Scope::All, from, self.stretch).await?;
        let mut statements = Vec::new();
        for beside in rebuilt.iter_mut() {
            let Some(follower) = self.followers.get(beside.index) else {
                continue;
            };
            let (rows, after) = fold(&*follower.projection, beside.checkpoint, &page.events, page.looked_to);
            statements.extend(rows.into_iter().map(|row| beside.tables.beside(row)));
            beside.checkpoint = after;
        }
        self.write(statements).await?;
        Ok(Progress {
            position: page.looked_to,
            head: page.head,
        })
    }

    /// Puts the new tables in the place of the live ones, with indexes and checkpoints, in one transaction.
    async fn exchange(&mut self, rebuilt: Vec<Beside>) -> Result<(), RunnerError> {
        let mut statements = Vec::new();
        let mut moved = Vec::new();
        for Beside {
            index,
            tables,
            checkpoint,
        } in rebuilt
        {
            let Some(Follower { projection, .. }) = self.followers.get(index) else {
                continue;
            };
            let after = Checkpoint {
                indexed: true,
                ..checkpoint
            };
            statements.extend(tables.drop_live());
            statements.extend(tables.put_in_place());
            statements.extend(indexes(&**projection));
            statements.push(checkpoint::save(&**projection, after));
            moved.push((index, after));
        }
        self.write(statements).await?;
        self.remember(moved);
        Ok(())
    }
}
