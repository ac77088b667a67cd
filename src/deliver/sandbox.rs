//! A whole house without servers for the tests of this room: log, vault, store, read models and a clock set by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use database::migrate::{MIGRATIONS, migrate};
use database::{Database, Row, Statement};
use database::{Durability, Sqlite};
use domain::{
    AccountId, Collector, LeadStatus, PersonRef, Profile, SignalKind, SignalPerson, StartFrom, Timestamp,
    WebhookEndpointId, WebhookEventType, WebhookFilters, WebhookKind,
};
use event_log::{EventLog, SqliteLog};
use projections::runner::Runner;
use projections::webhook_endpoints::{self, WebhookEndpointRow};
use tempfile::TempDir;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;
use ulid::Ulid;
use vault::{RootKey, Vault};

use super::behind::Place;
use super::clerk::Clerk;
use super::connector::Connector;
use super::guard::Policy;
use super::request::Sender;
use super::sign::Secret;
use super::slots::Slots;
use super::tail::Tail;
use super::worker::{Ended, Means, Told, Worker};
use super::{Deliveries, run};
use crate::clock::Clock;
use crate::commands::{self, Allowance, NewEndpoint, Sighting, Writer};
use crate::lease::{Lease, Leases};
use crate::project::Claims;
use crate::serve::Shutdown;

pub struct HandClock {
    micros: AtomicI64,
    drawn: AtomicU64,
}

impl HandClock {
    pub fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap();
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn entropy(&self) -> u128 {
        u128::from(self.drawn.fetch_add(1, Ordering::SeqCst))
    }
}

pub struct Sandbox {
    pub writer: Arc<Writer>,
    pub store: Arc<Sqlite>,
    pub views: Arc<Sqlite>,
    pub runner: Arc<Mutex<Runner>>,
    claims: Arc<Claims>,
    pub clock: Arc<HandClock>,
    pub sender: Sender,
    pub nudge: Arc<Notify>,
    /// Where a worker under test is.
    pub place: Place,
    folder: TempDir,
}

/// A worker under test.
pub struct Job {
    pub nudge: Arc<Notify>,
    pub resend: Arc<Notify>,
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<anyhow::Result<Ended>>,
}

pub fn account() -> AccountId {
    AccountId::new(Ulid::from_parts(1, 1))
}

pub const BOTH: &[WebhookEventType] = &[WebhookEventType::LeadCreated, WebhookEventType::LeadEnriched];

/// A vault that has opened nothing yet.
fn vault(folder: &TempDir, store: &Arc<Sqlite>) -> Arc<Vault> {
    let root = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
    Arc::new(Vault::new(store.clone(), &root))
}

