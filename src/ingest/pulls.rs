//! Reads the texts of pull requests that a feed told of by number alone, fifty at a time. Used by the scheduler.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{ColumnError, Statement};
use domain::{ScanTarget, Timestamp};

use super::accept::Ingest;
use super::outage::Outage;
use super::shards::Part;
use super::width::Width;
use crate::github::pulls::{self, Bare, Pull};
use crate::github::{Client, Told};

/// Pull requests in a query at most: fifty cost one point.
const MOST: usize = 50;
/// One that was not told of so often is given up; a search may still find it.
const TRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_mins(1);
/// All of them are read by one node, whoever noted them.
const SUBJECT: &str = "pulls";

/// The texts that are still to be read.
pub struct Pulls {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    width: Width,
    until: Option<Timestamp>,
    outage: Outage,
    /// When the first of them is due, as far as was looked.
    next_at: Option<Timestamp>,
}

impl Pulls {
    /// Goes on with those that were noted.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        let mut pulls = Self {
            ingest,
            client,
            part,
            width: Width::up_to(MOST),
            until: None,
            outage: Outage::none("reading of pull requests"),
            next_at: None,
        };
        pulls.look().await?;
        Ok(pulls)
    }

    /// Looks when the first of those noted is due, if they are this node's to read.
    pub async fn look(&mut self) -> anyhow::Result<()> {
        if !self.part.has(SUBJECT) {
            return Ok(());
        }
        let (own, like) = self.own();
        let text = format!("SELECT min(due_at) FROM bare_pull WHERE repo {own} $1");
        let query = Statement::sql(text, vec![like.into()]);
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
            Told::Data {
                data, absent, is_cut, ..
            } => {
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
                statements.push(self.later(bare, *tries, now));
                continue;
            }
            statements.push(Statement::sql(
                "DELETE FROM bare_pull WHERE repo = $1 AND number = $2",
                vec![self.part.key(bare.repo.as_str()).into(), bare.number.into()],
            ));
            if let Pull::Wrote(activity) = told {
                activities.push(*activity);
            }
        }
        self.ingest.accept_for(self.part.account(), activities).await?;
        self.part
            .write(&*self.ingest.store, [SUBJECT], statements)
            .await
            .context("taking pull requests off the list")
    }

    async fn due(&self, now: Timestamp) -> anyhow::Result<Vec<(Bare, u32)>> {
        let (own, like) = self.own();
        let text = format!(
            "SELECT repo, number, tries FROM bare_pull WHERE due_at <= $1 AND repo {own} $2 \
             ORDER BY due_at, repo, number LIMIT $3"
        );
        let limit = u64::try_from(self.width.get())?;
        let query = Statement::sql(text, vec![now.micros().into(), like.into(), limit.into()]);
        let rows = self.ingest.store.read(query).await.context("reading pull requests")?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let repo = row.text(0)?.rsplit(':').next().unwrap_or_default();
            let repo = repo.parse().map_err(|_| ColumnError {
                index: 0,
                expected: "repository's name",
            })?;
            let number = u64::try_from(row.int(1)?)?;
            due.push((Bare { repo, number }, u32::try_from(row.int(2)?)?));
        }
        Ok(due)
    }

    /// How the repositories are told from those of other tokens, in SQL.
    fn own(&self) -> (&'static str, String) {
        match self.part.account() {
            Some(account) => ("LIKE", format!("{account}:%")),
            None => ("NOT LIKE", "acct_%:%".to_owned()),
        }
    }

    fn later(&self, bare: &Bare, tries: u32, now: Timestamp) -> Statement {
        let wait = FIRST_BACKOFF.saturating_mul(1 << tries.min(6));
        Statement::sql(
            "UPDATE bare_pull SET tries = tries + 1, due_at = $1 WHERE repo = $2 AND number = $3",
            vec![
                now.plus(wait).micros().into(),
                self.part.key(bare.repo.as_str()).into(),
                bare.number.into(),
            ],
        )
    }
}

/// The statements that note pull requests, if any account looks for keywords in such texts.
pub(super) async fn note(
    ingest: &Ingest,
    part: &Part,
    bare: &[Bare],
    now: Timestamp,
) -> anyhow::Result<Vec<Statement>> {
    if bare.is_empty() || !ingest.watchlist().await?.looks_in(ScanTarget::Prs) {
        return Ok(Vec::new());
    }
    let row = |bare: &Bare| {
        vec![
            part.key(bare.repo.as_str()).into(),
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
