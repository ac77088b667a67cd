//! Keeps one worker going for every active endpoint that is this node's: starts and stops them as endpoints and nodes come
//! and go, starts them again after a failure, and nudges those whose account has news. Kept running by `serve`.
//!
//! It reads the newest part of the log once, for all of them.
//!
//! Endpoints are divided among the nodes that deliver. Which node one belongs to is a matter of speed: that no two
//! deliver to it is the matter of its lease, which the new node waits for until the old one has given it back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::Database;
use domain::{AccountId, Timestamp, WebhookEndpointId};
use event_log::{Position, Scope};
use projections::freshness::Freshness;
use projections::webhook_endpoints::{self, WebhookEndpointRow};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep};

use super::behind::{Behind, Place};
use super::clerk::Clerk;
use super::cursor;
use super::request::Sender;
use super::resend;
use super::slots::Slots;
use super::tail::Tail;
use super::worker::{self, Ended, Means, Worker};
use crate::commands::Writer;
use crate::lease::{Leases, Role, Share};
use crate::serve::Shutdown;

/// The projection that says which endpoints there are.
const ENDPOINTS: &str = "webhook_endpoints";

/// Events looked at in one go for whose account has news.
const PAGE: usize = 1_000;

/// How long the log may be silent before the dispatcher looks after the endpoints all the same.
const TICK: Duration = Duration::from_secs(1);

/// The first and the longest pause before a failed worker is started again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How often is looked how far endpoints are behind.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// How long attempts are kept for the customer to look at, and how often older ones are removed.
const KEEP_ATTEMPTS: Duration = Duration::from_hours(30 * 24);
const PRUNE_EVERY: Duration = Duration::from_hours(1);
const PRUNING: &str = "pruning";

/// What deliveries need.
#[derive(Clone)]
pub struct Deliveries {
    /// The log, the vault and the clock; and the way to disable an endpoint.
    pub writer: Arc<Writer>,
    /// Where cursors, retries and attempts are kept: `gitleads.db`.
    pub store: Arc<dyn Database>,
    /// The read models.
    pub views: Arc<dyn Database>,
    /// How far the read models are.
    pub freshness: Freshness,
    /// Makes the requests.
    pub sender: Sender,
    /// What keeps two nodes from delivering to one endpoint.
    pub leases: Leases,
    /// Says that time has moved. Only a clock that is set by hand needs it.
    pub nudge: Arc<Notify>,
}

/// Delivers until it is time to end; then requests under way have some seconds to come to their end.
pub async fn run(deliveries: Deliveries, shutdown: Shutdown) -> anyhow::Result<()> {
    let Some(head) = caught_up(&deliveries, &shutdown).await? else {
        return Ok(());
    };
    let tail = Arc::new(Tail::new());
    tail.extend(head, Vec::new(), head);
    let mut dispatcher = Dispatcher {
        share: deliveries.leases.share(Role::Deliver),
        means: Means {
            writer: deliveries.writer.clone(),
            store: deliveries.store.clone(),
            clerk: Clerk::start(deliveries.store.clone()),
            sender: deliveries.sender.clone(),
            slots: Slots::new(),
            tail,
        },
        deliveries,
        end: shutdown.clone(),
        workers: HashMap::new(),
        tasks: JoinSet::new(),
        looked_to: head,
        listed_at: Position::START,
        asked_at: Instant::now(),
        measured_at: None,
        pruned_at: Timestamp::default(),
    };
    dispatcher.reconcile().await?;
    while !shutdown.is_requested() {
        dispatcher.step(&shutdown).await?;
    }
    dispatcher.close().await;
    Ok(())
}

