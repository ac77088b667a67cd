//! Reads the texts of pull requests that a feed told of by number alone, fifty at a time. Used by the scheduler.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{ColumnError, Statement};
use domain::{ScanTarget, Timestamp};

use super::accept::Ingest;
use super::outage::Outage;
use super::width::Width;
use crate::github::pulls::{self, Bare, Pull};
use crate::github::{Client, Told};
use crate::lease::Lease;

/// Pull requests in a query at most: fifty cost one point.
const MOST: usize = 50;
/// One that was not told of so often is given up; a search may still find it.
const TRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_mins(1);

/// The texts that are still to be read.
pub struct Pulls {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    lease: Lease,
    width: Width,
    until: Option<Timestamp>,
    outage: Outage,
    /// When the first of them is due, as far as was looked.
    next_at: Option<Timestamp>,
}

impl Pulls {
    /// Goes on with those that were noted.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, lease: Lease) -> anyhow::Result<Self> {
        let mut pulls = Self {
            ingest,
            client,
            lease,
            width: Width::up_to(MOST),
            until: None,
            outage: Outage::none("reading of pull requests"),
            next_at: None,
        };
        pulls.look().await?;
        Ok(pulls)
    }

    /// Looks when the first of those noted is due.
    pub async fn look(&mut self) -> anyhow::Result<()> {
        let query = Statement::sql("SELECT min(due_at) FROM bare_pull", Vec::new());
        let rows = self
            .ingest
            .store
            .read(query)
            .await
            .context("looking for pull requests")?;
        let first = rows.first().map(|row| row.find_int(0)).transpose()?.flatten();
        self.next_at = first.map(Timestamp::from_micros);
        Ok(())
    }

    /// When the next query is due; never without a token, or with nothing to read.
    pub fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.next_at.filter(|_| self.client.has_token())?;
        Some(
            next.max(self.until.unwrap_or(next))
                .max(self.outage.pausing(now).unwrap_or(next)),
        )
    }

    /// Reads the texts of those that have been due for longest.
    ///
    /// # Errors
    /// If storage fails; what was not recorded is read again.
    pub async fn read(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let due = self.due(now).await?;
        if !due.is_empty() {
            self.ask(&due, now).await?;
        }
        self.look().await
    }

    async fn ask(&mut self, due: &[(Bare, u32)], now: Timestamp) -> anyhow::Result<()> {
        let bare: Vec<Bare> = due.iter().map(|(bare, _)| bare.clone()).collect();
        let (query, variables) = pulls::query(&bare);
        let told = match self.client.graphql(&query, &variables).await {
            Told::Data { data, absent, is_cut } => {
                if is_cut {
                    self.width.too_much();
                } else {
                    self.width.answered(bare.len());
                }
                pulls::read(data, &absent, &bare)
            }
            Told::Limited(until) => {
                self.until = Some(until);
                return Ok(());
            }
            Told::TooMuch => {
                if !self.width.too_much() {
                    self.outage.failed("too much for GraphQL, even one at a time", now);
                }
                return Ok(());
            }
            Told::Denied(status) => {
                self.outage.failed(&format!("refused with {}", status.as_u16()), now);
                return Ok(());
            }
            Told::Failed(reason) => {
                self.outage.failed(&reason, now);
                return Ok(());
            }
        };
        self.outage.over();
        let mut activities = Vec::new();
        let mut statements = Vec::new();
        for ((bare, tries), told) in due.iter().zip(told) {
            if told == Pull::Untold && *tries < TRIES {
                statements.push(later(bare, *tries, now));
                continue;
            }
            statements.push(Statement::sql(
                "DELETE FROM bare_pull WHERE repo = $1 AND number = $2",
                vec![bare.repo.as_str().into(), bare.number.into()],
            ));
            if let Pull::Wrote(activity) = told {
                activities.push(*activity);
            }
        }
        self.ingest.accept(activities).await?;
        self.lease
            .write(&*self.ingest.store, statements)
            .await
            .context("taking pull requests off the list")
    }

    async fn due(&self, now: Timestamp) -> anyhow::Result<Vec<(Bare, u32)>> {
        let text =
            "SELECT repo, number, tries FROM bare_pull WHERE due_at <= $1 ORDER BY due_at, repo, number LIMIT $2";
        let limit = u64::try_from(self.width.get())?;
        let query = Statement::sql(text, vec![now.micros().into(), limit.into()]);
        let rows = self.ingest.store.read(query).await.context("reading pull requests")?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let repo = row.text(0)?.parse().map_err(|_| ColumnError {
                index: 0,
                expected: "repository's name",
            })?;
            let number = u64::try_from(row.int(1)?)?;
            due.push((Bare { repo, number }, u32::try_from(row.int(2)?)?));
        }
        Ok(due)
    }
}

fn later(bare: &Bare, tries: u32, now: Timestamp) -> Statement {
    let wait = FIRST_BACKOFF.saturating_mul(1 << tries.min(6));
    Statement::sql(
        "UPDATE bare_pull SET tries = tries + 1, due_at = $1 WHERE repo = $2 AND number = $3",
        vec![
            now.plus(wait).micros().into(),
            bare.repo.as_str().into(),
            bare.number.into(),
        ],
    )
}

/// The statements that note pull requests, if any account looks for keywords in such texts.
pub(super) async fn note(ingest: &Ingest, bare: &[Bare], now: Timestamp) -> anyhow::Result<Vec<Statement>> {
    if bare.is_empty() || !ingest.watchlist().await?.looks_in(ScanTarget::Prs) {
        return Ok(Vec::new());
    }
    let row = |bare: &Bare| {
        vec![
            bare.repo.as_str().into(),
            bare.number.into(),
            now.micros().into(),
            0_u32.into(),
        ]
    };
    Ok(vec![Statement::Insert {
        into: "bare_pull (repo, number, due_at, tries)",
        on_conflict: "ON CONFLICT DO NOTHING",
        rows: bare.iter().map(row).collect(),
    }])
}
