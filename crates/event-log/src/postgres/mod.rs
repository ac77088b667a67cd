//! The log in a PostgreSQL database: the adapter for any number of processes on one log.
//!
//! **Appends.** One task a process writes ([`writer`]), on a connection of its own. It folds all appends that wait into
//! a [`group`], and a group into one statement, which is one transaction and one commit. The statement moves the head row
//! (`migrations/0005_log_head.sql`) by the number of events and inserts them behind where it stood. Whoever else appends
//! waits at that row until this commit is done and goes on from there; hence positions have no gaps and are in commit
//! order, and no reader sees one before its predecessors. Nothing is held between two messages, so that a process that is
//! stopped in the middle stops nobody else.
//!
//! The statement does nothing if a stream does not have the expected version; should it overlook that, since another
//! process was first, the unique keys fail it. Then, and whenever a connection was lost on the way, the group is
//! [`settle`]d: with the head row locked, each append is judged by what the log holds. What is there already is told as
//! such and what is not is written, so that no doubt stays about a commit whose answer never came.
//!
//! **Reads** ([`read`]) are a statement each, on the pool, events and head in one snapshot. **Waiting** ([`follow`]): own
//! appends tell at once, those of others by a notification, and behind it stands a slow poll.

mod follow;
mod group;
mod judge;
mod read;
mod session;
mod settle;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use database::{Database, DatabaseError, Postgres, Statement};
use domain::{StreamId, Timestamp};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::codec::EncodedAppend;
use crate::{AppendError, EventLog, Page, Position, ReadError, Recorded, Scope, StreamAppend};
use follow::Reached;
use group::{Answer, Job, Verdict};
use writer::Writer;

/// Appends that may wait; the next one is refused.
const QUEUE: usize = 4_096;

/// How long things take.
#[derive(Clone, Copy)]
struct Pace {
    /// How long the server may be away until those who wait for their appends are told.
    patience: Duration,
    /// How long what others appended may go unnoticed if no notification comes.
    poll: Duration,
}

const PACE: Pace = Pace {
    patience: Duration::from_secs(10),
    poll: Duration::from_millis(500),
};

/// The log in the tables `events` and `log_head` of a migrated database.
pub struct PostgresLog {
    database: Postgres,
    queue: mpsc::Sender<Job>,
    reached: Arc<Reached>,
    /// Ends with the log.
    _follower: JoinSet<()>,
}

impl PostgresLog {
    /// The log in this database, whose schema is in place.
    pub async fn open(database: Postgres) -> Result<Self, ReadError> {
        Self::open_with(database, PACE).await
    }

    async fn open_with(database: Postgres, pace: Pace) -> Result<Self, ReadError> {
        let reached = Arc::new(Reached::new(establish_head(&database).await?));
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(Writer::new(database.clone(), Arc::clone(&reached), pace.patience).run(jobs));
        let mut follower = JoinSet::new();
        follower.spawn(follow::run(database.clone(), Arc::clone(&reached), pace.poll));
        Ok(Self {
            database,
            queue,
            reached,
            _follower: follower,
        })
    }

    /// Hands the appends to the task that writes, and makes answers of what it says.
    async fn write(&self, appends: Vec<EncodedAppend>) -> Result<Vec<Answer>, Refusal> {
        let (answer, answered) = oneshot::channel();
        let queued = self.queue.try_send(Job { appends, answer });
        queued.map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Busy,
            TrySendError::Closed(_) => Refusal::Ended,
        })?;
        let verdicts = answered.await.map_err(|_| Refusal::Ended)?;
        let answers = verdicts.into_iter().map(|(encoded, verdict)| match verdict {
            Verdict::Written(end) => Ok(end.appended(encoded.append)),
            Verdict::Settled(answer) => answer,
        });
        Ok(answers.collect())
    }
}

/// Why appends never reached the server.
#[derive(Clone, Copy)]
enum Refusal {
    Busy,
    Ended,
}

impl From<Refusal> for AppendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy => Self::Busy,
            Refusal::Ended => Self::Storage(Box::new(DatabaseError::Closed)),
        }
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut appends = Vec::with_capacity(batch.len());
        for append in batch {
            // Encoded here, on the caller's thread: the one writer is the narrow place.
            answers.push(encode(append).map(|append| appends.push(append)));
        }
        if appends.is_empty() {
            return answers.into_iter().filter_map(Result::err).map(Err).collect();
        }
        let written = self.write(appends).await;
        let refusal = written.as_ref().err().copied().unwrap_or(Refusal::Ended);
        let mut written = written.unwrap_or_default().into_iter();
        let answer =
            |valid: Result<(), AppendError>| valid.and_then(|()| written.next().unwrap_or(Err(refusal.into())));
        answers.into_iter().map(answer).collect()
    }

    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        read::streams(&self.database, streams).await
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        read::page(&self.database, scope, after, limit).await
    }

    async fn head(&self) -> Result<Position, ReadError> {
        read::head(&self.database).await
    }

    async fn advance_time(&self, time: Timestamp) -> Result<(), ReadError> {
        // Whoever holds the row is waited for.
        let text = "UPDATE log_head SET recorded_at = $1 WHERE id = 1 AND recorded_at < $1";
        let moved = self
            .database
            .write(vec![Statement::sql(text, vec![time.micros().into()])]);
        moved.await.map(drop).map_err(ReadError::from)
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.reached.beyond(after, at_most).await;
    }
}

fn encode(append: StreamAppend) -> Result<EncodedAppend, AppendError> {
    if append.events.is_empty() {
        return Err(AppendError::Empty);
    }
    EncodedAppend::new(append).map_err(|error| AppendError::Storage(Box::new(error)))
}

/// Why a database is no log.
#[derive(Debug, thiserror::Error)]
#[error(
    "log_head says that the log ends at {head}, but its last event stands at {last}; both tables must come from one backup"
)]
struct HeadsDiffer {
    head: i64,
    last: i64,
}

/// Makes the head row, if nobody has done so yet. Where the log ends.
async fn establish_head(database: &Postgres) -> Result<Position, ReadError> {
    let make = "INSERT INTO log_head (id, position, recorded_at, floor)
        SELECT 1, coalesce(max(position), 0), coalesce(max(recorded_at), $1), coalesce(max(recorded_at), $1)
        FROM (SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1) AS last
        ON CONFLICT DO NOTHING";
    database
        .write(vec![Statement::sql(make, vec![i64::MIN.into()])])
        .await?;
    let look = "SELECT position, (SELECT coalesce(max(position), 0) FROM events) FROM log_head WHERE id = 1";
    let rows = database.read(Statement::sql(look, Vec::new())).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let (head, last) = (
        row.int(0).map_err(DatabaseError::from)?,
        row.int(1).map_err(DatabaseError::from)?,
    );
    if head != last {
        return Err(ReadError::Storage(Box::new(HeadsDiffer { head, last })));
    }
    Ok(u64::try_from(head).map(Position::new).unwrap_or_default())
}

#[cfg(test)]
mod tests;
