//! How fast archive files are scanned, next to plain gunzip of the same bytes by the same library:
//! `cargo bench --bench backfill -- HOUR.json.gz`, and beside DuckDB and ClickHouse `benches/archive.sh HOUR.json.gz`.
//!
//! The hour is repeated to a gigabyte of JSON and packed anew, so that no cache holds the file from round to round. All are
//! asked the same (see [`question`]), each in a process of its own, in turn; those who answer must answer the same.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "figures for a person to read"
)]

mod process;
mod question;
mod work;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use gitleads::gharchive::lines::unpack;

use process::{Figures, Process};
use question::Question;

/// Bytes of JSON in the file.
const BYTES: usize = 1_000_000_000;
/// How many repositories and how many keywords are looked for.
const SIZES: [usize; 2] = [1_000, 100_000];
/// What is shown is the best of so many.
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds a flag of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["gunzip", files @ ..] => work::gunzip(files),
        ["gitleads", folder, size, files @ ..] => work::answer(Path::new(folder), size.parse()?, files),
        [hour] => compare(Path::new(hour), None),
        [hour, python] => compare(Path::new(hour), Some(python)),
        _ => {
            println!("no file given: cargo bench --bench backfill -- HOUR.json.gz");
            Ok(())
        }
    }
}

/// Measures everybody. `python` has what the peers need.
fn compare(hour: &Path, python: Option<&str>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let files = ["one.json.gz", "two.json.gz"].map(|name| folder.join(name).display().to_string());
    let [one, two] = &files;
    let megabytes = make(hour, folder, one)?;
    fs::copy(one, two)?;

    let own = std::env::current_exe()?.display().to_string();
    let place = folder.display().to_string();
    let mut asked = vec![Process::new("gunzip", None, &[&own, "gunzip"])];
    for size in SIZES {
        let text = size.to_string();
        asked.push(Process::new("gitleads", Some(size), &[&own, "gitleads", &place, &text]));
        for peer in python.map_or(&[][..], |_| &["chdb", "duckdb"]) {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/backfill/peers.py");
            let program = [python.unwrap_or_default(), script, peer, &place, &text];
            asked.push(Process::new(peer, Some(size), &program));
        }
    }
    let mut on_one = BTreeMap::new();
    let mut on_two = BTreeMap::new();
    // Turn about, so that a busy machine slows all of them.
    for _ in 0..ROUNDS {
        for (number, process) in asked.iter().enumerate() {
            best(&mut on_one, number, process.run(1, std::slice::from_ref(one))?);
            best(&mut on_two, number, process.run(2, &files)?);
        }
    }

    println!("\none file on one core; best of {ROUNDS}, peak memory the highest");
    show(&asked, &on_one, megabytes, None);
    println!("\ntwo such files on two cores");
    show(&asked, &on_two, megabytes * 2.0, Some(&on_one));
    let small = Process::new("gitleads", None, &[&own, "gitleads", &place, "1000"]);
    let small = small.run(1, &[hour.display().to_string()])?;
    println!(
        "\npeak memory of gitleads with the hour alone: {:.1} MB",
        small.peak_megabytes
    );
    agree(&asked, &on_one, &on_two)
}

/// Makes the file and the lists; the file's megabytes of JSON.
fn make(hour: &Path, folder: &Path, path: &str) -> anyhow::Result<f64> {
    let packed = fs::read(hour).with_context(|| format!("cannot read {}", hour.display()))?;
    let packed_length = packed.len();
    let mut json = Vec::new();
    unpack(std::io::Cursor::new(packed))?.read_to_end(&mut json)?;
    for size in SIZES {
        Question::draw(&json, size)?.write(folder)?;
        let began = Instant::now();
        Question::read(folder, size)?.watchlist()?;
        println!(
            "{size} repositories and keywords: watchlist built in {:.2?}",
            began.elapsed()
        );
    }
    let times = BYTES.div_ceil(json.len());
    let mut encoder = GzEncoder::new(File::create(path)?, Compression::default());
    for _ in 0..times {
        encoder.write_all(&json)?;
    }
    encoder.finish()?.sync_all()?;
    let (before, after) = ((packed_length * times) as f64, fs::metadata(path)?.len() as f64);
    let bytes = (json.len() * times) as f64;
    println!(
        "{times} times {:.1} MB of JSON, packed as one member of {:.1} MB ({:.2} of {times} times the hour's file)",
        json.len() as f64 / 1e6,
        after / 1e6,
        after / before
    );
    Ok(bytes / 1e6)
}

/// Keeps the quicker figures and the higher peak.
fn best(known: &mut BTreeMap<usize, Figures>, number: usize, new: Figures) {
    let kept = known.entry(number).or_insert(new);
    *kept = Figures {
        seconds: kept.seconds.min(new.seconds),
        cpu_seconds: kept.cpu_seconds.min(new.cpu_seconds),
        peak_megabytes: kept.peak_megabytes.max(new.peak_megabytes),
        ..new
    };
}

/// A table; the last column compares with `before`.
fn show(
    asked: &[Process],
    figures: &BTreeMap<usize, Figures>,
    megabytes: f64,
    before: Option<&BTreeMap<usize, Figures>>,
) {
    println!(
        "{:<9} {:>8} {:>7} {:>9} {:>7} {:>13} {:>8} {:>7} {:>7}{}",
        "who",
        "keywords",
        "MB/s",
        "of gunzip",
        "CPU s",
        "of gunzip CPU",
        "peak MB",
        "stars",
        "texts",
        before.map_or("", |_| "  × one")
    );
    let Some(gunzip) = figures.get(&0) else {
        return;
    };
    for (number, process) in asked.iter().enumerate() {
        let Some(own) = figures.get(&number) else {
            continue;
        };
        let alone = before.and_then(|before| before.get(&number));
        println!(
            "{:<9} {:>8} {:>7.0} {:>9.2} {:>7.2} {:>13.2} {:>8.1} {:>7} {:>7}{}",
            process.name,
            process.size.map_or(String::new(), |size| size.to_string()),
            megabytes / own.seconds,
            gunzip.seconds / own.seconds,
            own.cpu_seconds,
            gunzip.cpu_seconds / own.cpu_seconds,
            own.peak_megabytes,
            own.stars,
            own.texts,
            alone.map_or(String::new(), |alone| format!(
                "  {:.2}",
                2.0 * alone.seconds / own.seconds
            ))
        );
    }
}

/// Fails unless all answers to a question are the same, and those for two files twice those for one.
fn agree(
    asked: &[Process],
    on_one: &BTreeMap<usize, Figures>,
    on_two: &BTreeMap<usize, Figures>,
) -> anyhow::Result<()> {
    for size in SIZES {
        let answers = |figures: &BTreeMap<usize, Figures>, files: u64| -> Vec<(u64, u64)> {
            let of_size = figures
                .iter()
                .filter(|(number, _)| asked.get(**number).is_some_and(|process| process.size == Some(size)));
            of_size
                .map(|(_, figures)| (figures.stars * files, figures.texts * files))
                .collect()
        };
        let mut all = [answers(on_one, 2), answers(on_two, 1)].concat();
        let count = all.len();
        all.dedup();
        anyhow::ensure!(all.len() == 1, "not all answers are the same with {size} keywords");
        anyhow::ensure!(all != [(0, 0)], "nothing was found with {size} keywords");
        println!("{count} answers with {size} keywords agree");
    }
    Ok(())
}
