//! Invented facts for the tests of this crate: accounts and people, and a history of any length that hangs together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use database::{Database, Durability, Row, Sqlite, Statement};
use domain::event::{
    AccountOpened, ApiKeyIssued, ApiKeyRevoked, KeywordRetargeted, KeywordTracked, KeywordUntracked, LeadCaptured,
    LeadEnriched, LeadErased, LeadReleased, LeadUpdated, LeadWithheld, PlanChanged, RepoReclassified, RepoRenamed,
    RepoTracked, RepoUntracked, SignalRecorded, SourceStateChanged, StarsCounted, StarsUnattributed,
    WebhookEndpointAdded, WebhookEndpointChanged, WebhookEndpointDisabled, WebhookEndpointPaused,
    WebhookEndpointRemoved, WebhookEndpointResumed, WebhookReplayRequested, WebhookSecretRotated,
};
use domain::{
    AccountId, ApiKeyId, Collector, DisabledReason, Event, EventId, KeywordId, LeadId, LeadStatus, LoginKey, PersonRef,
    RepoId, RepoKey, RepoName, RepoRelation, Sealed, Signal, SignalKey, SignalKind, SourceReason, SourceState,
    SourceSubject, StartFrom, StreamId, Timestamp, WebhookEndpointId, WebhookEventType, WebhookFilters, WebhookKind,
    WebhookReplayId,
};
use event_log::memory::MemoryLog;
use event_log::{EventLog, NewEvent, Position, Recorded, Scope, StreamAppend, Version};
use ulid::Ulid;

use crate::tables::Tables;
use crate::{Projection, Runner};

pub fn ulid(number: u64) -> Ulid {
    Ulid::from_parts(number, u128::from(number))
}

pub fn account(number: u64) -> AccountId {
    AccountId::new(ulid(number))
}

pub fn person(number: u64) -> PersonRef {
    PersonRef::new(u128::from(number).to_be_bytes())
}

pub fn lead_id(number: u64) -> LeadId {
    LeadId::new(ulid(number))
}

/// A name's stand-in, whatever its letter case; the vault's is a keyed hash.
pub fn repo_key(name: &str) -> RepoKey {
    let mut bytes = [0_u8; 16];
    for (at, byte) in name.to_ascii_lowercase().bytes().enumerate() {
        bytes[at % 16] = byte.wrapping_add(bytes[at % 16].rotate_left(3));
    }
    RepoKey::new(bytes)
}

/// The same for a login.
pub fn login_key(login: &str) -> LoginKey {
    LoginKey::new(*repo_key(login).bytes())
}

pub fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

pub fn signal(number: u64, kind: SignalKind, repo_name: &str) -> Signal {
    Signal {
        key: SignalKey::new(u128::from(number).to_be_bytes()),
        kind,
        repo: repo_key(repo_name),
        keyword: (kind != SignalKind::Stargazer).then(|| "docker".parse().unwrap()),
        occurred_at: Timestamp::from_secs(1_000_000 + i64::try_from(number).unwrap()),
        collector: Collector::Archive,
        person: Sealed::new(format!("sealed person {number}").into_bytes()),
    }
}

/// A log in memory, and what it takes to write its next event.
pub struct History {
    pub log: Arc<MemoryLog>,
    versions: HashMap<StreamId, Version>,
    written: u64,
    dice: u64,
    /// By account and person: the lead and whether it is withheld.
    leads: BTreeMap<(u64, u64), (LeadId, bool)>,
    /// Of whom nothing follows.
    erased: BTreeSet<(u64, u64)>,
}

impl History {
    pub fn new() -> Self {
        Self {
            log: Arc::new(MemoryLog::new()),
            versions: HashMap::new(),
            written: 0,
            dice: 0x9E37_79B9_7F4A_7C15,
            leads: BTreeMap::new(),
            erased: BTreeSet::new(),
        }
    }

