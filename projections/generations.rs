//! The makings of each projection's rows: which there are, and what becomes of those that are no longer read. The command
//! line and `/readyz` show them.

use std::collections::{BTreeMap, BTreeSet};

use database::{Database, DatabaseError, Statement, Value};
use event_log::{EventLog, Position, ReadError};
use tokio::time::Instant;

use crate::checkpoint::{self, Checkpoint, Stored};
use crate::tables::{Slot, Tables};
use crate::{Projection, parked};

/// Rows that are removed in one transaction where a long one would hold up other writes.
const CHUNK: i64 = 500;

/// How often something is tried that somebody else got in the way of.
const TRIES: u32 = 100;

/// How a projection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The projection.
    pub name: String,
    /// The last event that was applied.
    pub position: Position,
    /// Which making of its rows is read, from 1.
    pub generation: u64,
    /// How many streams it does not go on with.
    pub parked: u64,
    /// The making that was read before, if it is kept.
    pub old: Option<u64>,
    /// How far a rebuild is, if one was begun and has not ended.
    pub rebuilt_to: Option<Position>,
}

/// How every projection is, by name.
pub async fn standings(views: &dyn Database) -> Result<Vec<Standing>, DatabaseError> {
    let stored = checkpoint::load(views).await?;
    let parked = parked::streams(views).await?;
    let find = |slot: Slot, name: &str| stored.get(&slot.of(name)).map(|stored| stored.checkpoint);
    let live = stored.iter().filter(|(name, _)| !name.contains("__"));
    let standing = |(name, stored): (&String, &Stored)| Standing {
        position: stored.checkpoint.position,
        generation: stored.checkpoint.generation,
        parked: parked.get(name).map_or(0, BTreeSet::len).try_into().unwrap_or(u64::MAX),
        old: find(Slot::Old, name).map(|old| old.generation),
        rebuilt_to: find(Slot::Next, name).map(|next| next.position),
        name: name.clone(),
    };
    Ok(live.map(standing).collect())
}

/// The projection's parked streams and the events that it was told to leave out.
pub async fn parked(
    views: &dyn Database,
    projection: &str,
) -> Result<(Vec<parked::Parked>, Vec<parked::Skipped>), DatabaseError> {
    let parked = parked::list(views, projection).await?;
    Ok((parked, parked::skipped(views, projection).await?))
}

/// Removes the making that was read before, so that it cannot be put back any more. False: none was kept.
pub async fn drop_old(views: &dyn Database, projection: &dyn Projection) -> Result<bool, DatabaseError> {
    sweep(views, projection).await?;
    let was_kept = set_aside(views, projection, Slot::Old, |_| true).await?;
    sweep(views, projection).await?;
    Ok(was_kept)
}

/// Forgets a rebuild that a process did not bring to its end, for those who know that no process does now.
pub async fn forget_unfinished(views: &dyn Database, projection: &dyn Projection) -> Result<bool, DatabaseError> {
    if !checkpoint::load(views)
        .await?
        .contains_key(&Slot::Next.of(projection.name()))
    {
        return Ok(false);
    }
    sweep(views, projection).await?;
    set_aside(views, projection, Slot::Next, |_| true).await
}

/// Makes a making's tables ones that are to be removed, in an instant. False: there is none that is meant. What was set
/// aside before has to be swept.
pub(crate) async fn set_aside(
    views: &dyn Database,
    projection: &dyn Projection,
    slot: Slot,
    is_meant: impl Fn(&Checkpoint) -> bool + Send,
) -> Result<bool, DatabaseError> {
    let name = slot.of(projection.name());
    for _ in 0..TRIES {
        let stored = checkpoint::load(views).await?;
        let found = stored.get(&name).filter(|stored| is_meant(&stored.checkpoint));
        let Some(Stored { checkpoint, definition }) = found else {
            return Ok(false);
        };
        let mut statements = vec![checkpoint::removed(&name, *checkpoint)];
        statements.extend(parked::forget(projection.name(), slot));
        statements.extend(Tables::of(definition).rename(slot, Slot::Gone));
        match views.write(statements).await {
            Err(DatabaseError::Stale) => {}
            written => return written.map(|_| true),
        }
    }
    Err(DatabaseError::Stale)
}

