//! Who starred a repository and when: the list that only its administrators see.

use std::collections::HashSet;

use serde_json::json;

use crate::ask::Ask;
use crate::clock::{rfc3339, seconds};
use crate::reply::Reply;
use crate::{Repo, User, World};

/// No page beyond this one is answered, by observation.
const PAGES: usize = 400;
const A_PAGE: usize = 30;

/// One star.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Star {
    /// Seconds since 1970.
    pub at: u64,
    pub user: u64,
}

/// The stars of a repository.
#[derive(Debug, Default)]
pub(crate) struct Stars {
    /// Oldest first.
    pub order: Vec<Star>,
    users: HashSet<u64>,
}

impl Stars {
    /// Whether it is a new one.
    fn add(&mut self, star: Star) -> bool {
        if !self.users.insert(star.user) {
            return false;
        }
        let place = self.order.partition_point(|other| *other < star);
        self.order.insert(place, star);
        true
    }

    /// Whether there was one.
    pub fn remove(&mut self, user: u64) -> bool {
        if !self.users.remove(&user) {
            return false;
        }
        self.order.retain(|star| star.user != user);
        true
    }
}

impl World {
    /// Someone stars a repository: the count and the list grow, unless the star is there already, and an event tells
    /// of it. `at` is RFC 3339, in UTC. The event's id.
    pub fn star(&mut self, repo: &str, actor: &User, at: &str) -> String {
        self.star_unseen(repo, actor, at);
        self.happen(repo, actor, "WatchEvent", &json!({ "action": "started" }), at)
    }

    /// The same without an event, as GitHub's feeds leave some out.
    pub fn star_unseen(&mut self, repo: &str, actor: &User, at: &str) {
        let id = self.repo_id(repo);
        self.meet(actor);
        let star = Star {
            at: seconds(at).unwrap_or(self.now),
            user: actor.id,
        };
        if self.stars.entry(id).or_default().add(star)
            && let Some(starred) = self.repos.get_mut(&id)
        {
            starred.stars += 1;
        }
    }

    /// Someone takes a star back, of which no event tells.
    pub fn unstar(&mut self, repo: &str, actor: &User) {
        let id = self.repo_id(repo);
        let removed = self.stars.get_mut(&id).is_some_and(|stars| stars.remove(actor.id));
        if removed && let Some(repo) = self.repos.get_mut(&id) {
            repo.stars = repo.stars.saturating_sub(1);
        }
    }

    /// The ids of those whose star a repository has, oldest first.
    pub fn stargazers(&self, repo: u64) -> Vec<u64> {
        self.stars_of(repo).iter().map(|star| star.user).collect()
    }

    pub(crate) fn stars_of(&self, repo: u64) -> &[Star] {
        self.stars.get(&repo).map_or(&[], |stars| stars.order.as_slice())
    }

    /// `/repos/{owner}/{name}/stargazers`: oldest first.
    pub(crate) fn stargazers_reply(&self, ask: &Ask, repo: &Repo, url: &str) -> Reply {
        if let Some(refusal) = self.stargazers_refused(ask.who, repo) {
            return refusal.reply();
        }
        let page = ask.page(A_PAGE);
        if page.page > PAGES {
            return Reply::too_far();
        }
        let stars = self.stars_of(repo.id);
        let with_time = ask.accepts("star");
        let shown = |star: &Star| {
            let user = self.person(star.user)?.short(&self.base);
            Some(if with_time {
                json!({ "starred_at": rfc3339(star.at), "user": user })
            } else {
                user
            })
        };
        let entries = page.of(stars.iter()).into_iter().filter_map(shown).collect();
        let reachable = stars.len().min(PAGES.saturating_mul(page.per_page));
        Reply::list(entries, page.link(url, reachable))
    }
}
