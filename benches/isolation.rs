//! Asks for another account's things as often as it is told, over every route: `cargo bench --bench isolation -- 100000`.
//! Ends with a panic at the first answer that tells something.

#![expect(clippy::print_stdout, reason = "says what it found")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault ends it")]

#[path = "../src/http/tests/isolation/attacks.rs"]
mod attacks;

use std::sync::Arc;
use std::time::Duration;

use attacks::{Client, Things, attack};
use database::{Database, Durability, MIGRATIONS, Sqlite, migrate};
use domain::{Collector, Plan, Plans, SignalKind, SignalPerson, Timestamp};
use event_log::{MemoryLog, Position};
use gitleads::clock::{Clock as _, SystemClock};
use gitleads::commands::{Allowance, Sighting, Writer, issue_key, open_account, record_signals};
use gitleads::deliver::connector::Connector;
use gitleads::deliver::guard::Policy;
use gitleads::deliver::request::Sender;
use gitleads::http::{Api, NodeReport, router};
use gitleads::lease::Leases;
use gitleads::serve::Shutdown;
use projections::{Freshness, Runner};
use vault::{RootKey, Vault};

const PLAN: &str = "agency";

/// The read models, kept up to date for as long as this runs.
async fn follow(writer: &Writer, views: Arc<dyn Database>) -> Freshness {
    let runner = Runner::open(writer.log.clone(), views, projections::all()).await;
    let mut runner = runner.unwrap();
    let freshness = runner.freshness();
    tokio::spawn(async move {
        loop {
            while runner.step().await.unwrap() {}
            runner.wait(Duration::from_mins(1)).await;
        }
    });
    freshness
}

/// An account without a limit, and its key.
async fn account(writer: &Writer) -> (domain::AccountId, String, Position) {
    let opened = open_account(writer, "somebody".into(), PLAN.parse().unwrap()).await;
    let account = opened.unwrap().value;
    let issued = issue_key(writer, account, "first".into()).await.unwrap();
    (account, issued.value.secret, issued.position)
}

fn star(user_id: u64) -> Sighting {
    Sighting {
        kind: SignalKind::Stargazer,
        keyword: None,
        occurred_at: Timestamp::from_secs(1_777_026_660),
        collector: Collector::Archive,
        person: SignalPerson {
            user_id,
            login: format!("ada-example-{user_id}"),
            repo: "victim-corp/sdk".parse().unwrap(),
            url: None,
            snippet: None,
            attribution: None,
        },
    }
}

#[tokio::main]
async fn main() {
    // `cargo bench` adds flags of its own.
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let count = count.unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap());
    migrate(&*store, MIGRATIONS).await.unwrap();
    let views = Arc::new(Sqlite::open(&folder.path().join("views.db"), Durability::Disposable).unwrap());
    let root = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
    let writer = Arc::new(Writer {
        log: Arc::new(MemoryLog::new()),
        vault: Arc::new(Vault::new(store.clone(), &root)),
        clock: Arc::new(SystemClock),
    });
    let freshness = follow(&writer, views.clone()).await;
    let (_end, shutdown) = Shutdown::channel();
    let plan = Plan {
        api: true,
        requests_per_minute: u32::MAX,
        leads_per_month: None,
    };
    let router = router(Api {
        writer: writer.clone(),
        views,
        store,
        freshness: freshness.clone(),
        plans: Arc::new(Plans::new([(PLAN.parse().unwrap(), plan)].into())),
        endpoint_policy: Policy::default(),
        sender: Sender::new(Connector::system(Policy::default()).unwrap()).unwrap(),
        github_webhook: None,
        tasks: Arc::new(Vec::new),
        node: NodeReport {
            roles: vec!["api"],
            leases: Leases::sole(),
        },
        shared_limits: None,
        cors_origins: Vec::new(),
        answer_within: Api::ANSWER_WITHIN,
        shutdown,
    });
    let (victims, key, _) = account(&writer).await;
    let crowd = (0..90).map(star).collect();
    record_signals(&writer, victims, crowd, Allowance::Unlimited)
        .await
        .unwrap();
    let (_, strangers_key, position) = account(&writer).await;
    assert!(freshness.reached(position, Duration::from_mins(1)).await);
    let client = |key| Client {
        router: router.clone(),
        key,
        between: &|| (),
    };
    let (victim, stranger) = (client(key), client(strangers_key));
    let things = Things::of(&victim).await;
    let began = SystemClock.now();
    let statuses = attack(&stranger, &things, count, 0x5EED_0002).await;
    things.are_untouched(&victim).await;
    println!(
        "{count} requests in {:?}: {statuses:?}; none told anything",
        SystemClock.now().since(began)
    );
}
