//! GitHub's search for code, one keyword at a time, and who touched a file last.
//!
//! The search behind the API ignores quotation marks, answers brackets with 422, and shows two fragments of a file at most
//! (<https://docs.github.com/search-github/searching-on-github/searching-code>): what it finds is held against the keyword by
//! our own matcher. What was indexed last comes first.

use domain::{RepoName, Timestamp};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use super::actor::User;
use crate::ingest::activity::{Actor, ActorKind};

/// The media type that shows the fragments.
pub const ACCEPT: &str = "application/vnd.github.text-match+json";
/// Files on a page; GitHub's largest.
const PER_PAGE: usize = 100;

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The repository that it is in.
    pub repo: RepoName,
    /// Whose that is.
    pub owner: Actor,
    /// Where in the repository it lies.
    pub path: String,
    /// What names its text.
    pub sha: String,
    /// The fragments that the search shows, a line break between two.
    pub text: String,
}

/// A page of a search.
#[derive(Debug, Default)]
pub struct Page {
    /// The files, as far as they can be read.
    pub hits: Vec<Hit>,
    /// Files that cannot be read.
    pub broken: usize,
    /// Whether GitHub broke off before it had looked everywhere.
    pub is_incomplete: bool,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The account of its author, if GitHub knows one.
    pub author: Option<Actor>,
    /// When it was made.
    pub at: Timestamp,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    incomplete_results: bool,
    items: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Item {
    path: String,
    sha: String,
    repository: Repository,
    #[serde(default)]
    text_matches: Vec<TextMatch>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: RepoName,
    owner: User,
    #[serde(default)]
    private: bool,
}

#[derive(Deserialize)]
struct TextMatch {
    #[serde(default)]
    fragment: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    commit: Told,
    #[serde(default)]
    author: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    author: Option<Signature>,
    #[serde(default)]
    committer: Option<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    date: Option<Timestamp>,
}

/// The path of a page of the search for a phrase that is quoted already, from 1.
pub fn path(quoted: &str, page: u32) -> String {
    let query: String = byte_serialize(format!("{quoted} in:file").as_bytes()).collect();
    format!("/search/code?q={query}&sort=indexed&order=desc&per_page={PER_PAGE}&page={page}")
}

/// Reads a page; a file that cannot be read is passed over, and so is one that is not public, even where the token is shown it.
///
/// # Errors
/// If the body is no answer of a search. The reason quotes nothing of it.
pub fn read(body: &[u8]) -> Result<Page, String> {
    let found: Found = serde_json::from_slice(body)
        .map_err(|error| format!("no result of a search, line {} column {}", error.line(), error.column()))?;
    let all = found.items.len();
    let items = found.items.into_iter();
    let items: Vec<Item> = items.filter_map(|item| serde_json::from_value(item).ok()).collect();
    Ok(Page {
        broken: all - items.len(),
        hits: items
            .into_iter()
            .filter(|item| !item.repository.private)
            .map(hit)
            .collect(),
        is_incomplete: found.incomplete_results,
    })
}

fn hit(item: Item) -> Hit {
    let fragments: Vec<String> = item
        .text_matches
        .into_iter()
        .filter_map(|found| found.fragment)
        .collect();
    Hit {
        repo: item.repository.full_name,
        owner: item.repository.owner.into(),
        path: item.path,
        sha: item.sha,
        text: fragments.join("\n"),
    }
}

impl Hit {
    /// The path of the list of commits that touched the file, of which the newest is asked for.
    pub fn commits_path(&self) -> String {
        let path: String = byte_serialize(self.path.as_bytes()).collect();
        format!("/repos/{}/commits?path={path}&per_page=1", self.repo)
    }

