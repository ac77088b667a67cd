//! What PostgreSQL itself does at most: COPY BINARY of the log's own rows, in and out.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use crate::measure;

const CALLERS: usize = 16;
const BATCH: i64 = 100;

/// As long as the data of a captured lead.
pub(crate) const DATA: &str = {
    const BYTES: [u8; 628] = [b'A'; 628];
    match std::str::from_utf8(&BYTES) {
        Ok(data) => data,
        Err(_) => "",
    }
};

const COLUMNS: [Type; 9] = [
    Type::INT8,
    Type::BYTEA,
    Type::TEXT,
    Type::INT8,
    Type::BYTEA,
    Type::TEXT,
    Type::INT8,
    Type::INT8,
    Type::TEXT,
];

/// Many callers that each copy a batch at a time.
pub(crate) async fn batches(url: &str, each: Duration) -> anyhow::Result<()> {
    let table = include_str!("../../../migrations/0001_event_log.sql");
    let table = table.replace("INTEGER", "BIGINT").replace("BLOB", "BYTEA");
    crate::connect(url).await?.batch_execute(&table).await?;
    crate::make_room(url, "events").await?;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let client = crate::connect(url).await?;
        let copy = prepare(&client).await?;
        callers.push((client, copy));
    }
    let next = Arc::new(AtomicI64::new(1));
    let batch = usize::try_from(BATCH)?;
    measure::cell("copy-in", batch, callers, each, move |(client, copy)| {
        let first = next.fetch_add(BATCH, Ordering::Relaxed);
        async move {
            copy_in(&client, &copy, first, BATCH).await?;
            Ok((client, copy))
        }
    })
    .await
}

/// One caller that copies all at once.
pub(crate) async fn all_in(url: &str, events: i64) -> anyhow::Result<()> {
    crate::make_room(url, "events").await?;
    let client = crate::connect(url).await?;
    let copy = prepare(&client).await?;
    let begun = Instant::now();
    copy_in(&client, &copy, 1, events).await?;
    measure::once("copy-in", events, begun.elapsed());
    Ok(())
}

/// All rows as bytes, three times over, the middle one told.
pub(crate) async fn all_out(url: &str, events: i64) -> anyhow::Result<()> {
    let client = crate::connect(url).await?;
    client.batch_execute("VACUUM ANALYZE events").await?;
    let mut times = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        let mut rows = pin!(client.copy_out("COPY events TO STDOUT (FORMAT binary)").await?);
        let mut bytes = 0;
        while let Some(chunk) = rows.try_next().await? {
            bytes += chunk.len();
        }
        anyhow::ensure!(bytes > DATA.len() * usize::try_from(events)?, "not all rows came out");
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    measure::once("copy-out", events, times[1]);
    Ok(())
}

async fn prepare(client: &Client) -> anyhow::Result<Statement> {
    Ok(client.prepare("COPY events FROM STDIN (FORMAT binary)").await?)
}

async fn copy_in(client: &Client, copy: &Statement, first: i64, events: i64) -> anyhow::Result<()> {
    let mut rows = pin!(BinaryCopyInWriter::new(client.copy_in(copy).await?, &COLUMNS));
    for position in first..first + events {
        let number = u64::try_from(position)?;
        // Ids in the order of time, persons scattered, a hundred accounts.
        let id = u128::from(number).to_be_bytes();
        let account = u128::from(number % 100).to_be_bytes();
        let stream = format!("lead-acct_{:026}-{:032x}", number % 100, scattered(number));
        rows.as_mut()
            .write(&[
                &position,
                &id.as_slice(),
                &stream,
                &1_i64,
                &account.as_slice(),
                &"LeadCaptured",
                &1_i64,
                &position,
                &DATA,
            ])
            .await?;
    }
    let copied = rows.finish().await?;
    anyhow::ensure!(copied == u64::try_from(events)?, "{copied} rows of {events} came in");
    Ok(())
}

/// Numbers far apart, as keyed hashes are.
pub(crate) fn scattered(number: u64) -> u128 {
    (u128::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}
