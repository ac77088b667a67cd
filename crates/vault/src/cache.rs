//! Unwrapped person keys in memory, so that reading a page of leads asks the database for nothing. Used by the vault.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{AccountId, PersonRef};

use crate::cipher::Key;

type Owner = (AccountId, PersonRef);

/// A bounded cache. Keys are kept in two generations; when the young one is full, the old one goes. So what is asked
/// for again stays, and nothing has to be ordered.
pub(crate) struct Cache {
    generation: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    young: HashMap<Owner, Arc<Key>>,
    old: HashMap<Owner, Arc<Key>>,
    /// Whose key was destroyed, or was about to be. Never cached again: a reader that was on its way when the key
    /// was destroyed must not bring it back. Erasures are rare, so this may grow until the restart.
    forgotten: HashSet<Owner>,
}

impl Cache {
    /// A cache of at most `capacity` keys.
    pub fn new(capacity: usize) -> Self {
        Self {
            generation: capacity / 2,
            inner: Mutex::default(),
        }
    }

    /// The keys that are here, and once each the people whose keys are not.
    pub fn find(&self, account: AccountId, people: &[PersonRef]) -> (HashMap<PersonRef, Arc<Key>>, Vec<PersonRef>) {
        let mut inner = self.lock();
        let mut keys = HashMap::with_capacity(people.len());
        let mut missing = HashSet::new();
        for person in people {
            match inner.find((account, *person), self.generation) {
                Some(key) => drop(keys.insert(*person, key)),
                None => drop(missing.insert(*person)),
            }
        }
        (keys, missing.into_iter().collect())
    }

    /// Keeps keys that the database had.
    pub fn keep(&self, account: AccountId, keys: &[(PersonRef, Arc<Key>)]) {
        let mut inner = self.lock();
        for (person, key) in keys {
            if !inner.forgotten.contains(&(account, *person)) {
                inner.insert((account, *person), Arc::clone(key), self.generation);
            }
        }
    }

    /// Drops a key and never takes it again. Called before the database is told: whatever becomes of that call, and
    /// even if nobody waits for its end, from here on only the database says whether there is a key.
    pub fn forget(&self, account: AccountId, person: PersonRef) {
        let mut inner = self.lock();
        inner.forgotten.insert((account, person));
        inner.young.remove(&(account, person));
        inner.old.remove(&(account, person));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No call leaves the maps half changed, so a panic elsewhere takes nothing from their worth.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let inner = self.lock();
        inner.young.len() + inner.old.len()
    }
}

impl Inner {
    fn find(&mut self, owner: Owner, generation: usize) -> Option<Arc<Key>> {
        if let Some(key) = self.young.get(&owner) {
            return Some(Arc::clone(key));
        }
        let key = self.old.remove(&owner)?;
        self.insert(owner, Arc::clone(&key), generation);
        Some(key)
    }

    fn insert(&mut self, owner: Owner, key: Arc<Key>, generation: usize) {
        if self.young.len() >= generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(owner, key);
    }
}

#[cfg(test)]
mod tests {
    use domain::AccountId;

    use super::*;

    fn person(number: u8) -> PersonRef {
        PersonRef::new([number; 16])
    }

    fn keep(cache: &Cache, number: u8) {
        cache.keep(AccountId::default(), &[(person(number), Arc::new(Key::random()))]);
    }

    fn has(cache: &Cache, number: u8) -> bool {
        cache.find(AccountId::default(), &[person(number)]).1.is_empty()
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        let cache = Cache::new(10);
        for number in 0..100 {
            keep(&cache, number);
            assert!(cache.len() <= 10, "{} keys", cache.len());
        }
        assert!(has(&cache, 99) && !has(&cache, 0));
    }

    #[test]
    fn what_is_asked_for_again_stays() {
        let cache = Cache::new(10);
        keep(&cache, 0);
        for number in 1..100 {
            keep(&cache, number);
            assert!(has(&cache, 0), "after {number}");
            assert!(cache.len() <= 10, "{} keys", cache.len());
        }
    }

    #[test]
    fn a_forgotten_key_is_gone_from_either_generation_and_not_taken_again() {
        let cache = Cache::new(4);
        for number in 0..4 {
            keep(&cache, number);
        }
        for number in 0..4 {
            cache.forget(AccountId::default(), person(number));
            assert!(!has(&cache, number));
            keep(&cache, number);
            assert!(!has(&cache, number));
        }
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn the_missing_are_named_once() {
        let (_, missing) = Cache::new(4).find(AccountId::default(), &[person(1), person(1)]);
        assert_eq!(missing, [person(1)]);
    }
}
