//! GitHub's public number of stars of each tracked repository: the last one, and the one that coverage is held against.
//!
//! Used by the sweep that counts; the API shows it.

use std::time::Duration;

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::Timestamp;

/// So long after a count captured stars are held against it: GitHub's events feed may lag by 30 seconds to 6 hours
/// (<https://docs.github.com/rest/activity/events>).
pub const FEED_LAG: Duration = Duration::from_hours(6);

/// What is known of a repository's number of stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The repository's name in lower case; accounts that track the same one share the row.
    pub repo: String,
    /// The last count.
    pub stars: u64,
    /// When that was.
    pub counted_at: Timestamp,
    /// The count that captured stars are held against.
    pub held_stars: u64,
    /// When that was.
    pub held_at: Timestamp,
    /// When it is to be counted again.
    pub next_at: Timestamp,
    /// The time between two counts at present.
    pub pace: Duration,
    /// Whether it was said to be public the last time that anything was said of it.
    pub is_public: bool,
}

impl Counted {
    /// A first count, which captured stars are held against in time, of one that is not known to be public yet.
    pub(super) fn first(repo: &str, stars: u64, now: Timestamp, pace: Duration) -> Self {
        Self {
            repo: repo.to_owned(),
            stars,
            counted_at: now,
            held_stars: stars,
            held_at: now,
            next_at: now.plus(pace),
            pace,
            is_public: false,
        }
    }

    /// The statement that puts it down.
    pub(super) fn save(&self) -> Statement {
        Statement::insert(
            "star_count (repo, stars, counted_at, held_stars, held_at, next_at, pace, is_public)",
            "ON CONFLICT (repo) DO UPDATE SET stars = excluded.stars, counted_at = excluded.counted_at, \
             held_stars = excluded.held_stars, held_at = excluded.held_at, next_at = excluded.next_at, \
             pace = excluded.pace, is_public = excluded.is_public",
            vec![
                self.repo.as_str().into(),
                self.stars.into(),
                self.counted_at.micros().into(),
                self.held_stars.into(),
                self.held_at.micros().into(),
                self.next_at.micros().into(),
                self.pace.as_secs().into(),
                i64::from(self.is_public).into(),
            ],
        )
    }

    fn load(row: &Row) -> Result<Self, ColumnError> {
        let time = |index| row.int(index).map(Timestamp::from_micros);
        let number = |index| {
            let number = row.int(index)?;
            u64::try_from(number).map_err(|_| ColumnError {
                index,
                expected: "BIGINT from 0",
            })
        };
        Ok(Self {
            repo: row.text(0)?.to_owned(),
            stars: number(1)?,
            counted_at: time(2)?,
            held_stars: number(3)?,
            held_at: time(4)?,
            next_at: time(5)?,
            pace: Duration::from_secs(number(6)?),
            is_public: row.int(7)? != 0,
        })
    }
}

/// The counts of all repositories.
pub async fn all(store: &dyn Database) -> Result<Vec<Counted>, DatabaseError> {
    let text =
        "SELECT repo, stars, counted_at, held_stars, held_at, next_at, pace, is_public FROM star_count ORDER BY repo";
    let rows = store.read(Statement::sql(text, Vec::new())).await?;
    Ok(rows.iter().map(Counted::load).collect::<Result<_, _>>()?)
}

/// The counts of one repository, by its name in lower case.
pub async fn find(store: &dyn Database, repo: &str) -> Result<Option<Counted>, DatabaseError> {
    let text =
        "SELECT repo, stars, counted_at, held_stars, held_at, next_at, pace, is_public FROM star_count WHERE repo = $1";
    let rows = store.read(Statement::sql(text, vec![repo.into()])).await?;
    Ok(rows.first().map(Counted::load).transpose()?)
}
