//! The log on KurrentDB (or EventStoreDB from 22.10 on): the adapter for installations that have such a cluster.
//!
//! An event is a JSON event of the stream that [`domain::StreamId`] names, under the writer's id as a UUID; its metadata
//! holds `schema_version` and `recorded_at`. Positions are commit positions of `$all`: they grow with the log, and other
//! applications and the server itself write between ours, so they are far apart. Every read goes to the leader and is
//! filtered by the server to our streams.
//!
//! What is different from a log with tables:
//!
//! * **Several streams in one append are several transactions.** The events of one stream are taken whole or refused
//!   whole; streams are written concurrently, and appends to the same stream in their order. If the process or the
//!   server ends in the middle, some are there and others are not. Whoever appends again with the same ids at the same
//!   expected versions, as commands do on [`AppendError::Unknown`], gets the first answer for those that are there.
//! * **Ids are compared within a stream only**, and only where the append would go. An id that stands in another stream,
//!   or earlier in the same one, is not noticed. Ids are ULIDs of the writer, so that only a mistake could repeat one.
//! * **`recorded_at` is the server's time.** The leader puts its clock's time on each event while it writes the log one
//!   event after the other; times that writers bring along would go back and forth where their clocks disagree. The
//!   writer's time is kept in the metadata. It can go back only where the leader's clock is set back, or where the next
//!   leader's clock is behind: keep the nodes' clocks in step.

mod append;
mod connection;
mod encoding;
mod follow;
mod names;
mod read;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{StreamId, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use connection::Connection;
pub use connection::OpenError;
use names::Names;

use crate::{AppendError, Appended, EventLog, Page, Position, ReadError, Recorded, Scope, StreamAppend};

/// Streams of one call that are written or read at once.
const AT_ONCE: usize = 16;

/// A log on a KurrentDB server or cluster.
pub struct KurrentLog {
    server: Arc<Server>,
    /// The last position that this process heard of.
    head: watch::Sender<Position>,
    follower: AbortHandle,
}

/// The server, and how our streams are named there.
struct Server {
    connection: Connection,
    names: Names,
}

impl KurrentLog {
    /// The log behind a connection string, `kurrentdb://host:port?…` or `kurrentdb+discover://…` (`esdb://` is taken as
    /// well). It connects when it is used first, and again whenever it has to.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_named(url, Names::default())
    }

    fn open_named(url: &str, names: Names) -> Result<Self, OpenError> {
        let connection = Connection::open(url)?;
        let server = Arc::new(Server { connection, names });
        let head = watch::Sender::new(Position::START);
        let follower = tokio::spawn(follow::run(Arc::clone(&server), head.clone()));
        Ok(Self {
            server,
            head,
            follower: follower.abort_handle(),
        })
    }

    /// Appends to one stream, in order; the answers with their places in the batch.
    async fn append_in_order(
        &self,
        appends: Vec<(usize, StreamAppend)>,
    ) -> Vec<(usize, Result<Appended, AppendError>)> {
        let mut answers = Vec::new();
        for (index, append) in appends {
            let answer = self.server.append(append).await;
            if let Ok(appended) = &answer {
                raise(&self.head, appended.position());
            }
            answers.push((index, answer));
        }
        answers
    }
}

/// The follower ends with the log.
impl Drop for KurrentLog {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

#[async_trait]
impl EventLog for KurrentLog {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
        let groups = by_stream(batch).into_iter().map(|group| self.append_in_order(group));
        let answers: Vec<Vec<_>> = stream::iter(groups).buffer_unordered(AT_ONCE).collect().await;
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        let read = |stream: StreamId| async move { self.server.stream_after(&stream, 0, usize::MAX).await };
        let reads = streams.iter().cloned().map(read);
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        // The head first: whatever the page passes over was there to be looked at.
        let head = self.server.head().await?;
        let events = self.server.all_after(scope, after, limit).await?;
        let head = events.last().map_or(head, |last| head.max(last.position));
        raise(&self.head, head);
        Ok(Page::new(events, head, limit))
    }

    async fn head(&self) -> Result<Position, ReadError> {
        let head = self.server.head().await?;
        raise(&self.head, head);
        Ok(head)
    }

    /// Looked for from the end, as far back as the time lies: the server reads from the positions of events alone, so that
    /// nothing can be asked for in the middle of the log.
    async fn position_at(&self, scope: Scope, time: Timestamp) -> Result<Position, ReadError> {
        self.server.last_by(scope, time).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        let mut head = self.head.subscribe();
        // Both ends of the wait mean the same to the caller: read and see.
        let _ = timeout(at_most, head.wait_for(|head| *head > after)).await;
    }
}

/// The appends of each stream, in the order of the batch, with their places in it.
fn by_stream(batch: Vec<StreamAppend>) -> Vec<Vec<(usize, StreamAppend)>> {
    let mut groups: Vec<Vec<(usize, StreamAppend)>> = Vec::new();
    let mut places: HashMap<StreamId, usize> = HashMap::new();
    for (index, append) in batch.into_iter().enumerate() {
        let place = *places.entry(append.stream.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push((index, append)),
            None => groups.push(vec![(index, append)]),
        }
    }
    groups
}

/// Tells those who wait of a position, if it is news.
fn raise(head: &watch::Sender<Position>, to: Position) {
    head.send_if_modified(|head| std::mem::replace(head, to.max(*head)) < to);
}

#[cfg(test)]
mod tests;