    /// Three events a second, from an hour before a month ends.
    pub async fn record(&mut self, stream: StreamId, event: impl Into<Event>) -> Position {
        let from: Timestamp = "2026-03-31T23:00:00Z".parse().unwrap();
        self.written += 1;
        let version = self.versions.entry(stream.clone()).or_default();
        let append = StreamAppend {
            stream,
            expected: *version,
            recorded_at: Timestamp::from_secs(from.secs() + i64::try_from(self.written / 3).unwrap()),
            events: vec![NewEvent {
                id: EventId::new(ulid(1_000_000 + self.written)),
                event: event.into(),
            }],
        };
        *version += 1;
        let answers = self.log.append(vec![append]).await;
        answers.into_iter().next().unwrap().unwrap().position()
    }

    pub async fn lead(&mut self, account_number: u64, person_number: u64, event: impl Into<Event>) -> Position {
        let stream = StreamId::lead(account(account_number), person(person_number));
        self.record(stream, event).await
    }

    pub async fn recorded(&self) -> Vec<Recorded> {
        let page = self.log.read(Scope::All, Position::START, usize::MAX).await.unwrap();
        page.events
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64: the same history every time.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % sides
    }

    /// A lead event of one of `people` in one of three accounts, as the rules of the domain allow it: of an erased person there
    /// is none.
    pub async fn lead_event(&mut self, people: u64) {
        const REPOS: [&str; 4] = ["acme/sdk", "Acme/SDK", "rival/kit", "rival/docs"];
        let (account, person) = (self.roll(3), self.roll(people));
        if self.erased.contains(&(account, person)) {
            return;
        }
        let number = self.written;
        let kind = SignalKind::ALL[usize::try_from(self.roll(5)).unwrap()];
        let signal = signal(number, kind, REPOS[usize::try_from(self.roll(4)).unwrap()]);
        let login = format!("ada-example-{person}");
        let dice = self.roll(10);
        let event: Event = match self.leads.get(&(account, person)).copied() {
            None => {
                let lead_id = lead_id(number);
                self.leads.insert((account, person), (lead_id, dice < 3));
                if dice < 3 {
                    LeadWithheld {
                        lead_id,
                        login: Some(login_key(&login)),
                        signal,
                        cap: 50,
                    }
                    .into()
                } else {
                    LeadCaptured {
                        lead_id,
                        login: Some(login_key(&login)),
                        signal,
                    }
                    .into()
                }
            }
            Some((lead_id, true)) if dice < 3 => {
                self.leads.insert((account, person), (lead_id, false));
                LeadReleased { lead_id }.into()
            }
            Some((lead_id, withheld)) if dice == 9 && self.roll(8) == 0 => {
                self.erased.insert((account, person));
                LeadErased { lead_id, withheld }.into()
            }
            Some((lead_id, withheld)) if dice > 7 => LeadUpdated {
                lead_id,
                status: LeadStatus::ALL[usize::try_from(number % 5).unwrap()],
                notes: (!number.is_multiple_of(3)).then(|| Sealed::new(format!("sealed notes {number}").into_bytes())),
                withheld,
            }
            .into(),
            Some((lead_id, withheld)) if dice < 6 => LeadEnriched {
                lead_id,
                login: Some(login_key(&login)),
                profile: Sealed::new(format!("sealed profile {number}").into_bytes()),
                changed: Vec::new(),
                withheld,
            }
            .into(),
            Some((lead_id, withheld)) => SignalRecorded {
                lead_id,
                login: Some(login_key(&login)),
                signal,
                withheld,
            }
            .into(),
        };
        self.lead(account, person, event).await;
    }

    /// Every kind of event but a lead's, in three accounts.
    pub async fn accounts(&mut self) {
        for number in 0..3 {
            for (stream, event) in account_events(number) {
                self.record(stream, event).await;
            }
        }
    }

    /// What is recorded next is of a later second.
    pub const fn let_a_second_pass(&mut self) {
        self.written += 3;
    }

    /// Every lead of the account in the middle, withheld ones too.
    pub fn lead_ids(&self) -> Vec<LeadId> {
        let of_account = self.leads.range((1, 0)..(2, 0));
        of_account.map(|(_, (lead_id, _))| *lead_id).collect()
    }

