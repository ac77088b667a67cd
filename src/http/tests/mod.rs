//! A house with its real log, vault and read models behind the router; time stands still until a test moves it.

mod account;
mod api_keys;
mod cors;
mod dry_run;
mod errors;
mod etags;
mod events;
mod exports;
mod github;
mod health;
mod idempotency;
mod isolation;
mod ladder;
mod leads;
mod limits;
mod metrics;
mod nodes;
mod openapi;
mod past;
mod people;
mod server;
mod tracked;
mod updates;
mod webhooks;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use database::{Durability, MIGRATIONS, Sqlite, migrate};
use domain::{AccountId, Collector, Keyword, SignalKind, SignalPerson, Timestamp};
use event_log::{EventLog, MemoryLog, SqliteLog};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use projections::runner::Runner;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;
use vault::{RootKey, Vault};

use super::*;
use crate::clock::Clock;
use crate::commands::{Allowance, IssuedKey, Sighting, issue_key, open_account, record_signals};
use crate::deliver::connector::Connector;
use crate::ingest::Ingest;
use crate::lease::Leases;

const GITHUB_SECRET: &str = "what GitHub and we know";

/// 2026-04-24T10:31:00Z, the start of a minute.
const NOON: i64 = 1_777_026_660;

struct TestClock {
    micros: AtomicI64,
    draws: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn entropy(&self) -> u128 {
        u128::from(self.draws.fetch_add(1, Ordering::SeqCst))
    }
}

/// The whole of it.
struct House {
    router: Router,
    writer: Arc<Writer>,
    views: Arc<dyn Database>,
    store: Arc<dyn Database>,
    freshness: Freshness,
    clock: Arc<TestClock>,
    account: AccountId,
    key: String,
    tasks: Arc<Mutex<Vec<TaskReport>>>,
    end: watch::Sender<bool>,
    shutdown: Shutdown,
    /// The file of the read models, where they are in one.
    views_file: Option<Sqlite>,
    folder: tempfile::TempDir,
}

/// What a house stands on.
struct Ground {
    log: Arc<dyn EventLog>,
    store: Arc<dyn Database>,
    views: Arc<dyn Database>,
    views_file: Option<Sqlite>,
    /// Holds the root key, and the files if there are any.
    folder: tempfile::TempDir,
}

/// An answer, taken apart.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks an error's status, code and message.
    #[track_caller]
    fn is(&self, status: u16, error: &str, message: &str) {
        let expected = serde_json::json!({ "error": error, "message": message });
        assert_eq!((self.status.as_u16(), self.json()), (status, expected));
    }
}

/// A house with an account on `agency`.
async fn house() -> House {
    house_on("agency").await
}

async fn house_on(plan: &str) -> House {
    let log = Arc::new(MemoryLog::new());
    let ground = Ground { log, ..files().await };
    house_above(ground, plan).await
}

/// The files of a data directory.
async fn files() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap();
    migrate(&store, MIGRATIONS).await.unwrap();
    let views = Sqlite::open(&folder.path().join("views.db"), Durability::Disposable).unwrap();
    Ground {
        log: Arc::new(SqliteLog::open(store.clone()).await.unwrap()),
        store: Arc::new(store),
        views: Arc::new(views.clone()),
        views_file: Some(views),
        folder,
    }
}

async fn house_above(ground: Ground, plan: &str) -> House {
    let Ground {
        log,
        store,
        views,
        views_file,
        folder,
    } = ground;
    let root = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
    let clock = Arc::new(TestClock {
        micros: AtomicI64::new(NOON * 1_000_000),
        draws: AtomicU64::new(1),
    });
    let writer = Arc::new(Writer {
        log,
        vault: Arc::new(Vault::new(store.clone(), &root)),
        clock: clock.clone(),
    });
    let freshness = follow(&writer, views.clone()).await;
    let ingest = Arc::new(Ingest::new(
        writer.clone(),
        views.clone(),
        freshness.clone(),
        Arc::new(Plans::default()),
        store.clone(),
        Leases::sole(),
    ));
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let (end, shutdown) = Shutdown::channel();
    let mut house = House {
        router: Router::new(),
        writer,
        views,
        store,
        freshness,
        clock,
        account: AccountId::default(),
        key: String::new(),
        tasks,
        end,
        shutdown,
        views_file,
        folder,
    };
    let github_webhook = Some(GithubWebhook {
        ingest,
        secret: GITHUB_SECRET.into(),
    });
    house.router = router(Api {
        github_webhook,
        ..house.api(Leases::sole())
    });
    (house.account, house.key) = house.another_account(plan).await;
    house
}

