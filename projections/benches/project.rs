//! How fast the log becomes leads: projecting and rebuilding, next to a bare insert of the same rows, in one run.
//!
//! `cargo bench -p projections --bench project -- 1000000` (leads; 100,000 if left out). Only the ratios travel.

// A bench ends at the first thing that goes wrong, and prints.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use database::{Database, Durability, MIGRATIONS, Sqlite, Statement, migrate};
use domain::event::LeadCaptured;
use domain::{
    AccountId, Collector, EventId, LeadId, PersonRef, RepoKey, Sealed, Signal, SignalKey, SignalKind, StreamId,
    Timestamp,
};
use event_log::sqlite::SqliteLog;
use event_log::{EventLog, NewEvent, Position, Scope, StreamAppend};
use projections::leads::{self, LeadQuery, Leads};
use projections::{Projection, Runner};
use ulid::Ulid;

const BATCH: u64 = 1_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let asked = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let leads = asked.max().unwrap_or(100_000).min(5_000_000);
    let folder = tempfile::tempdir().unwrap();
    println!("{leads} leads, {BATCH} a transaction, one account, 20 repositories");

    let log = Arc::new(open_log(folder.path()).await);
    let took = fill(&log, leads).await;
    report("append to the log (preparation)", leads, took);

    let ceiling = bare_insert(&log, &folder.path().join("bare.db")).await;
    report("bare insert of the same rows, then indexes", leads, ceiling);

    let views = Arc::new(Sqlite::open(&folder.path().join("views.db"), Durability::Disposable).unwrap());
    let mut runner = Runner::open(log.clone(), views.clone(), projections::all())
        .await
        .unwrap();
    let start = Instant::now();
    runner.catch_up().await.unwrap();
    let projected = start.elapsed();
    report("project, all seven", leads, projected);

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_pages(views.clone(), stop.clone()));
    let start = Instant::now();
    let mut filled = start;
    runner.rebuild(&["leads"], |_| filled = Instant::now()).await.unwrap();
    let rebuilt = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    report("rebuild leads", leads, rebuilt);
    let (pages, slowest) = reader.await.unwrap();
    println!(
        "  of it the exchange, when projecting stands still: {:?}",
        start + rebuilt - filled
    );
    println!("  pages of 20 read meanwhile: {pages}, the slowest in {slowest:?}");
    println!("projecting ran at {:.2} of the bare insert", ratio(ceiling, projected));
    println!("rebuilding ran at {:.2} of the bare insert", ratio(ceiling, rebuilt));
}

fn report(what: &str, leads: u64, took: Duration) {
    println!(
        "{what}: {took:.2?}, {:.0} leads/s",
        ratio(Duration::from_secs(leads), took)
    );
}

fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}

async fn open_log(folder: &Path) -> SqliteLog {
    let database = Sqlite::open(&folder.join("gitleads.db"), Durability::Full).unwrap();
    migrate(&database, MIGRATIONS).await.unwrap();
    SqliteLog::open(database).await.unwrap()
}

async fn fill(log: &SqliteLog, leads: u64) -> Duration {
    let start = Instant::now();
    for first in (0..leads).step_by(usize::try_from(BATCH).unwrap()) {
        let batch = (first..leads.min(first + BATCH)).map(captured).collect();
        for answer in log.append(batch).await {
            answer.unwrap();
        }
    }
    start.elapsed()
}

/// A lead of about 660 bytes in the log.
fn captured(number: u64) -> StreamAppend {
    let account = AccountId::new(ulid(7));
    // People arrive in no order of their hashes.
    let person = PersonRef::new(
        (u128::from(number) | 1 << 64)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
            .to_be_bytes(),
    );
    let repo = RepoKey::new(u128::from(number % 20).to_be_bytes());
    let kinds = SignalKind::ALL.iter().copied();
    let signal = Signal {
        key: SignalKey::new(*person.bytes()),
        kind: kinds.cycle().nth(usize::try_from(number % 7).unwrap()).unwrap(),
        repo,
        keyword: None,
        occurred_at: Timestamp::from_secs(1_777_000_000),
        collector: Collector::Archive,
        person: Sealed::new(vec![7; 200]),
    };
    let lead_id = LeadId::new(ulid(number));
    StreamAppend {
        stream: StreamId::lead(account, person),
        expected: 0,
        recorded_at: Timestamp::from_micros(1_777_000_000_000_000 + i64::try_from(number).unwrap() * 1_000),
        events: vec![NewEvent {
            id: EventId::new(ulid(number)),
            event: LeadCaptured { lead_id, signal }.into(),
        }],
    }
}

fn ulid(number: u64) -> Ulid {
    let random = u128::from(number).wrapping_mul(0xD6E8_FEB8_6659_FD93_C6A4_A793_5BD1_E995);
    Ulid::from_parts(1_777_000_000_000 + number, random)
}

/// What SQLite alone needs for the rows of `leads`: prepared inserts, a transaction a batch, and the indexes at the end.
async fn bare_insert(log: &SqliteLog, path: &Path) -> Duration {
    let bare = Sqlite::open(path, Durability::Disposable).unwrap();
    bare.write(vec![Statement::sql(Leads.schema(), Vec::new())])
        .await
        .unwrap();
    let mut spent = Duration::ZERO;
    let mut after = Position::START;
    loop {
        let page = log
            .read(Scope::All, after, usize::try_from(BATCH).unwrap())
            .await
            .unwrap();
        if page.events.is_empty() {
            break;
        }
        let statements = Leads.apply_all(&page.events);
        let start = Instant::now();
        let inserted = bare.with_writer(move |connection| {
            for statement in &statements {
                let Statement::Insert { into, rows, .. } = statement else {
                    continue;
                };
                for row in rows {
                    let values = vec!["?"; row.len()].join(",");
                    let text = format!("INSERT INTO {into} VALUES ({values})");
                    let mut prepared = connection.prepare_cached(&text).unwrap();
                    for (index, value) in row.iter().enumerate() {
                        prepared.raw_bind_parameter(index + 1, value).unwrap();
                    }
                    prepared.raw_execute().unwrap();
                }
            }
        });
        inserted.await.unwrap();
        spent += start.elapsed();
        after = page.looked_to;
    }
    let start = Instant::now();
    bare.write(vec![Statement::sql(Leads.indexes(), Vec::new())])
        .await
        .unwrap();
    spent + start.elapsed()
}

/// Reads a page a millisecond until it is told to stop: how many, and how long the slowest took.
async fn read_pages(views: Arc<Sqlite>, stop: Arc<AtomicBool>) -> (u64, Duration) {
    let query = LeadQuery {
        account: AccountId::new(ulid(7)),
        signal_type: Some(SignalKind::Stargazer),
        repo: None,
        since: None,
        before: None,
        limit: 20,
    };
    let views: &dyn Database = &*views;
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    let (mut pages, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        assert_eq!(
            leads::page(views, &query).await.unwrap().len(),
            20,
            "a reader saw a half"
        );
        slowest = slowest.max(start.elapsed());
        pages += 1;
        pace.tick().await;
    }
    (pages, slowest)
}
