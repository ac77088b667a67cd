//! One endpoint's worker: reads what follows its cursor, keeps some requests in flight, and writes down what came of them.
//!
//! Outcomes, retries and the cursor go to the store in one transaction, while further requests are under way. A crash at
//! any point repeats at most what was in flight or not yet written, with the same `webhook-id`; nothing is lost.
//!
//! Whoever works holds the endpoint's lease: every write stands under its fence, and no request goes out once it is lost.
//!
//! Requests, the reading of the log and the write are polled together: none of them waits for another, so that whatever
//! one of them holds, such as a turn in a queue, is used or given back.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{counter, histogram};
use anyhow::Context as _;
use database::{Database, DatabaseError, Statement};
use domain::{DisabledReason, Event, StreamId};
use event_log::{Page, Position, ReadError, Scope};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use projections::webhook_endpoints::WebhookEndpointRow;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::attempt::{Target, Turn, take_turn};
use super::cursor::{self, Cursor, Made};
use super::lane::{Item, Lanes};
use super::request::{Failure, Sender};
use super::{body, schedule};
use crate::commands::{Writer, disable_webhook_endpoint};
use crate::lease::Lease;
use crate::metrics;
use crate::serve::Shutdown;

/// Requests of one endpoint under way at the same time.
const IN_FLIGHT: usize = 8;

/// Events read at a time.
const PAGE: usize = 128;

/// Events read ahead that only memory knows of: what a crash can repeat.
const AHEAD: usize = 256;

/// Events waiting for a retry or behind one, beyond which the worker reads no further: the log keeps the backlog.
const WAITING: usize = 1_000;

/// The longest sleep: the machine's clock may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// How long requests under way may go on once the process is to end.
const WIND_DOWN: Duration = Duration::from_secs(5);

type Sending = FuturesUnordered<BoxFuture<'static, (Item, anyhow::Result<Turn>)>>;
type Reading = BoxFuture<'static, Result<Page, ReadError>>;
type Flush = BoxFuture<'static, Result<Vec<u64>, DatabaseError>>;

/// Why a worker came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// It disabled its endpoint, by an event at this place in the log.
    Disabled(Position),
    /// It lost the lease: another node may go on where the store says the last one was.
    Lost,
}

/// One endpoint's worker.
pub struct Worker {
    writer: Arc<Writer>,
    store: Arc<dyn Database>,
    sender: Sender,
    endpoint: WebhookEndpointRow,
    lease: Lease,
    target: Arc<Target>,
    lanes: Lanes,
    cursor: Cursor,
    /// Positions up to `cursor.seen` that the worker before this one left unsettled.
    left_over: BTreeSet<Position>,
    /// How far was read.
    read_to: Position,
    /// Whether the log may hold more after that.
    more: bool,
    /// What is to be written with the next flush.
    pending: Vec<Statement>,
    /// Whether the cursor's row is older than its memory.
    moved: bool,
    /// Why the endpoint is to be disabled, and what the last attempt failed with.
    verdict: Option<(DisabledReason, Failure)>,
}

impl Worker {
    /// A worker that goes on where the store says the last one was.
    pub async fn open(
        writer: Arc<Writer>,
        store: Arc<dyn Database>,
        sender: Sender,
        endpoint: WebhookEndpointRow,
        lease: Lease,
    ) -> anyhow::Result<Self> {
        let target = Arc::new(Target::open(&writer, &endpoint)?);
        let loaded = cursor::load(&*store, endpoint.endpoint_id)
            .await
            .context("load the cursor")?;
        let waiting = cursor::waiting(&*store, endpoint.endpoint_id)
            .await
            .context("load the retries")?;
        let mut lanes = Lanes::default();
        for item in waiting {
            lanes.push(item, Position::START);
        }
        // A first cursor is written at once, so that the endpoint's rows are found when it is removed.
        let moved = loaded.is_none();
        let cursor = loaded.unwrap_or_else(|| Cursor::new(endpoint.added_at));
        Ok(Self {
            writer,
            store,
            sender,
            endpoint,
            lease,
            target,
            lanes,
            left_over: cursor.unsettled.iter().copied().collect(),
            read_to: cursor.position,
            cursor,
            more: true,
            pending: Vec::new(),
            moved,
            verdict: None,
        })
    }

