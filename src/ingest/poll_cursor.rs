//! How far each tracked repository's events feed has been read, and how the last poll went. Used by the polls; the
//! API and the dashboard show it.

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::Timestamp;

use crate::github::events_feed::Mark;

/// How the last poll of a repository went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PollOutcome {
    /// Not asked yet.
    Waiting,
    /// The feed was read, or had nothing new.
    Ok,
    /// GitHub asked to wait.
    Limited,
    /// GitHub does not show it to us, or it is private.
    Denied,
    /// There is no such repository, or it is hidden from us.
    NotFound,
    /// No usable answer.
    Failed,
}

impl PollOutcome {
    const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Ok,
        Self::Limited,
        Self::Denied,
        Self::NotFound,
        Self::Failed,
    ];

    /// The word as the table and the API have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
        }
    }
}

/// How far a repository's feed has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollState {
    /// The repository's name in lower case; accounts that track the same one share the row.
    pub repo: String,
    /// How the last poll went.
    pub outcome: PollOutcome,
    /// When the feed was last read.
    pub last_success_at: Option<Timestamp>,
    /// When it will be asked for again.
    pub next_poll_at: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// When a poll last found that more had happened since the one before than the feed holds.
    pub last_gap_at: Option<Timestamp>,
    /// For asking only for what is new.
    pub(super) etag: Option<String>,
    /// The newest event read.
    pub(super) newest: Option<Mark>,
    /// The newest request to track the repository that the reading has served: a later one wants the whole feed.
    pub(super) serves: Option<Timestamp>,
}

impl PollState {
    /// A repository that was not asked for yet.
    pub(super) const fn new(repo: String, now: Timestamp) -> Self {
        Self {
            repo,
            outcome: PollOutcome::Waiting,
            last_success_at: None,
            next_poll_at: now,
            failures: 0,
            last_gap_at: None,
            etag: None,
            newest: None,
            serves: None,
        }
    }

    /// The statement that puts it down.
    pub(super) fn save(&self) -> Statement {
        let time = |time: Option<Timestamp>| time.map(Timestamp::micros).into();
        Statement::insert(
            "poll_cursor (repo, etag, last_event_id, last_event_at, next_poll_at, last_success_at, last_gap_at, \
             serves, failures, state)",
            "ON CONFLICT (repo) DO UPDATE SET etag = excluded.etag, last_event_id = excluded.last_event_id, \
             last_event_at = excluded.last_event_at, next_poll_at = excluded.next_poll_at, \
             last_success_at = excluded.last_success_at, last_gap_at = excluded.last_gap_at, \
             serves = excluded.serves, failures = excluded.failures, state = excluded.state",
            vec![
                self.repo.as_str().into(),
                self.etag.clone().into(),
                self.newest.as_ref().map(|mark| mark.id.as_str()).into(),
                time(self.newest.as_ref().map(|mark| mark.at)),
                self.next_poll_at.micros().into(),
                time(self.last_success_at),
                time(self.last_gap_at),
                time(self.serves),
                self.failures.into(),
                self.outcome.as_str().into(),
            ],
        )
    }

    fn load(row: &Row) -> Result<Self, ColumnError> {
        let time = |index| row.find_int(index).map(|micros| micros.map(Timestamp::from_micros));
        let outcome = row.text(9)?;
        Ok(Self {
            repo: row.text(0)?.to_owned(),
            etag: row.find_text(1)?.map(str::to_owned),
            newest: row
                .find_text(2)?
                .map(str::to_owned)
                .zip(time(3)?)
                .map(|(id, at)| Mark { id, at }),
            next_poll_at: Timestamp::from_micros(row.int(4)?),
            last_success_at: time(5)?,
            last_gap_at: time(6)?,
            serves: time(7)?,
            failures: u32::try_from(row.int(8)?).unwrap_or(u32::MAX),
            outcome: PollOutcome::ALL
                .into_iter()
                .find(|known| known.as_str() == outcome)
                .ok_or(ColumnError {
                    index: 9,
                    expected: "outcome of a poll",
                })?,
        })
    }
}

/// How far each repository's feed has been read, by lower-case name.
pub async fn poll_states(store: &dyn Database) -> Result<Vec<PollState>, DatabaseError> {
    let text = "SELECT repo, etag, last_event_id, last_event_at, next_poll_at, last_success_at, last_gap_at, serves, \
                failures, state FROM poll_cursor ORDER BY repo";
    let rows = store.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(PollState::load).collect::<Result<_, _>>()?)
}
