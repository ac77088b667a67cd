//! The vault over a real table: what is sealed opens for its own person and nobody else, and never after an erasure.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use database::{Durability, MIGRATIONS, Row, Snapshot, Sqlite, Statement, migrate};
use domain::SignalPerson;
use tempfile::TempDir;
use tokio::sync::Notify;
use ulid::Ulid;

use super::*;

/// The real file and its real tables, counting what it is asked; can be told to stop between reading and answering.
struct TestDatabase {
    file: Sqlite,
    directory: TempDir,
    reads: AtomicUsize,
    writes: AtomicUsize,
    held: Mutex<Option<Arc<Held>>>,
}

/// A read that has its rows and waits with the answer.
#[derive(Default)]
struct Held {
    reached: Notify,
    go_on: Notify,
}

impl TestDatabase {
    async fn new() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let file = Sqlite::open(&directory.path().join("gitleads.db"), Durability::Full).unwrap();
        migrate(&file, MIGRATIONS).await.unwrap();
        Arc::new(Self {
            file,
            directory,
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            held: Mutex::new(None),
        })
    }

    fn hold_next_read(&self) -> Arc<Held> {
        let held = Arc::new(Held::default());
        *self.held.lock().unwrap() = Some(Arc::clone(&held));
        held
    }

    fn calls(&self) -> (usize, usize) {
        (self.reads.load(Ordering::SeqCst), self.writes.load(Ordering::SeqCst))
    }

    async fn rows(&self, text: &'static str) -> Vec<Row> {
        self.file.read(Statement::sql(text, Vec::new())).await.unwrap()
    }

    /// Whether any file of the database has these bytes anywhere.
    fn has_on_disk(&self, bytes: &[u8]) -> bool {
        let files = std::fs::read_dir(self.directory.path()).unwrap();
        files
            .map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .any(|content| content.windows(bytes.len()).any(|window| window == bytes))
    }
}

#[async_trait]
impl Database for TestDatabase {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.file.write(statements).await
    }

    async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let rows = self.file.read(query).await?;
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            held.reached.notify_one();
            held.go_on.notified().await;
        }
        Ok(rows)
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
        self.file.snapshot().await
    }
}

fn root(byte: u8) -> RootKey {
    RootKey::from_base64(&STANDARD.encode([byte; 32])).unwrap()
}

fn vault(database: &Arc<TestDatabase>) -> Vault {
    Vault::new(database.clone(), &root(7))
}

fn account(number: u128) -> AccountId {
    AccountId::new(Ulid(number))
}

fn event(number: u128) -> EventId {
    EventId::new(Ulid(number))
}

fn ada() -> SignalPerson {
    SignalPerson {
        user_id: 1001,
        login: "ada-example".into(),
        repo: "acme/sdk".parse().unwrap(),
        url: None,
        snippet: Some("is there a hosted version?".into()),
        attribution: None,
    }
}

fn open(keyring: &Keyring, person: PersonRef, event: EventId, sealed: &Sealed) -> Result<SignalPerson, OpenError> {
    keyring.open(person, event, sealed)
}