    /// The file's page on GitHub, as it is whenever it is looked at: the same whoever touches the file.
    pub fn page(&self) -> String {
        let encoded = self.path.split('/').map(|part| {
            let part: String = byte_serialize(part.as_bytes()).collect();
            part.replace('+', "%20")
        });
        let path: Vec<String> = encoded.collect();
        format!("https://github.com/{}/blob/HEAD/{}", self.repo, path.join("/"))
    }
}

/// Reads the newest of a list of commits; none: the list is empty, or the time of that commit is not told.
///
/// # Errors
/// If the body is no such list. The reason quotes nothing of it.
pub fn read_commit(body: &[u8]) -> Result<Option<Commit>, String> {
    let listed: Vec<Listed> = serde_json::from_slice(body)
        .map_err(|error| format!("no list of commits, line {} column {}", error.line(), error.column()))?;
    let Some(newest) = listed.into_iter().next() else {
        return Ok(None);
    };
    let signatures = [newest.commit.author, newest.commit.committer];
    let at = signatures.into_iter().flatten().find_map(|signature| signature.date);
    // Where GitHub knows no account it tells null, or an object without anything in it.
    let author = newest
        .author
        .and_then(|author| serde_json::from_value::<User>(author).ok());
    Ok(at.map(|at| Commit {
        author: author.map(Actor::from),
        at,
    }))
}

impl Commit {
    /// The author, if that is a person.
    pub fn person(&self) -> Option<&Actor> {
        self.author.as_ref().filter(|author| author.kind == ActorKind::User)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_was_found_is_read_with_its_owner_and_its_fragments() {
        let item = |owner: Value, path: &str| {
            json!({
                "path": path, "sha": "abc", "html_url": "https://github.com/acme/sdk/blob/0123/x",
                "repository": { "full_name": "acme/sdk", "owner": owner },
                "text_matches": [{ "fragment": "use docker" }, { "fragment": null }, { "fragment": "and compose" }],
            })
        };
        let user = json!({ "id": 7, "login": "ada-example", "type": "User" });
        let body = json!({
            "total_count": 3, "incomplete_results": false,
            "items": [item(user, "a dir/é.rs"), { "path": 5 }, item(json!({ "id": 8, "login": "acme", "type": "Organization" }), "x")],
        });
        let page = read(body.to_string().as_bytes()).unwrap();
        let [first, second] = page.hits.as_slice() else {
            panic!("{page:?}")
        };
        assert_eq!(first.text, "use docker\nand compose");
        assert_eq!(first.page(), "https://github.com/acme/sdk/blob/HEAD/a%20dir/%C3%A9.rs");
        assert_eq!(
            first.commits_path(),
            "/repos/acme/sdk/commits?path=a+dir%2F%C3%A9.rs&per_page=1"
        );
        assert_eq!(
            (first.owner.kind, second.owner.kind),
            (ActorKind::User, ActorKind::Organization)
        );
        assert!(read(b"<html>").unwrap_err().contains("line 1"));
        assert!(path("\"docker\"", 2).contains("q=%22docker%22+in%3Afile&sort=indexed"));
    }

    #[test]
    fn the_newest_commit_tells_who_touched_the_file_if_github_knows() {
        let listed = |author: Value| {
            let date = json!({ "date": "2026-04-10T12:00:00Z" });
            let body = json!([{ "commit": { "author": date, "committer": date }, "author": author }]);
            read_commit(body.to_string().as_bytes()).unwrap().unwrap()
        };
        let ada = listed(json!({ "id": 7, "login": "ada-example", "type": "User" }));
        assert_eq!(ada.person().map(|person| person.id), Some(7));
        assert_eq!(ada.at.to_string(), "2026-04-10T12:00:00Z");
        for nobody in [
            json!(null),
            json!({}),
            json!({ "id": 8, "login": "ci[bot]", "type": "Bot" }),
        ] {
            assert_eq!(listed(nobody).person(), None);
        }
        assert_eq!(read_commit(b"[]").unwrap(), None);
        assert!(read_commit(b"{}").is_err());
    }
}