    /// Delivers until the lease is lost, the endpoint is disabled, or the worker is told to `stop`; then requests under way
    /// come to their end, unless the process is to `end`. A `nudge` says that the log or the time has moved.
    pub async fn run(mut self, nudge: &Notify, stop: &Shutdown, end: &Shutdown) -> anyhow::Result<Ended> {
        match self.work(nudge, stop, end).await {
            Ok(ended) => Ok(ended),
            Err(error) if is_stale(&error) => Ok(Ended::Lost),
            Err(error) => Err(error),
        }
    }

    async fn work(&mut self, nudge: &Notify, stop: &Shutdown, end: &Shutdown) -> anyhow::Result<Ended> {
        let mut sending = Sending::new();
        let mut reading: Option<Reading> = None;
        let mut flushing: Option<Flush> = None;
        let lease = self.lease.clone();
        let mut lost = pin!(lease.lost());
        while lease.is_held() && self.verdict.is_none() {
            if reading.is_none() && self.wants_more() {
                reading = Some(self.read_more());
            }
            self.start_due(&mut sending);
            if flushing.is_none() {
                flushing = self.flush();
            }
            let until_due = self.until_due();
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = &mut lost => break,
                Some((item, turn)) = sending.next() => self.note(item, turn?),
                written = finished(&mut flushing) => {
                    written.context("write the outcomes")?;
                }
                page = finished(&mut reading) => self.take_in(page.context("read the log")?),
                () = nudge.notified() => self.more = true,
                () = sleep(until_due.unwrap_or_default()), if until_due.is_some() => {}
            }
        }
        self.wind_down(sending, flushing, end).await?;
        match self.verdict {
            _ if !lease.is_held() => Ok(Ended::Lost),
            Some(reason) => self.disable(reason).await.map(Ended::Disabled),
            None => Ok(Ended::Stopped),
        }
    }

    fn wants_more(&self) -> bool {
        self.more && self.lanes.unstored() < AHEAD && self.lanes.unsettled() < WAITING
    }

    /// Begins to read the next page of the account's part of the log.
    fn read_more(&mut self) -> Reading {
        // Before the reading: news that come meanwhile may be missing in it.
        self.more = false;
        let (log, from) = (self.writer.log.clone(), self.read_to);
        let scope = Scope::Account(self.endpoint.account);
        Box::pin(async move { log.read(scope, from, PAGE).await })
    }

    /// Takes a page into the lanes.
    fn take_in(&mut self, page: Page) {
        let now = self.writer.clock.now();
        let mut before = self.read_to;
        for recorded in page.events {
            let (position, stream) = (recorded.position, recorded.stream.clone());
            let is_erasure = matches!(recorded.event, Event::LeadErased(_));
            let is_new = position > self.cursor.seen || self.left_over.remove(&position);
            let wanted = body::event_type(&recorded.event).is_some_and(|kind| self.endpoint.events.contains(&kind));
            if is_new && wanted {
                let item = Item {
                    position,
                    stream: stream.clone(),
                    attempts: 0,
                    due_at: now,
                    stored: false,
                    recorded: body::stands_alone(&recorded).then_some(recorded),
                };
                self.lanes.push(item, before);
                self.store_lane(&stream, None);
            }
            if is_erasure {
                // What waits for a retry is not sent any more, so that there is nothing to wait for.
                self.lanes.hasten(&stream, now);
            }
            before = position;
        }
        self.read_to = page.looked_to.max(self.read_to);
        self.more |= self.read_to < page.head;
    }

    fn start_due(&mut self, sending: &mut Sending) {
        let now = self.writer.clock.now();
        if self.cursor.silent_until.is_some_and(|until| now < until) {
            return;
        }
        while self.lanes.in_flight() < IN_FLIGHT {
            let Some(item) = self.lanes.take_due(now) else { return };
            let (writer, sender, lease) = (self.writer.clone(), self.sender.clone(), self.lease.clone());
            sending.push(Box::pin(take_turn(writer, sender, self.target.clone(), lease, item)));
        }
    }

    /// How long until there is something to send; none: not before something else happens.
    fn until_due(&self) -> Option<Duration> {
        if self.lanes.in_flight() >= IN_FLIGHT {
            return None;
        }
        let due = self.lanes.next_due()?;
        let due = self.cursor.silent_until.map_or(due, |until| due.max(until));
        Some(
            due.since(self.writer.clock.now())
                .clamp(Duration::from_millis(1), LONGEST_SLEEP),
        )
    }

    /// Notes what came of an event's turn.
    fn note(&mut self, item: Item, turn: Turn) {
        self.moved = true;
        match turn {
            Turn::NotOurs => {}
            Turn::Filtered => self.settle(&item.stream),
            Turn::Erased(skipped) => {
                self.pending.push(skipped.statement(self.endpoint.endpoint_id));
                self.settle(&item.stream);
            }
            Turn::Unrenderable(reason) => {
                tracing::error!(
                    endpoint = %self.endpoint.endpoint_id,
                    position = %item.position,
                    reason = &reason as &dyn std::error::Error,
                    "an event cannot be told to a webhook endpoint"
                );
                self.park(&item.stream, Failure::Unrenderable);
            }
            Turn::Made(made) => {
                self.pending.push(made.statement(self.endpoint.endpoint_id));
                count(&made);
                match made.outcome.failure {
                    None => self.note_success(&item),
                    Some(failure) => self.note_failure(item, &made, failure),
                }
            }
        }
    }

    fn note_success(&mut self, item: &Item) {
        self.cursor.failing_since = None;
        self.cursor.failures = 0;
        self.settle(&item.stream);
    }

    fn note_failure(&mut self, mut item: Item, made: &Made, failure: Failure) {
        let now = self.writer.clock.now();
        let since = *self.cursor.failing_since.get_or_insert(made.at);
        self.cursor.failures = self.cursor.failures.saturating_add(1);
        let asked = made.outcome.asked_to_wait;
        if let Some(asked) = asked {
            let until = schedule::silent_until(now, asked);
            self.cursor.silent_until = self.cursor.silent_until.max(Some(until));
        }
        let gone = made.outcome.status == Some(410);
        if gone {
            self.verdict = Some((DisabledReason::Gone, failure));
        } else if schedule::is_given_up(since, self.cursor.failures, now) {
            self.verdict = self.verdict.or(Some((DisabledReason::Failing, failure)));
        }
        match schedule::next_attempt(made.number, now, asked, self.entropy()) {
            // An endpoint that is gone is disabled, and its events stay: they are its to take once it is enabled again.
            None if !gone => self.park(&item.stream, failure),
            next => {
                let due_at = next.unwrap_or(now);
                self.lanes.put_off(&item.stream, due_at);
                item.attempts = made.number;
                item.due_at = due_at;
                self.put(&item, Some(failure));
                self.store_lane(&item.stream, Some(item.position));
            }
        }
    }

    /// Jitter's share of the clock's randomness.
    fn entropy(&self) -> u64 {
        u64::try_from(self.writer.clock.entropy() & u128::from(u64::MAX)).unwrap_or(0)
    }

    /// The first event of the lane is done with.
    fn settle(&mut self, stream: &StreamId) {
        if let Some(item) = self.lanes.settle(stream)
            && item.stored
        {
            self.pending
                .push(cursor::take(self.endpoint.endpoint_id, item.position));
        }
    }

    /// The first event of the lane has failed for good. Its row stays, to be sent again by hand.
    fn park(&mut self, stream: &StreamId, failure: Failure) {
        if let Some(mut item) = self.lanes.settle(stream) {
            item.attempts += 1;
            self.pending
                .push(cursor::put(self.endpoint.endpoint_id, &item, Some(failure), true));
        }
    }

    fn put(&mut self, item: &Item, failure: Option<Failure>) {
        self.pending
            .push(cursor::put(self.endpoint.endpoint_id, item, failure, false));
    }

    /// Hands the lane to `webhook_retry` if its first event is being retried. `written`: has its row already.
    fn store_lane(&mut self, stream: &StreamId, written: Option<Position>) {
        for item in self.lanes.store(stream) {
            if Some(item.position) != written {
                self.put(&item, None);
            }
        }
    }

    /// Everything that is to be written, as one transaction under the fence; none if nothing is.
    fn flush(&mut self) -> Option<Flush> {
        if !self.moved && self.pending.is_empty() {
            return None;
        }
        self.moved = false;
        let seen = self.read_to.max(self.cursor.seen);
        self.cursor.position = self.lanes.settled_up_to(self.read_to);
        let unread = self.left_over.iter().copied();
        let unsettled: BTreeSet<Position> = self.lanes.unstored_positions().chain(unread).collect();
        self.cursor.unsettled = unsettled.into_iter().collect();
        let row = Cursor {
            seen,
            ..self.cursor.clone()
        };
        let mut statements = std::mem::take(&mut self.pending);
        statements.push(row.statement(self.endpoint.account, self.endpoint.endpoint_id));
        let (store, statements) = (self.store.clone(), self.lease.fenced(statements));
        Some(Box::pin(async move { store.write(statements).await }))
    }

    /// Lets requests under way come to their end, within a bound if the process is to `end`, and writes what came of them.
    async fn wind_down(&mut self, mut sending: Sending, flushing: Option<Flush>, end: &Shutdown) -> anyhow::Result<()> {
        let finish = async {
            while let Some((item, turn)) = sending.next().await {
                self.note(item, turn?);
            }
            anyhow::Ok(())
        };
        let finish = async {
            tokio::select! {
                finished = finish => finished,
                // What is abandoned was not written as settled, so it is sent again.
                () = too_long(end) => Ok(()),
            }
        };
        let (finished, written) = tokio::join!(finish, OptionFuture::from(flushing));
        drop(sending);
        written.transpose().context("write the outcomes")?;
        self.moved = true;
        if let Some(flush) = self.flush() {
            flush.await.context("write the outcomes")?;
        }
        finished
    }

    async fn disable(&mut self, (reason, failure): (DisabledReason, Failure)) -> anyhow::Result<Position> {
        let (account, endpoint) = (self.endpoint.account, self.endpoint.endpoint_id);
        let position = disable_webhook_endpoint(&self.writer, account, endpoint, reason, failure.as_str())
            .await
            .context("disable the endpoint")?;
        tracing::warn!(%endpoint, %reason, "a webhook endpoint was disabled");
        // Once it is enabled again it begins with a clean record.
        self.cursor.failing_since = None;
        self.cursor.failures = 0;
        self.cursor.silent_until = None;
        self.moved = true;
        if let Some(flush) = self.flush() {
            flush.await.context("write the cursor")?;
        }
        Ok(position)
    }
}

/// Returns once the process has been ending for as long as requests may still take.
async fn too_long(end: &Shutdown) {
    end.requested().await;
    sleep(WIND_DOWN).await;
}

/// Whether a write was refused since the lease is another node's by now.
fn is_stale(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(DatabaseError::Stale))
}

/// Waits for the future, if there is one, and takes it away once it has ended. What waits may stop at any time and
/// begin again.
async fn finished<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(running) => {
            let outcome = running.await;
            *future = None;
            outcome
        }
        None => std::future::pending().await,
    }
}

fn count(made: &Made) {
    let outcome = made.outcome.failure.map_or("delivered", Failure::as_str);
    counter!(metrics::WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1);
    histogram!(metrics::WEBHOOK_SECONDS).record(made.outcome.took);
}
