//! Commands against a real log and a real vault: what is appended, and what is not.

mod erasure;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use database::migrate::{MIGRATIONS, migrate};
use database::{Durability, Sqlite};
use domain::event::LeadEnriched;
use domain::{Collector, Event, PersonRef, Profile, ProfileField, Provenance, SignalKind, SignalPerson, Timestamp};
use event_log::memory::MemoryLog;
use event_log::{AppendError, Appended, Page, ReadError, Recorded, Scope, StreamAppend};
use vault::RootKey;

use super::*;

struct CountingClock(AtomicU64);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_777_026_660)
    }

    fn entropy(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

async fn writer_over(log: Arc<dyn EventLog>) -> (Writer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap();
    migrate(&store, MIGRATIONS).await.unwrap();
    let root = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
    let vault = Arc::new(Vault::new(Arc::new(store), &root));
    (
        Writer {
            log,
            vault,
            clock: Arc::new(CountingClock(AtomicU64::new(1))),
        },
        folder,
    )
}

async fn writer() -> (Writer, tempfile::TempDir) {
    writer_over(Arc::new(MemoryLog::new())).await
}

fn account() -> domain::AccountId {
    domain::AccountId::new(ulid::Ulid::from_parts(1, 1))
}

fn star(user_id: u64, repo: &str) -> Sighting {
    Sighting {
        kind: SignalKind::Stargazer,
        keyword: None,
        occurred_at: Timestamp::from_secs(1),
        collector: Collector::Archive,
        person: SignalPerson {
            user_id,
            login: format!("ada-example-{user_id}"),
            repo: repo.parse().unwrap(),
            url: None,
            snippet: None,
            attribution: None,
        },
    }
}

async fn events(writer: &Writer) -> Vec<Recorded> {
    writer
        .log
        .read(Scope::All, Position::START, 10_000)
        .await
        .unwrap()
        .events
}

async fn names(writer: &Writer) -> Vec<&'static str> {
    events(writer)
        .await
        .iter()
        .map(|recorded| recorded.event.name())
        .collect()
}

#[tokio::test]
async fn tracking_the_same_repo_again_answers_with_the_first_record() {
    let (writer, _folder) = writer().await;
    let first = track_repo(&writer, account(), "Acme/SDK".parse().unwrap(), None)
        .await
        .unwrap();
    let again = track_repo(&writer, account(), "acme/sdk".parse().unwrap(), None)
        .await
        .unwrap();
    assert!(first.created && !again.created);
    assert_eq!(first.value, again.value);
    assert_eq!(again.value.full_name.as_str(), "Acme/SDK");
    let other = Some(domain::RepoRelation::Own);
    let changed = track_repo(&writer, account(), "acme/sdk".parse().unwrap(), other)
        .await
        .unwrap();
    assert_eq!(
        changed.value,
        RepoRecord {
            relation: domain::RepoRelation::Own,
            ..first.value
        }
    );
    assert_eq!(names(&writer).await, ["RepoTracked", "RepoReclassified"]);
}

#[tokio::test]
async fn an_untracked_keyword_comes_back_as_another_record() {
    let (writer, _folder) = writer().await;
    let keyword: domain::Keyword = "event sourcing".parse().unwrap();
    let first = track_keyword(&writer, account(), keyword.clone(), None)
        .await
        .unwrap()
        .value;
    untrack_keyword(&writer, account(), &keyword, first.keyword_id)
        .await
        .unwrap();
    assert!(
        untrack_keyword(&writer, account(), &keyword, first.keyword_id)
            .await
            .is_err()
    );
    let second = track_keyword(&writer, account(), keyword, None).await.unwrap();
    assert!(second.created);
    assert_ne!(second.value.keyword_id, first.keyword_id);
}

#[tokio::test]
async fn an_issued_key_is_in_the_log_as_a_hash_only() {
    let (writer, _folder) = writer().await;
    let opened = open_account(&writer, "Acme".into(), "agency".parse().unwrap())
        .await
        .unwrap();
    let issued = issue_key(&writer, opened.value, "first".into()).await.unwrap().value;
    let log = format!("{:?}", events(&writer).await);
    assert!(log.contains(&api_key::hash(&issued.secret).unwrap()));
    assert!(!log.contains(&issued.secret) && !format!("{issued:?}").contains(&issued.secret));
}

