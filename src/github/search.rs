//! GitHub's searches for what people write: issues and pull requests over REST, discussions over GraphQL.
//!
//! Phrases stand in brackets, since a space binds closer than OR
//! (<https://docs.github.com/search-github/getting-started-with-searching-on-github>).

use domain::{Collector, ScanTarget, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use super::actor::{User, kind_of};
use crate::ingest::activity::{Act, Activity, Actor};

/// Items on a page of the REST search; GitHub's largest.
pub const PER_PAGE: usize = 100;
/// Pages of that size that a search has.
pub const PAGES: u32 = 10;
/// Results that a search has at most.
pub const MOST: usize = 1_000;

/// What a page of a search holds.
#[derive(Debug, Default)]
pub struct Page {
    /// What was written, as far as it can be read.
    pub activities: Vec<Activity>,
    /// Items on the page.
    pub items: usize,
    /// Those of them that cannot be read.
    pub broken: usize,
    /// The newest item's time.
    pub newest: Option<Timestamp>,
    /// Whether GitHub broke off before it had looked everywhere.
    pub is_incomplete: bool,
    /// Where the next page begins, in GraphQL.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Issues {
    #[serde(default)]
    incomplete_results: bool,
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    created_at: Option<Timestamp>,
    #[serde(default)]
    pull_request: Option<Value>,
}

/// What is looked for: the packed phrases, in such a place, written since then. What is not public is nobody's signal, even
/// where the token is shown it.
fn terms(packed: &str, place: &str, since: Timestamp) -> String {
    let since = Timestamp::from_secs(since.secs());
    format!("({packed}) in:title,body is:public {place}created:>={since}")
}

/// The path of a page of the search, from 1, the oldest items first.
pub fn issues_path(packed: &str, target: ScanTarget, since: Timestamp, page: u32) -> String {
    let place = if target == ScanTarget::Prs {
        "is:pr "
    } else {
        "is:issue "
    };
    let terms = terms(packed, place, since);
    let query: String = byte_serialize(terms.as_bytes()).collect();
    format!("/search/issues?q={query}&sort=created&order=asc&per_page={PER_PAGE}&page={page}")
}

/// Reads a page of issues and pull requests; an item that cannot be read is passed over.
///
/// # Errors
/// If the body is no answer of a search. The reason quotes nothing of it.
pub fn read_issues(body: &[u8]) -> Result<Page, String> {
    let found: Issues = serde_json::from_slice(body)
        .map_err(|error| format!("no result of a search, line {} column {}", error.line(), error.column()))?;
    let items = found.items.len();
    let read: Vec<Issue> = found
        .items
        .into_iter()
        .filter_map(|item| serde_json::from_value(item).ok())
        .collect();
    Ok(Page {
        items,
        broken: items - read.len(),
        newest: read.iter().filter_map(|item| item.created_at).max(),
        is_incomplete: found.incomplete_results,
        activities: read.into_iter().filter_map(issue).collect(),
        next: None,
    })
}

fn issue(item: Issue) -> Option<Activity> {
    let url = item.html_url?;
    let repo = repo_of(&url)?;
    let user = item.user?;
    let target = if item.pull_request.is_some() {
        ScanTarget::Prs
    } else {
        ScanTarget::Issues
    };
    Some(Activity {
        act: Act::Wrote {
            target,
            text: text(item.title, item.body)?,
            url,
        },
        repo,
        actor: user.into(),
        occurred_at: item.created_at?,
        collector: Collector::IssueSearch,
    })
}

/// The repository of an issue's page, which is `…/owner/name/issues/7` on whichever host.
fn repo_of(page: &str) -> Option<String> {
    let mut parts = page.rsplit('/').skip(2);
    let (name, owner) = (parts.next()?, parts.next()?);
    Some(format!("{owner}/{name}"))
}

/// The title, a line break and the body, as far as there are any.
pub(super) fn text(title: Option<String>, body: Option<String>) -> Option<String> {
    match (
        title.filter(|title| !title.is_empty()),
        body.filter(|body| !body.is_empty()),
    ) {
        (Some(title), Some(body)) => Some(format!("{title}\n{body}")),
        (one, other) => one.or(other),
    }
}

/// The query for discussions.
pub const DISCUSSIONS: &str = "query($q:String!,$after:String){search(type:DISCUSSION,query:$q,first:50,after:$after)\
     {pageInfo{hasNextPage endCursor} nodes{...on Discussion{title body url createdAt \
     author{__typename login ...on User{databaseId}} repository{nameWithOwner}}}}}";

/// The variables of the query for a page of discussions, the first or the one after that mark.
pub fn discussions(packed: &str, since: Timestamp, after: Option<&str>) -> Value {
    json!({ "q": format!("{} sort:created-asc", terms(packed, "", since)), "after": after })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    #[serde(default)]
    page_info: Option<PageInfo>,
    #[serde(default)]
    nodes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    #[serde(default)]
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discussion {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    created_at: Option<Timestamp>,
    #[serde(default)]
    author: Option<Author>,
    #[serde(default)]
    repository: Option<Repository>,
}

/// Who wrote something, as GraphQL tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Author {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
    #[serde(default)]
    database_id: Option<u64>,
}

impl Author {
    /// The actor; none for whom GraphQL gives no number.
    pub(super) fn actor(self) -> Option<Actor> {
        Some(Actor {
            id: self.database_id?,
            kind: kind_of(&self.login, Some(&self.kind)),
            login: self.login,
        })
    }
}

/// A repository, as GraphQL tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    pub name_with_owner: String,
}

