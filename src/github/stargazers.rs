//! The list of those who starred a repository, which GitHub shows to its admins and collaborators.
//!
//! REST lists the oldest first and has 400 pages of 100; GraphQL lists the newest first and has no end
//! (<https://docs.github.com/rest/activity/starring#list-stargazers>).

use domain::{Collector, RepoName, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::actor::User;
use crate::ingest::activity::{Act, Activity};

/// The media type with the time of each star.
pub const ACCEPT: &str = "application/vnd.github.star+json";
/// No page lies beyond this one.
pub const LAST_PAGE: u32 = 400;

/// A page of the list.
#[derive(Debug, Default)]
pub struct Page {
    /// The stars, as listed.
    pub stars: Vec<Activity>,
    /// Items on the page, whether or not they could be read.
    pub items: usize,
    /// Whether another page follows, as REST tells it.
    pub has_next: bool,
    /// Where the next page begins, in GraphQL.
    pub next: Option<String>,
}

impl Page {
    /// When the oldest star of the page was given.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.stars.iter().map(|star| star.occurred_at).min()
    }

    /// When the newest star of the page was given.
    pub fn newest(&self) -> Option<Timestamp> {
        self.stars.iter().map(|star| star.occurred_at).max()
    }
}

#[derive(Deserialize)]
struct Star {
    starred_at: Timestamp,
    user: User,
}

/// The path of a page, from 1, which holds the oldest.
pub fn path(repo: &RepoName, page: u32) -> String {
    format!("/repos/{repo}/stargazers?per_page=100&page={page}")
}

/// Reads a page; a star that cannot be read is passed over.
///
/// # Errors
/// If the body is no list. The reason quotes nothing of it.
pub fn read(body: &[u8], repo: &RepoName) -> Result<Page, String> {
    let items: Vec<Value> = serde_json::from_slice(body).map_err(|error| {
        format!(
            "the stargazers are no list, line {} column {}",
            error.line(),
            error.column()
        )
    })?;
    Ok(Page {
        items: items.len(),
        stars: items
            .into_iter()
            .filter_map(|item| serde_json::from_value::<Star>(item).ok())
            .map(|Star { starred_at, user }| star(repo, starred_at, user))
            .collect(),
        has_next: false,
        next: None,
    })
}

fn star(repo: &RepoName, at: Timestamp, user: User) -> Activity {
    Activity {
        act: Act::Starred,
        repo: repo.as_str().to_owned(),
        actor: user.into(),
        occurred_at: at,
        collector: Collector::StargazerList,
    }
}

/// The query for a page, the newest first.
pub const QUERY: &str = "query($o:String!,$n:String!,$after:String){repository(owner:$o,name:$n,followRenames:true)\
     {stargazers(first:100,after:$after,orderBy:{field:STARRED_AT,direction:DESC}){pageInfo{hasNextPage endCursor} \
     edges{starredAt node{databaseId login}}}}}";

/// The variables of the query for the first page or the one after that mark.
pub fn variables(repo: &RepoName, after: Option<&str>) -> Value {
    let (owner, name) = repo.as_str().split_once('/').unwrap_or_default();
    json!({ "o": owner, "n": name, "after": after })
}

#[derive(Deserialize)]
struct Repository {
    stargazers: Stargazers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stargazers {
    page_info: PageInfo,
    edges: Vec<Value>,
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
struct Edge {
    starred_at: Timestamp,
    node: Node,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    database_id: u64,
    login: String,
}

/// Reads a page of GraphQL's; none: the list is not shown to us.
pub fn read_graphql(mut data: Map<String, Value>, repo: &RepoName) -> Option<Page> {
    let repository = data.remove("repository")?;
    let Stargazers { page_info, edges } = serde_json::from_value::<Repository>(repository).ok()?.stargazers;
    Some(Page {
        items: edges.len(),
        stars: edges
            .into_iter()
            .filter_map(|edge| serde_json::from_value::<Edge>(edge).ok())
            .map(|Edge { starred_at, node }| {
                let user = User {
                    id: node.database_id,
                    login: node.login,
                    kind: None,
                };
                star(repo, starred_at, user)
            })
            .collect(),
        has_next: page_info.has_next_page,
        next: page_info.end_cursor.filter(|_| page_info.has_next_page),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_who_starred_and_when() {
        let repo: RepoName = "acme/sdk".parse().unwrap();
        let user = |id: u64| json!({ "id": id, "login": format!("fan-{id}"), "type": "User" });
        let body = json!([
            { "starred_at": "2026-04-10T12:00:00Z", "user": user(1) },
            { "starred_at": "2026-04-10T11:00:00Z", "user": user(2) },
            { "starred_at": "2026-04-10T13:00:00Z", "user": null },
            user(4),
        ]);
        let page = read(body.to_string().as_bytes(), &repo).unwrap();
        assert_eq!((page.items, page.stars.len()), (4, 2));
        assert_eq!(page.oldest().unwrap().to_string(), "2026-04-10T11:00:00Z");
        assert_eq!(page.newest().unwrap().to_string(), "2026-04-10T12:00:00Z");
        assert!(read(br#"{"message":"Not Found"}"#, &repo).is_err());
    }

    #[test]
    fn graphql_tells_the_same_and_where_it_goes_on() {
        let repo: RepoName = "acme/sdk".parse().unwrap();
        let data = json!({ "repository": { "stargazers": {
            "pageInfo": { "hasNextPage": true, "endCursor": "mark" },
            "edges": [{ "starredAt": "2026-04-10T12:00:00Z", "node": { "databaseId": 1, "login": "fan-1" } }, {}],
        }}});
        let page = read_graphql(data.as_object().unwrap().clone(), &repo).unwrap();
        assert_eq!(
            (page.items, page.stars.len(), page.next.as_deref()),
            (2, 1, Some("mark"))
        );
        let hidden = json!({ "repository": null });
        assert!(read_graphql(hidden.as_object().unwrap().clone(), &repo).is_none());
        assert_eq!(
            variables(&repo, None),
            json!({ "o": "acme", "n": "sdk", "after": null })
        );
    }
}
