//! How fast the log on PostgreSQL appends and reads, beside COPY of the same rows:
//! `scripts/postgres cargo bench -p event-log --bench postgres`.
//!
//! Every figure is a line: who, callers, events a call, events a second, and the milliseconds that one call in a hundred
//! and one in two exceed.
#![allow(clippy::print_stdout, reason = "the lines are what it is for")]

mod load;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use database::{MIGRATIONS, Postgres, migrate};
use event_log::codec::{EncodedAppend, StoredEvent};
use event_log::{EventLog, Position, PostgresLog, Scope};
use futures_util::TryStreamExt as _;
use load::{Figure, Outcome, measure, stream_append};
use testbed::FreshDatabase;
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

/// How long each cell is measured.
const EACH: Duration = Duration::from_secs(4);
/// Connections that copy at a time.
const COPIES: u64 = 16;
/// Events that are read.
const ALL: u64 = 1_000_000;
/// Events in a page.
const PAGE: usize = 1_000;

const COPY_IN: &str = "COPY events (position, id, stream, version, account, type, schema, recorded_at, data) \
                       FROM STDIN (FORMAT binary)";
const COPY_OUT: &str = "COPY events (position, id, stream, version, account, type, schema, recorded_at, data) \
                        TO STDOUT (FORMAT binary)";
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

#[tokio::main]
async fn main() -> Outcome<()> {
    for events in [1, 10, 100] {
        for callers in [1, 4, 16, 64] {
            tell("gitleads", callers, events, &append(callers, events).await?);
        }
        tell("copy-in", COPIES, events, &copy_in(events).await?);
    }
    read_all().await
}

fn tell(who: &str, callers: u64, events: u64, figure: &Figure) {
    let Figure { rate, usual, slow } = figure;
    let millis = |time: &Duration| time.as_secs_f64() * 1e3;
    println!(
        "{who} {callers} {events} {rate:.0} {:.2} {:.2}",
        millis(slow),
        millis(usual)
    );
}

fn goes_on(_: u64, passed: Duration) -> bool {
    passed < EACH
}

/// An empty log, and no pages that are still to be written.
async fn fresh() -> Outcome<(Postgres, FreshDatabase)> {
    let fresh = testbed::Postgres::fresh_database().await;
    let database = Postgres::open(fresh.url().parse()?, false).await?;
    migrate(&database, MIGRATIONS).await?;
    fresh.execute("CHECKPOINT").await;
    Ok((database, fresh))
}

async fn append(callers: u64, events: u64) -> Outcome<Figure> {
    let (database, _fresh) = fresh().await?;
    let log = Arc::new(PostgresLog::open(database).await?);
    measure(callers, events, goes_on, move |call| {
        let log = Arc::clone(&log);
        async move {
            for answer in log.append(vec![stream_append(call * events, events)?]).await {
                answer?;
            }
            Ok(())
        }
    })
    .await
}

/// The connection ends when the client is dropped.
async fn connect(fresh: &FreshDatabase) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(fresh.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The ceiling: the same rows in COPYs of as many events, in no order, many at a time.
async fn copy_in(events: u64) -> Outcome<Figure> {
    let (_database, fresh) = fresh().await?;
    let mut clients = Vec::new();
    for _ in 0..COPIES {
        clients.push(Arc::new(connect(&fresh).await?));
    }
    let next = Arc::new(AtomicU64::new(0));
    measure(COPIES, events, goes_on, move |call| {
        let client = usize::try_from(call % COPIES)
            .ok()
            .and_then(|client| clients.get(client))
            .cloned();
        let first = next.fetch_add(events, Ordering::Relaxed);
        async move { copy(&*client.ok_or("no client")?, first, events, events).await }
    })
    .await
}

/// Copies so many events, so many to a stream.
async fn copy(client: &Client, first: u64, events: u64, of_a_stream: u64) -> Outcome<()> {
    let mut rows = pin!(BinaryCopyInWriter::new(client.copy_in(COPY_IN).await?, &COLUMNS));
    let mut position = i64::try_from(first)?;
    for stream in (first..first + events).step_by(usize::try_from(of_a_stream)?) {
        let EncodedAppend {
            append,
            account,
            events,
        } = EncodedAppend::new(stream_append(stream, of_a_stream)?)?;
        for (version, event) in (1_i64..).zip(&events) {
            position += 1;
            rows.as_mut()
                .write(&[
                    &position,
                    &event.id.as_slice(),
                    &append.stream.as_str(),
                    &version,
                    &account.as_slice(),
                    &event.name,
                    &i64::from(event.schema),
                    &append.recorded_at.micros(),
                    &event.data,
                ])
                .await?;
        }
    }
    rows.finish().await?;
    Ok(())
}

/// The whole log in pages, its rows as bare bytes, and those decoded, in turn.
async fn read_all() -> Outcome<()> {
    let (database, fresh) = fresh().await?;
    let client = Arc::new(connect(&fresh).await?);
    let filling = Arc::clone(&client);
    once("copy-in", async move { copy(&filling, 0, ALL, 1).await }).await?;
    client.batch_execute("VACUUM ANALYZE events").await?;
    let log = Arc::new(PostgresLog::open(database).await?);
    for _ in 0..3 {
        once("copy-out", copy_out(Arc::clone(&client))).await?;
        once("copy-out-decoded", copy_events(Arc::clone(&client))).await?;
        once("gitleads-read", pages(Arc::clone(&log))).await?;
    }
    Ok(())
}

/// On a task, as a server has it: the thread of `main` would have to be woken for every message.
async fn once(who: &str, work: impl Future<Output = Outcome<()>> + Send + 'static) -> Outcome<()> {
    let begun = Instant::now();
    tokio::spawn(work).await??;
    let took = begun.elapsed();
    let rate = f64::from(u32::try_from(ALL)?) / took.as_secs_f64();
    let (usual, slow) = (took, took);
    tell(who, 1, ALL, &Figure { rate, usual, slow });
    Ok(())
}

async fn copy_out(client: Arc<Client>) -> Outcome<()> {
    let mut chunks = pin!(client.copy_out(COPY_OUT).await?);
    while chunks.try_next().await?.is_some() {}
    Ok(())
}

async fn copy_events(client: Arc<Client>) -> Outcome<()> {
    let bytes = client.copy_out(COPY_OUT).await?;
    let mut rows = pin!(BinaryCopyOutStream::new(bytes, &COLUMNS));
    while let Some(row) = rows.try_next().await? {
        let stored = StoredEvent {
            position: u64::try_from(row.try_get::<i64>(0)?)?,
            id: row.try_get(1)?,
            stream: row.try_get(2)?,
            version: u64::try_from(row.try_get::<i64>(3)?)?,
            recorded_at: row.try_get(7)?,
            name: row.try_get(5)?,
            schema: u32::try_from(row.try_get::<i64>(6)?)?,
            data: row.try_get(8)?,
        };
        std::hint::black_box(stored.decode()?);
    }
    Ok(())
}

async fn pages(log: Arc<PostgresLog>) -> Outcome<()> {
    let mut after = Position::START;
    loop {
        let page = log.read(Scope::All, after, PAGE).await?;
        if page.events.is_empty() {
            return (after.get() == ALL)
                .then_some(())
                .ok_or_else(|| "not all events were read".into());
        }
        after = page.looked_to;
    }
}
