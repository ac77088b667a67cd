//! What the fake GitHub knows, and how it was told to behave: filled and changed by tests and the demonstration.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

use crate::{Misbehaviour, Repo, User};

/// The primary rate limit of whoever asks. A request costs one, an answer 304 nothing; when all is used up the answer
/// is 403, until the world's owner sets `used` back (there is no clock here).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests an hour.
    pub limit: u64,
    /// How many of them are gone.
    pub used: u64,
    /// When they come back: seconds since 1970.
    pub reset: u64,
}

/// Users, repositories and their events.
pub struct World {
    /// The rate limit and what is left of it; 5,000 at first.
    pub rate: RateLimit,
    /// `X-Poll-Interval` of event feeds, in seconds; 60 at first.
    pub poll_interval: u32,
    /// The one token that is taken; at first none is needed and none is looked at.
    pub token: Option<String>,
    pub(crate) base: String,
    pub(crate) users: BTreeMap<u64, User>,
    pub(crate) repos: BTreeMap<u64, Repo>,
    /// By repository id, oldest first.
    pub(crate) events: HashMap<u64, Vec<Value>>,
    pub(crate) next_id: u64,
    former_names: HashMap<String, u64>,
    misbehaviours: HashMap<String, VecDeque<Misbehaviour>>,
}

/// What a repository name leads to.
pub(crate) enum Named {
    /// The repository of this id.
    Here(u64),
    /// The repository of this id has another name now.
    Moved(u64),
    /// Nothing.
    Unknown,
}

impl World {
    pub(crate) fn new(base: String) -> Self {
        Self {
            rate: RateLimit {
                limit: 5000,
                used: 0,
                reset: 0,
            },
            poll_interval: 60,
            token: None,
            base,
            users: BTreeMap::new(),
            repos: BTreeMap::new(),
            events: HashMap::new(),
            next_id: 50_000_000_001,
            former_names: HashMap::new(),
            misbehaviours: HashMap::new(),
        }
    }

    /// Adds a user, or replaces the one of the same id: so a user is renamed, too. Former logins are unknown then, as
    /// on GitHub.
    pub fn put_user(&mut self, user: User) {
        self.users.insert(user.id, user);
    }

    /// Deletes the account; its events stay.
    pub fn remove_user(&mut self, id: u64) {
        self.users.remove(&id);
    }

    /// Adds a repository, or replaces the one of the same id; if that had another name, the old one redirects.
    pub fn put_repo(&mut self, repo: Repo) {
        self.former_names.remove(&repo.full_name.to_lowercase());
        if let Some(former) = self.repos.insert(repo.id, repo) {
            self.former_names.insert(former.full_name.to_lowercase(), former.id);
        }
    }

    /// Deletes the repository and its events, or makes them private, which looks the same.
    pub fn remove_repo(&mut self, id: u64) {
        self.repos.remove(&id);
        self.events.remove(&id);
    }

    /// What the next answer to `path` (as it is asked, without the query) does. Several wait in a queue, one a request.
    pub fn misbehave(&mut self, path: &str, misbehaviour: Misbehaviour) {
        self.misbehaviours
            .entry(path.to_owned())
            .or_default()
            .push_back(misbehaviour);
    }

    pub(crate) fn next_misbehaviour(&mut self, path: &str) -> Option<Misbehaviour> {
        self.misbehaviours.get_mut(path)?.pop_front()
    }

    pub(crate) fn find_user(&self, login: &str) -> Option<&User> {
        self.users.values().find(|user| user.login.eq_ignore_ascii_case(login))
    }

    pub(crate) fn named(&self, full_name: &str) -> Named {
        let here = self
            .repos
            .values()
            .find(|repo| repo.full_name.eq_ignore_ascii_case(full_name));
        let moved = || self.former_names.get(&full_name.to_lowercase());
        match (here, moved()) {
            (Some(repo), _) => Named::Here(repo.id),
            (None, Some(id)) if self.repos.contains_key(id) => Named::Moved(*id),
            _ => Named::Unknown,
        }
    }
}