#[tokio::test]
async fn a_person_is_one_lead_however_many_signals_come_in_one_batch_or_in_several() {
    let (writer, _folder) = writer().await;
    let batch = vec![
        star(1, "acme/sdk"),
        star(2, "acme/sdk"),
        star(1, "acme/cli"),
        star(1, "ACME/sdk"),
    ];
    let first = record_signals(&writer, account(), batch.clone(), Allowance::Unlimited)
        .await
        .unwrap();
    assert_eq!((first.captured, first.joined, first.known), (2, 1, 1));
    let again = record_signals(&writer, account(), batch, Allowance::Unlimited)
        .await
        .unwrap();
    assert_eq!((again.captured, again.joined, again.known), (0, 0, 4));
    assert_eq!(names(&writer).await, ["LeadCaptured", "SignalRecorded", "LeadCaptured"]);
}

#[tokio::test]
async fn what_is_appended_names_nobody() {
    let (writer, _folder) = writer().await;
    record_signals(
        &writer,
        account(),
        vec![star(424_242, "acme/sdk")],
        Allowance::Unlimited,
    )
    .await
    .unwrap();
    let recorded = events(&writer).await.remove(0);
    let stored = format!("{} {}", recorded.stream, recorded.event.encode().unwrap());
    assert!(
        !stored.contains("ada-example") && !stored.contains("424242"),
        "{stored}"
    );
}

#[tokio::test]
async fn people_beyond_the_months_room_are_withheld_and_released_later() {
    let (writer, _folder) = writer().await;
    let room = Allowance::Room { left: 1, cap: 50 };
    let batch = vec![
        star(1, "acme/sdk"),
        star(2, "acme/sdk"),
        star(2, "acme/cli"),
        star(1, "acme/cli"),
    ];
    let came = record_signals(&writer, account(), batch, room).await.unwrap();
    assert_eq!((came.captured, came.withheld, came.joined), (1, 1, 2));
    let people: Vec<PersonRef> = [1, 2].map(|user_id| writer.vault.person_ref(account(), user_id)).into();
    release_leads(&writer, account(), &people).await.unwrap();
    release_leads(&writer, account(), &people).await.unwrap();
    assert_eq!(
        names(&writer)
            .await
            .iter()
            .filter(|name| **name == "LeadReleased")
            .count(),
        1
    );
}

#[tokio::test]
async fn nothing_is_recorded_of_an_erased_person() {
    let (writer, _folder) = writer().await;
    record_signals(&writer, account(), vec![star(1, "acme/sdk")], Allowance::Unlimited)
        .await
        .unwrap();
    let person = writer.vault.person_ref(account(), 1);
    writer.vault.destroy(account(), person).await.unwrap();
    let came = record_signals(&writer, account(), vec![star(1, "acme/cli")], Allowance::Unlimited)
        .await
        .unwrap();
    assert_eq!((came.erased, came.joined), (1, 0));
    let profile = Profile {
        login: "new-login".into(),
        ..Profile::default()
    };
    assert_eq!(enrich_lead(&writer, account(), person, profile).await.unwrap(), None);
    assert_eq!(events(&writer).await.len(), 1);
}

fn observed(name: &str, at: i64) -> Profile {
    let observed_at = Timestamp::from_secs(at);
    let provenance = Provenance {
        source: "github_rest".into(),
        url: "https://api.example/users/1".into(),
        observed_at,
    };
    Profile {
        login: "ada-example-1".into(),
        name: Some(name.into()),
        bio: Some("Engineer".into()),
        provenance: [ProfileField::Name, ProfileField::Bio]
            .map(|field| (field, provenance.clone()))
            .into(),
        ..Profile::default()
    }
}

#[tokio::test]
async fn a_profile_is_recorded_only_when_a_value_changed_and_old_values_keep_their_first_time() {
    let (writer, _folder) = writer().await;
    record_signals(&writer, account(), vec![star(1, "acme/sdk")], Allowance::Unlimited)
        .await
        .unwrap();
    let person = writer.vault.person_ref(account(), 1);
    assert!(
        enrich_lead(&writer, account(), person, observed("Ada", 10))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        enrich_lead(&writer, account(), person, observed("Ada", 20))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        enrich_lead(&writer, account(), person, observed("Ada Example", 30))
            .await
            .unwrap()
            .is_some()
    );
    let last = events(&writer).await.pop().unwrap();
    let Event::LeadEnriched(LeadEnriched { profile, changed, .. }) = &last.event else {
        panic!("{last:?}")
    };
    assert_eq!(changed, &[ProfileField::Name]);
    let keys = writer.vault.keys(account(), &[person]).await.unwrap();
    let known: Profile = keys.open(person, last.id, profile).unwrap();
    assert_eq!(
        known.provenance[&ProfileField::Bio].observed_at,
        Timestamp::from_secs(10)
    );
    assert_eq!(
        known.provenance[&ProfileField::Name].observed_at,
        Timestamp::from_secs(30)
    );
}