    /// Those of them whose people were erased.
    pub fn erased_ids(&self) -> BTreeSet<LeadId> {
        let of_account = self.erased.range((1, 0)..(2, 0));
        of_account.map(|who| self.leads[who].0).collect()
    }

    /// Accounts with everything they may have, and so many lead events.
    pub async fn with_leads(events: u64, people: u64) -> Self {
        let mut history = Self::new();
        history.accounts().await;
        for _ in 0..events {
            history.lead_event(people).await;
        }
        history
    }
}

/// Two of everything, one of each changed and gone again.
pub fn account_events(number: u64) -> Vec<(StreamId, Event)> {
    let account = account(number);
    let own = StreamId::account_stream(account);
    let mut events: Vec<(StreamId, Event)> = vec![(own.clone(), opened("free")), (own.clone(), changed("pro"))];
    for item in 0..2 {
        let id = ulid(number * 10 + item + 1);
        let name = repo(["acme/sdk", "rival/kit"][usize::try_from(item).unwrap()]);
        let stream = StreamId::tracked_repo(account, &name);
        events.push((stream, tracked(id, name)));
        events.push((own.clone(), issued(id)));
        events.push((
            StreamId::tracked_keyword(account, &keyword(item)),
            keyword_tracked(id, item),
        ));
        events.push((
            StreamId::webhook_endpoint(account, WebhookEndpointId::new(id)),
            endpoint(id),
        ));
    }
    let (first, second) = (ulid(number * 10 + 1), ulid(number * 10 + 2));
    let (sdk, kit) = (repo("acme/sdk"), repo("rival/kit"));
    events.extend(watched(account, &sdk, first));
    events.extend(watched(account, &kit, second));
    let keyword_id = KeywordId::new(second);
    let subject = SourceSubject::Keyword {
        id: keyword_id,
        keyword: keyword(1),
    };
    events.push((
        StreamId::tracked_keyword(account, &keyword(1)),
        source(subject, SourceState::Active, SourceReason::Answered),
    ));
    let (repo_id, relation) = (RepoId::new(first), RepoRelation::Own);
    let reclassified = RepoReclassified { repo_id, relation };
    events.push((StreamId::tracked_repo(account, &sdk), reclassified.into()));
    let repo_id = RepoId::new(second);
    events.push((StreamId::tracked_repo(account, &kit), RepoUntracked { repo_id }.into()));
    let key_id = ApiKeyId::new(second);
    events.push((own, ApiKeyRevoked { key_id }.into()));
    let retargeted = KeywordRetargeted {
        keyword_id: KeywordId::new(first),
        scan_targets: "code".parse().unwrap(),
    };
    events.push((StreamId::tracked_keyword(account, &keyword(0)), retargeted.into()));
    let keyword_id = KeywordId::new(second);
    events.push((
        StreamId::tracked_keyword(account, &keyword(1)),
        KeywordUntracked { keyword_id }.into(),
    ));
    let endpoint_id = WebhookEndpointId::new(first);
    for event in endpoint_events(endpoint_id) {
        events.push((StreamId::webhook_endpoint(account, endpoint_id), event));
    }
    let reason = DisabledReason::Gone;
    let disabled = WebhookEndpointDisabled {
        endpoint_id,
        reason,
        last_failure: Some("status".into()),
    };
    events.push((StreamId::webhook_endpoint(account, endpoint_id), disabled.into()));
    let endpoint_id = WebhookEndpointId::new(second);
    let removed = WebhookEndpointRemoved { endpoint_id };
    events.push((StreamId::webhook_endpoint(account, endpoint_id), removed.into()));
    events
}