#[tokio::test]
async fn what_was_sealed_opens_for_its_account_person_and_event_and_for_no_other() {
    let vault = vault(&TestDatabase::new().await);
    let people = [1001, 1002].map(|user| vault.person_ref(account(1), user));
    let [ada_ref, ben_ref] = people;
    let keyring = vault.ensure_keys(account(1), &people).await.unwrap();
    let sealed = keyring.seal(ada_ref, event(5), &ada()).unwrap();

    assert_eq!(open(&keyring, ada_ref, event(5), &sealed), Ok(ada()));
    assert_eq!(open(&keyring, ada_ref, event(6), &sealed), Err(OpenError::Tampered));
    assert_eq!(open(&keyring, ben_ref, event(5), &sealed), Err(OpenError::Tampered));
    let elsewhere = vault.ensure_keys(account(2), &[ada_ref]).await.unwrap();
    assert_eq!(open(&elsewhere, ada_ref, event(5), &sealed), Err(OpenError::Erased));
    let same_key = Keyring::new(account(2), keyring.keys.clone());
    assert_eq!(open(&same_key, ada_ref, event(5), &sealed), Err(OpenError::Tampered));
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_refused() {
    let vault = vault(&TestDatabase::new().await);
    let person = vault.person_ref(account(1), 1001);
    let keyring = vault.ensure_keys(account(1), &[person]).await.unwrap();
    let sealed = keyring.seal(person, event(5), &ada()).unwrap();
    for index in 0..sealed.bytes().len() {
        let mut changed = sealed.bytes().to_vec();
        changed[index] ^= 1;
        assert!(
            open(&keyring, person, event(5), &Sealed::new(changed)).is_err(),
            "byte {index}"
        );
    }
}

#[tokio::test]
async fn another_kind_of_value_is_refused_without_a_word_of_what_it_was() {
    let vault = vault(&TestDatabase::new().await);
    let person = vault.person_ref(account(1), 1001);
    let keyring = vault.ensure_keys(account(1), &[person]).await.unwrap();
    let sealed = keyring.seal(person, event(5), &"ada-example").unwrap();
    let error = open(&keyring, person, event(5), &sealed).unwrap_err();
    assert_eq!(error, OpenError::Malformed);
    assert!(!format!("{error} {error:?}").contains("ada"));
}

#[tokio::test]
async fn keys_survive_a_restart_and_need_the_same_root_key() {
    let database = TestDatabase::new().await;
    let person = vault(&database).person_ref(account(1), 1001);
    let keyring = vault(&database).ensure_keys(account(1), &[person]).await.unwrap();
    let sealed = keyring.seal(person, event(5), &ada()).unwrap();

    let again = vault(&database);
    again.check().await.unwrap();
    let keyring = again.keys(account(1), &[person]).await.unwrap();
    assert_eq!(open(&keyring, person, event(5), &sealed), Ok(ada()));

    let stranger = Vault::new(database.clone(), &root(8));
    assert!(matches!(stranger.check().await, Err(VaultError::WrongRootKey)));
    assert!(matches!(
        stranger.keys(account(1), &[person]).await,
        Err(VaultError::WrongRootKey)
    ));
}

#[tokio::test]
async fn another_root_key_is_noticed_though_nobody_has_a_key_yet() {
    let database = TestDatabase::new().await;
    vault(&database).check().await.unwrap();
    let stranger = Vault::new(database.clone(), &root(8));
    assert!(matches!(stranger.check().await, Err(VaultError::WrongRootKey)));
    vault(&database).check().await.unwrap();
}

#[tokio::test]
async fn a_wrapped_key_moved_to_another_person_does_not_open() {
    let database = TestDatabase::new().await;
    let [from, to] = [1001, 1002].map(|user| vault(&database).person_ref(account(1), user));
    vault(&database).ensure_keys(account(1), &[from, to]).await.unwrap();
    let swap = Statement::sql(
        "UPDATE person_keys SET wrapped = (SELECT wrapped FROM person_keys WHERE person = $1) WHERE person = $2",
        vec![from.bytes().as_slice().into(), to.bytes().as_slice().into()],
    );
    database.write(vec![swap]).await.unwrap();
    assert!(vault(&database).keys(account(1), &[from]).await.unwrap().has(from));
    assert!(matches!(
        vault(&database).keys(account(1), &[to]).await,
        Err(VaultError::WrongRootKey)
    ));
}

#[tokio::test]
async fn an_erased_person_is_neither_opened_nor_sealed_and_stays_erased() {
    let database = TestDatabase::new().await;
    let erasing = vault(&database);
    let [ada_ref, ben_ref] = [1001, 1002].map(|user| erasing.person_ref(account(1), user));
    let keyring = erasing.ensure_keys(account(1), &[ada_ref, ben_ref]).await.unwrap();
    let sealed = keyring.seal(ada_ref, event(5), &ada()).unwrap();
    erasing.destroy(account(1), ada_ref).await.unwrap();
    erasing.destroy(account(1), ada_ref).await.unwrap();

    for vault in [&erasing, &vault(&database)] {
        for keyring in [
            vault.keys(account(1), &[ada_ref, ben_ref]).await.unwrap(),
            vault.ensure_keys(account(1), &[ada_ref, ben_ref]).await.unwrap(),
        ] {
            assert!(!keyring.has(ada_ref) && keyring.has(ben_ref));
            assert_eq!(open(&keyring, ada_ref, event(5), &sealed), Err(OpenError::Erased));
            assert_eq!(keyring.seal(ada_ref, event(6), &ada()), Err(SealError::Erased));
        }
    }
    let left = database
        .rows("SELECT person FROM person_keys WHERE wrapped IS NULL")
        .await;
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn a_key_that_another_vault_destroyed_is_at_hand_until_this_one_forgets_it() {
    let database = TestDatabase::new().await;
    let (here, elsewhere) = (vault(&database), vault(&database));
    let person = here.person_ref(account(1), 1001);
    let keyring = here.ensure_keys(account(1), &[person]).await.unwrap();
    let sealed = keyring.seal(person, event(5), &ada()).unwrap();
    elsewhere.destroy(account(1), person).await.unwrap();
    let keyring = here.keys(account(1), &[person]).await.unwrap();
    assert_eq!(open(&keyring, person, event(5), &sealed), Ok(ada()));

    here.forget(account(1), person);
    let keyring = here.keys(account(1), &[person]).await.unwrap();
    assert_eq!(open(&keyring, person, event(5), &sealed), Err(OpenError::Erased));
}

#[tokio::test]
async fn a_key_that_is_forgotten_though_it_lives_is_read_again() {
    let database = TestDatabase::new().await;
    let vault = vault(&database);
    let person = vault.person_ref(account(1), 1001);
    vault.ensure_keys(account(1), &[person]).await.unwrap();
    vault.forget(account(1), person);
    assert!(vault.keys(account(1), &[person]).await.unwrap().has(person));
}

#[tokio::test]
async fn a_person_can_be_erased_before_having_a_key_but_not_by_another_account() {
    let vault = vault(&TestDatabase::new().await);
    let person = vault.person_ref(account(1), 1001);
    vault.destroy(account(1), person).await.unwrap();
    assert!(!vault.ensure_keys(account(1), &[person]).await.unwrap().has(person));

    let other = vault.person_ref(account(1), 1002);
    vault.ensure_keys(account(1), &[other]).await.unwrap();
    vault.destroy(account(2), other).await.unwrap();
    assert!(vault.keys(account(1), &[other]).await.unwrap().has(other));
}

#[tokio::test]
async fn a_reader_on_its_way_does_not_bring_a_destroyed_key_back() {
    let database = TestDatabase::new().await;
    let person = vault(&database).person_ref(account(1), 1001);
    vault(&database).ensure_keys(account(1), &[person]).await.unwrap();

    let cold = Arc::new(vault(&database));
    let held = database.hold_next_read();
    let reader = tokio::spawn({
        let cold = Arc::clone(&cold);
        async move { cold.keys(account(1), &[person]).await.unwrap().has(person) }
    });
    held.reached.notified().await;
    cold.destroy(account(1), person).await.unwrap();
    held.go_on.notify_one();
    reader.await.unwrap();
    assert!(!cold.keys(account(1), &[person]).await.unwrap().has(person));
}

#[tokio::test]
async fn two_vaults_that_make_a_key_at_once_agree_on_it() {
    let database = TestDatabase::new().await;
    let (slow, fast) = (Arc::new(vault(&database)), vault(&database));
    let people: Vec<PersonRef> = (0..3).map(|user| fast.person_ref(account(1), user)).collect();
    let held = database.hold_next_read();
    let late = tokio::spawn({
        let (slow, people) = (Arc::clone(&slow), people.clone());
        async move { slow.ensure_keys(account(1), &people).await.unwrap() }
    });
    held.reached.notified().await;
    let early = fast.ensure_keys(account(1), &people[..2]).await.unwrap();
    fast.destroy(account(1), people[1]).await.unwrap();
    held.go_on.notify_one();
    let late = late.await.unwrap();

    let sealed = early.seal(people[0], event(5), &ada()).unwrap();
    assert_eq!(open(&late, people[0], event(5), &sealed), Ok(ada()));
    assert!(!late.has(people[1]), "the tombstone counts");
    assert!(late.has(people[2]), "and the third gets a key");
    let sealed = late.seal(people[2], event(6), &ada()).unwrap();
    let keyring = fast.keys(account(1), &people).await.unwrap();
    assert_eq!(open(&keyring, people[2], event(6), &sealed), Ok(ada()));
}

#[tokio::test]
async fn a_warm_page_asks_the_database_nothing_and_a_cold_one_once() {
    let database = TestDatabase::new().await;
    let vault = vault(&database);
    let people: Vec<PersonRef> = (0..100).map(|user| vault.person_ref(account(1), user)).collect();
    vault.ensure_keys(account(1), &people).await.unwrap();
    assert_eq!(database.calls(), (1, 1));
    vault.ensure_keys(account(1), &people).await.unwrap();
    vault.keys(account(1), &people).await.unwrap();
    assert_eq!(database.calls(), (1, 1));
}

#[tokio::test]
async fn more_people_than_one_query_or_the_cache_takes_all_get_their_keys() {
    let database = TestDatabase::new().await;
    let small = Vault::with_cache(database.clone(), &root(7), 10);
    let people: Vec<PersonRef> = (0..2500).map(|user| small.person_ref(account(1), user)).collect();
    let made = small.ensure_keys(account(1), &people).await.unwrap();
    assert_eq!(database.calls(), (5, 3));
    let found = small.keys(account(1), &people).await.unwrap();
    for person in people {
        let sealed = made.seal(person, event(5), &1).unwrap();
        assert_eq!(found.open(person, event(5), &sealed), Ok(1));
    }
}

#[tokio::test]
async fn a_destroyed_key_is_in_none_of_the_files_once_they_are_closed() {
    let database = TestDatabase::new().await;
    let vault = vault(&database);
    // More than a page, in several writes, so that the table's pages were divided and filled up.
    let people: Vec<PersonRef> = (0..600).map(|user| vault.person_ref(account(1), user)).collect();
    for some in people.chunks(70) {
        vault.ensure_keys(account(1), some).await.unwrap();
    }
    let stored = database.rows("SELECT wrapped FROM person_keys").await;
    let wrapped: Vec<&[u8]> = stored.iter().step_by(15).map(|row| row.blob(0).unwrap()).collect();
    assert!(wrapped.iter().all(|key| database.has_on_disk(key)));
    for person in &people {
        vault.destroy(account(1), *person).await.unwrap();
    }
    database.file.close().await;
    assert!(!wrapped.iter().any(|key| database.has_on_disk(key)));
}

#[tokio::test]
async fn what_belongs_to_an_account_opens_for_its_account_and_event_alone() {
    let database = TestDatabase::new().await;
    let sealed = vault(&database).seal_for_account(account(1), event(5), b"whsec_example");
    let vault = vault(&database);
    assert_eq!(
        vault.open_for_account(account(1), event(5), &sealed),
        Ok(b"whsec_example".to_vec())
    );
    assert_eq!(
        vault.open_for_account(account(2), event(5), &sealed),
        Err(OpenError::Tampered)
    );
    assert_eq!(
        vault.open_for_account(account(1), event(6), &sealed),
        Err(OpenError::Tampered)
    );
    assert_eq!(
        vault.open_for_account(account(1), event(5), &Sealed::default()),
        Err(OpenError::Malformed)
    );
}

#[tokio::test]
async fn a_vault_and_a_keyring_do_not_show_what_they_hold() {
    let vault = vault(&TestDatabase::new().await);
    let person = vault.person_ref(account(1), 1001);
    let keyring = vault.ensure_keys(account(1), &[person]).await.unwrap();
    assert_eq!(format!("{vault:?} {keyring:?}"), "Vault(..) Keyring(1 keys)");
}
