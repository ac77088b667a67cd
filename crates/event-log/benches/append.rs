//! How fast the SQLite log appends, beside a bare file that syncs the same bytes in groups: `cargo bench -p event-log --bench append`.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

mod load;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use database::{Durability, MIGRATIONS, Sqlite, migrate};
use event_log::{EventLog, SqliteLog};
use load::{Figure, Outcome, measure, new_event, stream_append};
use tokio::sync::oneshot;

const CALLERS: u64 = 64;
const EVENTS: u64 = 100_000;
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

impl Shape {
    async fn measure<F>(self, call: impl Fn(u64) -> F + Clone + Send + 'static) -> Outcome<Figure>
    where
        F: Future<Output = Outcome<()>> + Send,
    {
        let events = self.streams * self.events;
        let each = EVENTS / (CALLERS * events);
        measure(CALLERS, events, move |calls, _| calls < each, call).await
    }
}

const fn shape(name: &'static str, streams: u64, events: u64) -> Shape {
    Shape { name, streams, events }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let sample = new_event(1)?.event.encode()?.len();
    println!("{CALLERS} callers, {EVENTS} events of {sample} bytes of data a row, synchronous = FULL\n");
    println!("one call appends         | SQLite log      p50      p99 | bare file       p50      p99 | ratio");
    println!("-------------------------|------------------------------|------------------------------|------");
    for shape in SHAPES {
        let log = sqlite_log(shape).await?;
        let file = bare_file(shape, sample).await?;
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{:<24} | {:>8.0}/s {:>5.1} ms {:>5.1} ms | {:>8.0}/s {:>5.1} ms {:>5.1} ms | {:.2}",
            shape.name,
            log.rate,
            millis(log.usual),
            millis(log.slow),
            file.rate,
            millis(file.usual),
            millis(file.slow),
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
    let figure = shape.measure(move |call| {
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
    let figure = shape.measure(move |_| {
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