/// All that a customer may do with an endpoint once.
fn endpoint_events(endpoint_id: WebhookEndpointId) -> Vec<Event> {
    let changed = WebhookEndpointChanged {
        endpoint_id,
        url: "https://hooks.example/people".into(),
        events: vec![WebhookEventType::LeadCreated, WebhookEventType::LeadErased],
        filters: WebhookFilters {
            signal_types: vec![SignalKind::Stargazer],
            repos: vec![repo("acme/sdk")],
            keywords: Vec::new(),
        },
        description: Some("CRM".into()),
    };
    let rotated = WebhookSecretRotated {
        endpoint_id,
        secret: Sealed::new(vec![4, 5, 6]),
        previous_valid_until: Timestamp::from_secs(2_000_000_000),
    };
    let replay = WebhookReplayRequested {
        endpoint_id,
        replay_id: WebhookReplayId::new(endpoint_id.ulid()),
        since: Timestamp::from_secs(1_000_000),
        until: Timestamp::from_secs(2_000_000),
    };
    vec![
        changed.into(),
        rotated.into(),
        WebhookEndpointPaused { endpoint_id }.into(),
        replay.into(),
        WebhookEndpointResumed { endpoint_id }.into(),
    ]
}

/// What sources tell of a repository.
fn watched(account: AccountId, name: &RepoName, id: Ulid) -> Vec<(StreamId, Event)> {
    let repo_id = RepoId::new(id);
    let subject = SourceSubject::Repo {
        id: repo_id,
        full_name: name.clone(),
    };
    let counted_at = Timestamp::from_secs(1_000_000);
    let events: [Event; 5] = [
        source(subject.clone(), SourceState::Active, SourceReason::Answered),
        source(subject, SourceState::Restricted, SourceReason::Forbidden),
        StarsCounted {
            repo_id,
            stars: 100,
            counted_at,
        }
        .into(),
        StarsUnattributed {
            repo_id,
            stars: 120,
            counted_at,
            growth: 20,
            captured: 15,
            unattributed: 5,
        }
        .into(),
        RepoRenamed {
            repo_id,
            full_name: repo("acme/renamed"),
        }
        .into(),
    ];
    let stream = StreamId::tracked_repo(account, name);
    events.into_iter().map(|event| (stream.clone(), event)).collect()
}

fn source(subject: SourceSubject, state: SourceState, reason: SourceReason) -> Event {
    SourceStateChanged {
        subject,
        collector: Collector::EventsFeed,
        state,
        reason,
        since: Timestamp::from_secs(1_000_000),
    }
    .into()
}

fn opened(plan: &str) -> Event {
    AccountOpened {
        name: "Acme".into(),
        plan: plan.parse().unwrap(),
    }
    .into()
}

fn changed(plan: &str) -> Event {
    PlanChanged {
        plan: plan.parse().unwrap(),
    }
    .into()
}

fn tracked(id: Ulid, full_name: RepoName) -> Event {
    RepoTracked {
        repo_id: RepoId::new(id),
        full_name,
        relation: RepoRelation::Competitor,
    }
    .into()
}

fn issued(id: Ulid) -> Event {
    ApiKeyIssued {
        key_id: ApiKeyId::new(id),
        label: "first".into(),
        hash: format!("hash of {id}"),
        hint: "wxyz".into(),
    }
    .into()
}

fn keyword(item: u64) -> domain::Keyword {
    ["docker", "event sourcing"][usize::try_from(item).unwrap()]
        .parse()
        .unwrap()
}

fn keyword_tracked(id: Ulid, item: u64) -> Event {
    KeywordTracked {
        keyword_id: KeywordId::new(id),
        keyword: keyword(item),
        scan_targets: "issues,prs".parse().unwrap(),
    }
    .into()
}

fn endpoint(id: Ulid) -> Event {
    WebhookEndpointAdded {
        endpoint_id: WebhookEndpointId::new(id),
        kind: WebhookKind::Webhook,
        url: "https://hooks.example/leads".into(),
        events: vec![WebhookEventType::LeadCreated, WebhookEventType::LeadEnriched],
        filters: WebhookFilters::default(),
        start_from: StartFrom::Beginning,
        description: None,
        secret: Sealed::new(vec![1, 2, 3]),
    }
    .into()
}

