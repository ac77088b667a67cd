//! A key per person: personal data is sealed before it reaches the log, and gone everywhere once the key is destroyed.
//!
//! Used by commands (seal), by HTTP, deliveries and the dashboard (open), and by erasure (destroy). Every key comes
//! from one [`RootKey`]: it wraps the person keys, names people and signals by keyed hash, and seals what belongs to
//! an account. The person keys themselves are random, so that destroying one row destroys what it sealed.

mod cache;
mod cipher;
mod derive;
mod keyring;
mod person_keys;
mod root_key;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use database::{Database, DatabaseError};
use domain::{AccountId, EventId, LoginKey, PersonRef, RepoKey, RepoName, Sealed, SignalKey, SignalKind};

use cache::Cache;
use cipher::{Key, Place};
use derive::Derived;
use person_keys::{Found, PersonKeys};

pub use keyring::{Keyring, OpenError, SealError};
pub use root_key::{RootKey, RootKeyError};

/// How many person keys stay unwrapped in memory: some 10 MB.
const CACHED_KEYS: usize = 100_000;

/// Why the vault has no answer.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The table of person keys cannot be read or written.
    #[error("the person keys cannot be reached")]
    Database(#[from] DatabaseError),
    /// A person key does not open: the root key is not the one that wrapped it, or the table was changed.
    #[error("a person key does not open: this is not the root key that it was wrapped with, or the table was changed")]
    WrongRootKey,
}

/// The keys of all people of all accounts. Another one's [`Vault::destroy`] does not reach the keys that this one holds in
/// memory: whoever learns of it says so with [`Vault::forget`].
pub struct Vault {
    derived: Derived,
    table: PersonKeys,
    cache: Cache,
}

impl Vault {
    /// The vault over the table `person_keys` of `database`.
    pub fn new(database: Arc<dyn Database>, root: &RootKey) -> Self {
        Self::with_cache(database, root, CACHED_KEYS)
    }

    fn with_cache(database: Arc<dyn Database>, root: &RootKey, cached: usize) -> Self {
        let derived = Derived::new(root);
        Self {
            table: PersonKeys::new(database, derived.wrapping_key()),
            derived,
            cache: Cache::new(cached),
        }
    }

    /// Whether this root key opens the keys that are stored. To be asked at start: under another root key every
    /// person would look new. Leaves a key of nobody behind, so that the next start has one to try even if nobody was
    /// captured meanwhile.
    pub async fn check(&self) -> Result<(), VaultError> {
        self.table.check().await?;
        let nobody = (AccountId::default(), PersonRef::default());
        self.ensure_keys(nobody.0, &[nobody.1]).await.map(|_| ())
    }

    /// A key for one purpose outside of the vault, such as signing page cursors; the same purpose gives the same key.
    pub fn purpose_key(&self, purpose: &str) -> [u8; 32] {
        self.derived.purpose_key(purpose)
    }

    /// Who a person is within an account, without naming them. The same `user_id` always gives the same answer.
    pub fn person_ref(&self, account: AccountId, user_id: u64) -> PersonRef {
        self.derived.person_ref(account, user_id)
    }

    /// What somebody is called within an account, without saying it. Letter case does not count.
    pub fn login_key(&self, account: AccountId, login: &str) -> LoginKey {
        self.derived.login_key(account, login)
    }

    /// Which repository it is, within an account, without naming it. Letter case does not count.
    pub fn repo_key(&self, account: AccountId, repo: &RepoName) -> RepoKey {
        self.derived.repo_key(account, repo)
    }

    /// The identity of a signal. Letter case of `repo` does not count; `item_url` is taken as it is given.
    pub fn signal_key(
        &self,
        account: AccountId,
        kind: SignalKind,
        repo: &RepoName,
        user_id: u64,
        item_url: Option<&str>,
    ) -> SignalKey {
        self.derived.signal_key(account, kind, repo, user_id, item_url)
    }

    /// Keys of these people, made durably for those who have none. An erased person stays without one.
    /// Two callers at once get the same keys.
    pub async fn ensure_keys(&self, account: AccountId, people: &[PersonRef]) -> Result<Keyring, VaultError> {
        let (mut keys, missing) = self.cache.find(account, people);
        let found = self.table.find(account, &missing).await?;
        let newcomers: Vec<PersonRef> = missing
            .into_iter()
            .filter(|person| !found.contains_key(person))
            .collect();
        self.admit(account, found, &mut keys);
        let made = self.table.make(account, &newcomers).await?;
        self.admit(account, made, &mut keys);
        Ok(Keyring::new(account, keys))
    }

    /// Keys of these people as far as they exist.
    pub async fn keys(&self, account: AccountId, people: &[PersonRef]) -> Result<Keyring, VaultError> {
        let (mut keys, missing) = self.cache.find(account, people);
        let found = self.table.find(account, &missing).await?;
        self.admit(account, found, &mut keys);
        Ok(Keyring::new(account, keys))
    }

    /// Destroys the person's key for ever; a tombstone stays, so that no new one is made. What was sealed for the
    /// person opens nowhere any more. Keyrings handed out before still hold the key: they live no longer than a request.
    /// The erasure counts as unfinished until [`Vault::erasure_finished`] is told.
    pub async fn destroy(&self, account: AccountId, person: PersonRef) -> Result<(), VaultError> {
        self.cache.forget(account, person);
        self.table.destroy(account, person).await
    }

    /// People whose key was destroyed, and of whom nobody has said yet that all else is done.
    pub async fn unfinished_erasures(&self) -> Result<Vec<(AccountId, PersonRef)>, VaultError> {
        self.table.unfinished().await
    }

    /// All that belongs to the person's erasure is done.
    pub async fn erasure_finished(&self, account: AccountId, person: PersonRef) -> Result<(), VaultError> {
        self.table.finish(account, person).await
    }

    /// Drops the person's key from memory, since another vault destroyed it: from here on the table alone says whether there
    /// is one.
    pub fn forget(&self, account: AccountId, person: PersonRef) {
        self.cache.forget(account, person);
    }

    /// Seals what belongs to the account, not to a person (webhook secrets).
    pub fn seal_for_account(&self, account: AccountId, event: EventId, plain: &[u8]) -> Sealed {
        Sealed::new(
            self.derived
                .account_key(account)
                .seal(&account_place(account, event), plain),
        )
    }

    /// Opens what [`Vault::seal_for_account`] sealed for the same account and event.
    pub fn open_for_account(&self, account: AccountId, event: EventId, sealed: &Sealed) -> Result<Vec<u8>, OpenError> {
        let plain = self
            .derived
            .account_key(account)
            .open(&account_place(account, event), sealed.bytes())?;
        Ok(plain.to_vec())
    }

    fn admit(&self, account: AccountId, found: HashMap<PersonRef, Found>, keys: &mut HashMap<PersonRef, Arc<Key>>) {
        let living = found
            .into_iter()
            .filter_map(|(person, found)| Some((person, Arc::new(found.living()?))));
        let living: Vec<(PersonRef, Arc<Key>)> = living.collect();
        self.cache.keep(account, &living);
        keys.extend(living);
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

fn account_place(account: AccountId, event: EventId) -> Place {
    Place::new("account", &[&account.ulid().to_bytes(), &event.ulid().to_bytes()])
}
