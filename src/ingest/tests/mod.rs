//! A whole ingestion over real databases and a clock that is told the time; the stories are in the files beside this.

mod backfills;
mod changes;
mod code;
mod counts;
mod door;
mod enrichment;
mod failures;
mod hours;
mod ladder;
mod lists;
mod missed;
mod polls;
mod searches;
mod shared;
mod sightings;
mod tokens;
mod webhooks;
mod week;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use database::Database;
use database::migrate::{MIGRATIONS, migrate};
use database::{Durability, Sqlite};
use domain::{AccountId, Collector, Event, Plan, Plans, ScanTarget, Signal, Timestamp};
use event_log::memory::MemoryLog;
use event_log::{EventLog, Position, Recorded, Scope};
use projections::runner::Runner;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use vault::{RootKey, Vault};

use super::*;
use crate::clock::Clock;
use crate::commands::{self, Writer};
use crate::config::Roles;
use crate::github::{Authorization, Client};
use crate::ingest::shards::Part;
use crate::lease::{Lease, Leases};
use crate::project::Claims;

/// What the thread logs for as long as the guard is kept.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn kept() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Stands still until it is told to go on.
pub struct TestClock {
    micros: AtomicI64,
    drawn: AtomicU64,
}

impl TestClock {
    fn advance(&self, span: Duration) {
        self.micros
            .fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn entropy(&self) -> u128 {
        u128::from(self.drawn.fetch_add(1, Ordering::SeqCst))
    }
}

/// Everything the ingestion stands on.
pub struct Room {
    ingest: Arc<Ingest>,
    writer: Arc<Writer>,
    clock: Arc<TestClock>,
    account: AccountId,
    projecting: JoinHandle<anyhow::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.projecting.abort();
    }
}

impl Room {
    /// An account without a limit.
    async fn new() -> Self {
        Self::on_plan("agency").await
    }

    /// An account on that plan: `tiny` takes two leads a month, `small` three.
    async fn on_plan(plan: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gitleads.db");
        let store = Arc::new(Sqlite::open(&path, Durability::Disposable).unwrap());
        migrate(&*store, MIGRATIONS).await.unwrap();
        Self::over(store, folder, plan).await
    }

    /// The same over a store that is there already.
    async fn over(store: Arc<dyn Database>, folder: tempfile::TempDir, plan: &str) -> Self {
        let path = folder.path().join("views.db");
        let views = Arc::new(Sqlite::open(&path, Durability::Disposable).unwrap());
        let root_key = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
        let clock = Arc::new(TestClock {
            micros: AtomicI64::new("2026-04-10T12:00:00Z".parse::<Timestamp>().unwrap().micros()),
            drawn: AtomicU64::new(1),
        });
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
        let writer = Arc::new(Writer {
            log: Arc::clone(&log),
            vault: Arc::new(Vault::new(store.clone(), &root_key)),
            clock: clock.clone(),
        });
        let runner = Runner::open(Arc::clone(&log), views.clone(), projections::all())
            .await
            .unwrap();
        let freshness = runner.freshness();
        let claims = Arc::new(Claims::new(Leases::sole(), Vec::new()));
        let projecting = tokio::spawn(crate::project::run(Arc::new(Mutex::new(runner)), claims));
        let ingest = Arc::new(Ingest::new(
            Arc::clone(&writer),
            views,
            freshness,
            Arc::new(plans()),
            store,
            Leases::sole(),
        ));
        let opened = commands::open_account(&writer, "test".into(), plan.parse().unwrap())
            .await
            .unwrap();
        let room = Self {
            ingest,
            writer,
            clock,
            account: opened.value,
            projecting,
            _folder: folder,
        };
        room.settle().await;
        room
    }

    /// The door of one more node on the same database.
    async fn node(&self) -> Ingest {
        let Ingest {
            writer,
            views,
            freshness,
            store,
            ..
        } = &*self.ingest;
        let leases = Leases::join(store.clone(), self.clock.clone(), &Roles::default()).await;
        Ingest::new(
            writer.clone(),
            views.clone(),
            freshness.clone(),
            Arc::new(plans()),
            store.clone(),
            leases.unwrap(),
        )
    }

    /// A lease as a process has it that is alone.
    async fn lease() -> Lease {
        Leases::sole().try_acquire("alone").await.unwrap().unwrap()
    }

    /// What is a process's to ask for that is alone.
    async fn part() -> Part {
        Part::whole(Self::lease().await)
    }

