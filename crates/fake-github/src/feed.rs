//! The public events of repositories and of all of GitHub: moving windows over what people do.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::ask::Ask;
use crate::clock::seconds;
use crate::reply::Reply;
use crate::{Repo, User, World};

/// How many events a feed goes back, by GitHub's documentation.
const KEPT: usize = 300;
/// How many seconds a feed goes back: 30 days.
const KEPT_SECONDS: u64 = 30 * 24 * 3_600;
/// Observed: the documentation says 30.
const A_PAGE: usize = 15;

/// One event of a feed.
#[derive(Debug)]
struct Told {
    id: u64,
    at: u64,
    /// As answers have it: feeds are read far more often than written.
    json: String,
}

/// All feeds, newest first.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    repos: HashMap<u64, VecDeque<Arc<Told>>>,
    public: VecDeque<Arc<Told>>,
}

impl Feeds {
    pub fn remove(&mut self, repo: u64) {
        self.repos.remove(&repo);
    }
}

impl World {
    /// Something happened in a repository, which is added if it is unknown. `kind` is GitHub's, such as
    /// `DiscussionEvent`; `at` is RFC 3339, in UTC. The newest event is the one that was told last. The event's id.
    pub fn happen(&mut self, repo: &str, actor: &User, kind: &str, payload: &Value, at: &str) -> String {
        let (repo, told) = self.told(repo, actor, kind, payload, at);
        let id = told.id.to_string();
        self.show(repo, &told, |_| 0);
        id
    }

    /// The same for an event that the feeds show late: it stands where its time puts it, below newer ones that may
    /// have been read already.
    pub fn happen_late(&mut self, repo: &str, actor: &User, kind: &str, payload: &Value, at: &str) -> String {
        let (repo, told) = self.told(repo, actor, kind, payload, at);
        let id = told.id.to_string();
        self.show(repo, &told, |feed| {
            feed.iter().take_while(|other| other.at > told.at).count()
        });
        id
    }

    /// An event that a repository's feed still holds stands at its top once more, with the same id.
    pub fn repeat_event(&mut self, repo: &str, event: &str) {
        let repo = self.repo_id(repo);
        let feed = self.feeds.repos.get(&repo);
        let found = feed.and_then(|feed| feed.iter().find(|told| told.id.to_string() == event).cloned());
        if let Some(told) = found {
            self.show(repo, &told, |_| 0);
        }
    }

    fn told(&mut self, repo: &str, actor: &User, kind: &str, payload: &Value, at: &str) -> (u64, Arc<Told>) {
        let repo = self.repo_id(repo);
        self.meet(actor);
        let id = self.new_id();
        let actor = actor.actor(&self.base);
        let public = self.repos.get(&repo).is_none_or(|repo| !repo.private);
        let short = self.repos.get(&repo).map(|repo| repo.short(&self.base));
        let short = short.unwrap_or_default();
        let (kind, time) = (Value::from(kind), Value::from(at));
        // Written by hand, since building a tree of the payload again is most of the work of a long story.
        let json = format!(
            r#"{{"id":"{id}","type":{kind},"actor":{actor},"repo":{short},"payload":{payload},"public":{public},"created_at":{time}}}"#
        );
        let told = Told {
            id,
            at: seconds(at).unwrap_or(self.now),
            json,
        };
        (repo, Arc::new(told))
    }

    fn show(&mut self, repo: u64, told: &Arc<Told>, place: impl Fn(&VecDeque<Arc<Told>>) -> usize) {
        let public = self.repos.get(&repo).is_some_and(|repo| !repo.private);
        let own = self.feeds.repos.entry(repo).or_default();
        let public = public.then_some(&mut self.feeds.public);
        for feed in [Some(own), public].into_iter().flatten() {
            let index = place(feed);
            feed.insert(index, Arc::clone(told));
            feed.truncate(KEPT);
        }
    }

    /// The events of a renamed repository have its new name.
    pub(crate) fn rename_events(&mut self, id: u64) {
        let (Some(repo), Some(feed)) = (self.repos.get(&id), self.feeds.repos.get_mut(&id)) else {
            return;
        };
        let short = repo.short(&self.base);
        for told in feed {
            let mut event: Value = serde_json::from_str(&told.json).unwrap_or_default();
            if let Some(event) = event.as_object_mut() {
                event.insert("repo".to_owned(), short.clone());
            }
            *told = Arc::new(Told {
                json: event.to_string(),
                ..**told
            });
        }
    }

    /// `/repos/{owner}/{name}/events`.
    pub(crate) fn repo_feed(&self, ask: &Ask, repo: &Repo, url: &str) -> Reply {
        self.feed(ask, self.feeds.repos.get(&repo.id), url)
    }

    /// `/events`.
    pub(crate) fn public_feed(&self, ask: &Ask) -> Reply {
        self.feed(ask, Some(&self.feeds.public), &format!("{}/events", self.base))
    }

    fn feed(&self, ask: &Ask, feed: Option<&VecDeque<Arc<Told>>>, url: &str) -> Reply {
        let page = ask.page(A_PAGE);
        if page.skipped() >= KEPT {
            return Reply::too_far();
        }
        let since = self.now.saturating_sub(KEPT_SECONDS);
        let shown: Vec<&str> = feed
            .into_iter()
            .flatten()
            .filter(|told| told.at >= since)
            .map(|told| told.json.as_str())
            .collect();
        let link = page.link(url, shown.len());
        let entries = page.of(shown.into_iter());
        Reply::text(StatusCode::OK, format!("[{}]", entries.join(",")))
            .with("x-poll-interval", self.poll_interval.to_string())
            .with_link(link)
    }
}
