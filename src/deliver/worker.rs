//! One endpoint's worker: reads what follows its cursor, keeps some requests in flight, and writes down what came of them.
//!
//! Outcomes, retries and the cursor go to the store in one transaction, by way of the `clerk`, while further requests are under way. A crash at
//! any point repeats at most what was in flight or not yet written, with the same `webhook-id`; nothing is lost.
//!
//! Whoever works holds the endpoint's lease: every write stands under its fence, and no request goes out once it is lost.
//!
//! Requests, the reading of the log and the write are polled together: none of them waits for another, so that whatever
//! one of them holds, such as a turn in a queue, is used or given back.

mod mark;
mod outcomes;
mod reading;
mod sending;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use anyhow::Context as _;
use database::{Database, DatabaseError};
use domain::{DisabledReason, StartFrom, Timestamp};
use event_log::{EventLog, Position, Scope};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use projections::webhook_endpoints::WebhookEndpointRow;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::attempt::{Over, Target, Way};
use super::behind::Place;
use super::clerk::Clerk;
use super::cursor::{self, Cursor};
use super::health::Health;
use super::lane::{Lanes, Track};
use super::replay::{self, Replay};
use super::request::{Failure, Sender};
use super::slots::{AccountSlots, Slot, Slots};
use super::tail::Tail;
use crate::commands::{Writer, disable_webhook_endpoint};
use crate::lease::Lease;
use crate::metrics;
use crate::serve::Shutdown;
use mark::Mark;
use outcomes::Pending;
use reading::{Looking, Reading, Unlooked};

/// How long requests under way may go on once the process is to end.
const WIND_DOWN: Duration = Duration::from_secs(5);

type Sending = FuturesUnordered<BoxFuture<'static, anyhow::Result<Vec<Over>>>>;
type Taking = BoxFuture<'static, Option<Slot>>;
type Flush = BoxFuture<'static, Result<(), DatabaseError>>;

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

/// What the workers of a node share.
#[derive(Clone)]
pub struct Means {
    /// The log, the vault and the clock.
    pub writer: Arc<Writer>,
    /// Where cursors, retries and attempts are read …
    pub store: Arc<dyn Database>,
    /// … and the way they get there.
    pub clerk: Clerk,
    /// Makes the requests.
    pub sender: Sender,
    /// How many requests may be under way.
    pub slots: Arc<Slots>,
    /// The newest part of the log.
    pub tail: Arc<Tail>,
}

/// What a worker is told.
pub struct Told<'a> {
    /// The log or the time has moved.
    pub nudge: &'a Notify,
    /// Something is to be sent again.
    pub resend: &'a Notify,
    /// Where it says how far it is.
    pub place: &'a Place,
    /// The endpoint is to be left.
    pub stop: &'a Shutdown,
    /// The process is to end.
    pub end: &'a Shutdown,
}

/// One endpoint's worker.
pub struct Worker {
    writer: Arc<Writer>,
    store: Arc<dyn Database>,
    clerk: Clerk,
    slots: AccountSlots,
    tail: Arc<Tail>,
    endpoint: WebhookEndpointRow,
    lease: Lease,
    way: Arc<Way>,
    lanes: Lanes,
    health: Health,
    /// There as long as the breaker is open.
    broken: Option<Mark>,
    cursor: Cursor,
    /// Positions up to `cursor.seen` that the worker before this one left unsettled.
    left_over: BTreeSet<Position>,
    /// How far was read.
    read_to: Position,
    /// Whether the log may hold more after that.
    more: bool,
    unlooked: Unlooked,
    /// The replay that is under way.
    replay: Option<Replay>,
    pending: Pending,
    /// Whether the cursor's row is older than its memory.
    moved: bool,
    /// Not to be written before.
    next_flush: Instant,
    /// Why the endpoint is to be disabled, and what the last attempt failed with.
    verdict: Option<(DisabledReason, Failure)>,
}

impl Worker {
    /// A worker that goes on where the store says the last one was.
    pub async fn open(means: &Means, endpoint: WebhookEndpointRow, lease: Lease) -> anyhow::Result<Self> {
        let Means {
            writer,
            store,
            clerk,
            sender,
            slots,
            tail,
        } = means.clone();
        let target = Target::open(&writer, &endpoint)?;
        let loaded = cursor::load(&*store, endpoint.endpoint_id)
            .await
            .context("load the cursor")?;
        let mut waiting = cursor::waiting(&*store, endpoint.endpoint_id)
            .await
            .context("load the retries")?;
        // A first cursor is written at once, so that the endpoint's rows are found when it is removed.
        let (mut moved, mut pending) = (loaded.is_none(), Pending::default());
        let mut cursor = match loaded {
            Some(cursor) => cursor,
            None => first_cursor(&*writer.log, &endpoint).await?,
        };
        moved |= cursor.changed_at < endpoint.changed_at;
        if cursor.follow(&endpoint) {
            // The receiver before may have asked for a day. After any other change what waits keeps its time: else edits
            // alone would use up its attempts.
            let now = writer.clock.now();
            for item in &mut waiting {
                item.due_at = item.due_at.min(now);
            }
            pending.push(cursor::hasten(endpoint.endpoint_id, now));
        }
        let mut lanes = Lanes::default();
        for item in waiting {
            lanes.push(item, Position::START);
        }
        cursor.added_at = endpoint.added_at;
        let health = Health::left(cursor.health);
        Ok(Self {
            slots: slots.of_account(endpoint.account),
            way: Arc::new(Way {
                writer: writer.clone(),
                sender,
                target,
                lease: lease.clone(),
            }),
            writer,
            store,
            clerk,
            tail,
            endpoint,
            lease,
            lanes,
            broken: health.is_broken().then(Mark::new),
            health,
            left_over: cursor.unsettled.iter().copied().collect(),
            read_to: cursor.position,
            cursor,
            more: true,
            unlooked: Unlooked {
                resends: true,
                replays: true,
            },
            replay: None,
            pending,
            moved,
            next_flush: Instant::now(),
            verdict: None,
        })
    }

