//! Copies what cannot be rebuilt, a stretch at a time: broken off at any point, the same copy again goes on from there.

use anyhow::{Context as _, bail, ensure};
use database::{Database, DatabaseError, Row, Statement, Value};

use super::digest::{Digest, digest};
use super::tables::{EVENTS, PERSON_KEYS, PROGRESS, Table};
use super::{STRETCH, UNFINISHED, is_unfinished};

/// What a copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Events that this copy brought over; fewer than all of them if one before it was broken off.
    pub events: u64,
    /// What both databases hold now.
    pub digest: Digest,
}

/// Copies from one database to another, both with their schema in place and nobody else at work in either, and
/// compares what they hold at the end. `progress` hears how many events of how many are over.
pub async fn copy(
    from: &dyn Database,
    to: &dyn Database,
    mut progress: impl FnMut(u64, u64) + Send,
) -> anyhow::Result<Copied> {
    let head = last_position(from).await.context("read the log to copy from")?;
    begin(from, to).await?;
    let start = common_end(from, to, head).await?;
    copy_all(from, to, &PERSON_KEYS, NEWER_KEY).await?;
    copy_events(from, to, start, |done| progress(done, head)).await?;
    for table in &PROGRESS {
        let delete = format!("DELETE FROM {} WHERE 1 = $1", table.name);
        let delete = Statement::sql(delete, vec![Value::Int(1)]);
        // The mark stays through all of it.
        to.write(vec![delete, mark()])
            .await
            .with_context(|| format!("empty {}", table.name))?;
        copy_all(from, to, table, "ON CONFLICT DO NOTHING").await?;
    }
    let (source, target) = (digest(from, |_| {}).await?, digest(to, |_| {}).await?);
    ensure!(
        source == target,
        "the two differ after the copy, so it stays unfinished. From: {source}. To: {target}. Is a server at work on \
         one of them?"
    );
    finish(to).await.context("mark the target as whole")?;
    Ok(Copied {
        events: head - start,
        digest: target,
    })
}

/// Marks the target as unfinished before anything else. One that holds a log and no mark is at work, or a copy that has come
/// to its end: what it did since must not be overwritten.
async fn begin(from: &dyn Database, to: &dyn Database) -> anyhow::Result<()> {
    let end = last_position(to).await.context("read the log to copy to")?;
    let was_broken_off = is_unfinished(to).await.context("read the log to copy to")?;
    ensure!(
        end == 0 || was_broken_off,
        "the target holds a log already (it ends at position {end}), and no copy into it was broken off; copy into an \
         empty database"
    );
    to.write(vec![mark()]).await.context("mark the target as unfinished")?;
    // Two addresses can lead to one database.
    if is_unfinished(from).await.context("read the log to copy from")? {
        to.write(vec![unmark()]).await.context("take the mark back")?;
        bail!("source and target are the same database");
    }
    Ok(())
}

/// A key that was destroyed since an earlier attempt is destroyed in the copy too.
const NEWER_KEY: &str = "ON CONFLICT (person) DO UPDATE SET wrapped = excluded.wrapped";

fn mark() -> Statement {
    Statement::insert(
        "follower (name, position)",
        "ON CONFLICT DO NOTHING",
        vec![UNFINISHED.into(), Value::Int(0)],
    )
}

fn unmark() -> Statement {
    Statement::sql("DELETE FROM follower WHERE name = $1", vec![UNFINISHED.into()])
}

/// The log's adapter finds out anew where the log ends.
async fn finish(to: &dyn Database) -> Result<(), DatabaseError> {
    let forget_end = Statement::sql("DELETE FROM log_head WHERE id = $1", vec![Value::Int(1)]);
    to.write(vec![unmark(), forget_end]).await.map(|_| ())
}

async fn last_position(database: &dyn Database) -> Result<u64, DatabaseError> {
    let query = "SELECT position FROM events ORDER BY position DESC LIMIT 1";
    let rows = database.read(Statement::sql(query, Vec::new())).await?;
    let last = rows.first().map(|row| row.int(0)).transpose()?;
    Ok(last.map_or(0, i64::unsigned_abs))
}

/// Where the target's log ends. It must be the beginning of the source's.
async fn common_end(from: &dyn Database, to: &dyn Database, head: u64) -> anyhow::Result<u64> {
    let end = last_position(to).await.context("read the log to copy to")?;
    if end == 0 {
        return Ok(0);
    }
    if end > head || event_at(from, end).await? != event_at(to, end).await? {
        bail!(
            "the target holds another log (it ends at position {end}); copy into an empty database, or into one that an \
             earlier copy from the same log was broken off in"
        );
    }
    Ok(end)
}

async fn event_at(database: &dyn Database, position: u64) -> anyhow::Result<Option<Row>> {
    let text = format!("SELECT {} FROM events WHERE position = $1", EVENTS.columns);
    let rows = database.read(Statement::sql(text, vec![position.into()])).await;
    Ok(rows.context("read an event")?.pop())
}

async fn copy_events(
    from: &dyn Database,
    to: &dyn Database,
    start: u64,
    mut progress: impl FnMut(u64) + Send,
) -> anyhow::Result<()> {
    let mut after = vec![start.into()];
    let mut done = start;
    loop {
        let rows = EVENTS.page(from, &after).await.context("read events")?;
        if rows.is_empty() {
            return Ok(());
        }
        after = EVENTS.last_key(&rows);
        done += rows.len() as u64;
        to.write(vec![EVENTS.insert(rows, "")]).await.context("write events")?;
        progress(done);
    }
}

async fn copy_all(
    from: &dyn Database,
    to: &dyn Database,
    table: &Table,
    on_conflict: &'static str,
) -> anyhow::Result<()> {
    let mut after = Vec::new();
    loop {
        let rows = table
            .page(from, &after)
            .await
            .with_context(|| format!("read {}", table.name))?;
        after = table.last_key(&rows);
        let is_last = rows.len() < STRETCH;
        let insert = table.insert(rows, on_conflict);
        to.write(vec![insert])
            .await
            .with_context(|| format!("write {}", table.name))?;
        if is_last {
            return Ok(());
        }
    }
}