/// What moves the read models of a history.
pub async fn runner_of(history: &History, views: &Arc<dyn Database>) -> Runner {
    Runner::open(history.log.clone(), views.clone(), crate::all())
        .await
        .unwrap()
}

/// The read models' database in that folder.
pub fn open_views(folder: &Path) -> Arc<Sqlite> {
    Arc::new(Sqlite::open(&folder.join("views.db"), Durability::Disposable).unwrap())
}

/// An empty database, and what must live as long as it.
pub type Views = (Arc<dyn Database>, Option<tempfile::TempDir>);

pub fn sqlite() -> Views {
    let folder = tempfile::tempdir().unwrap();
    (open_views(folder.path()), Some(folder))
}

pub async fn postgres() -> Views {
    let fresh = testbed::Postgres::fresh_database().await;
    let database = database::Postgres::open(fresh.url().parse().unwrap(), false).await;
    (Arc::new(database.unwrap().disposable()), None)
}

/// An empty database of each engine.
pub async fn each_engine() -> [Views; 2] {
    [sqlite(), postgres().await]
}

/// Each of these functions as a test on each engine.
macro_rules! on_each_engine {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let (views, _keep) = crate::tests::sqlite();
                super::$test(views).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let (views, _keep) = crate::tests::postgres().await;
                super::$test(views).await;
            })+
        }
    };
}
pub(crate) use on_each_engine;

/// A database of each engine that holds one projection, event after event.
pub async fn project(projection: &dyn Projection, events: &[Recorded]) -> [Views; 2] {
    let engines = each_engine().await;
    for (views, _) in &engines {
        let texts = [projection.schema(), projection.indexes()];
        let schema = texts.into_iter().filter(|text| !text.is_empty());
        views
            .write(schema.map(|text| Statement::sql(text, Vec::new())).collect())
            .await
            .unwrap();
        for recorded in events {
            views.write(projection.apply(recorded)).await.unwrap();
        }
    }
    engines
}

pub async fn read(views: &dyn Database, text: impl Into<String>) -> Vec<Row> {
    views.read(Statement::sql(text.into(), Vec::new())).await.unwrap()
}

pub async fn write(views: &dyn Database, texts: &[&'static str]) {
    let statements = texts.iter().map(|text| Statement::sql(*text, Vec::new()));
    views.write(statements.collect()).await.unwrap();
}

pub async fn exists(views: &dyn Database, table: &str) -> bool {
    let query = Statement::sql(format!("SELECT 1 FROM {table} WHERE 1 = 0"), Vec::new());
    views.read(query).await.is_ok()
}

/// Every row of every live table, where each projection stands, and the live tables' indexes but for their numbers.
pub type Dump = BTreeMap<String, Vec<Row>>;

pub async fn dump(views: &dyn Database) -> Dump {
    let mut dumped = BTreeMap::new();
    for projection in crate::all() {
        for (table, key) in Tables::of(projection.schema()).iter() {
            let text = format!("SELECT * FROM {table} ORDER BY {}", key.join(", "));
            dumped.insert(table.to_owned(), read(views, text).await);
        }
    }
    let text = "SELECT name, position, changed_at, indexed, definition FROM projection_checkpoint \
                WHERE name NOT LIKE '%!_!_%' ESCAPE '!' ORDER BY name";
    dumped.insert("projection_checkpoint".into(), read(views, text).await);
    dumped.insert("indexes".into(), indexes(views).await);
    dumped
}

async fn indexes(views: &dyn Database) -> Vec<Row> {
    let text = if views.has_one_writer() {
        "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    } else {
        "SELECT CAST(tablename AS TEXT), CAST(indexname AS TEXT) FROM pg_indexes \
         WHERE schemaname = 'public' AND indexname NOT LIKE '%_pkey%' ORDER BY indexname"
    };
    let mut found = read(views, text).await;
    found.retain(|row| !row.text(0).unwrap().contains("__"));
    for row in &mut found {
        let name = row.text(1).unwrap().rsplit_once("_g").unwrap().0.to_owned();
        row.0[1] = name.into();
    }
    found
}