impl Sandbox {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("gitleads.db"), Durability::Disposable).unwrap());
        migrate(&*store, MIGRATIONS).await.unwrap();
        let views = Arc::new(Sqlite::open(&folder.path().join("views.db"), Durability::Disposable).unwrap());
        let log = Arc::new(SqliteLog::open((*store).clone()).await.unwrap());
        let clock = Arc::new(HandClock {
            micros: AtomicI64::new(Timestamp::from_secs(1_777_026_660).micros()),
            drawn: AtomicU64::new(1),
        });
        let runner = Runner::open(log.clone(), views.clone(), projections::all())
            .await
            .unwrap();
        let lax = Policy {
            allow_private: true,
            allow_http: true,
        };
        Self {
            writer: Arc::new(Writer {
                log,
                vault: vault(&folder, &store),
                clock: clock.clone(),
            }),
            store,
            views,
            runner: Arc::new(Mutex::new(runner)),
            claims: Arc::new(Claims::new(Leases::sole(), Vec::new())),
            clock,
            sender: Sender::new(Connector::system(lax).unwrap()).unwrap(),
            nudge: Arc::new(Notify::new()),
            place: Place::default(),
            folder,
        }
    }

    /// Has a restart behind it: no key of a person is at hand any more.
    pub fn restart(&mut self) {
        self.writer = Arc::new(Writer {
            log: self.writer.log.clone(),
            vault: vault(&self.folder, &self.store),
            clock: self.clock.clone(),
        });
    }

    /// Has the log read through another one.
    pub fn read_through(&mut self, log: Arc<dyn EventLog>) {
        self.writer = Arc::new(Writer {
            log,
            vault: self.writer.vault.clone(),
            clock: self.clock.clone(),
        });
    }

    pub fn secret() -> Secret {
        Secret::generate([9; 32])
    }

    pub async fn add_endpoint(&self, url: &str, events: &[WebhookEventType]) -> WebhookEndpointRow {
        self.add(Self::new_endpoint(url, events)).await
    }

    /// An endpoint as it is added if nothing is asked for.
    pub fn new_endpoint(url: &str, events: &[WebhookEventType]) -> NewEndpoint {
        NewEndpoint {
            kind: WebhookKind::Webhook,
            filters: WebhookFilters::default(),
            start_from: StartFrom::Now,
            url: url.to_owned(),
            events: events.to_vec(),
            description: None,
            secret: Self::secret().as_str().to_owned(),
        }
    }

    pub async fn add(&self, new: NewEndpoint) -> WebhookEndpointRow {
        let added = commands::add_webhook_endpoint(&self.writer, account(), new)
            .await
            .unwrap();
        self.endpoint(added.value.endpoint_id).await.unwrap()
    }

    /// The endpoint as the read models have it, once they hold all of the log.
    pub async fn endpoint(&self, id: WebhookEndpointId) -> Option<WebhookEndpointRow> {
        self.runner.lock().await.catch_up().await.unwrap();
        webhook_endpoints::find(&*self.views, account(), id).await.unwrap()
    }

    pub fn person(&self, user_id: u64) -> PersonRef {
        self.writer.vault.person_ref(account(), user_id)
    }

    pub async fn star(&self, user_id: u64) {
        self.star_within(user_id, Allowance::Unlimited).await;
    }

    pub async fn star_within(&self, user_id: u64, allowance: Allowance) {
        self.sight_within(user_id, None, allowance).await;
    }

    /// An issue with the keyword by the person, or else a star.
    pub async fn sight_within(&self, user_id: u64, keyword: Option<&str>, allowance: Allowance) {
        let kind = match keyword {
            Some(_) => SignalKind::KeywordIssue,
            None => SignalKind::Stargazer,
        };
        let sighting = Sighting {
            kind,
            keyword: keyword.map(|keyword| keyword.parse().unwrap()),
            occurred_at: "2026-04-24T09:00:00Z".parse().unwrap(),
            collector: Collector::Archive,
            person: SignalPerson {
                user_id,
                login: format!("ada-example-{user_id}"),
                repo: "acme-corp/rival-sdk".parse().unwrap(),
                url: keyword.map(|_| format!("https://github.com/acme-corp/rival-sdk/issues/{user_id}")),
                snippet: keyword.map(str::to_owned),
                attribution: None,
            },
        };
        commands::record_signals(&self.writer, account(), vec![sighting], allowance)
            .await
            .unwrap();
    }

    pub async fn enrich(&self, user_id: u64, bio: &str) {
        let profile = Profile {
            login: format!("ada-example-{user_id}"),
            bio: Some(bio.to_owned()),
            ..Profile::default()
        };
        commands::enrich_lead(&self.writer, account(), self.person(user_id), profile)
            .await
            .unwrap();
    }

    /// Notes something on a lead, and that the person was written to.
    pub async fn edit(&self, user_id: u64, notes: &str) {
        let edit = commands::LeadEdit {
            status: Some(LeadStatus::Contacted),
            notes: commands::NotesEdit::Write(notes.to_owned()),
        };
        commands::update_lead(&self.writer, account(), self.person(user_id), &edit)
            .await
            .unwrap();
    }

    /// Works as a process that is alone.
    pub async fn work(&self, endpoint: &WebhookEndpointRow) -> Job {
        let lease = Leases::sole().try_acquire("webhook").await.unwrap();
        self.work_under(lease.unwrap(), endpoint).await
    }

    pub async fn work_under(&self, lease: Lease, endpoint: &WebhookEndpointRow) -> Job {
        let means = Means {
            writer: self.writer.clone(),
            store: self.store.clone(),
            clerk: Clerk::start(self.store.clone()),
            sender: self.sender.clone(),
            slots: Slots::new(),
            tail: Arc::new(Tail::new()),
        };
        let worker = Worker::open(&means, endpoint.clone(), lease).await.unwrap();
        let (nudge, resend) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, shutdown) = Shutdown::channel();
        let (nudged, asked, place) = (nudge.clone(), resend.clone(), self.place.clone());
        let task = tokio::spawn(async move {
            let told = Told {
                nudge: &nudged,
                resend: &asked,
                place: &place,
                stop: &shutdown,
                end: &shutdown,
            };
            worker.run(told).await
        });
        Job {
            nudge,
            resend,
            stop,
            task,
        }
    }

    /// A dispatcher and a runner of the read models, until the sender is dropped.
    pub async fn dispatch(&self) -> (watch::Sender<bool>, JoinHandle<anyhow::Result<()>>) {
        self.dispatch_as(Leases::sole()).await
    }

    /// As a node of these leases.
    pub async fn dispatch_as(&self, leases: Leases) -> (watch::Sender<bool>, JoinHandle<anyhow::Result<()>>) {
        let (stop, shutdown) = Shutdown::channel();
        let deliveries = Deliveries {
            writer: self.writer.clone(),
            store: self.store.clone(),
            views: self.views.clone(),
            freshness: self.runner.lock().await.freshness(),
            sender: self.sender.clone(),
            leases,
            nudge: self.nudge.clone(),
        };
        let projecting = crate::project::run(self.runner.clone(), self.claims.clone());
        let ended = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = ended.requested() => {}
                result = projecting => result.unwrap(),
            }
        });
        (stop, tokio::spawn(run(deliveries, shutdown)))
    }

    pub async fn rows(&self, query: &'static str) -> Vec<Row> {
        self.store.read(Statement::sql(query, Vec::new())).await.unwrap()
    }

    pub async fn number(&self, query: &'static str) -> i64 {
        self.rows(query).await[0].int(0).unwrap()
    }

    /// Waits until the query's number is this one.
    pub async fn comes_to(&self, query: &'static str, expected: i64) {
        while self.number(query).await != expected {
            tokio::task::yield_now().await;
        }
    }

    /// Once so many attempts are written down, moves time to the next retry.
    pub async fn next_retry(&self, attempts: i64, nudge: &Notify) {
        self.comes_to("SELECT COUNT(*) FROM webhook_attempt", attempts).await;
        let due = self
            .number("SELECT MIN(due_at) FROM webhook_retry WHERE state = 'waiting' AND attempts > 0")
            .await;
        self.clock.advance(Timestamp::from_micros(due).since(self.clock.now()));
        nudge.notify_one();
    }
}

impl Job {
    /// Ends the worker as a server does that is told to.
    pub async fn stop(self) -> Ended {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap()
    }

    /// Ends the worker as a crash does.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
