//! Where each projection stands, in the same database as its rows and written with them; the runner and rebuild use it.

use std::collections::BTreeMap;

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use event_log::Position;

use crate::{Projection, columns};

/// The table of checkpoints. `definition` is the text of tables and indexes that the rows were made by.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS projection_checkpoint (
    name       TEXT   NOT NULL PRIMARY KEY,
    position   BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    indexed    BIGINT NOT NULL,
    definition TEXT   NOT NULL
)";

/// Where a projection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The last event that was applied.
    pub position: Position,
    /// The last event that concerned the projection.
    pub changed_at: Position,
    /// Whether the further indexes exist.
    pub indexed: bool,
}

/// Every checkpoint by the projection's name, with the definition that its rows were made by.
pub async fn load(views: &dyn Database) -> Result<BTreeMap<String, (Checkpoint, String)>, DatabaseError> {
    let text = "SELECT name, position, changed_at, indexed, definition FROM projection_checkpoint";
    let rows = views.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(checkpoint).collect::<Result<_, _>>()?)
}

/// What the projection's rows are made by. Its text in the checkpoint differs from the program's: make them anew.
pub fn definition(projection: &dyn Projection) -> String {
    format!("{}\n{}", projection.schema(), projection.indexes())
}

/// Puts the checkpoint down.
pub fn save(projection: &dyn Projection, checkpoint: Checkpoint) -> Statement {
    Statement::insert(
        "projection_checkpoint (name, position, changed_at, indexed, definition)",
        "ON CONFLICT (name) DO UPDATE SET position = excluded.position, changed_at = excluded.changed_at, \
         indexed = excluded.indexed, definition = excluded.definition",
        vec![
            projection.name().into(),
            columns::place(checkpoint.position),
            columns::place(checkpoint.changed_at),
            checkpoint.indexed.into(),
            definition(projection).into(),
        ],
    )
}

fn checkpoint(row: &Row) -> Result<(String, (Checkpoint, String)), ColumnError> {
    let checkpoint = Checkpoint {
        position: columns::position(row, 1)?,
        changed_at: columns::position(row, 2)?,
        indexed: row.int(3)? != 0,
    };
    Ok((row.text(0)?.to_owned(), (checkpoint, row.text(4)?.to_owned())))
}