/// Removes the tables that were set aside: at once, or, where one thread does all writing, a few rows at a time with rests
/// as long as the work, so that no other write waits for long. May be broken off and begun again.
pub async fn sweep(views: &dyn Database, projection: &dyn Projection) -> Result<(), DatabaseError> {
    let tables = Tables::of(projection.schema());
    if views.has_one_writer() {
        // So that what follows finds them, whether or not there is anything to remove.
        let missing = tables.create_missing(projection.schema(), Slot::Gone);
        views.write(vec![missing]).await?;
        for (table, key) in tables.iter() {
            let (table, key) = (Slot::Gone.of(table), key.join(", "));
            let text = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} LIMIT $1)");
            loop {
                let start = Instant::now();
                let chunk = Statement::sql(text.clone(), vec![Value::Int(CHUNK)]);
                if views.write(vec![chunk]).await? == [0] {
                    break;
                }
                tokio::time::sleep(start.elapsed()).await;
            }
        }
    }
    views.write(tables.drop(Slot::Gone).collect()).await.map(|_| ())
}

/// Why the making that was read before was not put back.
#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    /// None is kept.
    #[error("no generation of {0} from before is kept")]
    NoneKept(&'static str),
    /// It was made by another definition of the projection.
    #[error("the generation of {0} from before was made by another version of gitleads")]
    OtherVersion(&'static str),
    /// The log ends before it.
    #[error("the generation of {0} from before stands beyond the end of the log")]
    BeyondTheLog(&'static str),
    /// The log could not be read.
    #[error("the log could not be read")]
    Log(#[from] ReadError),
    /// The read models' database failed.
    #[error("the read models could not be written")]
    Views(#[from] DatabaseError),
}

/// Puts the making that was read before in the place of the one that is, and keeps that one instead. The runner goes on
/// from where the former stands.
pub async fn revert(
    log: &dyn EventLog,
    views: &dyn Database,
    projection: &dyn Projection,
) -> Result<Checkpoint, RevertError> {
    let name = projection.name();
    for _ in 0..TRIES {
        let stored = checkpoint::load(views).await?;
        let (live, old) = both(&stored, name).ok_or(RevertError::NoneKept(name))?;
        let definition = checkpoint::definition(projection);
        if live.definition != definition || old.definition != definition {
            return Err(RevertError::OtherVersion(name));
        }
        if old.checkpoint.position > log.head().await? {
            return Err(RevertError::BeyondTheLog(name));
        }
        match views.write(swap(projection, live, old)).await {
            Err(DatabaseError::Stale) => {}
            written => return Ok(written.map(|_| old.checkpoint)?),
        }
    }
    Err(DatabaseError::Stale.into())
}

fn both<'a>(stored: &'a BTreeMap<String, Stored>, name: &str) -> Option<(&'a Stored, &'a Stored)> {
    Some((stored.get(name)?, stored.get(&Slot::Old.of(name))?))
}

fn swap(projection: &dyn Projection, live: &Stored, old: &Stored) -> Vec<Statement> {
    let name = projection.name();
    let tables = Tables::of(projection.schema());
    let take_over = |from: &Stored, by: &Stored| Checkpoint {
        revision: by.checkpoint.revision + 1,
        ..from.checkpoint
    };
    let mut statements = vec![
        checkpoint::replaced(name, live.checkpoint, &old.definition, take_over(old, live)),
        checkpoint::replaced(
            &Slot::Old.of(name),
            old.checkpoint,
            &live.definition,
            take_over(live, old),
        ),
    ];
    for (from, to) in [
        (Slot::Live, Slot::Aside),
        (Slot::Old, Slot::Live),
        (Slot::Aside, Slot::Old),
    ] {
        statements.extend(parked::rename(name, from, to));
        statements.extend(tables.rename(from, to));
    }
    statements
}
