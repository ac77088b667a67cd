//! What is asked: how many stars the listed repositories got, and how many texts of issues, pull requests, discussions and
//! comments on them hold one of the listed keywords, by the matcher's rule, written by a person in both cases.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use domain::{AccountId, ScanTargets};
use gitleads::ingest::Watchlist;
use serde_json::Value;

/// Every list begins with these.
const WORDS: [&str; 32] = [
    "docker",
    "kernel",
    "cluster",
    "compiler",
    "webhook",
    "sidecar",
    "gateway",
    "scheduler",
    "tracing",
    "sharding",
    "quorum",
    "raft",
    "ledger",
    "replica",
    "sandbox",
    "runtime",
    "linker",
    "parser",
    "renderer",
    "shader",
    "telemetry",
    "pipeline",
    "registry",
    "operator",
    "broker",
    "cache",
    "index",
    "planner",
    "vector",
    "tensor",
    "codec",
    "mesh",
];

/// The repositories and keywords, as many of the one as of the other.
pub struct Question {
    repos: Vec<String>,
    keywords: Vec<String>,
}

impl Question {
    /// One that an hour has answers to. A tenth of the repositories were starred in it, as far as it has so many; the others
    /// are invented. The keywords are ordinary words, and pairs of words that the hour's titles are made of: so the
    /// automaton is led on by the texts, as by genuine keywords.
    pub fn draw(json: &[u8], size: usize) -> anyhow::Result<Self> {
        let (mut repos, mut words) = (Vec::new(), Vec::new());
        let (mut known_repos, mut known_words) = (HashSet::new(), HashSet::new());
        for line in json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event: Value = serde_json::from_slice(line)?;
            let text = |place| event.pointer(place).and_then(Value::as_str);
            if let (Some("WatchEvent"), Some(repo)) = (text("/type"), text("/repo/name"))
                && known_repos.insert(repo.to_owned())
            {
                repos.push(repo.to_owned());
            }
            let title = text("/payload/issue/title").unwrap_or_default();
            for word in title.split(|one: char| !one.is_alphanumeric() && one != '_') {
                let usual = word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
                if usual && known_words.insert(word.to_ascii_lowercase()) {
                    words.push(word.to_ascii_lowercase());
                }
            }
        }
        repos.truncate(size / 10);
        repos.extend((repos.len()..size).map(|number| format!("example-{}/repo-{number}", number % 97)));
        words.truncate((size - WORDS.len()).isqrt() + 1);
        let pairs = words
            .iter()
            .flat_map(|first| words.iter().map(move |second| format!("{first} {second}")));
        let keywords: Vec<String> = WORDS.map(str::to_owned).into_iter().chain(pairs).take(size).collect();
        anyhow::ensure!(keywords.len() == size, "the hour has too few words");
        Ok(Self { repos, keywords })
    }

    /// Puts the lists into the folder, one entry a line.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let size = self.keywords.len();
        fs::write(path(folder, "repos", size), self.repos.join("\n"))?;
        fs::write(path(folder, "keywords", size), self.keywords.join("\n"))?;
        Ok(())
    }

    /// The lists of that size in the folder.
    pub fn read(folder: &Path, size: usize) -> anyhow::Result<Self> {
        let lines = |what| -> anyhow::Result<Vec<String>> {
            let text = fs::read_to_string(path(folder, what, size))?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        Ok(Self {
            repos: lines("repos")?,
            keywords: lines("keywords")?,
        })
    }

    /// What the matcher makes of it.
    pub fn watchlist(&self) -> anyhow::Result<Watchlist> {
        let account = AccountId::default();
        let repos = self.repos.iter().map(|repo| Ok((account, repo.parse()?)));
        let keywords = self.keywords.iter().map(|keyword| -> anyhow::Result<_> {
            let keyword = keyword.parse().with_context(|| format!("{keyword} is no keyword"))?;
            Ok((account, keyword, ScanTargets::default()))
        });
        Watchlist::build(
            repos.collect::<anyhow::Result<Vec<_>>>()?,
            keywords.collect::<anyhow::Result<Vec<_>>>()?,
        )
    }
}

fn path(folder: &Path, what: &str, size: usize) -> PathBuf {
    folder.join(format!("{what}-{size}.txt"))
}