/// Waits until the read models hold what the log says now: before that, they may show an endpoint that was removed.
/// The log's head; none if it is time to stop.
async fn caught_up(deliveries: &Deliveries, shutdown: &Shutdown) -> anyhow::Result<Option<Position>> {
    let head = deliveries.writer.log.head().await.context("read the log's head")?;
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(None),
            reached = deliveries.freshness.reached(head, TICK) => {
                if reached {
                    return Ok(Some(head));
                }
                // Answers at once if the runner is gone, so that the wait needs a floor.
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// A worker that runs.
struct Running {
    account: AccountId,
    /// The endpoint as it was then.
    changed_at: Position,
    task: Id,
    nudge: Arc<Notify>,
    resend: Arc<Notify>,
    place: Place,
    stop: watch::Sender<bool>,
}

/// What a worker is told.
struct Told {
    /// There are news.
    nudge: Arc<Notify>,
    /// Something is to be sent again.
    resend: Arc<Notify>,
    /// Where to say how far it is.
    place: Place,
    /// The endpoint is to be left.
    stop: Shutdown,
    /// The process is to end.
    end: Shutdown,
}

struct Dispatcher {
    deliveries: Deliveries,
    means: Means,
    /// The endpoints that are this node's.
    share: Share,
    end: Shutdown,
    workers: HashMap<WebhookEndpointId, Running>,
    tasks: JoinSet<()>,
    looked_to: Position,
    /// The last change of the endpoints that the workers follow.
    listed_at: Position,
    /// When was last looked for what is to be sent again.
    asked_at: Instant,
    measured_at: Option<Instant>,
    pruned_at: Timestamp,
}

impl Dispatcher {
    /// Waits for news and passes them on.
    async fn step(&mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let (log, nudge) = (self.deliveries.writer.log.clone(), self.deliveries.nudge.clone());
        let mut ended = None;
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            Some(joined) = self.tasks.join_next_with_id() => {
                ended = Some(joined.map_or_else(|error| error.id(), |(id, ())| id));
            }
            () = nudge.notified() => self.workers.values().for_each(|worker| worker.nudge.notify_one()),
            () = log.wait(self.looked_to, TICK) => {}
        }
        self.look().await?;
        if let Some(ended) = ended {
            self.workers.retain(|_, worker| worker.task != ended);
        }
        let share = self.deliveries.leases.share(Role::Deliver);
        let divided_anew = share != self.share;
        self.share = share;
        if divided_anew || ended.is_some() || self.deliveries.freshness.changed_at(ENDPOINTS) != self.listed_at {
            self.reconcile().await?;
        }
        self.pass_on_resends().await?;
        self.measure().await?;
        self.prune().await
    }

    /// Tells those who watch how far the endpoints are behind.
    async fn measure(&mut self) -> anyhow::Result<()> {
        if self
            .measured_at
            .is_some_and(|measured| measured.elapsed() < MEASURE_EVERY)
        {
            return Ok(());
        }
        let workers = self
            .workers
            .values()
            .map(|worker| (worker.account, worker.place.clone()));
        let writer = &self.deliveries.writer;
        let behind = Behind::of(workers.collect(), &*writer.log, &self.means.tail, writer.clock.now()).await;
        behind.context("look how far endpoints are behind")?.tell();
        self.measured_at = Some(Instant::now());
        Ok(())
    }

    /// Looks at what is new in the log and nudges the workers whose account it concerns. If endpoints changed, waits
    /// for the read models to know of it.
    async fn look(&mut self) -> anyhow::Result<()> {
        let mut endpoints_changed = false;
        loop {
            let page = self
                .deliveries
                .writer
                .log
                .read(Scope::All, self.looked_to, PAGE)
                .await
                .context("read the log")?;
            let accounts: HashSet<AccountId> = page.events.iter().map(event_log::Recorded::account).collect();
            endpoints_changed |= page
                .events
                .iter()
                .any(|recorded| recorded.stream.category() == domain::stream::Category::WebhookEndpoint);
            let read_from = self.looked_to;
            self.looked_to = page.looked_to.max(read_from);
            self.means.tail.extend(read_from, page.events, self.looked_to);
            // Only now, so that they find it there.
            let concerned = self
                .workers
                .values()
                .filter(|worker| accounts.contains(&worker.account));
            concerned.for_each(|worker| worker.nudge.notify_one());
            if self.looked_to >= page.head {
                break;
            }
        }
        if endpoints_changed {
            self.deliveries.freshness.reached(self.looked_to, TICK).await;
        }
        Ok(())
    }

    /// Tells the workers for whose endpoints somebody wants something sent again.
    async fn pass_on_resends(&mut self) -> anyhow::Result<()> {
        if self.asked_at.elapsed() < TICK {
            return Ok(());
        }
        self.asked_at = Instant::now();
        let asked = resend::asked(&*self.deliveries.store).await;
        for endpoint in asked.context("look for what is to be sent again")? {
            if let Some(worker) = self.workers.get(&endpoint) {
                worker.resend.notify_one();
            }
        }
        Ok(())
    }

    /// Makes the workers match the endpoints of this node.
    async fn reconcile(&mut self) -> anyhow::Result<()> {
        // Asked before the list is read: a change in between is looked at once more.
        self.listed_at = self.deliveries.freshness.changed_at(ENDPOINTS);
        let mut active = webhook_endpoints::active(&*self.deliveries.views)
            .await
            .context("list the webhook endpoints")?;
        active.retain(|endpoint| self.share.has(&lease_of(endpoint.endpoint_id)));
        let today: HashMap<WebhookEndpointId, Position> = active
            .iter()
            .map(|endpoint| (endpoint.endpoint_id, endpoint.changed_at))
            .collect();
        // A worker whose endpoint is another by now ends too, and is started again with it.
        let outdated = |(id, worker): &(&WebhookEndpointId, &Running)| today.get(id) != Some(&worker.changed_at);
        for (_, worker) in self.workers.iter().filter(outdated) {
            worker.stop.send_replace(true);
        }
        for endpoint in active {
            if !self.workers.contains_key(&endpoint.endpoint_id) {
                self.start(endpoint);
            }
        }
        self.forget_removed().await
    }

    fn start(&mut self, endpoint: WebhookEndpointRow) {
        let (id, account, changed_at) = (endpoint.endpoint_id, endpoint.account, endpoint.changed_at);
        let (stop, stopped) = Shutdown::channel();
        let (nudge, resend) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let place = Place::default();
        let told = Told {
            nudge: nudge.clone(),
            resend: resend.clone(),
            place: place.clone(),
            stop: stopped,
            end: self.end.clone(),
        };
        let task = self
            .tasks
            .spawn(keep_going(self.deliveries.clone(), self.means.clone(), endpoint, told))
            .id();
        let running = Running {
            account,
            changed_at,
            task,
            nudge,
            resend,
            place,
            stop,
        };
        self.workers.insert(id, running);
    }

    /// Removes the rows of endpoints that were removed. An endpoint whose worker still runs keeps them until it ended.
    async fn forget_removed(&self) -> anyhow::Result<()> {
        let Deliveries {
            store,
            views,
            freshness,
            leases,
            ..
        } = &self.deliveries;
        for known in cursor::all(&**store).await.context("list the cursors")? {
            let name = lease_of(known.endpoint);
            // Read models that have not come to the endpoint yet do not know it either: that is no removal.
            if self.workers.contains_key(&known.endpoint)
                || !self.share.has(&name)
                || freshness.applied() < known.existed_at
            {
                continue;
            }
            let found = webhook_endpoints::find(&**views, known.account, known.endpoint)
                .await
                .context("find a webhook endpoint")?;
            if found.is_none()
                && let Some(lease) = leases.try_acquire(&name).await.context("take a lease")?
            {
                lease
                    .write(&**store, cursor::forget(known.endpoint))
                    .await
                    .context("remove an endpoint's rows")?;
            }
        }
        Ok(())
    }

    async fn prune(&mut self) -> anyhow::Result<()> {
        let Deliveries {
            writer, store, leases, ..
        } = &self.deliveries;
        let now = writer.clock.now();
        if now.since(self.pruned_at) < PRUNE_EVERY {
            return Ok(());
        }
        if let Some(lease) = leases.try_acquire(PRUNING).await.context("take a lease")? {
            let kept_since = Timestamp::from_secs(now.secs().saturating_sub(KEEP_ATTEMPTS.as_secs().cast_signed()));
            lease
                .write(&**store, vec![cursor::prune(kept_since)])
                .await
                .context("remove old attempts")?;
        }
        self.pruned_at = now;
        Ok(())
    }

    async fn close(mut self) {
        for worker in self.workers.values() {
            worker.stop.send_replace(true);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The lease that whoever delivers to the endpoint holds.
fn lease_of(endpoint: WebhookEndpointId) -> String {
    format!("webhook:{endpoint}")
}

/// Runs an endpoint's worker whenever this node has the lease, and after a failure another one, until it is stopped or
/// has disabled its endpoint.
async fn keep_going(deliveries: Deliveries, means: Means, endpoint: WebhookEndpointRow, told: Told) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        let error = match work(&deliveries, &means, &endpoint, &told).await {
            Ok(Ended::Stopped) => return,
            Ok(Ended::Disabled(position)) => return until_known(&deliveries, position, &told.stop).await,
            Ok(Ended::Lost) => continue,
            Err(error) => error,
        };
        tracing::warn!(
            endpoint = %endpoint.endpoint_id,
            error = format!("{error:#}"),
            "deliveries to a webhook endpoint were interrupted"
        );
        if began.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = told.stop.requested() => return,
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// Waits for the lease and works until it is lost or something else comes to its end.
async fn work(
    deliveries: &Deliveries,
    means: &Means,
    endpoint: &WebhookEndpointRow,
    told: &Told,
) -> anyhow::Result<Ended> {
    let name = lease_of(endpoint.endpoint_id);
    let lease = tokio::select! {
        () = told.stop.requested() => return Ok(Ended::Stopped),
        acquired = deliveries.leases.acquire(&name) => acquired.context("take a lease")?,
    };
    let worker = Worker::open(means, endpoint.clone(), lease.clone()).await?;
    let told = worker::Told {
        nudge: &told.nudge,
        resend: &told.resend,
        place: &told.place,
        stop: &told.stop,
        end: &told.end,
    };
    let ended = worker.run(told).await;
    // Now, so that the node that waits for it has it before this one looks around anew.
    lease.release().await;
    ended
}

/// Waits until the read models know that the endpoint is disabled, so that nobody starts it again before.
async fn until_known(deliveries: &Deliveries, position: Position, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        _ = deliveries.freshness.reached(position, LONGEST_PAUSE) => {}
    }
}
