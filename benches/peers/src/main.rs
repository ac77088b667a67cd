//! Measures what the log on PostgreSQL is held against, on the empty database that DATABASE_URL names; benches/postgres.sh
//! runs it. Every figure is a line: who, callers, events a call, events a second, milliseconds that one call in a hundred
//! exceeds.

mod copy;
mod measure;
mod postgres_es;

use std::time::Duration;

use anyhow::Context as _;
use tokio_postgres::{Client, NoTls};

/// How long each cell is measured; the two that move all events take as long as they take.
const EACH: Duration = Duration::from_secs(5);
/// Events that are copied in and out at once.
const ALL: i64 = 1_000_000;

#[tokio::main]
#[allow(clippy::disallowed_methods, reason = "a bench has no configuration but this")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL names no database")?;
    postgres_es::append(&url, EACH).await?;
    copy::batches(&url, EACH).await?;
    copy::all_in(&url, ALL).await?;
    copy::all_out(&url, ALL).await
}

/// The connection ends when the client is dropped.
async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What a peer does not share with the next: an empty table, and no pages that are still to be written.
async fn make_room(url: &str, tables: &str) -> anyhow::Result<()> {
    let client = connect(url).await?;
    client.batch_execute(&format!("TRUNCATE {tables}")).await?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}
