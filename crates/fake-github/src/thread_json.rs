//! Issues, pull requests, discussions and comments in answers and events.

use serde_json::{Value, json};

use crate::ask::Ask;
use crate::clock::rfc3339;
use crate::reply::Reply;
use crate::thread::{Comment, Thread, ThreadKind};
use crate::{Repo, World};

const COMMENTS_A_PAGE: usize = 30;

impl ThreadKind {
    /// The segment of its page's URL.
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Issue => "issues",
            Self::Pull => "pull",
            Self::Discussion => "discussions",
        }
    }
}

impl Thread {
    /// The id of GraphQL, which REST tells as `node_id`.
    pub fn node_id(&self) -> String {
        let kind = match self.kind {
            ThreadKind::Issue => "I",
            ThreadKind::Pull => "PR",
            ThreadKind::Discussion => "D",
        };
        format!("{kind}_fake{}", self.id)
    }

    /// The page for people.
    pub fn page(&self, repo: &Repo) -> String {
        format!("{}/{}/{}", repo.page(), self.kind.segment(), self.number)
    }

    pub const fn state(&self) -> &'static str {
        if self.closed.is_some() { "closed" } else { "open" }
    }
}

impl Comment {
    /// The id of GraphQL, which REST tells as `node_id`.
    pub fn node_id(&self, kind: ThreadKind) -> String {
        let kind = match kind {
            ThreadKind::Discussion => "DC",
            _ if self.review => "PRRC",
            _ => "IC",
        };
        format!("{kind}_fake{}", self.id)
    }

    /// The place on the page for people.
    pub fn page(&self, thread: &Thread, repo: &Repo) -> String {
        let anchor = match thread.kind {
            ThreadKind::Discussion => "discussioncomment-",
            _ if self.review => "discussion_r",
            _ => "issuecomment-",
        };
        format!("{}#{anchor}{}", thread.page(repo), self.id)
    }
}

impl World {
    /// The event of a thread's opening: its type and payload.
    pub(crate) fn opened(&self, repo: u64, number: u64) -> Option<(&'static str, Value)> {
        let (repo, thread) = (self.repos.get(&repo)?, self.threads.numbered(repo, number)?);
        Some(match thread.kind {
            ThreadKind::Issue => (
                "IssuesEvent",
                json!({ "action": "opened", "issue": self.issue(thread, repo) }),
            ),
            ThreadKind::Pull => ("PullRequestEvent", self.pull_payload("opened", thread, repo)),
            ThreadKind::Discussion => (
                "DiscussionEvent",
                json!({ "action": "created", "discussion": self.discussion(thread, repo) }),
            ),
        })
    }

    /// The event of a thread's end.
    pub(crate) fn closed(&self, repo: u64, number: u64) -> Option<(&'static str, Value)> {
        let (repo, thread) = (self.repos.get(&repo)?, self.threads.numbered(repo, number)?);
        match thread.kind {
            ThreadKind::Issue => Some((
                "IssuesEvent",
                json!({ "action": "closed", "issue": self.issue(thread, repo) }),
            )),
            ThreadKind::Pull => Some(("PullRequestEvent", self.pull_payload("closed", thread, repo))),
            ThreadKind::Discussion => None,
        }
    }

    /// The event of a thread's newest comment.
    pub(crate) fn commented(&self, repo: u64, number: u64) -> Option<(&'static str, Value)> {
        let (repo, thread) = (self.repos.get(&repo)?, self.threads.numbered(repo, number)?);
        let comment = thread.comments.last()?;
        match thread.kind {
            ThreadKind::Discussion => None,
            ThreadKind::Pull if comment.review => Some((
                "PullRequestReviewCommentEvent",
                json!({
                    "action": "created",
                    "comment": self.review_remark(comment, thread, repo),
                    "pull_request": self.pull_minimal(thread, repo),
                }),
            )),
            _ => Some((
                "IssueCommentEvent",
                json!({
                    "action": "created",
                    "issue": self.issue(thread, repo),
                    "comment": self.issue_remark(comment, thread, repo),
                }),
            )),
        }
    }

