//! A backfill by hours: fetched one ahead of the one that is read, gone on with where it was broken off, and what is
//! missing put down. Used by the command line.

use std::fs::File;

use anyhow::Context as _;
use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::Timestamp;

use super::accept::Ingest;
use super::backfill::{Progress, Summary, backfill};
use crate::gharchive::{Archive, ArchiveHour, Fetched};

/// What an hour came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HourOutcome {
    /// The source has no such hour.
    Missing,
    /// It was read, perhaps not to its end: see [`Summary::cut_short`].
    Read(Box<Summary>),
}

/// An hour that was not read as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where it was to come from.
    pub source: String,
    /// The hour.
    pub hour: ArchiveHour,
    /// Why it was not.
    pub reason: String,
    /// When that was noticed last.
    pub noticed_at: Timestamp,
}

/// A backfill of all hours from one to another.
pub struct BackfillHours<'a> {
    ingest: &'a Ingest,
    archive: &'a Archive,
    first: ArchiveHour,
    last: ArchiveHour,
    /// None: it is done.
    hour: Option<ArchiveHour>,
    fetched: Option<anyhow::Result<Fetched>>,
}

impl HourOutcome {
    /// Why the hour was not read as a whole, if so.
    pub fn gap(&self) -> Option<String> {
        match self {
            Self::Missing => Some("the source has no such hour".to_owned()),
            Self::Read(summary) => {
                let cut_short = summary
                    .cut_short
                    .as_ref()
                    .map(|reason| format!("could not be read to its end: {reason}"));
                cut_short.or_else(|| summary.unreadable().map(str::to_owned))
            }
        }
    }
}

impl<'a> BackfillHours<'a> {
    /// The hours from `first` to `last`, both of them too. If the same backfill was broken off, it goes on there.
    pub async fn open(
        ingest: &'a Ingest,
        archive: &'a Archive,
        first: ArchiveHour,
        last: ArchiveHour,
    ) -> anyhow::Result<Self> {
        let text = "SELECT next_hour FROM backfill_run WHERE source = $1 AND first_hour = $2 AND last_hour = $3";
        let key = vec![
            archive.base().as_str().into(),
            first.to_string().into(),
            last.to_string().into(),
        ];
        let rows = ingest.store.read(Statement::sql(text, key)).await?;
        let next = rows.first().map(|row| hour_at(row, 0)).transpose()?;
        Ok(Self {
            ingest,
            archive,
            first,
            last,
            hour: Some(next.unwrap_or(first)).filter(|hour| *hour <= last),
            fetched: None,
        })
    }

    /// The hour that is next, if any.
    pub const fn next_hour(&self) -> Option<ArchiveHour> {
        self.hour
    }

    /// Reads the next hour. `progress` gets how far that has come, and the size of its file.
    ///
    /// # Errors
    /// If the hour cannot be fetched or its signals not be recorded; the same backfill then goes on there. An hour that
    /// is missing or broken is no error.
    pub async fn step(
        &mut self,
        progress: impl Fn(&Progress, u64),
    ) -> anyhow::Result<Option<(ArchiveHour, HourOutcome)>> {
        let Some(hour) = self.hour else {
            return Ok(None);
        };
        let fetched = match self.fetched.take() {
            Some(fetched) => fetched,
            None => self.archive.fetch(hour).await,
        }?;
        let next = Some(hour.next()).filter(|next| *next <= self.last);
        let ahead = async {
            match next {
                Some(next) => Some(self.archive.fetch(next).await),
                None => None,
            }
        };
        let (outcome, ahead) = tokio::join!(self.read(hour, fetched, progress), ahead);
        let outcome = outcome?;
        self.note(hour, &outcome, next).await?;
        (self.hour, self.fetched) = (next, ahead);
        Ok(Some((hour, outcome)))
    }

    async fn read(
        &self,
        hour: ArchiveHour,
        fetched: Fetched,
        progress: impl Fn(&Progress, u64),
    ) -> anyhow::Result<HourOutcome> {
        let Fetched::File(path) = fetched else {
            return Ok(HourOutcome::Missing);
        };
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let length = file.metadata().map(|looked| looked.len()).unwrap_or_default();
        let name = hour.file_name();
        let summary = backfill(self.ingest, file, &name, |so_far| progress(so_far, length)).await?;
        let outcome = HourOutcome::Read(Box::new(summary));
        if outcome.gap().is_some() {
            // The source may have it whole the next time.
            self.archive.forget(hour).await?;
        }
        Ok(outcome)
    }

    /// Puts down what became of the hour, and where to go on.
    async fn note(&self, hour: ArchiveHour, outcome: &HourOutcome, next: Option<ArchiveHour>) -> anyhow::Result<()> {
        let source = || self.archive.base().as_str().into();
        let gap = match outcome.gap() {
            Some(reason) => Statement::insert(
                "backfill_gap (source, hour, reason, noticed_at)",
                "ON CONFLICT (source, hour) DO UPDATE SET reason = excluded.reason, noticed_at = excluded.noticed_at",
                vec![
                    source(),
                    hour.to_string().into(),
                    reason.into(),
                    self.ingest.writer.clock.now().micros().into(),
                ],
            ),
            None => Statement::sql(
                "DELETE FROM backfill_gap WHERE source = $1 AND hour = $2",
                vec![source(), hour.to_string().into()],
            ),
        };
        let (first, last) = (self.first.to_string(), self.last.to_string());
        let place = match next {
            Some(next) => Statement::insert(
                "backfill_run (source, first_hour, last_hour, next_hour)",
                "ON CONFLICT (source, first_hour, last_hour) DO UPDATE SET next_hour = excluded.next_hour",
                vec![source(), first.into(), last.into(), next.to_string().into()],
            ),
            None => Statement::sql(
                "DELETE FROM backfill_run WHERE source = $1 AND first_hour = $2 AND last_hour = $3",
                vec![source(), first.into(), last.into()],
            ),
        };
        let written = self.ingest.store.write(vec![gap, place]).await;
        written.context("cannot put down how far the backfill has come")?;
        Ok(())
    }
}

/// The hours that were not read as a whole, by source and hour.
pub async fn gaps(store: &dyn Database) -> Result<Vec<Gap>, DatabaseError> {
    let text = "SELECT source, hour, reason, noticed_at FROM backfill_gap ORDER BY source, hour";
    let rows = store.read(Statement::sql(text, Vec::new())).await?;
    let gap = |row: &Row| -> Result<Gap, ColumnError> {
        Ok(Gap {
            source: row.text(0)?.to_owned(),
            hour: hour_at(row, 1)?,
            reason: row.text(2)?.to_owned(),
            noticed_at: Timestamp::from_micros(row.int(3)?),
        })
    };
    Ok(rows.iter().map(gap).collect::<Result<_, _>>()?)
}

fn hour_at(row: &Row, index: usize) -> Result<ArchiveHour, ColumnError> {
    row.text(index)?.parse().map_err(|_| ColumnError {
        index,
        expected: "hour",
    })
}
