//! What GitHub sends to webhooks: names of events and their payloads, for [`World::deliver`] or to be posted as they are.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::thread::{Thread, ThreadKind};
use crate::world::Named;
use crate::{Repo, User, World};

impl World {
    /// The payload of the event `star`: `created` or `deleted`. `at` is RFC 3339, in UTC.
    pub fn star_payload(&mut self, repo: &str, actor: &User, action: &str, at: &str) -> Value {
        let id = self.repo_id(repo);
        let starred_at = if action == "created" { json!(at) } else { Value::Null };
        let payload = json!({ "action": action, "starred_at": starred_at });
        match self.repos.get(&id) {
            Some(repo) => self.signed(payload, repo, actor.short(&self.base)),
            None => payload,
        }
    }

    /// The event of an issue, a pull request or a discussion as it is now, such as `issues` with the action `opened`
    /// or `discussion` with `created`, sent by its author; nothing where there is no such thread.
    pub fn thread_payload(&self, repo: &str, number: u64, action: &str) -> Option<(&'static str, Value)> {
        let (repo, thread) = self.found(repo, number)?;
        let (event, field, whole) = self.whole(thread, repo);
        let mut payload = json!({ "action": action });
        let fields = payload.as_object_mut()?;
        fields.insert(field.to_owned(), whole);
        if thread.kind == ThreadKind::Pull {
            fields.insert("number".to_owned(), json!(number));
        }
        let sender = self.short_person(thread.author);
        Some((event, self.signed(payload, repo, sender)))
    }

    /// The event of a thread's newest comment, sent by who wrote it: `issue_comment`, `pull_request_review_comment` or
    /// `discussion_comment`; nothing where there is none.
    pub fn comment_payload(&self, repo: &str, number: u64) -> Option<(&'static str, Value)> {
        let (repo, thread) = self.found(repo, number)?;
        let comment = thread.comments.last()?;
        let (event, payload) = match thread.kind {
            ThreadKind::Discussion => {
                let remark = json!({
                    "id": comment.id,
                    "node_id": comment.node_id(thread.kind),
                    "html_url": comment.page(thread, repo),
                    "parent_id": null,
                    "child_comment_count": 0,
                    "repository_url": format!("{}/repos/{}", self.base, repo.full_name),
                    "discussion_id": thread.id,
                    "author_association": "NONE",
                    "user": self.short_person(comment.author),
                    "created_at": rfc3339(comment.at),
                    "updated_at": rfc3339(comment.at),
                    "body": comment.body,
                });
                let discussion = self.discussion(thread, repo);
                (
                    "discussion_comment",
                    json!({ "action": "created", "discussion": discussion, "comment": remark }),
                )
            }
            _ if comment.review => {
                let remark = self.review_remark(comment, thread, repo);
                (
                    "pull_request_review_comment",
                    json!({ "action": "created", "pull_request": self.pull(thread, repo), "comment": remark }),
                )
            }
            _ => {
                let remark = self.issue_remark(comment, thread, repo);
                (
                    "issue_comment",
                    json!({ "action": "created", "issue": self.issue(thread, repo), "comment": remark }),
                )
            }
        };
        let sender = self.short_person(comment.author);
        Some((event, self.signed(payload, repo, sender)))
    }

    fn found(&self, repo: &str, number: u64) -> Option<(&Repo, &Thread)> {
        let (Named::Here(id) | Named::Moved(id)) = self.named(repo) else {
            return None;
        };
        Some((self.repos.get(&id)?, self.threads.numbered(id, number)?))
    }

    /// The name of the event, of the field, and the thread with its text: webhooks, unlike feeds, carry all of it.
    fn whole(&self, thread: &Thread, repo: &Repo) -> (&'static str, &'static str, Value) {
        match thread.kind {
            ThreadKind::Issue => ("issues", "issue", self.issue(thread, repo)),
            ThreadKind::Pull => ("pull_request", "pull_request", self.pull(thread, repo)),
            ThreadKind::Discussion => ("discussion", "discussion", self.discussion(thread, repo)),
        }
    }

    /// The payload with where it happened and who did it.
    fn signed(&self, mut payload: Value, repo: &Repo, sender: Value) -> Value {
        if let Some(fields) = payload.as_object_mut() {
            fields.insert("repository".to_owned(), repo.listed(&self.owner(repo), &self.base));
            fields.insert("sender".to_owned(), sender);
        }
        payload
    }
}
