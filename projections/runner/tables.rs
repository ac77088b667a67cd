//! Makes the tables of projections, whoever else does so at the same moment; the runner calls it before it moves any.

use database::{Database, DatabaseError, Statement};

use crate::checkpoint::{self, Checkpoint};
use crate::follower::Follower;
use crate::parked;
use crate::tables::{Slot, Tables};

/// Makes what is not there at all. The checkpoint's row is what only one can make, and it comes with the tables.
pub async fn make(
    views: &dyn Database,
    followers: impl Iterator<Item = &Follower> + Send,
) -> Result<(), DatabaseError> {
    checkpoint::make_table(views).await?;
    views.write(vec![Statement::sql(parked::SCHEMA, Vec::new())]).await?;
    let stored = checkpoint::load(views).await?;
    for follower in followers {
        let name = follower.projection.name();
        if stored.contains_key(name) {
            continue;
        }
        let first = Checkpoint {
            generation: 1,
            ..Checkpoint::default()
        };
        let definition = checkpoint::definition(&*follower.projection);
        let mut statements = vec![checkpoint::first(name, &definition, first)];
        statements.extend(empty(follower));
        pass_if_overtaken(views.write(statements).await)?;
    }
    Ok(())
}

/// Makes the tables anew and empty, as this program defines them, in the place of those that are there.
pub async fn make_anew(views: &dyn Database, follower: &Follower) -> Result<(), DatabaseError> {
    let name = follower.projection.name();
    let all = checkpoint::load(views).await?;
    let Some(stored) = all.get(name) else {
        // Removed by hand.
        return make(views, std::iter::once(follower)).await;
    };
    let before = follower.checkpoint;
    let after = Checkpoint {
        generation: checkpoint::next_generation(&all, name),
        revision: before.revision + 1,
        ..Checkpoint::default()
    };
    let definition = checkpoint::definition(&*follower.projection);
    let mut statements = follower.fence.clone();
    statements.push(checkpoint::replaced(name, before, &definition, after));
    statements.extend(Tables::of(&stored.definition).drop(Slot::Live));
    statements.extend(empty(follower));
    tracing::info!(projection = name, "the rows are made anew from the log");
    pass_if_overtaken(views.write(statements).await)
}

fn empty(follower: &Follower) -> Vec<Statement> {
    let Follower { projection, tables, .. } = follower;
    let mut statements: Vec<_> = parked::forget(projection.name(), Slot::Live).collect();
    statements.extend(tables.drop(Slot::Live));
    statements.push(tables.create(projection.schema(), Slot::Live));
    statements
}

/// Somebody else did it at the same moment: what is stored is read again anyway.
fn pass_if_overtaken(written: Result<Vec<u64>, DatabaseError>) -> Result<(), DatabaseError> {
    match written {
        Ok(_) | Err(DatabaseError::Stale) => Ok(()),
        Err(error) => Err(error),
    }
}
