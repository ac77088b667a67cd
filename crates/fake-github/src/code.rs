//! Files of repositories and the commits that touched them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};

use serde_json::{Value, json};

use crate::ask::Ask;
use crate::clock::{rfc3339, seconds};
use crate::reply::Reply;
use crate::search::Words;
use crate::{Repo, User, World};

const COMMITS_A_PAGE: usize = 30;

/// A file on the default branch.
#[derive(Debug)]
pub(crate) struct File {
    /// The repository's id.
    pub repo: u64,
    pub path: String,
    pub text: String,
    /// Oldest first.
    pub commits: Vec<Commit>,
}

#[derive(Debug)]
pub(crate) struct Commit {
    sha: String,
    author: u64,
    at: u64,
}

/// All files, and what finds them.
#[derive(Debug, Default)]
pub(crate) struct Code {
    files: Vec<File>,
    by_path: HashMap<(u64, String), usize>,
    pub words: Words,
}

impl File {
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// What names this text.
    pub fn sha(&self) -> String {
        sha(&[&self.path, &self.text])
    }
}

impl Code {
    pub fn get(&self, place: usize) -> Option<&File> {
        self.files.get(place)
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    fn of<'a>(&'a self, repo: u64, path: Option<&'a str>) -> impl Iterator<Item = &'a File> {
        let wanted = move |file: &&File| file.repo == repo && path.is_none_or(|path| path == file.path);
        self.files.iter().filter(wanted)
    }
}

impl World {
    /// Someone commits a file, new or changed, to the default branch. `at` is RFC 3339, in UTC.
    pub fn put_file(&mut self, repo: &str, path: &str, text: &str, author: &User, at: &str) {
        let id = self.repo_id(repo);
        self.meet(author);
        let commit = Commit {
            sha: sha(&[path, text, at]),
            author: author.id,
            at: seconds(at).unwrap_or(self.now),
        };
        let code = &mut self.code;
        let key = (id, path.to_owned());
        let place = code.by_path.get(&key).copied().unwrap_or(code.files.len());
        if let Some(file) = code.files.get_mut(place) {
            text.clone_into(&mut file.text);
            file.commits.push(commit);
        } else {
            code.by_path.insert(key, place);
            code.files.push(File {
                repo: id,
                path: path.to_owned(),
                text: text.to_owned(),
                commits: vec![commit],
            });
        }
        code.words.add(place, text);
        code.words.add(place, path);
    }

    /// `/repos/{owner}/{name}/commits`, newest first; with `path` those that touched that file.
    pub(crate) fn commits_reply(&self, ask: &Ask, repo: &Repo, url: &str) -> Reply {
        let mut commits: Vec<(&File, &Commit)> = self
            .code
            .of(repo.id, ask.query("path"))
            .flat_map(|file| file.commits.iter().map(move |commit| (file, commit)))
            .collect();
        // Of one second's commits the last that was made comes first.
        commits.reverse();
        commits.sort_by_key(|(_, commit)| Reverse(commit.at));
        let page = ask.page(COMMITS_A_PAGE);
        let link = page.link(url, commits.len());
        let shown = page.of(commits.into_iter()).into_iter();
        Reply::list(
            shown.map(|(file, commit)| self.commit(file, commit, repo)).collect(),
            link,
        )
    }

    fn commit(&self, file: &File, commit: &Commit, repo: &Repo) -> Value {
        let repo_url = format!("{}/repos/{}", self.base, repo.full_name);
        let url = format!("{repo_url}/commits/{}", commit.sha);
        let author = self.short_person(commit.author);
        let name = author.get("login").and_then(Value::as_str).unwrap_or("ghost");
        let signature = json!({ "name": name, "email": format!("{name}@example.com"), "date": rfc3339(commit.at) });
        json!({
            "sha": commit.sha,
            "node_id": format!("C_fake{}", commit.sha),
            "url": url,
            "html_url": format!("{}/commit/{}", repo.page(), commit.sha),
            "comments_url": format!("{url}/comments"),
            "commit": {
                "author": signature,
                "committer": signature,
                "message": format!("Change {}", file.path),
                "tree": { "sha": file.sha(), "url": format!("{repo_url}/git/trees/{}", file.sha()) },
                "url": format!("{repo_url}/git/commits/{}", commit.sha),
                "comment_count": 0,
            },
            "author": author,
            "committer": author,
            "parents": [],
        })
    }
}

/// Forty hexadecimal digits that name these texts; not SHA-1.
fn sha(texts: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    let mut digits = String::new();
    while digits.len() < 40 {
        for text in texts {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        }
        let _ = write!(digits, "{:016x}", hasher.finish());
    }
    digits.truncate(40);
    digits
}
