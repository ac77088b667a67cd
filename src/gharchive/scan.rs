//! The scan of an archive file: glances at each line, parses what that leaves open, and copies only what somebody asked for.
//! Used by the backfill and its benchmark.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;

use domain::Collector;

use super::glance::{Glance, Outline, glance, is_whole};
use super::lines::{Line, Lines};
use crate::github::activity::{self, EventKind, Seen, Skip};
use crate::github::wire::Event;
use crate::ingest::activity::{Activity, ActorKind};

/// A batch is handed on when it holds so many activities, or after so many lines.
const ACTIVITIES_AT_ONCE: usize = 500;
const LINES_AT_ONCE: u64 = 20_000;

/// So many broken lines are told of one by one; the others are only counted.
const TOLD: usize = 20;

/// What a scan met.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Lines read, empty ones aside.
    pub lines: u64,
    /// Bytes of JSON read.
    pub bytes: u64,
    /// Events of the kinds that are read, by their name.
    pub events: BTreeMap<&'static str, u64>,
    /// Events of those kinds that tell of a public act and its author.
    pub activities: u64,
    /// Texts of people and stars by people that no account asked for.
    pub unmatched: u64,
    /// Acts of bots, passed over.
    pub bots: u64,
    /// Acts of organisations, passed over.
    pub organizations: u64,
    /// Events whose text is not there.
    pub without_text: u64,
    /// Events whose author's account is gone.
    pub without_author: u64,
    /// Lines that could not be read.
    pub broken: u64,
    /// The first of them: line number, from 1, and reason.
    pub broken_lines: Vec<(u64, String)>,
}

/// Activities that somebody asked for, and how far the scan has come.
#[derive(Debug)]
pub struct Batch {
    /// The activities, in the order of the file.
    pub activities: Vec<Activity>,
    /// Everything met up to here.
    pub tally: Tally,
}

/// Reads all of `reader` (JSON lines, unpacked), keeps what `keep` says and hands it to `sink` until that breaks off.
/// The last batch is handed on even if it is empty, and also when the reader fails.
pub fn scan<R: Read>(
    reader: R,
    keep: impl FnMut(&Seen<'_>) -> bool,
    sink: impl FnMut(Batch) -> ControlFlow<()>,
) -> io::Result<()> {
    Scan::new(keep, sink).run(reader)
}

/// A scan under way.
pub struct Scan<K, S> {
    keep: K,
    sink: S,
    counts: [u64; EventKind::ALL.len()],
    tally: Tally,
    activities: Vec<Activity>,
    handed_at: u64,
}

impl<K, S> Scan<K, S>
where
    K: FnMut(&Seen<'_>) -> bool,
    S: FnMut(Batch) -> ControlFlow<()>,
{
    fn new(keep: K, sink: S) -> Self {
        Self {
            keep,
            sink,
            counts: [0; EventKind::ALL.len()],
            tally: Tally::default(),
            activities: Vec::new(),
            handed_at: 0,
        }
    }

    fn run(mut self, reader: impl Read) -> io::Result<()> {
        let mut lines = Lines::new(reader);
        let mut number = 0;
        loop {
            let line = match lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    let _ = self.hand_on();
                    return Ok(());
                }
                Err(error) => {
                    let _ = self.hand_on();
                    return Err(error);
                }
            };
            number += 1;
            match line {
                Line::TooLong => {
                    self.tally.lines += 1;
                    self.broken(number, "longer than any line may be".to_owned());
                }
                Line::Whole([]) => {}
                Line::Whole(line) => {
                    self.tally.lines += 1;
                    self.tally.bytes += line.len() as u64 + 1;
                    if let Err(reason) = self.line(line) {
                        self.broken(number, reason);
                    }
                }
            }
            let due = self.activities.len() >= ACTIVITIES_AT_ONCE || self.tally.lines - self.handed_at >= LINES_AT_ONCE;
            if due && self.hand_on().is_break() {
                return Ok(());
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        // What a glance is enough for is not parsed, so a line that was cut off is known by its end alone.
        if !line.ends_with(b"}") {
            return Err("it is no JSON object, or was cut off".to_owned());
        }
        match glance(line) {
            Some(Glance::NotUsed) => return Ok(()),
            Some(Glance::Event(outline)) if self.take(line, &outline) => return Ok(()),
            _ => {}
        }
        let event: Event<'_> = serde_json::from_slice(line).map_err(|error| place(&error))?;
        self.count(EventKind::of_event(event.kind.as_str()));
        match activity::of_event(&event) {
            Ok(seen) if self.is_wanted(&seen) => {
                self.tally.activities += 1;
                let activity = seen.to_activity(Collector::Archive);
                self.activities.push(activity.ok_or("its time is none")?);
            }
            Ok(seen) => self.unwanted(&seen),
            Err(Skip::Incomplete(field)) => return Err(format!("the {field} is missing")),
            Err(skip) => self.skipped(skip),
        }
        Ok(())
    }

    /// Takes an event that a glance was enough for. False: its line must be read as a whole.
    fn take(&mut self, line: &[u8], outline: &Outline<'_>) -> bool {
        match outline.read() {
            Ok(seen) if self.is_wanted(&seen) => {
                // What the glance saw of a broken line may belong to two events.
                let activity = seen.to_activity(Collector::Archive).filter(|_| is_whole(line));
                let Some(activity) = activity else {
                    return false;
                };
                self.tally.activities += 1;
                self.activities.push(activity);
            }
            Ok(seen) => self.unwanted(&seen),
            Err(Skip::Incomplete(_)) => return false,
            Err(skip) => self.skipped(skip),
        }
        self.count(Some(outline.kind));
        true
    }

    fn is_wanted(&mut self, seen: &Seen<'_>) -> bool {
        seen.kind == ActorKind::User && (self.keep)(seen)
    }

    fn unwanted(&mut self, seen: &Seen<'_>) {
        self.tally.activities += 1;
        match seen.kind {
            ActorKind::Bot => self.tally.bots += 1,
            ActorKind::Organization => self.tally.organizations += 1,
            ActorKind::User => self.tally.unmatched += 1,
        }
    }

    fn skipped(&mut self, skip: Skip) {
        match skip {
            Skip::WithoutText => self.tally.without_text += 1,
            Skip::WithoutAuthor => self.tally.without_author += 1,
            Skip::NotUsed | Skip::Incomplete(_) => {}
        }
    }

    fn count(&mut self, kind: Option<EventKind>) {
        if let Some(count) = kind.and_then(|kind| self.counts.get_mut(kind as usize)) {
            *count += 1;
        }
    }

    fn broken(&mut self, number: u64, reason: String) {
        self.tally.broken += 1;
        if self.tally.broken_lines.len() < TOLD {
            self.tally.broken_lines.push((number, reason));
        }
    }

    fn hand_on(&mut self) -> ControlFlow<()> {
        self.handed_at = self.tally.lines;
        self.tally.events = EventKind::ALL
            .into_iter()
            .zip(self.counts)
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (kind.event_name(), count))
            .collect();
        (self.sink)(Batch {
            activities: std::mem::take(&mut self.activities),
            tally: self.tally.clone(),
        })
    }
}

/// Where the parser stopped. What it says itself may quote the value, and with it a person.
fn place(error: &serde_json::Error) -> String {
    let reason = match error.classify() {
        serde_json::error::Category::Data => "a value is of another kind than GitHub's",
        _ => "it is no JSON",
    };
    format!("{reason}, column {}", error.column())
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