    /// An issue, or a pull request as an issue: in events, searches and at `/repos/{owner}/{name}/issues/{number}`.
    pub(crate) fn issue(&self, thread: &Thread, repo: &Repo) -> Value {
        let repo_url = format!("{}/repos/{}", self.base, repo.full_name);
        let url = format!("{repo_url}/issues/{}", thread.number);
        let mut issue = json!({
            "id": thread.id,
            "node_id": thread.node_id(),
            "url": url,
            "repository_url": repo_url,
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"),
            "html_url": thread.page(repo),
            "number": thread.number,
            "title": thread.title,
            "user": self.short_person(thread.author),
            "labels": [],
            "state": thread.state(),
            "locked": false,
            "assignee": null,
            "assignees": [],
            "milestone": null,
            "comments": thread.remarks().count(),
            "created_at": rfc3339(thread.created),
            "updated_at": rfc3339(thread.updated),
            "closed_at": thread.closed.map(rfc3339),
            "author_association": "NONE",
            "active_lock_reason": null,
            "body": thread.body,
        });
        if let (ThreadKind::Pull, Some(fields)) = (thread.kind, issue.as_object_mut()) {
            let page = thread.page(repo);
            let links = json!({
                "url": format!("{repo_url}/pulls/{}", thread.number),
                "html_url": page,
                "diff_url": format!("{page}.diff"),
                "patch_url": format!("{page}.patch"),
                "merged_at": null,
            });
            fields.insert("pull_request".to_owned(), links);
        }
        issue
    }

    /// A discussion: in events and webhooks.
    pub(crate) fn discussion(&self, thread: &Thread, repo: &Repo) -> Value {
        json!({
            "id": thread.id,
            "node_id": thread.node_id(),
            "number": thread.number,
            "repository_url": format!("{}/repos/{}", self.base, repo.full_name),
            "html_url": thread.page(repo),
            "category": {
                "id": 1,
                "node_id": "DIC_fake1",
                "repository_id": repo.id,
                "emoji": ":pray:",
                "name": "Q&A",
                "description": "",
                "created_at": repo.created_at,
                "updated_at": repo.created_at,
                "slug": "q-a",
                "is_answerable": true,
            },
            "answer_html_url": null,
            "answer_chosen_at": null,
            "answer_chosen_by": null,
            "title": thread.title,
            "user": self.short_person(thread.author),
            "state": "open",
            "state_reason": null,
            "locked": false,
            "active_lock_reason": null,
            "comments": thread.comments.len(),
            "created_at": rfc3339(thread.created),
            "updated_at": rfc3339(thread.updated),
            "author_association": "NONE",
            "body": thread.body,
        })
    }

    /// A comment on an issue or a pull request.
    pub(crate) fn issue_remark(&self, comment: &Comment, thread: &Thread, repo: &Repo) -> Value {
        let issues = format!("{}/repos/{}/issues", self.base, repo.full_name);
        json!({
            "id": comment.id,
            "node_id": comment.node_id(thread.kind),
            "url": format!("{issues}/comments/{}", comment.id),
            "issue_url": format!("{issues}/{}", thread.number),
            "html_url": comment.page(thread, repo),
            "user": self.short_person(comment.author),
            "created_at": rfc3339(comment.at),
            "updated_at": rfc3339(comment.at),
            "author_association": "NONE",
            "body": comment.body,
        })
    }

    /// `/repos/{owner}/{name}/issues/{number}/comments`: oldest first.
    pub(crate) fn remarks_reply(&self, ask: &Ask, thread: &Thread, repo: &Repo, url: &str) -> Reply {
        let page = ask.page(COMMENTS_A_PAGE);
        let link = page.link(url, thread.remarks().count());
        let remarks = page.of(thread.remarks()).into_iter();
        Reply::list(
            remarks
                .map(|comment| self.issue_remark(comment, thread, repo))
                .collect(),
            link,
        )
    }

    /// A person as `user` of something; null for who is gone.
    pub(crate) fn short_person(&self, id: u64) -> Value {
        self.person(id).map_or(Value::Null, |user| user.short(&self.base))
    }
}