/// Reads a page of discussions; one that cannot be read is passed over.
///
/// # Errors
/// If the data is no answer of the query. The reason quotes nothing of it.
pub fn read_discussions(mut data: Map<String, Value>) -> Result<Page, String> {
    let search = data.remove("search").unwrap_or_default();
    let search: Search = serde_json::from_value(search).map_err(|_| "no result of a search".to_owned())?;
    let items = search.nodes.len();
    let read: Vec<Discussion> = search
        .nodes
        .into_iter()
        .filter_map(|node| serde_json::from_value(node).ok())
        .collect();
    let next = search.page_info.filter(|page| page.has_next_page);
    Ok(Page {
        items,
        broken: items - read.len(),
        newest: read.iter().filter_map(|item| item.created_at).max(),
        is_incomplete: false,
        activities: read.into_iter().filter_map(discussion).collect(),
        next: next.and_then(|page| page.end_cursor),
    })
}

fn discussion(item: Discussion) -> Option<Activity> {
    Some(Activity {
        act: Act::Wrote {
            target: ScanTarget::Discussions,
            text: text(item.title, item.body)?,
            url: item.url?,
        },
        repo: item.repository?.name_with_owner,
        actor: item.author?.actor()?,
        occurred_at: item.created_at?,
        collector: Collector::DiscussionSearch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::activity::ActorKind;

    #[test]
    fn a_search_says_what_where_and_since_when() {
        let since = "2026-04-10T12:00:00.5Z".parse().unwrap();
        let path = issues_path(r#""docker" OR "c++""#, ScanTarget::Prs, since, 2);
        assert_eq!(
            path,
            "/search/issues?q=%28%22docker%22+OR+%22c%2B%2B%22%29+in%3Atitle%2Cbody+is%3Apublic+is%3Apr+created%3A%3E%3D2026-04-10T12%3A00%3A00Z\
             &sort=created&order=asc&per_page=100&page=2"
        );
        let variables = discussions(r#""docker""#, since, Some("mark"));
        assert_eq!(
            variables["q"],
            r#"("docker") in:title,body is:public created:>=2026-04-10T12:00:00Z sort:created-asc"#
        );
        assert_eq!(variables["after"], "mark");
    }

    #[test]
    fn items_are_read_one_by_one_and_a_strange_one_does_no_harm() {
        let item = |extra: Value| {
            let mut item = json!({
                "html_url": "https://github.com/acme/sdk/issues/1",
                "title": "Docker", "body": "is slow",
                "user": { "id": 7, "login": "ada-example", "type": "User" },
                "created_at": "2026-04-10T12:00:00Z",
            });
            item.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            item
        };
        let body = json!({
            "total_count": 4, "incomplete_results": true,
            "items": [
                item(json!({})),
                item(json!({ "html_url": "https://git.example.com/acme/loom/pull/2", "pull_request": {}, "body": null, "created_at": "2026-04-10T13:00:00Z" })),
                item(json!({ "user": null })),
                { "html_url": 5 },
                item(json!({ "user": { "id": 8, "login": "ci[bot]", "type": "Bot" } })),
            ],
        });
        let page = read_issues(body.to_string().as_bytes()).unwrap();
        assert_eq!((page.items, page.activities.len(), page.is_incomplete), (5, 3, true));
        assert_eq!(page.newest.unwrap().to_string(), "2026-04-10T13:00:00Z");
        let [issue, pull, bot] = page.activities.as_slice() else {
            panic!()
        };
        assert_eq!((issue.repo.as_str(), issue.actor.id), ("acme/sdk", 7));
        assert!(matches!(&issue.act, Act::Wrote { target: ScanTarget::Issues, text, .. } if text == "Docker\nis slow"));
        assert!(matches!(&pull.act, Act::Wrote { target: ScanTarget::Prs, text, .. } if text == "Docker"));
        assert_eq!(pull.repo, "acme/loom");
        assert_eq!(bot.actor.kind, ActorKind::Bot);
        assert!(read_issues(b"<html>").unwrap_err().contains("line 1"));
    }

    #[test]
    fn discussions_are_read_with_who_wrote_them() {
        let node = |author: Value| {
            json!({
                "title": "Docker?", "body": "Yes", "url": "https://github.com/acme/sdk/discussions/4",
                "createdAt": "2026-04-10T12:00:00Z", "author": author,
                "repository": { "nameWithOwner": "acme/sdk" },
            })
        };
        let data = json!({ "search": {
            "pageInfo": { "hasNextPage": true, "endCursor": "mark" },
            "nodes": [
                node(json!({ "__typename": "User", "login": "ada-example", "databaseId": 7 })),
                node(json!({ "__typename": "Bot", "login": "ci" })),
                node(json!(null)),
                {},
            ],
        }});
        let page = read_discussions(data.as_object().unwrap().clone()).unwrap();
        assert_eq!(
            (page.items, page.activities.len(), page.next.as_deref()),
            (4, 1, Some("mark"))
        );
        assert_eq!(page.activities[0].actor.kind, ActorKind::User);
        assert_eq!(page.activities[0].collector, Collector::DiscussionSearch);
    }
}