/// Keeps the read models up to date for as long as the test runs.
async fn follow(writer: &Writer, views: Arc<dyn Database>) -> Freshness {
    let mut runner = Runner::open(writer.log.clone(), views, projections::all())
        .await
        .unwrap();
    let freshness = runner.freshness();
    tokio::spawn(async move {
        loop {
            while runner.step().await.unwrap() {}
            runner.wait(Duration::from_mins(1)).await;
        }
    });
    freshness
}

/// What makes deliveries, as the policy says.
fn sender(policy: Policy) -> Sender {
    Sender::new(Connector::system(policy).unwrap()).unwrap()
}

fn reports(tasks: Arc<Mutex<Vec<TaskReport>>>) -> Tasks {
    Arc::new(move || tasks.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Somebody's star or text.
fn sighting(user_id: u64, kind: SignalKind, repo: &str) -> Sighting {
    let wrote = kind != SignalKind::Stargazer;
    Sighting {
        kind,
        keyword: wrote.then(|| "event sourcing".parse::<Keyword>().unwrap()),
        occurred_at: Timestamp::from_secs(NOON - 3_600),
        collector: Collector::Archive,
        person: SignalPerson {
            user_id,
            login: format!("ada-example-{user_id}"),
            repo: repo.parse().unwrap(),
            url: wrote.then(|| format!("https://github.com/{repo}/issues/{user_id}")),
            snippet: wrote.then(|| "we love event sourcing here".to_owned()),
            attribution: None,
        },
    }
}

impl House {
    /// What an API on this house stands on.
    fn api(&self, leases: Leases) -> Api {
        Api {
            writer: self.writer.clone(),
            views: self.views.clone(),
            store: self.store.clone(),
            freshness: self.freshness.clone(),
            plans: Arc::new(Plans::default()),
            endpoint_policy: Policy::default(),
            sender: sender(Policy::default()),
            github_webhook: None,
            tasks: reports(self.tasks.clone()),
            node: NodeReport {
                roles: vec!["api"],
                leases,
            },
            shared_limits: None,
            cors_origins: Vec::new(),
            answer_within: Api::ANSWER_WITHIN,
            shutdown: self.shutdown.clone(),
        }
    }

    /// An account on the plan, and its key.
    async fn another_account(&self, plan: &str) -> (AccountId, String) {
        let account = open_account(&self.writer, "Acme".into(), plan.parse().unwrap())
            .await
            .unwrap()
            .value;
        let issued = issue_key(&self.writer, account, "first".into()).await.unwrap();
        self.shown(issued.position).await;
        let IssuedKey { secret, .. } = issued.value;
        (account, secret)
    }

    /// A file beside those of the house.
    fn beside(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The id of the account's only key.
    async fn key_id(&self) -> domain::ApiKeyId {
        let keys = projections::api_keys::list(self.views.as_ref(), self.account)
            .await
            .unwrap();
        keys[0].key_id
    }

    /// Has every further question to the read models fail.
    async fn close_views(&self) {
        self.views_file.as_ref().unwrap().close().await;
    }

    async fn shown(&self, position: event_log::Position) {
        assert!(self.freshness.reached(position, Duration::from_secs(10)).await);
    }

    fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Records what people did, one after the other, a second apart.
    async fn record(&self, sightings: impl IntoIterator<Item = Sighting>) {
        for sighting in sightings {
            self.pass(Duration::from_secs(1));
            let recorded = record_signals(&self.writer, self.account, vec![sighting], Allowance::Unlimited)
                .await
                .unwrap();
            self.shown(recorded.position).await;
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A request with the key and further headers.
    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> axum::response::Response {
        let mut request = Request::get(path).header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// A request with the key and, if there is one, a JSON body.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(&self.key, method, path, body).await
    }

    async fn call_as(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    /// A request without a key.
    async fn call_openly(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap()).await
    }
}
