//! What the fake GitHub knows, and how it was told to behave: filled and changed by tests and the demonstration.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::app::Apps;
use crate::caller::Callers;
use crate::code::Code;
use crate::feed::Feeds;
use crate::graphql::GraphqlLimits;
use crate::hooks::Hooks;
use crate::misbehaviour::Faults;
use crate::stars::Stars;
use crate::thread::Threads;
use crate::{RateLimit, Refusal, Repo, User, UserKind};

/// Ids of events, comments and the like begin here.
pub(crate) const FIRST_ID: u64 = 50_000_000_001;
/// Ids of repositories that were only named begin here.
const FIRST_REPO: u64 = 900_000_000;

/// Something that happens when its time has come.
type Act = Box<dyn FnOnce(&mut World) + Send>;

/// Users, repositories and what happens in them.
pub struct World {
    /// The core rate limit of callers in a world without tokens, and what is left of it; 5,000 at first.
    pub rate: RateLimit,
    /// `X-Poll-Interval` of event feeds, in seconds; 60 at first.
    pub poll_interval: u32,
    /// How those who neither own nor administer a repository are refused its stargazers; 403 at first.
    pub stargazers_for_others: Refusal,
    /// From which size on GraphQL fails; never at first.
    pub graphql: GraphqlLimits,
    /// A query of GraphQL with a variable that holds this is answered 502.
    pub bad_gateway_on: Option<String>,
    /// The lists of stargazers in GraphQL have no end: behind each page comes the newest one again, with another cursor.
    pub endless_stargazers: bool,
    /// So many of the next pages of them are broken off with an error of this type: `RESOURCE_LIMITS_EXCEEDED` leaves out half of a
    /// page, any other all of it.
    pub broken_off_stargazers: Option<(&'static str, u32)>,
    /// Phrases for which a search for issues is refused (422), whatever else it looks for; none at first.
    pub refused_phrases: Vec<String>,
    /// Phrases for which a search for issues fails (503), whatever else it looks for; none at first.
    pub failing_phrases: Vec<String>,
    /// Whether GitHub breaks searches off, and shows half of the issues that there are; not at first.
    pub searches_break_off: bool,
    /// Whether requests are noted with headers and body, as they are at first; off saves memory in long stories.
    pub note_details: bool,
    pub(crate) base: String,
    /// By the simulated clock, in seconds since 1970; 0 without one.
    pub(crate) now: u64,
    pub(crate) users: BTreeMap<u64, User>,
    /// People who did something and may have no profile.
    pub(crate) seen: HashMap<u64, User>,
    pub(crate) repos: BTreeMap<u64, Repo>,
    /// By repository id.
    pub(crate) stars: HashMap<u64, Stars>,
    pub(crate) feeds: Feeds,
    pub(crate) threads: Threads,
    pub(crate) code: Code,
    pub(crate) hooks: Hooks,
    pub(crate) callers: Callers,
    pub(crate) apps: Apps,
    pub(crate) faults: Faults,
    next_id: u64,
    /// In lower case.
    logins: HashMap<String, u64>,
    /// In lower case.
    names: HashMap<String, u64>,
    former_names: HashMap<String, u64>,
    /// Repository ids by their owner in lower case.
    owned: HashMap<String, BTreeSet<u64>>,
    /// By time, and in the order they were told.
    script: BTreeMap<(u64, u64), Act>,
}

/// What a repository name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            rate: RateLimit::new(5_000),
            poll_interval: 60,
            stargazers_for_others: Refusal::Forbidden,
            graphql: GraphqlLimits::default(),
            bad_gateway_on: None,
            endless_stargazers: false,
            broken_off_stargazers: None,
            refused_phrases: Vec::new(),
            failing_phrases: Vec::new(),
            searches_break_off: false,
            note_details: true,
            base,
            now: 0,
            users: BTreeMap::new(),
            seen: HashMap::new(),
            repos: BTreeMap::new(),
            stars: HashMap::new(),
            feeds: Feeds::default(),
            threads: Threads::default(),
            code: Code::default(),
            hooks: Hooks::default(),
            callers: Callers::default(),
            apps: Apps::default(),
            faults: Faults::default(),
            next_id: FIRST_ID,
            logins: HashMap::new(),
            names: HashMap::new(),
            former_names: HashMap::new(),
            owned: HashMap::new(),
            script: BTreeMap::new(),
        }
    }

    /// The time of the simulated clock, in seconds since 1970; 0 without one.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Lets something happen when the simulated clock reaches `when`: before the first request, or change of the world,
    /// from then on. So a week can be told in advance.
    pub fn at(&mut self, when: u64, act: impl FnOnce(&mut World) + Send + 'static) {
        let id = self.new_id();
        self.script.insert((when, id), Box::new(act));
    }

    /// Moves the clock on and lets happen what was to happen by then.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some(due) = self.script.first_entry() {
            let (when, _) = *due.key();
            if when > now {
                break;
            }
            let act = due.remove();
            self.now = self.now.max(when);
            act(self);
        }
        self.now = self.now.max(now);
    }

    /// Adds a user, or replaces the one of the same id: so a user is renamed, too. Former logins are unknown then, as
    /// on GitHub.
    pub fn put_user(&mut self, user: User) {
        let login = user.login.to_lowercase();
        let id = user.id;
        if let Some(former) = self.users.insert(id, user) {
            self.forget_login(&former);
        }
        self.logins.insert(login, id);
    }

    /// Deletes the account, or suspends it, which looks the same: the profile is gone and the stars are; events and
    /// what was written stay.
    pub fn remove_user(&mut self, id: u64) {
        if let Some(user) = self.users.remove(&id) {
            self.forget_login(&user);
        }
        self.seen.remove(&id);
        for (repo, stars) in &mut self.stars {
            if stars.remove(id)
                && let Some(repo) = self.repos.get_mut(repo)
            {
                repo.stars = repo.stars.saturating_sub(1);
            }
        }
    }

    /// Adds a repository, or replaces the one of the same id; if that had another name, or owner, the old one redirects.
    pub fn put_repo(&mut self, repo: Repo) {
        let name = repo.full_name.to_lowercase();
        let (id, owner) = (repo.id, repo.owner().to_lowercase());
        let renamed = match self.repos.insert(id, repo) {
            Some(former) if former.full_name.to_lowercase() != name => {
                self.forget_name(&former);
                self.former_names.insert(former.full_name.to_lowercase(), id);
                true
            }
            _ => false,
        };
        self.former_names.remove(&name);
        self.names.insert(name, id);
        self.owned.entry(owner).or_default().insert(id);
        if renamed {
            self.rename_events(id);
        }
    }

    /// Gives a repository another name or owner; the old one redirects.
    pub fn rename_repo(&mut self, id: u64, full_name: &str) {
        if let Some(repo) = self.repos.get(&id).cloned() {
            let full_name = full_name.to_owned();
            self.put_repo(Repo { full_name, ..repo });
        }
    }

    /// Makes a repository private or public: a 404 to all but those who administer it, by its former names too.
    pub fn set_private(&mut self, id: u64, private: bool) {
        if let Some(repo) = self.repos.get_mut(&id) {
            repo.private = private;
        }
    }

    /// Deletes the repository, its events and its stars.
    pub fn remove_repo(&mut self, id: u64) {
        if let Some(repo) = self.repos.remove(&id) {
            self.forget_name(&repo);
        }
        self.stars.remove(&id);
        self.feeds.remove(id);
    }

    /// A repository as it is now.
    pub fn repo(&self, id: u64) -> Option<&Repo> {
        self.repos.get(&id)
    }

    fn forget_login(&mut self, user: &User) {
        let login = user.login.to_lowercase();
        if self.logins.get(&login) == Some(&user.id) {
            self.logins.remove(&login);
        }
    }

    fn forget_name(&mut self, repo: &Repo) {
        let name = repo.full_name.to_lowercase();
        if self.names.get(&name) == Some(&repo.id) {
            self.names.remove(&name);
        }
        if let Some(owned) = self.owned.get_mut(&repo.owner().to_lowercase()) {
            owned.remove(&repo.id);
        }
    }

    pub(crate) fn find_user(&self, login: &str) -> Option<&User> {
        self.users.get(self.logins.get(&login.to_lowercase())?)
    }

    /// Somebody who did something: the profile as it is now, or as it was told then.
    pub(crate) fn person(&self, id: u64) -> Option<&User> {
        self.users.get(&id).or_else(|| self.seen.get(&id))
    }

    /// Remembers somebody who does something.
    pub(crate) fn meet(&mut self, user: &User) {
        if !self.users.contains_key(&user.id) {
            self.seen.insert(user.id, user.clone());
        }
    }

    /// The owner of a repository. One that the world does not know is taken for an organisation.
    pub(crate) fn owner(&self, repo: &Repo) -> Cow<'_, User> {
        self.find_user(repo.owner()).map_or_else(
            || {
                Cow::Owned(User {
                    kind: UserKind::Organization,
                    ..User::new(9_000_000 + repo.id, repo.owner())
                })
            },
            Cow::Borrowed,
        )
    }

    /// The repositories of an owner.
    pub(crate) fn owned(&self, login: &str) -> impl Iterator<Item = &Repo> {
        let ids = self.owned.get(&login.to_lowercase()).into_iter().flatten();
        ids.filter_map(|id| self.repos.get(id))
    }

    pub(crate) fn named(&self, full_name: &str) -> Named {
        let name = full_name.to_lowercase();
        if let Some(id) = self.names.get(&name) {
            return Named::Here(*id);
        }
        match self.former_names.get(&name) {
            Some(id) if self.repos.contains_key(id) => Named::Moved(*id),
            _ => Named::Unknown,
        }
    }

    /// The repository of this name, now or formerly; a new one if there is none.
    pub(crate) fn repo_id(&mut self, full_name: &str) -> u64 {
        if let Named::Here(id) | Named::Moved(id) = self.named(full_name) {
            return id;
        }
        let id = FIRST_REPO + self.new_id() - FIRST_ID;
        self.put_repo(Repo::new(id, full_name));
        id
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}
