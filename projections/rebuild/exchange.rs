//! The moment when a projection's new rows become the ones that are read: names are exchanged, and no row is touched.

use database::{DatabaseError, Statement};

use super::{Rebuild, RebuildError};
use crate::checkpoint;
use crate::columns;
use crate::follower::Follower;
use crate::parked;
use crate::tables::Slot;

impl Rebuild {
    /// Exchanges the first projection's rows. False: the live ones were ahead.
    pub(super) async fn exchange_first(&mut self) -> Result<bool, RebuildError> {
        let Some(follower) = self.followers.first() else {
            return Ok(true);
        };
        match self.views.write(exchanged(follower)).await {
            Ok(_) => Ok(true),
            Err(DatabaseError::Stale) => {
                let stored = checkpoint::load(&*self.views).await?;
                let own = stored.get(&follower.row());
                if own.is_none_or(|own| own.checkpoint != follower.checkpoint) {
                    return Err(RebuildError::TakenOver(follower.projection.name()));
                }
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Stands on the live rows not being ahead, and on the rebuild not being taken over. The names go into the text: they are
/// the program's own, and not every engine takes a parameter as a column.
fn exchanged(follower: &Follower) -> Vec<Statement> {
    let Follower {
        projection,
        tables,
        checkpoint,
        ..
    } = follower;
    let name = projection.name();
    let (next, old) = (Slot::Next.of(name), Slot::Old.of(name));
    let statement = |text: String| Statement::sql(text, Vec::new());
    let mut statements = vec![
        Statement::guard(
            "UPDATE projection_checkpoint SET revision = revision + 1 WHERE name = $1 AND position <= $2",
            vec![name.into(), columns::place(checkpoint.position)],
        ),
        checkpoint::removed(&next, *checkpoint),
        statement(format!("DELETE FROM projection_checkpoint WHERE name = '{old}'")),
        statement(format!(
            "INSERT INTO projection_checkpoint \
             (name, position, changed_at, indexed, definition, generation, revision) \
             SELECT '{old}', position, changed_at, indexed, definition, generation, revision \
             FROM projection_checkpoint WHERE name = '{name}'"
        )),
        Statement::sql(
            "UPDATE projection_checkpoint SET position = $1, changed_at = $2, indexed = $3, definition = $4, \
             generation = $5 WHERE name = $6",
            vec![
                columns::place(checkpoint.position),
                columns::place(checkpoint.changed_at),
                checkpoint.indexed.into(),
                checkpoint::definition(&**projection).into(),
                checkpoint.generation.into(),
                name.into(),
            ],
        ),
    ];
    statements.extend(parked::forget(name, Slot::Old));
    statements.extend(parked::rename(name, Slot::Live, Slot::Old));
    statements.extend(parked::rename(name, Slot::Next, Slot::Live));
    // Live rows whose table was lost are made good by a rebuild, too.
    statements.push(tables.create_missing(projection.schema(), Slot::Live));
    statements.extend(tables.rename(Slot::Live, Slot::Old));
    statements.extend(tables.rename(Slot::Next, Slot::Live));
    statements
}
