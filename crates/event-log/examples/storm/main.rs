//! Sixteen writers in four processes on one PostgreSQL, killed and cut off at random, and a reader that must miss nothing:
//! `scripts/postgres sh -c 'cargo run --release -p event-log --example storm -- $GITLEADS_TEST_POSTGRES'`.
//!
//! The database must be empty. Two more arguments may follow: for how many seconds (60), and what chance starts from (1).
#![allow(clippy::print_stdout, reason = "its findings are what it is for")]

mod chance;
mod findings;
mod writers;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chance::Chance;
use database::{MIGRATIONS, Postgres, migrate};
use event_log::{EventLog, Position, PostgresLog, Recorded, Scope};
use findings::Findings;
use tokio::sync::watch;
use tokio_postgres::{Client, NoTls};
use writers::Process;

/// Processes that append.
const PROCESSES: usize = 4;
/// Writers in each.
const WRITERS: u64 = 4;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", url, number, generation] => writers::write(url, number.parse()?, generation.parse()?).await,
        [url] => storm(url, Duration::from_mins(1), 1).await,
        [url, seconds] => storm(url, Duration::from_secs(seconds.parse()?), 1).await,
        [url, seconds, seed] => storm(url, Duration::from_secs(seconds.parse()?), seed.parse()?).await,
        _ => Err("usage: storm URL [SECONDS [SEED]]".into()),
    }
}

async fn open(url: &str) -> Outcome<PostgresLog> {
    let database = Postgres::open(url.parse()?, false).await?;
    migrate(&database, MIGRATIONS).await?;
    Ok(PostgresLog::open(database).await?)
}

async fn storm(url: &str, lasts: Duration, seed: u64) -> Outcome<()> {
    let log = Arc::new(open(url).await?);
    if log.head().await? != Position::START {
        return Err("the log is not empty".into());
    }
    let (over, is_over) = watch::channel(false);
    let follower = tokio::spawn(follow(Arc::clone(&log), is_over));
    let (blows, told) = rage(url, lasts, Chance::new(seed)).await?;
    over.send(true)?;
    let events = follower.await??;
    let findings = Findings::new(&events, &all(&log).await?, &told);
    println!("{blows}\n{findings}");
    findings.judge()
}

/// Reads along, as often as it takes, until the log stands still after the storm.
async fn follow(log: Arc<PostgresLog>, is_over: watch::Receiver<bool>) -> Outcome<Vec<Recorded>> {
    let mut seen = Vec::new();
    let mut after = Position::START;
    loop {
        let was_over = *is_over.borrow();
        log.wait(after, Duration::from_millis(200)).await;
        // Its own connections are cut as well.
        let Ok(page) = log.read(Scope::All, after, 100).await else {
            continue;
        };
        after = page.looked_to;
        if page.events.is_empty() && was_over {
            return Ok(seen);
        }
        seen.extend(page.events);
    }
}

async fn all(log: &PostgresLog) -> Outcome<Vec<Recorded>> {
    let mut events = Vec::new();
    loop {
        let after = events.last().map_or(Position::START, |last: &Recorded| last.position);
        let page = log.read(Scope::All, after, 1_000).await?;
        if page.events.is_empty() {
            return Ok(events);
        }
        events.extend(page.events);
    }
}

/// Lets the processes write, and strikes; what was done to them, and what they were told.
async fn rage(url: &str, lasts: Duration, mut chance: Chance) -> Outcome<(Blows, Vec<writers::Told>)> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    let mut blows = Blows::default();
    let mut told = Vec::new();
    let mut processes = Vec::new();
    for number in 0..PROCESSES {
        processes.push(Process::start(url, number, 0)?);
    }
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        tokio::time::sleep(Duration::from_millis(20 + chance.below(300))).await;
        if chance.below(3) == 0 {
            let number = usize::try_from(chance.below(PROCESSES as u64))?;
            blows.killed += 1;
            let successor = Process::start(url, number, blows.killed)?;
            if let Some(process) = processes.get_mut(number) {
                told.extend(std::mem::replace(process, successor).kill()?);
            }
        } else {
            blows.cut += cut_one(&client, chance.below(1 << 30)).await?;
        }
    }
    for process in processes {
        told.extend(process.kill()?);
    }
    Ok((blows, told))
}

/// Ends any one connection but our own.
async fn cut_one(client: &Client, chance: u64) -> Outcome<u64> {
    let others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let others = client.query(others, &[]).await?;
    let chosen = usize::try_from(chance)? % others.len().max(1);
    let Some(other) = others.get(chosen) else {
        return Ok(0);
    };
    let pid: i32 = other.try_get(0)?;
    client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await?;
    Ok(1)
}

/// What was done to the writers.
#[derive(Default)]
struct Blows {
    killed: u64,
    cut: u64,
}

impl std::fmt::Display for Blows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} processes were killed, {} connections cut", self.killed, self.cut)
    }
}
