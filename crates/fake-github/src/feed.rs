//! The public events of repositories: what people do, as `GET /repos/{owner}/{name}/events` tells it.

use serde_json::{Value, json};

use crate::world::Named;
use crate::{Repo, User, World};

/// How far back a feed goes, by GitHub's documentation.
const KEPT: usize = 300;

/// An issue, for [`World::open_issue`] and [`World::comment`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number in the repository.
    pub number: u64,
    /// Who opened it.
    pub author: User,
    /// The title.
    pub title: String,
    /// The text.
    pub body: String,
}

impl World {
    /// Something happened in a repository, which is added if it is unknown. `kind` is GitHub's, such as
    /// `DiscussionEvent`; `at` is RFC 3339, in UTC. The newest event is the one that was told last. The event's id.
    pub fn happen(&mut self, repo: &str, actor: &User, kind: &str, payload: &Value, at: &str) -> String {
        let repo = self.repo_id(repo);
        let event = self.new_id().to_string();
        let told = json!({
            "id": event,
            "type": kind,
            "actor": actor.actor(&self.base),
            "payload": payload,
            "public": true,
            "created_at": at,
        });
        let feed = self.events.entry(repo).or_default();
        feed.push(told);
        if feed.len() > KEPT {
            feed.remove(0);
        }
        event
    }

    /// Someone stars a repository, and its count rises.
    pub fn star(&mut self, repo: &str, actor: &User, at: &str) -> String {
        let id = self.repo_id(repo);
        if let Some(starred) = self.repos.get_mut(&id) {
            starred.stars += 1;
        }
        self.happen(repo, actor, "WatchEvent", &json!({ "action": "started" }), at)
    }

    /// The author opens an issue.
    pub fn open_issue(&mut self, repo: &str, issue: &Issue, at: &str) -> String {
        let payload = json!({ "action": "opened", "issue": self.issue(repo, issue, at) });
        self.happen(repo, &issue.author, "IssuesEvent", &payload, at)
    }

    /// Someone comments on an issue.
    pub fn comment(&mut self, repo: &str, issue: &Issue, actor: &User, text: &str, at: &str) -> String {
        let id = self.new_id();
        let comment = json!({
            "id": id,
            "node_id": format!("IC_fake{id}"),
            "url": format!("{}/repos/{repo}/issues/comments/{id}", self.base),
            "html_url": format!("https://github.com/{repo}/issues/{}#issuecomment-{id}", issue.number),
            "user": actor.short(&self.base),
            "created_at": at,
            "updated_at": at,
            "author_association": "NONE",
            "body": text,
        });
        let payload = json!({ "action": "created", "issue": self.issue(repo, issue, at), "comment": comment });
        self.happen(repo, actor, "IssueCommentEvent", &payload, at)
    }

    /// The events of a repository as answers have them, newest first.
    pub(crate) fn feed<'a>(&'a self, repo: &'a Repo) -> impl ExactSizeIterator<Item = Value> + 'a {
        let told = self.events.get(&repo.id).map_or(&[][..], Vec::as_slice);
        told.iter().rev().map(|event| {
            let mut event = event.clone();
            if let Some(event) = event.as_object_mut() {
                event.insert("repo".to_owned(), repo.short(&self.base));
            }
            event
        })
    }

    fn issue(&self, repo: &str, issue: &Issue, at: &str) -> Value {
        let Issue {
            number,
            author,
            title,
            body,
        } = issue;
        json!({
            "id": 3_000_000_000 + number,
            "node_id": format!("I_fake{number}"),
            "url": format!("{}/repos/{repo}/issues/{number}", self.base),
            "html_url": format!("https://github.com/{repo}/issues/{number}"),
            "number": number,
            "title": title,
            "user": author.short(&self.base),
            "labels": [],
            "state": "open",
            "comments": 0,
            "created_at": at,
            "updated_at": at,
            "author_association": "NONE",
            "body": body,
        })
    }

    fn repo_id(&mut self, full_name: &str) -> u64 {
        if let Named::Here(id) | Named::Moved(id) = self.named(full_name) {
            return id;
        }
        let id = self.new_id();
        self.put_repo(Repo::new(id, full_name));
        id
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}
