//! An archive file from its first line to the last: scanned in a thread of its own, accepted batch after batch.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::accept::{Accepted, Ingest};
use super::matcher::{Scratch, Watchlist};
use crate::gharchive::lines::unpack;
use crate::gharchive::{Batch, Tally, scan};

/// Batches that wait to be accepted; the scan then waits too.
const WAITING: usize = 4;
/// A rebuild of the read models may be under way at the start.
const START_LAG: Duration = Duration::from_mins(10);

/// How far a backfill has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of the file read so far, as it is stored: against its size this gives the share.
    pub read: u64,
    /// Lines read so far.
    pub lines: u64,
    /// Bytes of JSON read so far.
    pub bytes: u64,
    /// What they came to so far.
    pub accepted: Accepted,
}

/// What a file came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Summary {
    /// The file.
    pub name: String,
    /// Whether the file is gzip.
    pub packed: bool,
    /// Lines, empty ones aside.
    pub lines: u64,
    /// Bytes of JSON.
    pub bytes: u64,
    /// Events of the kinds that are read, by GitHub's name for them.
    pub events: BTreeMap<&'static str, u64>,
    /// Events among them whose text is not in the file.
    pub without_text: u64,
    /// Events among them whose author's account is gone.
    pub without_author: u64,
    /// Lines that could not be read.
    pub broken: u64,
    /// The first twenty of them: line number, from 1, and reason.
    pub broken_lines: Vec<(u64, String)>,
    /// Why the file could not be read to its end. What stands in front of that is recorded.
    pub cut_short: Option<String>,
    /// What the activities came to.
    pub accepted: Accepted,
}

/// Records what `reader`, JSON lines plain or gzipped, tells of interest to any account. The same file again adds
/// nothing, so after an error, or a crash, run it again.
///
/// # Errors
/// If signals cannot be recorded. A file that cannot be read to its end is no error: see [`Summary::cut_short`].
pub async fn backfill(
    ingest: &Ingest,
    reader: impl Read + Send + 'static,
    name: &str,
    progress: impl Fn(&Progress),
) -> anyhow::Result<Summary> {
    ingest.caught_up(START_LAG).await?;
    let list = ingest.watchlist().await?;
    let read = Arc::new(AtomicU64::new(0));
    let reader = Counting(reader, Arc::clone(&read));
    let (sender, mut batches) = mpsc::channel(WAITING);
    let scan = tokio::task::spawn_blocking(move || scan_into(reader, &list, &sender));
    let mut summary = Summary {
        name: name.to_owned(),
        ..Summary::default()
    };
    while let Some(Batch { activities, tally }) = batches.recv().await {
        let accepted = ingest.accept(activities).await;
        summary.accepted += accepted.with_context(|| {
            format!(
                "broken off around line {} of {name}; the same command again goes on, and nothing is recorded twice",
                tally.lines
            )
        })?;
        summary.count(tally);
        progress(&Progress {
            read: read.load(Ordering::Relaxed),
            lines: summary.lines,
            bytes: summary.bytes,
            accepted: summary.accepted,
        });
    }
    let (packed, scanned) = scan.await.context("the scan was broken off")?;
    summary.packed = packed;
    if let Err(error) = scanned {
        summary.cut_short = Some(format!("{error}, after line {}", summary.lines));
    }
    Ok(summary)
}

impl Summary {
    /// Why nothing at all was read, if that is so: a file of some other kind, or one that only calls itself gzip.
    pub fn unreadable(&self) -> Option<&'static str> {
        let posed = !self.packed
            && std::path::Path::new(&self.name)
                .extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("gz"));
        match (self.lines == self.broken, posed, self.lines) {
            (true, true, _) => Some("its name ends in .gz, but it is not gzip"),
            (true, false, 1..) => Some("all its lines are broken"),
            _ => None,
        }
    }

    /// Takes over what the scan has met so far. What it did not hand on, it counted itself.
    fn count(&mut self, tally: Tally) {
        self.lines = tally.lines;
        self.bytes = tally.bytes;
        self.events = tally.events;
        self.without_text = tally.without_text;
        self.without_author = tally.without_author;
        self.broken = tally.broken;
        self.broken_lines = tally.broken_lines;
        self.accepted.activities = tally.activities;
        self.accepted.bots = tally.bots;
        self.accepted.organizations = tally.organizations;
        self.accepted.unmatched = tally.unmatched;
    }
}

/// Whether the file is gzip, and how the scan ended.
fn scan_into(
    reader: impl Read + Send + 'static,
    list: &Watchlist,
    sender: &mpsc::Sender<Batch>,
) -> (bool, io::Result<()>) {
    let mut scratch = Scratch::default();
    let hand_on = |batch| match sender.blocking_send(batch) {
        Ok(()) => ControlFlow::Continue(()),
        // Nobody listens any more.
        Err(_) => ControlFlow::Break(()),
    };
    match unpack(reader) {
        Ok(unpacked) => (
            unpacked.packed,
            scan(unpacked, |seen| list.concerns(seen, &mut scratch), hand_on),
        ),
        Err(error) => (false, Err(error)),
    }
}

/// Counts the bytes that pass.
struct Counting<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