    /// Delivers until the lease is lost, the endpoint is disabled, or the worker is told to stop; then requests under way
    /// come to their end, unless the process is to end.
    pub async fn run(mut self, told: Told<'_>) -> anyhow::Result<Ended> {
        let mut flushing = None;
        let ended = self.work(told, &mut flushing).await;
        if let Some(flush) = flushing {
            // The next worker begins with what the store says: nothing of this one's is to get there after that.
            drop(flush.await);
        }
        match ended {
            Ok(ended) => Ok(ended),
            Err(error) if is_stale(&error) => Ok(Ended::Lost),
            Err(error) => Err(error),
        }
    }

    async fn work(&mut self, told: Told<'_>, flushing: &mut Option<Flush>) -> anyhow::Result<Ended> {
        let mut sending = Sending::new();
        let mut taking: Option<Taking> = None;
        let mut spare: Option<Slot> = None;
        let mut reading: Option<Reading> = None;
        let mut looking: Option<Looking> = None;
        let lease = self.lease.clone();
        let mut lost = pin!(lease.lost());
        while lease.is_held() && self.verdict.is_none() {
            if reading.is_none() {
                reading = self.read_more();
            }
            if looking.is_none() {
                looking = self.look();
            }
            self.start_due(&mut sending, &mut taking, spare.take());
            told.place.set(
                self.is_behind()
                    .then(|| self.lanes.settled_up_to(Track::Live, self.read_to)),
            );
            if flushing.is_none() && self.next_flush <= Instant::now() {
                *flushing = self.flush();
            }
            let wake = self.wake(sending.len(), taking.is_some(), flushing.is_some());
            tokio::select! {
                biased;
                () = told.stop.requested() => break,
                () = &mut lost => break,
                written = finished(flushing) => {
                    written.context("write the outcomes")?;
                    self.unlooked.replays |= self.pending.take_written();
                }
                stretch = finished(&mut reading) => self.take_in(stretch.context("read the log")?),
                found = finished(&mut looking) => self.take_found(found?),
                slot = finished(&mut taking) => spare = slot,
                Some(turns) = sending.next() => self.note_all(turns?),
                () = told.nudge.notified() => self.more = true,
                () = told.resend.notified() => self.unlooked.resends = true,
                () = sleep(wake.unwrap_or_default()), if wake.is_some() => {}
            }
        }
        drop((taking, spare));
        self.wind_down(sending, flushing.take(), told.end).await?;
        match self.verdict {
            _ if !lease.is_held() => Ok(Ended::Lost),
            Some(reason) => self.disable(reason).await.map(Ended::Disabled),
            None => Ok(Ended::Stopped),
        }
    }

    /// Lets requests under way come to their end, within a bound if the process is to `end`, and writes what came of them.
    async fn wind_down(&mut self, mut sending: Sending, flushing: Option<Flush>, end: &Shutdown) -> anyhow::Result<()> {
        let finish = async {
            while let Some(turns) = sending.next().await {
                self.note_all(turns?);
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
        tracing::warn!(%endpoint, %reason, last_failure = failure.as_str(), "a webhook endpoint was disabled");
        counter!(metrics::WEBHOOK_STOPS, "reason" => reason.as_str()).increment(1);
        // Once it is enabled again it begins with a clean record.
        self.cursor.forgive();
        self.health = Health::left(self.cursor.health);
        self.moved = true;
        if let Some(flush) = self.flush() {
            flush.await.context("write the cursor")?;
        }
        Ok(position)
    }

    /// Whether there is something that the endpoint was not told of at all.
    fn is_behind(&self) -> bool {
        self.more || self.lanes.unstored(Track::Live) > 0
    }

    fn scope(&self) -> Scope {
        Scope::Account(self.endpoint.account)
    }

    fn now(&self) -> Timestamp {
        self.writer.clock.now()
    }
}

/// The cursor of an endpoint that has heard nothing yet.
pub(super) async fn first_cursor(log: &dyn EventLog, endpoint: &WebhookEndpointRow) -> anyhow::Result<Cursor> {
    let position = match endpoint.start_from {
        StartFrom::Now => endpoint.added_at,
        StartFrom::Beginning => Position::START,
        StartFrom::Time(time) => {
            let begins = replay::before(log, Scope::Account(endpoint.account), time).await;
            begins.context("look for the place to begin at")?
        }
    };
    Ok(Cursor::new(position, endpoint.added_at))
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