/// A log that another writer gets ahead of once, and whose answer is lost once.
struct Unlucky {
    log: MemoryLog,
    rival: Mutex<Option<StreamAppend>>,
    lose_answer: Mutex<bool>,
}

#[async_trait]
impl EventLog for Unlucky {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
        let rival = self.rival.lock().unwrap().take();
        if let Some(rival) = rival {
            self.log.append(vec![rival]).await.remove(0).unwrap();
        }
        let answers = self.log.append(batch).await;
        if std::mem::take(&mut *self.lose_answer.lock().unwrap()) {
            return answers
                .into_iter()
                .map(|_| Err(AppendError::Unknown("the answer was lost".into())))
                .collect();
        }
        answers
    }

    async fn read_streams(&self, streams: &[domain::StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        self.log.read_streams(streams).await
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        self.log.read(scope, after, limit).await
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.log.head().await
    }

    async fn wait(&self, after: Position, at_most: std::time::Duration) {
        self.log.wait(after, at_most).await;
    }
}

/// What another writer, who saw the same empty log, would append for the same star.
async fn rival_append() -> StreamAppend {
    let (writer, _folder) = writer().await;
    record_signals(&writer, account(), vec![star(1, "acme/sdk")], Allowance::Unlimited)
        .await
        .unwrap();
    let recorded = events(&writer).await.remove(0);
    let id = domain::EventId::new(ulid::Ulid::from_parts(99, 99));
    let events = vec![event_log::NewEvent {
        id,
        event: recorded.event,
    }];
    StreamAppend {
        stream: recorded.stream,
        expected: 0,
        recorded_at: recorded.recorded_at,
        events,
    }
}

#[tokio::test]
async fn a_writer_who_comes_second_decides_anew_and_gives_the_room_back() {
    let rival = Mutex::new(Some(rival_append().await));
    let log = Arc::new(Unlucky {
        log: MemoryLog::new(),
        rival,
        lose_answer: Mutex::new(false),
    });
    let (writer, _folder) = writer_over(log).await;
    let batch = vec![star(1, "acme/sdk"), star(2, "acme/sdk")];
    let came = record_signals(&writer, account(), batch, Allowance::Room { left: 2, cap: 2 })
        .await
        .unwrap();
    assert_eq!((came.captured, came.withheld, came.known), (1, 0, 1));
    assert_eq!(names(&writer).await, ["LeadCaptured", "LeadCaptured"]);
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_repeated_and_recorded_once() {
    let log = Arc::new(Unlucky {
        log: MemoryLog::new(),
        rival: Mutex::new(None),
        lose_answer: Mutex::new(true),
    });
    let (writer, _folder) = writer_over(log).await;
    let came = record_signals(&writer, account(), vec![star(1, "acme/sdk")], Allowance::Unlimited)
        .await
        .unwrap();
    assert_eq!(came.captured, 1);
    assert_eq!(names(&writer).await, ["LeadCaptured"]);
}

#[tokio::test]
async fn a_request_that_two_carry_out_at_once_is_carried_out_once() {
    let (first, _folder) = writer().await;
    let log = Arc::new(Unlucky {
        log: MemoryLog::new(),
        rival: Mutex::new(None),
        lose_answer: Mutex::new(false),
    });
    let (second, _other_folder) = writer_over(log.clone()).await;
    for writer in [&first, &second] {
        open_first_account(writer, "Acme".into(), "agency".parse().unwrap())
            .await
            .unwrap();
    }
    let account = events(&second).await[0].account();
    // Both draw the same from here on; the first is quicker, with another label, as if it were sealed anew.
    let quicker = issue_key(&first, account, "first".into()).await.unwrap();
    let recorded = events(&first).await.pop().unwrap();
    *log.rival.lock().unwrap() = Some(StreamAppend {
        stream: recorded.stream,
        expected: 1,
        recorded_at: recorded.recorded_at,
        events: vec![event_log::NewEvent {
            id: recorded.id,
            event: recorded.event,
        }],
    });
    let slower = issue_key(&second, account, "other".into()).await.unwrap();
    assert_eq!(slower, quicker);
    assert_eq!(names(&second).await, ["AccountOpened", "ApiKeyIssued"]);
    // What others did to the stream since changes nothing.
    revoke_key(&second, account, slower.value.key_id).await.unwrap();
    let (third, _third_folder) = writer_over(log).await;
    third.clock.entropy();
    let again = issue_key(&third, account, "first".into()).await.unwrap();
    assert_eq!(again, quicker);
}
