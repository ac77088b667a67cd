//! Where each making of a projection stands, in the same database as its rows and written with them.
//!
//! The row is also a fence: whoever writes rows moves it from where it was read, or else nothing is written. So two who
//! both believe a projection to be theirs never apply a stretch twice.

use std::collections::BTreeMap;

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use event_log::Position;

use crate::tables::Slot;
use crate::{Projection, columns};

/// `definition`: the text of tables and indexes that the rows were made by. `revision`: grows with every write.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS projection_checkpoint (
    name       TEXT   NOT NULL PRIMARY KEY,
    position   BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    indexed    BIGINT NOT NULL,
    definition TEXT   NOT NULL,
    generation BIGINT NOT NULL DEFAULT 1,
    revision   BIGINT NOT NULL DEFAULT 0
)";

/// What the table did not have in GitLeads 0.1.
const LATER: [&str; 2] = [
    "ALTER TABLE projection_checkpoint ADD COLUMN generation BIGINT NOT NULL DEFAULT 1",
    "ALTER TABLE projection_checkpoint ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
];

/// Where a making of a projection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The last event that was applied.
    pub position: Position,
    /// The last event that concerned the projection.
    pub changed_at: Position,
    /// Whether the further indexes exist.
    pub indexed: bool,
    /// Which making it is, from 1.
    pub generation: u64,
    /// What the next write has to find.
    pub revision: u64,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands.
    pub checkpoint: Checkpoint,
    /// What its rows were made by.
    pub definition: String,
}

/// Makes the table, or brings that of an older GitLeads up to date.
pub async fn make_table(views: &dyn Database) -> Result<(), DatabaseError> {
    views.write(vec![Statement::sql(SCHEMA, Vec::new())]).await?;
    if load(views).await.is_ok() {
        return Ok(());
    }
    let later = LATER.map(|text| Statement::sql(text, Vec::new()));
    if let Err(error) = views.write(later.into()).await {
        // Somebody else may have done it at the same moment.
        return load(views).await.map(|_| ()).map_err(|_| error);
    }
    Ok(())
}

/// Every checkpoint by its name.
pub async fn load(views: &dyn Database) -> Result<BTreeMap<String, Stored>, DatabaseError> {
    let text =
        "SELECT name, position, changed_at, indexed, definition, generation, revision FROM projection_checkpoint";
    let rows = views.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(stored).collect::<Result<_, _>>()?)
}

fn stored(row: &Row) -> Result<(String, Stored), ColumnError> {
    let checkpoint = Checkpoint {
        position: columns::position(row, 1)?,
        changed_at: columns::position(row, 2)?,
        indexed: row.int(3)? != 0,
        generation: columns::count(row, 5)?,
        revision: columns::count(row, 6)?,
    };
    let definition = row.text(4)?.to_owned();
    Ok((row.text(0)?.to_owned(), Stored { checkpoint, definition }))
}

/// The number of a making that is yet to be begun.
pub fn next_generation(all: &BTreeMap<String, Stored>, projection: &str) -> u64 {
    let slots = [Slot::Live, Slot::Next, Slot::Old].map(|slot| slot.of(projection));
    let found = slots.iter().filter_map(|name| all.get(name));
    let newest = found.map(|stored| stored.checkpoint.generation).max();
    newest.unwrap_or_default() + 1
}

/// What the projection's rows are made by. Its text in the checkpoint differs from the program's: make them anew.
pub fn definition(projection: &dyn Projection) -> String {
    format!("{}\n{}", projection.schema(), projection.indexes())
}

/// Moves the checkpoint of that name, unless somebody else did since `before` was read. The write finds it there again
/// with the next revision.
pub fn moved(name: &str, before: Checkpoint, after: Checkpoint) -> Statement {
    Statement::guard(
        "UPDATE projection_checkpoint SET position = $1, changed_at = $2, indexed = $3, revision = revision + 1 \
         WHERE name = $4 AND position = $5 AND revision = $6",
        vec![
            columns::place(after.position),
            columns::place(after.changed_at),
            after.indexed.into(),
            name.into(),
            columns::place(before.position),
            before.revision.into(),
        ],
    )
}

/// Makes the first checkpoint of that name; refused if there is one.
pub fn first(name: &str, definition: &str, checkpoint: Checkpoint) -> Statement {
    Statement::guard(
        "INSERT INTO projection_checkpoint (name, position, changed_at, indexed, definition, generation, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING",
        values(name, definition, checkpoint),
    )
}

/// Puts a checkpoint in the place of the one that was read.
pub fn replaced(name: &str, before: Checkpoint, definition: &str, after: Checkpoint) -> Statement {
    let mut params = values(name, definition, after);
    params.push(before.revision.into());
    Statement::guard(
        "UPDATE projection_checkpoint SET position = $2, changed_at = $3, indexed = $4, definition = $5, \
         generation = $6, revision = $7 WHERE name = $1 AND revision = $8",
        params,
    )
}

/// Removes the checkpoint that was read.
pub fn removed(name: &str, before: Checkpoint) -> Statement {
    Statement::guard(
        "DELETE FROM projection_checkpoint WHERE name = $1 AND revision = $2",
        vec![name.into(), before.revision.into()],
    )
}

fn values(name: &str, definition: &str, checkpoint: Checkpoint) -> Vec<database::Value> {
    vec![
        name.into(),
        columns::place(checkpoint.position),
        columns::place(checkpoint.changed_at),
        checkpoint.indexed.into(),
        definition.into(),
        checkpoint.generation.into(),
        checkpoint.revision.into(),
    ]
}
