//! A repository, and its JSON in answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{User, UserKind};

/// A public repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// The numeric id, which survives a rename.
    pub id: u64,
    /// `owner/name` now.
    pub full_name: String,
    /// What it is for.
    pub description: Option<String>,
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

    fn name(&self) -> &str {
        self.full_name.split_once('/').map_or("", |(_, name)| name)
    }

    fn language(&self) -> Option<&str> {
        let most = self.languages.iter().max_by_key(|(_, bytes)| **bytes);
        most.map(|(language, _)| language.as_str())
    }

    /// `repo` of an event.
    pub(crate) fn short(&self, base: &str) -> Value {
        json!({ "id": self.id, "name": self.full_name, "url": format!("{base}/repos/{}", self.full_name) })
    }

    /// The repository as `/repos/{owner}/{name}` and lists have it. An `owner` that the world does not know is
    /// taken for an organisation.
    pub(crate) fn full(&self, owner: Option<&User>, base: &str) -> Value {
        let url = format!("{base}/repos/{}", self.full_name);
        let unknown = User {
            kind: UserKind::Organization,
            ..User::new(9_000_000 + self.id, self.owner())
        };
        json!({
            "id": self.id,
            "node_id": format!("R_fake{}", self.id),
            "name": self.name(),
            "full_name": self.full_name,
            "private": false,
            "owner": owner.unwrap_or(&unknown).short(base),
            "html_url": format!("https://github.com/{}", self.full_name),
            "description": self.description,
            "fork": self.fork,
            "url": url,
            "events_url": format!("{url}/events"),
            "languages_url": format!("{url}/languages"),
            "created_at": self.created_at,
            "updated_at": self.pushed_at,
            "pushed_at": self.pushed_at,
            "size": self.size,
            "stargazers_count": self.stars,
            "watchers_count": self.stars,
            "language": self.language(),
            "forks_count": 0,
            "open_issues_count": 0,
            "archived": false,
            "disabled": false,
            "visibility": "public",
            "default_branch": "main",
        })
    }
}
