//! How far each source besides the events feeds was read, when it is due and how often. Used by the collectors; the API
//! shows when a source was last read.

use std::time::Duration;

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::{AccountId, Collector, Timestamp};

/// How far a source was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCursor {
    /// What it feeds: a repository, a keyword or a pack of keywords.
    pub subject: String,
    /// The source.
    pub collector: Collector,
    /// When it is due.
    pub next_at: Timestamp,
    /// The time between two looks at present.
    pub pace: Duration,
    /// When it was last read.
    pub last_success_at: Option<Timestamp>,
    /// When a look last showed less than had happened since the one before.
    pub last_gap_at: Option<Timestamp>,
    /// What was read up to, as the collector writes it.
    pub reached: Option<String>,
    /// Failures in a row.
    pub failures: u32,
}

/// What a repository, by its name in lower case, or a folded keyword is called among all that tokens are asked for. What is
/// read with an account's own token bears the account's name: neither names of repositories nor folded phrases have
/// capital letters.
pub fn key(account: Option<AccountId>, name: &str) -> String {
    match account {
        Some(account) => format!("{account}:{name}"),
        None => name.to_owned(),
    }
}

/// The account whose name such a key bears.
pub fn account_of(key: &str) -> Option<AccountId> {
    key.split_once(':')?.0.parse().ok()
}

/// A repository, by its key, among all that sources feed.
pub fn of_repo(key: &str) -> String {
    format!("repo:{key}")
}

/// A keyword, by its key, among all that sources feed.
pub fn of_keyword(key: &str) -> String {
    format!("keyword:{key}")
}

/// The key of the repository that a subject names.
pub fn repo_of(subject: &str) -> Option<&str> {
    subject.strip_prefix("repo:")
}

/// The keyword that a subject names, in its folded form.
pub fn keyword_of(subject: &str) -> Option<&str> {
    let key = subject.strip_prefix("keyword:")?;
    match account_of(key) {
        Some(_) => key.split_once(':').map(|(_, folded)| folded),
        None => Some(key),
    }
}

impl SourceCursor {
    /// One that was not looked at yet.
    pub const fn new(subject: String, collector: Collector, now: Timestamp, pace: Duration) -> Self {
        Self {
            subject,
            collector,
            next_at: now,
            pace,
            last_success_at: None,
            last_gap_at: None,
            reached: None,
            failures: 0,
        }
    }

    /// The statement that puts it down.
    pub(super) fn save(&self) -> Statement {
        Statement::insert(
            "source_cursor (subject, collector, next_at, pace, last_success_at, reached, failures, last_gap_at)",
            "ON CONFLICT (subject, collector) DO UPDATE SET next_at = excluded.next_at, pace = excluded.pace, \
             last_success_at = excluded.last_success_at, reached = excluded.reached, failures = excluded.failures, \
             last_gap_at = excluded.last_gap_at",
            vec![
                self.subject.as_str().into(),
                self.collector.as_str().into(),
                self.next_at.micros().into(),
                self.pace.as_secs().into(),
                self.last_success_at.map(Timestamp::micros).into(),
                self.reached.clone().into(),
                self.failures.into(),
                self.last_gap_at.map(Timestamp::micros).into(),
            ],
        )
    }

    fn load(row: &Row) -> Result<Self, ColumnError> {
        let word = |index, expected| move |_| ColumnError { index, expected };
        Ok(Self {
            subject: row.text(0)?.to_owned(),
            collector: row.text(1)?.parse().map_err(word(1, "collector"))?,
            next_at: Timestamp::from_micros(row.int(2)?),
            pace: Duration::from_secs(u64::try_from(row.int(3)?).unwrap_or(0)),
            last_success_at: row.find_int(4)?.map(Timestamp::from_micros),
            reached: row.find_text(5)?.map(str::to_owned),
            failures: u32::try_from(row.int(6)?).unwrap_or(u32::MAX),
            last_gap_at: row.find_int(7)?.map(Timestamp::from_micros),
        })
    }
}

/// How far all sources were read.
pub async fn all(store: &dyn Database) -> Result<Vec<SourceCursor>, DatabaseError> {
    let text = "SELECT subject, collector, next_at, pace, last_success_at, reached, failures, last_gap_at \
                FROM source_cursor ORDER BY subject, collector";
    let rows = store.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(SourceCursor::load).collect::<Result<_, _>>()?)
}
