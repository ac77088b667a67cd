//! How fast the log becomes leads: projecting and rebuilding, next to a bare insert of the same rows and to
//! `INSERT … SELECT`, in one run; and what those who capture and read leads notice of a rebuild.
//!
//! `cargo bench -p projections --bench project -- 1000000` (leads; 100,000 if left out). With `postgres` the read models are
//! on PostgreSQL: `scripts/postgres cargo bench …`. Only the ratios travel.

// A bench ends at the first thing that goes wrong, and prints.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod company;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use company::Company;
use database::{Database, Durability, MIGRATIONS, Postgres, Sqlite, Statement, migrate};
use domain::event::LeadCaptured;
use domain::{
    AccountId, Collector, EventId, LeadId, LoginKey, PersonRef, RepoKey, Sealed, Signal, SignalKey, SignalKind,
    StreamId, Timestamp,
};
use event_log::sqlite::SqliteLog;
use event_log::{EventLog, NewEvent, Position, Scope, StreamAppend};
use projections::generations::sweep;
use projections::leads::Leads;
use projections::{Projection, Rebuild, Runner};
use ulid::Ulid;

const BATCH: u64 = 1_000;

/// How long the company is watched without a rebuild.
const QUIET: Duration = Duration::from_secs(15);

#[tokio::main(worker_threads = 2)]
async fn main() {
    let asked = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let leads = asked.max().unwrap_or(100_000).min(5_000_000);
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path()).await;
    println!("{leads} leads, {BATCH} a transaction, one account, 20 repositories");

    let log = Arc::new(open_log(folder.path()).await);
    let took = fill(&log, leads).await;
    report("append to the log (preparation)", leads, took);

    let ceiling = bare_insert(&log, &folder.path().join("bare.db")).await;
    report("bare insert of the same rows on SQLite, then indexes", leads, ceiling);

    let mut runner = Runner::open(log.clone(), views.clone(), projections::all())
        .await
        .unwrap();
    let start = Instant::now();
    runner.catch_up().await.unwrap();
    let projected = start.elapsed();
    report("project, all seven", leads, projected);

    let rebuilt = rebuild(&log, &views, 1).await;
    report("rebuild leads, alone", leads, rebuilt);
    sweep(&*views, &Leads).await.unwrap();
    let plain = insert_select(&*views).await;
    report("INSERT … SELECT of the rows of leads, then indexes", leads, plain);

    let company = Company::start(log.clone(), &views, runner, leads);
    let mut quiet = tokio::time::interval(QUIET);
    quiet.tick().await;
    quiet.tick().await;
    println!("without a rebuild: {}", company.noticed());
    let beside = rebuild(&log, &views, 2).await;
    report("rebuild leads, in company", leads, beside);
    println!("while it went on: {}", company.noticed());
    let start = Instant::now();
    sweep(&*views, &Leads).await.unwrap();
    println!("what was kept before that was removed in {:.2?}", start.elapsed());
    println!("while it went on: {}", company.noticed());
    company.leave().await;

    println!("projecting ran at {:.2} of the bare insert", ratio(ceiling, projected));
    println!("rebuilding ran at {:.2} of the bare insert", ratio(ceiling, rebuilt));
    println!("projecting ran at {:.2} of INSERT … SELECT", ratio(plain, projected));
    println!("rebuilding ran at {:.2} of INSERT … SELECT", ratio(plain, rebuilt));
}

/// Makes the leads anew, compared with those that are read.
async fn rebuild(log: &Arc<SqliteLog>, views: &Arc<dyn Database>, token: u32) -> Duration {
    let start = Instant::now();
    let mut rebuild = Rebuild::begin(log.clone(), views.clone(), vec![Box::new(Leads)], token)
        .await
        .unwrap();
    rebuild.fill(|_| ()).await.unwrap();
    let filled = start.elapsed();
    let compared = rebuild.verify(|_, _| ()).await.unwrap().remove(0);
    assert_eq!(compared.differences, 0, "{:?}", compared.first);
    let verified = start.elapsed();
    rebuild.exchange().await.unwrap();
    let exchanged = start.elapsed().saturating_sub(verified);
    println!(
        "  {} rows compared in {:.2?}, exchanged in {:.2?}",
        compared.rows,
        verified.saturating_sub(filled),
        exchanged
    );
    filled + exchanged
}

async fn open_views(folder: &Path) -> Arc<dyn Database> {
    if std::env::args().any(|argument| argument == "postgres") {
        let fresh = testbed::Postgres::fresh_database().await;
        let database = Postgres::open(fresh.url().parse().unwrap(), false).await.unwrap();
        return Arc::new(database.disposable());
    }
    Arc::new(Sqlite::open(&folder.join("views.db"), Durability::Disposable).unwrap())
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
            event: LeadCaptured {
                lead_id,
                login: Some(LoginKey::new(*person.bytes())),
                signal,
            }
            .into(),
        }],
    }
}

fn ulid(number: u64) -> Ulid {
    let random = u128::from(number).wrapping_mul(0xD6E8_FEB8_6659_FD93_C6A4_A793_5BD1_E995);
    Ulid::from_parts(1_777_000_000_000 + number, random)
}

/// What the database alone needs to make the tables of `leads` from those that are there, by plain SQL: no log is read, no
/// event is folded.
async fn insert_select(views: &dyn Database) -> Duration {
    let run = async |text: String| views.write(vec![Statement::sql(text, Vec::new())]).await.unwrap();
    let schema = Leads.schema().replace("CREATE TABLE ", "CREATE TABLE plain_");
    let tables: Vec<&str> = schema.split("CREATE TABLE plain_").skip(1).collect();
    let names = tables.iter().map(|body| body.split_whitespace().next().unwrap());
    run(schema.clone()).await;
    let start = Instant::now();
    let copies = names
        .clone()
        .map(|name| format!("INSERT INTO plain_{name} SELECT * FROM {name}"));
    let copies = copies.map(|text| Statement::sql(text, Vec::new())).collect();
    views.write(copies).await.unwrap();
    let indexes = Leads.indexes().replace("CREATE INDEX ", "CREATE INDEX plain_");
    run(indexes.replace(" ON ", " ON plain_")).await;
    let took = start.elapsed();
    for name in names {
        run(format!("DROP TABLE plain_{name}")).await;
    }
    took
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
