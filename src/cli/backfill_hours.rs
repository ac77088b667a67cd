//! `gitleads backfill --from … --to …`: fetches archive hours, reads them into the log, and tells what each came to.

use anyhow::bail;
use domain::Timestamp;
use url::Url;

use crate::app::App;
use crate::control::{Output, Unit};
use crate::gharchive::{Archive, ArchiveHour};
use crate::ingest::{Accepted, BackfillHours, HourOutcome, Progress, backfill_hours as hours};

/// Below the data directory: hours that were fetched.
const FOLDER: &str = "archive";

pub(super) async fn backfill_hours(
    app: &App,
    from: ArchiveHour,
    to: ArchiveHour,
    source: Url,
    output: &Output,
) -> anyhow::Result<()> {
    check(from, to, app.writer.clock.now())?;
    let archive = Archive::new(source, app.config.server.data_dir.join(FOLDER))?;
    let mut run = BackfillHours::open(&app.ingest, &archive, from, to).await?;
    if let Some(next) = run.next_hour().filter(|next| *next != from) {
        output
            .line(format!("goes on at {next}, where it was broken off"))
            .await?;
    }
    let told = output.clone();
    let progress = move |progress: &Progress, length| told.progress(progress.read, Some(length), Unit::Bytes);
    let (mut read, mut missing, mut broken) = (0_u64, 0_u64, 0_u64);
    let mut accepted = Accepted::default();
    while let Some((hour, outcome)) = run.step(&progress).await? {
        match &outcome {
            HourOutcome::Missing => missing += 1,
            HourOutcome::Read(summary) => {
                read += 1;
                broken += u64::from(outcome.gap().is_some());
                accepted += summary.accepted;
            }
        }
        output.line(line(hour, &outcome)).await?;
    }
    // So that whoever asks the API next sees what was just recorded.
    app.settle(app.writer.log.head().await?).await;
    output.line(total(read, missing, broken, &accepted)).await?;
    if broken > 0 {
        bail!("{broken} of the hours could not be read to their end; what stands before that is recorded");
    }
    Ok(())
}

/// An hour that is not over has no file yet, which says nothing of the source.
fn check(from: ArchiveHour, to: ArchiveHour, now: Timestamp) -> anyhow::Result<()> {
    for (argument, hour) in [("--from", from), ("--to", to)] {
        if !hour.is_over(now) {
            bail!("{argument} {hour} is not over yet");
        }
    }
    Ok(())
}

/// Tells of each hour that was missing or broken when it was fetched last.
pub(super) async fn gaps(app: &App, output: &Output) -> anyhow::Result<()> {
    for gap in hours::gaps(&*app.storage.store).await? {
        let line = format!(
            "{}  {}  {}  (noticed {})",
            gap.hour, gap.source, gap.reason, gap.noticed_at
        );
        output.line(line).await?;
    }
    Ok(())
}

/// What an hour came to.
fn line(hour: ArchiveHour, outcome: &HourOutcome) -> String {
    let gap = outcome.gap().map(|reason| format!("; {reason}"));
    match outcome {
        HourOutcome::Missing => format!("{hour}  missing{}", gap.unwrap_or_default()),
        HourOutcome::Read(summary) => format!(
            "{hour}  {} lines, {} broken; {}{}",
            summary.lines,
            summary.broken,
            people(&summary.accepted),
            gap.unwrap_or_default()
        ),
    }
}

fn total(read: u64, missing: u64, broken: u64, accepted: &Accepted) -> String {
    format!(
        "{read} hours read, {broken} of them not to their end, {missing} missing; {}",
        people(accepted)
    )
}

fn people(accepted: &Accepted) -> String {
    format!(
        "{} new leads, {} withheld, {} further signals, {} known",
        accepted.captured, accepted.withheld, accepted.joined, accepted.known
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Summary;

    #[test]
    fn hours_that_are_not_over_are_refused_by_the_argument_that_names_them() {
        let hour = |text: &str| text.parse().unwrap();
        let told = |from, to, now: &str| {
            let checked = check(hour(from), hour(to), now.parse().unwrap());
            checked.err().map(|error| error.to_string())
        };
        let range = ("2026-01-01T04", "2026-01-01T05");
        assert_eq!(told(range.0, range.1, "2026-01-01T06:00:00Z"), None);
        assert_eq!(
            told(range.0, range.1, "2026-01-01T05:59:59Z").as_deref(),
            Some("--to 2026-01-01T05 is not over yet")
        );
        assert_eq!(
            told(range.0, range.1, "2026-01-01T04:30:00Z").as_deref(),
            Some("--from 2026-01-01T04 is not over yet")
        );
    }

    #[test]
    fn an_hour_is_a_line_that_says_what_is_missing() {
        let hour = "2026-01-01T05".parse().unwrap();
        assert_eq!(
            line(hour, &HourOutcome::Missing),
            "2026-01-01T05  missing; the source has no such hour"
        );
        let mut summary = Summary {
            lines: 12,
            cut_short: Some("unexpected end of file, after line 12".into()),
            ..Summary::default()
        };
        summary.accepted.captured = 3;
        assert_eq!(
            line(hour, &HourOutcome::Read(Box::new(summary))),
            "2026-01-01T05  12 lines, 0 broken; 3 new leads, 0 withheld, 0 further signals, 0 known; could not be read to \
             its end: unexpected end of file, after line 12"
        );
    }
}
