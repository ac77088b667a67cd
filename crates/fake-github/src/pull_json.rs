//! Pull requests in answers, and the little that events tell of them since October 2025.

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::thread::{Comment, Thread};
use crate::{Repo, World};

/// The head of every pull request here.
const HEAD: &str = "1f0e3dad99908345f7439f8ffabdffc4a1b2c3d4";
/// The base of every pull request here.
const BASE: &str = "6c9882bbac1c7093bd25041881277658e5f6a7b8";

impl World {
    /// `/repos/{owner}/{name}/pulls/{number}`.
    pub(crate) fn pull(&self, thread: &Thread, repo: &Repo) -> Value {
        let repo_url = format!("{}/repos/{}", self.base, repo.full_name);
        let url = format!("{repo_url}/pulls/{}", thread.number);
        let issue_url = format!("{repo_url}/issues/{}", thread.number);
        let page = thread.page(repo);
        let owner = self.owner(repo);
        let branch = |name: &str, sha: &str| {
            json!({
                "label": format!("{}:{name}", repo.owner()),
                "ref": name,
                "sha": sha,
                "user": owner.short(&self.base),
                "repo": repo.listed(&owner, &self.base),
            })
        };
        let remarks = thread.remarks().count();
        let urls = json!({
            "url": url,
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "issue_url": issue_url,
            "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{repo_url}/pulls/comments{{/number}}"),
            "comments_url": format!("{issue_url}/comments"),
            "statuses_url": format!("{repo_url}/statuses/{HEAD}"),
        });
        let mut pull = json!({
            "id": thread.id,
            "node_id": thread.node_id(),
            "number": thread.number,
            "state": thread.state(),
            "locked": false,
            "title": thread.title,
            "user": self.short_person(thread.author),
            "body": thread.body,
            "labels": [],
            "milestone": null,
            "assignee": null,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "created_at": rfc3339(thread.created),
            "updated_at": rfc3339(thread.updated),
            "closed_at": thread.closed.map(rfc3339),
            "merged_at": null,
            "merge_commit_sha": null,
            "head": branch("change", HEAD),
            "base": branch("main", BASE),
            "_links": links(&urls),
            "author_association": "NONE",
            "auto_merge": null,
            "draft": false,
            "merged": false,
            "mergeable": null,
            "mergeable_state": "unknown",
            "merged_by": null,
            "comments": remarks,
            "review_comments": thread.comments.len() - remarks,
            "maintainer_can_modify": false,
            "commits": 1,
            "additions": 1,
            "deletions": 0,
            "changed_files": 1,
        });
        if let (Value::Object(pull), Value::Object(urls)) = (&mut pull, urls) {
            pull.extend(urls);
        }
        pull
    }

    /// The payload of an event about a pull request.
    pub(crate) fn pull_payload(&self, action: &str, thread: &Thread, repo: &Repo) -> Value {
        json!({ "action": action, "number": thread.number, "pull_request": self.pull_minimal(thread, repo) })
    }

    /// What events tell of a pull request since October 2025.
    pub(crate) fn pull_minimal(&self, thread: &Thread, repo: &Repo) -> Value {
        let url = format!("{}/repos/{}", self.base, repo.full_name);
        let branch = |name: &str, sha: &str| json!({ "ref": name, "sha": sha, "repo": { "id": repo.id, "url": url, "name": repo.name() } });
        json!({
            "id": thread.id,
            "number": thread.number,
            "url": format!("{url}/pulls/{}", thread.number),
            "head": branch("change", HEAD),
            "base": branch("main", BASE),
        })
    }

    /// A comment on a line.
    pub(crate) fn review_remark(&self, comment: &Comment, thread: &Thread, repo: &Repo) -> Value {
        let pulls = format!("{}/repos/{}/pulls", self.base, repo.full_name);
        let (url, pull) = (
            format!("{pulls}/comments/{}", comment.id),
            format!("{pulls}/{}", thread.number),
        );
        let page = comment.page(thread, repo);
        let mut reactions = Map::new();
        reactions.insert("url".to_owned(), json!(format!("{url}/reactions")));
        for name in [
            "total_count",
            "+1",
            "-1",
            "laugh",
            "hooray",
            "confused",
            "heart",
            "rocket",
            "eyes",
        ] {
            reactions.insert(name.to_owned(), json!(0));
        }
        json!({
            "id": comment.id,
            "node_id": comment.node_id(thread.kind),
            "pull_request_review_id": null,
            "url": url,
            "html_url": page,
            "pull_request_url": pull,
            "diff_hunk": "@@ -1 +1 @@",
            "path": "README.md",
            "position": 1,
            "original_position": 1,
            "commit_id": HEAD,
            "original_commit_id": HEAD,
            "user": self.short_person(comment.author),
            "body": comment.body,
            "created_at": rfc3339(comment.at),
            "updated_at": rfc3339(comment.at),
            "author_association": "NONE",
            "_links": { "self": { "href": url }, "html": { "href": page }, "pull_request": { "href": pull } },
            "reactions": reactions,
        })
    }
}

/// `_links` of a pull request, from its URLs.
fn links(urls: &Value) -> Value {
    let link = |name: &str| json!({ "href": urls.get(name) });
    json!({
        "self": link("url"),
        "html": link("html_url"),
        "issue": link("issue_url"),
        "comments": link("comments_url"),
        "review_comments": link("review_comments_url"),
        "review_comment": link("review_comment_url"),
        "commits": link("commits_url"),
        "statuses": link("statuses_url"),
    })
}
