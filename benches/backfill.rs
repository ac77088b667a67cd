//! How fast an archive file is scanned, next to plain gunzip of the same file: `cargo bench --bench backfill -- FILE`.
//!
//! Parses and matches against 1,000 tracked repositories and 1,000 keywords, on one core, without recording.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "figures for a person to read"
)]

use std::fs;
use std::hint::black_box;
use std::io::{Cursor, Read as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use domain::{AccountId, Keyword, RepoName, ScanTargets};
use gitleads::gharchive::lines::unpack;
use gitleads::gharchive::{Tally, scan};
use gitleads::ingest::{Scratch, Watchlist};

const ROUNDS: usize = 7;
const TRACKED: usize = 1_000;

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds flags of its own.
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("no file given: cargo bench --bench backfill -- FILE.json.gz");
        return Ok(());
    };
    let file = fs::read(&path)?;
    let list = watchlist()?;
    let mut gunzips = Vec::new();
    let mut scans = Vec::new();
    let mut found = (Tally::default(), 0);
    // Turn about, so that a busy machine slows both.
    for _ in 0..ROUNDS {
        gunzips.push(timed(|| gunzip(&file))?.0);
        let (took, outcome) = timed(|| scanned(&file, &list))?;
        scans.push(took);
        found = outcome;
    }
    let (tally, kept) = found;
    let megabytes = |took: Duration| (tally.bytes as f64) / 1e6 / took.as_secs_f64();
    let (gunzip, scan) = (best(&gunzips), best(&scans));
    println!(
        "{} lines, {:.1} MB of JSON, {} activities, {kept} asked for",
        tally.lines,
        tally.bytes as f64 / 1e6,
        tally.activities
    );
    println!("gunzip {:.0} MB/s", megabytes(gunzip));
    println!(
        "scan   {:.0} MB/s with {TRACKED} repositories and {TRACKED} keywords",
        megabytes(scan)
    );
    println!(
        "ratio  {:.2} (best of {ROUNDS})",
        gunzip.as_secs_f64() / scan.as_secs_f64()
    );
    Ok(())
}

fn best(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let start = Instant::now();
    let outcome = work()?;
    Ok((start.elapsed(), outcome))
}

fn gunzip(file: &[u8]) -> anyhow::Result<()> {
    let mut reader = unpack(Cursor::new(file.to_vec()))?;
    let mut buffer = vec![0; 1 << 20];
    while black_box(reader.read(&mut buffer)?) > 0 {}
    Ok(())
}

fn scanned(file: &[u8], list: &Watchlist) -> anyhow::Result<(Tally, usize)> {
    let mut scratch = Scratch::default();
    let mut found = (Tally::default(), 0);
    let reader = unpack(Cursor::new(file.to_vec()))?;
    scan(
        reader,
        |seen| list.concerns(seen, &mut scratch),
        |batch| {
            found.1 += black_box(batch.activities).len();
            found.0 = batch.tally;
            ControlFlow::Continue(())
        },
    )?;
    Ok(found)
}

/// Invented repositories, and keywords of one and of two ordinary words.
fn watchlist() -> anyhow::Result<Watchlist> {
    const WORDS: [&str; 32] = [
        "docker",
        "kernel",
        "cluster",
        "compiler",
        "webhook",
        "sidecar",
        "gateway",
        "scheduler",
        "tracing",
        "sharding",
        "quorum",
        "raft",
        "ledger",
        "replica",
        "sandbox",
        "runtime",
        "linker",
        "parser",
        "renderer",
        "shader",
        "telemetry",
        "pipeline",
        "registry",
        "operator",
        "broker",
        "cache",
        "index",
        "planner",
        "vector",
        "tensor",
        "codec",
        "mesh",
    ];
    let account = AccountId::default();
    let repos = (0..TRACKED).map(|number| -> anyhow::Result<(AccountId, RepoName)> {
        Ok((account, format!("example-{}/repo-{number}", number % 97).parse()?))
    });
    let pairs = WORDS
        .iter()
        .flat_map(|first| WORDS.iter().map(move |second| (first, second)));
    let phrases = pairs.map(|(first, second)| {
        if first == second {
            (*first).to_owned()
        } else {
            format!("{first} {second}")
        }
    });
    let keywords = phrases
        .take(TRACKED)
        .map(|phrase| -> anyhow::Result<(AccountId, Keyword, ScanTargets)> {
            Ok((account, phrase.parse()?, ScanTargets::default()))
        });
    Watchlist::build(
        repos.collect::<anyhow::Result<Vec<_>>>()?,
        keywords.collect::<anyhow::Result<Vec<_>>>()?,
    )
}
