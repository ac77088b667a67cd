//! What is measured of our own: gunzip alone, and the scan as the backfill does it, without recording.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use gitleads::gharchive::lines::unpack;
use gitleads::gharchive::scan;
use gitleads::ingest::{Act, Scratch, Watchlist};

use crate::question::Question;

/// Unpacks each of the files in a thread of its own.
pub fn gunzip(files: &[&str]) -> anyhow::Result<()> {
    measured(files, |file| {
        let mut reader = unpack(file)?;
        let mut buffer = vec![0; 1 << 18];
        while black_box(reader.read(&mut buffer)?) > 0 {}
        Ok((0, 0))
    })
}

/// Scans each of the files in a thread of its own.
pub fn answer(folder: &Path, size: usize, files: &[&str]) -> anyhow::Result<()> {
    let list = Question::read(folder, size)?.watchlist()?;
    measured(files, |file| scanned(file, &list))
}

/// Stars and texts that were asked for.
fn scanned(file: File, list: &Watchlist) -> anyhow::Result<(u64, u64)> {
    let mut scratch = Scratch::default();
    let (mut stars, mut texts, mut broken) = (0, 0, 0);
    scan(
        unpack(file)?,
        |seen| list.concerns(seen, &mut scratch),
        |batch| {
            for activity in black_box(batch.activities) {
                match activity.act {
                    Act::Starred => stars += 1,
                    Act::Wrote { .. } => texts += 1,
                    // Told by webhook deliveries and the search for code alone.
                    Act::Unstarred | Act::Holds { .. } => {}
                }
            }
            broken = batch.tally.broken;
            ControlFlow::Continue(())
        },
    )?;
    anyhow::ensure!(broken == 0, "{broken} lines are broken");
    Ok((stars, texts))
}

/// Prints what [`crate::process::Figures`] are read from.
#[expect(clippy::print_stdout, reason = "the figures")]
fn measured(files: &[&str], work: impl Fn(File) -> anyhow::Result<(u64, u64)> + Sync) -> anyhow::Result<()> {
    let (began, used) = (Instant::now(), cpu_seconds()?);
    let answers = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = files
            .iter()
            .map(|path| scope.spawn(move || work(File::open(path).with_context(|| format!("cannot open {path}"))?)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let (seconds, used) = (began.elapsed().as_secs_f64(), cpu_seconds()? - used);
    let (stars, texts) = answers
        .iter()
        .fold((0, 0), |sum, answer| (sum.0 + answer.0, sum.1 + answer.1));
    println!("{seconds:.4} {used:.2} {} {stars} {texts}", peak_kilobytes()?);
    Ok(())
}

/// What all threads of this process have used, in hundredths of a second, which Linux counts in for all programs.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, behind_name) = stat.rsplit_once(')').context("/proc/self/stat is of another form")?;
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    Ok(ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()? / 100.0)
}

fn peak_kilobytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    Ok(peak.context("/proc/self/status tells no peak")?.trim().parse()?)
}
