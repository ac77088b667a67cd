//! A repository, and its JSON in answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::User;

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// The numeric id, which survives a rename.
    pub id: u64,
    /// `owner/name` now.
    pub full_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether only those who administer it know of it.
    pub private: bool,
    /// Whether it is a fork.
    pub fork: bool,
    /// In kilobytes.
    pub size: u64,
    /// How many starred it.
    pub stars: u64,
    /// Bytes by language; the language with most is the repository's.
    pub languages: BTreeMap<String, u64>,
    /// RFC 3339, in UTC.
    pub created_at: String,
    /// RFC 3339, in UTC; the order of `sort=pushed`.
    pub pushed_at: String,
}

impl Repo {
    /// An empty repository.
    pub fn new(id: u64, full_name: &str) -> Self {
        Self {
            id,
            full_name: full_name.to_owned(),
            description: None,
            private: false,
            fork: false,
            size: 0,
            stars: 0,
            languages: BTreeMap::new(),
            created_at: "2021-01-02T03:04:05Z".to_owned(),
            pushed_at: "2026-01-02T03:04:05Z".to_owned(),
        }
    }

    /// The same with this language in it.
    #[must_use]
    pub fn with_language(mut self, language: &str, bytes: u64) -> Self {
        self.languages.insert(language.to_owned(), bytes);
        self
    }

    /// The part before the slash.
    pub(crate) fn owner(&self) -> &str {
        self.full_name.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The part after the slash.
    pub(crate) fn name(&self) -> &str {
        self.full_name.split_once('/').map_or("", |(_, name)| name)
    }

    /// The language with most bytes.
    pub(crate) fn language(&self) -> Option<&str> {
        let most = self.languages.iter().max_by_key(|(_, bytes)| **bytes);
        most.map(|(language, _)| language.as_str())
    }

    /// `repo` of an event.
    pub(crate) fn short(&self, base: &str) -> Value {
        json!({ "id": self.id, "name": self.full_name, "url": format!("{base}/repos/{}", self.full_name) })
    }

    /// The id of GraphQL, which REST tells as `node_id`.
    pub(crate) fn node_id(&self) -> String {
        format!("R_fake{}", self.id)
    }

    /// The page for people.
    pub(crate) fn page(&self) -> String {
        format!("https://github.com/{}", self.full_name)
    }

    /// The repository as lists have it, inside other answers too.
    pub(crate) fn listed(&self, owner: &User, base: &str) -> Value {
        Value::Object(self.fields(owner, base))
    }

    /// The repository as `/repos/{owner}/{name}` has it.
    pub(crate) fn full(&self, owner: &User, base: &str) -> Value {
        let mut fields = self.fields(owner, base);
        fields.insert("network_count".to_owned(), json!(0));
        fields.insert("subscribers_count".to_owned(), json!(0));
        Value::Object(fields)
    }

    fn fields(&self, owner: &User, base: &str) -> Map<String, Value> {
        let url = format!("{base}/repos/{}", self.full_name);
        let page = self.page();
        let fields = json!({
            "id": self.id,
            "node_id": self.node_id(),
            "name": self.name(),
            "full_name": self.full_name,
            "private": self.private,
            "owner": owner.short(base),
            "html_url": page,
            "description": self.description,
            "fork": self.fork,
            "url": url,
            "created_at": self.created_at,
            "updated_at": self.pushed_at,
            "pushed_at": self.pushed_at,
            "git_url": format!("git://github.com/{}.git", self.full_name),
            "ssh_url": format!("git@github.com:{}.git", self.full_name),
            "clone_url": format!("{page}.git"),
            "svn_url": page,
            "homepage": null,
            "mirror_url": null,
            "license": null,
            "size": self.size,
            "stargazers_count": self.stars,
            "watchers_count": self.stars,
            "watchers": self.stars,
            "language": self.language(),
            "forks_count": 0,
            "forks": 0,
            "open_issues_count": 0,
            "open_issues": 0,
            "has_issues": true,
            "has_projects": false,
            "has_downloads": true,
            "has_wiki": false,
            "has_pages": false,
            "has_discussions": true,
            "is_template": false,
            "topics": [],
            "archived": false,
            "disabled": false,
            "visibility": if self.private { "private" } else { "public" },
            "default_branch": "main",
        });
        let mut fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        for (name, rest) in URLS {
            fields.insert(format!("{name}_url"), json!(format!("{url}/{rest}")));
        }
        fields
    }
}

/// The URLs of a repository that are its own one with something behind it; braces are templates (RFC 6570).
const URLS: &[(&str, &str)] = &[
    ("archive", "{archive_format}{/ref}"),
    ("assignees", "assignees{/user}"),
    ("blobs", "git/blobs{/sha}"),
    ("branches", "branches{/branch}"),
    ("collaborators", "collaborators{/collaborator}"),
    ("comments", "comments{/number}"),
    ("commits", "commits{/sha}"),
    ("compare", "compare/{base}...{head}"),
    ("contents", "contents/{+path}"),
    ("contributors", "contributors"),
    ("deployments", "deployments"),
    ("downloads", "downloads"),
    ("events", "events"),
    ("forks", "forks"),
    ("git_commits", "git/commits{/sha}"),
    ("git_refs", "git/refs{/sha}"),
    ("git_tags", "git/tags{/sha}"),
    ("hooks", "hooks"),
    ("issue_comment", "issues/comments{/number}"),
    ("issue_events", "issues/events{/number}"),
    ("issues", "issues{/number}"),
    ("keys", "keys{/key_id}"),
    ("labels", "labels{/name}"),
    ("languages", "languages"),
    ("merges", "merges"),
    ("milestones", "milestones{/number}"),
    ("notifications", "notifications{?since,all,participating}"),
    ("pulls", "pulls{/number}"),
    ("releases", "releases{/id}"),
    ("stargazers", "stargazers"),
    ("statuses", "statuses/{sha}"),
    ("subscribers", "subscribers"),
    ("subscription", "subscription"),
    ("tags", "tags"),
    ("teams", "teams"),
    ("trees", "git/trees{/sha}"),
];