    /// Waits until the read models hold what the log holds.
    async fn settle(&self) {
        self.ingest.caught_up(Duration::from_mins(1)).await.unwrap();
    }

    async fn track(&self, repo: &str) {
        self.track_for(self.account, repo).await;
    }

    async fn track_for(&self, account: AccountId, repo: &str) {
        commands::track_repo(&self.writer, account, repo.parse().unwrap(), None)
            .await
            .unwrap();
        self.settle().await;
    }

    async fn track_keyword(&self, keyword: &str) {
        commands::track_keyword(&self.writer, self.account, keyword.parse().unwrap(), None)
            .await
            .unwrap();
        self.settle().await;
    }

    async fn head(&self) -> Position {
        self.writer.log.head().await.unwrap()
    }

    async fn events(&self) -> Vec<Recorded> {
        let (mut events, mut after) = (Vec::new(), Position::START);
        loop {
            let page = self.writer.log.read(Scope::All, after, 10_000).await.unwrap();
            events.extend(page.events);
            if page.looked_to == after || page.looked_to >= page.head {
                return events;
            }
            after = page.looked_to;
        }
    }

    /// How often each type of event about leads stands in the log.
    async fn count(&self, kind: &str) -> usize {
        self.events()
            .await
            .iter()
            .filter(|recorded| recorded.event.name() == kind)
            .count()
    }

    /// Erases person number `id`.
    async fn erase(&self, id: u64) {
        let person = self.writer.vault.person_ref(self.account, id);
        commands::erase_person(&self.writer, self.account, person)
            .await
            .unwrap();
        self.settle().await;
    }

    /// The types of the events about person number `id`.
    async fn history(&self, id: u64) -> Vec<&'static str> {
        let person = Some(self.writer.vault.person_ref(self.account, id));
        let events = self.events().await.into_iter();
        let events = events.filter(|recorded| recorded.stream.person() == person);
        events.map(|recorded| recorded.event.name()).collect()
    }

    /// The signal that captured the first lead.
    async fn first_captured(&self) -> Signal {
        let signals = self.events().await.into_iter();
        let mut signals = signals.filter_map(|recorded| match recorded.event {
            Event::LeadCaptured(captured) => Some(captured.signal),
            _ => None,
        });
        signals.next().unwrap()
    }

    fn client(&self, url: &str, token: Option<&str>) -> Arc<Client> {
        let authorization = match token {
            Some(token) => Authorization::token(token).unwrap(),
            None => Authorization::None,
        };
        self.client_with(url, authorization)
    }

    fn client_with(&self, url: &str, authorization: Authorization) -> Arc<Client> {
        Arc::new(Client::new(url.parse().unwrap(), authorization, self.clock.clone()).unwrap())
    }

    fn store(&self) -> &dyn Database {
        &*self.ingest.store
    }
}

fn plans() -> Plans {
    let plan = |cap| Plan {
        api: true,
        requests_per_minute: 60,
        leads_per_month: cap,
    };
    let named = [("agency", None), ("tiny", Some(2)), ("small", Some(3))];
    Plans::new(named.map(|(name, cap)| (name.parse().unwrap(), plan(cap))).into())
}

/// Person number `id` stars `repo`.
fn star(id: u64, repo: &str) -> Activity {
    Activity {
        act: Act::Starred,
        repo: repo.into(),
        actor: Actor {
            id,
            login: format!("fan-{id}"),
            kind: ActorKind::User,
        },
        occurred_at: Timestamp::from_secs(1_775_000_000),
        collector: Collector::Archive,
    }
}

/// Person number `id` writes in issue number `id` of `acme/other`.
fn wrote(id: u64, text: &str) -> Activity {
    Activity {
        act: Act::Wrote {
            target: ScanTarget::Issues,
            text: text.into(),
            url: format!("https://github.com/acme/other/issues/{id}"),
        },
        ..star(id, "acme/other")
    }
}

/// Whom an event is about, in the clear.
async fn person_of(room: &Room, recorded: &Recorded) -> domain::SignalPerson {
    let person = recorded.stream.person().unwrap();
    let keys = room.writer.vault.keys(room.account, &[person]).await.unwrap();
    let (Event::LeadCaptured(domain::event::LeadCaptured { signal, .. })
    | Event::SignalRecorded(domain::event::SignalRecorded { signal, .. })) = &recorded.event
    else {
        panic!("no signal in {}", recorded.event.name());
    };
    keys.open(person, recorded.id, &signal.person).unwrap()
}
