//! How fast the SQLite log appends, beside a bare file that syncs the same bytes in groups: `cargo bench -p event-log`.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use database::{Durability, MIGRATIONS, Sqlite, migrate};
use domain::{AccountId, Collector, EventId, LeadId, PersonRef, Sealed, Signal, SignalKey, StreamId, Timestamp, event};
use event_log::{EventLog, NewEvent, SqliteLog, StreamAppend};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const CALLERS: u64 = 64;
const EVENTS: u64 = 100_000;
/// Sealed bytes of a person; as JSON the event is about 660 bytes then.
const SEALED: usize = 305;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What one call appends.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    streams: u64,
    events: u64,
}

const SHAPES: [Shape; 5] = [
    shape("1 event", 1, 1),
    shape("10 events of a stream", 1, 10),
    shape("10 streams of an event", 10, 1),
    shape("100 events of a stream", 1, 100),
    shape("100 streams of an event", 100, 1),
];

const fn shape(name: &'static str, streams: u64, events: u64) -> Shape {
    Shape { name, streams, events }
}

/// Events a second, and the time of a call that one in a hundred exceeds.
struct Figure {
    rate: f64,
    slow: Duration,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let sample = new_event(1)?.event.encode()?.len();
    println!("{CALLERS} callers, {EVENTS} events of {sample} bytes of data a row, synchronous = FULL\n");
    println!("one call appends         | SQLite log      p99 | bare file       p99 | ratio");
    println!("-------------------------|---------------------|---------------------|------");
    for shape in SHAPES {
        let log = sqlite_log(shape).await?;
        let file = bare_file(shape, sample).await?;
        println!(
            "{:<24} | {:>8.0}/s {:>5.1} ms | {:>8.0}/s {:>5.1} ms | {:.2}",
            shape.name,
            log.rate,
            log.slow.as_secs_f64() * 1e3,
            file.rate,
            file.slow.as_secs_f64() * 1e3,
            log.rate / file.rate
        );
    }
    Ok(())
}

async fn sqlite_log(shape: Shape) -> Outcome<Figure> {
    let dir = tempfile::tempdir()?;
    let database = Sqlite::open(&dir.path().join("log.db"), Durability::Full)?;
    migrate(&database, MIGRATIONS).await?;
    let log = Arc::new(SqliteLog::open(database.clone()).await?);
    let figure = measure(shape, move |call| {
        let log = Arc::clone(&log);
        async move {
            let first = call * shape.streams * shape.events;
            let batch = (0..shape.streams).map(|number| stream_append(first + number * shape.events, shape.events));
            for answer in log.append(batch.collect::<Outcome<_>>()?).await {
                answer?;
            }
            Ok(())
        }
    });
    let figure = figure.await;
    database.close().await;
    figure
}

/// The least that durability costs: one thread writes whatever waits, syncs once and answers.
async fn bare_file(shape: Shape, size: usize) -> Outcome<Figure> {
    let dir = tempfile::tempdir()?;
    let (queue, calls) = mpsc::channel();
    let path = dir.path().join("bare");
    let writer = std::thread::spawn(move || write_bare(&path, &calls));
    let figure = measure(shape, move |_| {
        let queue = queue.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            let events = usize::try_from(shape.streams * shape.events)?;
            queue.send((vec![b'x'; size * events], answer))?;
            Ok(answered.await?)
        }
    });
    let figure = figure.await;
    writer.join().map_err(|_| "the writer panicked")??;
    figure
}

fn write_bare(path: &Path, calls: &mpsc::Receiver<(Vec<u8>, oneshot::Sender<()>)>) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    while let Ok(first) = calls.recv() {
        let group: Vec<_> = std::iter::once(first).chain(calls.try_iter()).collect();
        let bytes: Vec<u8> = group.iter().flat_map(|(bytes, _)| bytes).copied().collect();
        file.write_all(&bytes)?;
        file.sync_data()?;
        for (_, answer) in group {
            // A caller that failed has no use for the answer.
            let _ = answer.send(());
        }
    }
    Ok(())
}

/// Runs the calls from [`CALLERS`] tasks, each call after the answer to the one before.
async fn measure<F>(shape: Shape, call: impl Fn(u64) -> F + Clone + Send + 'static) -> Outcome<Figure>
where
    F: Future<Output = Outcome<()>> + Send,
{
    let each = EVENTS / (CALLERS * shape.streams * shape.events);
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let call = call.clone();
        callers.spawn(async move {
            let mut times = Vec::new();
            for number in 0..each {
                let begun = Instant::now();
                call(number * CALLERS + caller).await?;
                times.push(begun.elapsed());
            }
            Outcome::Ok(times)
        });
    }
    drop(call);
    let mut times: Vec<Duration> = Vec::new();
    for caller in callers.join_all().await {
        times.extend(caller?);
    }
    let took = begun.elapsed();
    times.sort_unstable();
    let events = u32::try_from(CALLERS * each * shape.streams * shape.events)?;
    Ok(Figure {
        rate: f64::from(events) / took.as_secs_f64(),
        slow: times.get(times.len() * 99 / 100).copied().unwrap_or_default(),
    })
}

fn stream_append(first: u64, events: u64) -> Outcome<StreamAppend> {
    let account = AccountId::new((u128::from(first % 100) + 1).into());
    Ok(StreamAppend {
        stream: StreamId::lead(account, PersonRef::new(scattered(first))),
        expected: 0,
        recorded_at: Timestamp::from_secs(1_777_026_660),
        events: (first..first + events).map(new_event).collect::<Outcome<_>>()?,
    })
}

/// Ids in the order of time, as ULIDs are; persons scattered, as keyed hashes are.
fn new_event(number: u64) -> Outcome<NewEvent> {
    let captured = event::LeadCaptured {
        lead_id: LeadId::new(u128::from(number).into()),
        signal: Signal {
            key: SignalKey::new(scattered(number)),
            kind: "stargazer".parse()?,
            repo: domain::RepoKey::new([7; 16]),
            keyword: None,
            occurred_at: Timestamp::from_secs(1_777_026_600),
            collector: Collector::EventsFeed,
            person: Sealed::new(vec![0xA5; SEALED]),
        },
    };
    Ok(NewEvent {
        id: EventId::new((u128::from(number) + 1).into()),
        event: captured.into(),
    })
}

fn scattered(number: u64) -> [u8; 16] {
    (u128::from(number) + 1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
        .to_be_bytes()
}
