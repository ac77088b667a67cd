//! An installation without a server: log, vault, store and read models on either engine, and a dispatcher that can be started.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use database::{Database, Durability, MIGRATIONS, Postgres, Sqlite, migrate};
use domain::{
    AccountId, Collector, SignalKind, SignalPerson, StartFrom, Timestamp, WebhookEndpointId, WebhookEventType,
    WebhookFilters, WebhookKind,
};
use event_log::{EventLog, PostgresLog, SqliteLog};
use gitleads::clock::SystemClock;
use gitleads::commands::{
    Allowance, NewEndpoint, Sighting, Writer, add_webhook_endpoint, open_account, record_signals,
    remove_webhook_endpoint,
};
use gitleads::deliver::connector::Connector;
use gitleads::deliver::guard::Policy;
use gitleads::deliver::request::Sender;
use gitleads::deliver::sign::Secret;
use gitleads::deliver::{Deliveries, run};
use gitleads::lease::Leases;
use gitleads::serve::Shutdown;
use projections::{Freshness, Runner};
use tempfile::TempDir;
use testbed::FreshDatabase;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use vault::{RootKey, Vault};

/// Signals recorded with one call.
const BATCH: usize = 500;

pub struct House {
    pub writer: Arc<Writer>,
    store: Arc<dyn Database>,
    views: Arc<dyn Database>,
    freshness: Freshness,
    projecting: JoinHandle<()>,
    _folder: TempDir,
    _fresh: Option<FreshDatabase>,
}

/// Deliveries that run.
pub struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Lets requests under way come to their end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
    }

    /// Waits for nothing.
    pub fn abandon(self) {
        self.task.abort();
    }
}

/// A client that may go to this machine.
pub fn sender() -> Sender {
    let lax = Policy {
        allow_private: true,
        allow_http: true,
    };
    Sender::new(Connector::system(lax).unwrap()).unwrap()
}

pub fn login(number: usize) -> String {
    format!("ada-example-{number}")
}

fn star(number: usize) -> Sighting {
    Sighting {
        kind: SignalKind::Stargazer,
        keyword: None,
        occurred_at: Timestamp::from_secs(1_777_026_660),
        collector: Collector::Archive,
        person: SignalPerson {
            user_id: number as u64 + 1,
            login: login(number),
            repo: "acme-corp/rival-sdk".parse().unwrap(),
            url: None,
            snippet: None,
            attribution: None,
        },
    }
}

/// Records that these people have starred.
pub async fn record(writer: &Writer, account: AccountId, people: Range<usize>) {
    let sightings = people.map(star).collect();
    record_signals(writer, account, sightings, Allowance::Unlimited)
        .await
        .unwrap();
}

impl House {
    pub async fn open(on_postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if on_postgres {
            let fresh = testbed::Postgres::fresh_database().await;
            let database = Postgres::open(fresh.url().parse().unwrap(), false).await.unwrap();
            migrate(&database, MIGRATIONS).await.unwrap();
            let log = Arc::new(PostgresLog::open(database.clone()).await.unwrap());
            let store: Arc<dyn Database> = Arc::new(database);
            return Self::of(log, store.clone(), store, folder, Some(fresh)).await;
        }
        let store = Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap();
        migrate(&store, MIGRATIONS).await.unwrap();
        let views = Sqlite::open(&folder.path().join("views.db"), Durability::Disposable).unwrap();
        let log = Arc::new(SqliteLog::open(store.clone()).await.unwrap());
        Self::of(log, Arc::new(store), Arc::new(views), folder, None).await
    }

    async fn of(
        log: Arc<dyn EventLog>,
        store: Arc<dyn Database>,
        views: Arc<dyn Database>,
        folder: TempDir,
        fresh: Option<FreshDatabase>,
    ) -> Self {
        let root = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
        let runner = Runner::open(log.clone(), views.clone(), projections::all()).await;
        let mut runner = runner.unwrap();
        let freshness = runner.freshness();
        let projecting = tokio::spawn(async move {
            loop {
                while runner.step().await.unwrap() {}
                runner.wait(Duration::from_mins(1)).await;
            }
        });
        Self {
            writer: Arc::new(Writer {
                log,
                vault: Arc::new(Vault::new(store.clone(), &root)),
                clock: Arc::new(SystemClock),
            }),
            store,
            views,
            freshness,
            projecting,
            _folder: folder,
            _fresh: fresh,
        }
    }

    pub async fn account(&self) -> AccountId {
        let opened = open_account(&self.writer, "somebody".into(), "agency".parse().unwrap()).await;
        opened.unwrap().value
    }

    /// Records so many leads from `first` on.
    pub async fn leads(&self, account: AccountId, first: usize, count: usize) {
        let (mut from, end) = (first, first + count);
        while from < end {
            let to = (from + BATCH).min(end);
            record(&self.writer, account, from..to).await;
            from = to;
        }
    }

    pub async fn endpoint(&self, account: AccountId, url: &str, start_from: StartFrom) -> WebhookEndpointId {
        let new = NewEndpoint {
            kind: WebhookKind::Webhook,
            url: url.to_owned(),
            events: vec![WebhookEventType::LeadCreated],
            filters: WebhookFilters::default(),
            start_from,
            description: None,
            secret: Secret::generate([9; 32]).as_str().to_owned(),
        };
        let added = add_webhook_endpoint(&self.writer, account, new).await.unwrap();
        added.value.endpoint_id
    }

    pub async fn remove(&self, account: AccountId, endpoint: WebhookEndpointId) {
        remove_webhook_endpoint(&self.writer, account, endpoint).await.unwrap();
    }

    /// Starts to deliver, once the read models know all that there is.
    pub async fn deliver(&self) -> Running {
        let head = self.writer.log.head().await.unwrap();
        assert!(self.freshness.reached(head, Duration::from_mins(5)).await);
        let (stop, shutdown) = Shutdown::channel();
        let deliveries = Deliveries {
            writer: self.writer.clone(),
            store: self.store.clone(),
            views: self.views.clone(),
            freshness: self.freshness.clone(),
            sender: sender(),
            leases: Leases::sole(),
            nudge: Arc::new(Notify::new()),
        };
        let task = tokio::spawn(run(deliveries, shutdown));
        Running { stop, task }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.projecting.abort();
    }
}
