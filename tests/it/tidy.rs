//! What the compiler does not hold: the arrows between the rooms of `src/`, the first sentence and the size of each file,
//! and words that may stand in one place only. A failure lists every place with its reason.

use std::fs;
use std::path::Path;

/// No file is longer.
const LINES: usize = 600;

/// What each room of `src/` may name of its siblings: a room, or a single module of one. Rooms that are not listed may
/// name all: they put the others together.
const ARROWS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("config", &[]),
    ("erasures", &["commands"]),
    ("whom", &["commands"]),
    ("metrics", &[]),
    ("project", &["lease"]),
    ("retry_after", &[]),
    ("serve", &[]),
    ("storage", &["config", "transfer"]),
    ("telemetry", &["config", "tls"]),
    ("tls", &[]),
    ("transfer", &[]),
    ("verify", &[]),
    // Nodes say in the database what they do.
    ("lease", &["clock", "config", "serve"]),
    ("commands", &["clock", "metrics", "telemetry"]),
    (
        "github",
        &[
            "clock",
            "ingest::activity",
            "metrics",
            "retry_after",
            "telemetry",
            "tls",
        ],
    ),
    ("gharchive", &["clock", "github", "ingest::activity", "tls"]),
    (
        "ingest",
        &["clock", "commands", "gharchive", "github", "lease", "metrics", "serve"],
    ),
    (
        "deliver",
        &[
            "clock",
            "commands",
            "lease",
            "metrics",
            "retry_after",
            "serve",
            "telemetry",
        ],
    ),
    // The URLs and secrets of webhook endpoints are checked by the rules that deliveries follow.
    (
        "http",
        &[
            "clock",
            "commands",
            "deliver::guard",
            "deliver::journal",
            "deliver::probe",
            "deliver::replay",
            "deliver::request",
            "deliver::secrets",
            "deliver::sign",
            "deliver::standing",
            "lease",
            "metrics",
            "serve",
            "telemetry",
            "whom",
        ],
    ),
    // The one way from the API to the door of ingestion.
    ("http/github_webhook", &["clock", "commands", "github", "ingest"]),
    // A keyword is tried with what looks for it live.
    ("http/keyword_dry_run", &["ingest::matcher"]),
    // A customer and a GitHub in small: what they are told is checked and signed as outside.
    ("demo", &["clock", "deliver::sign", "tls"]),
    // What the polls say of a source, and of how many stars there are.
    ("http/sources", &["ingest::poll_cursor", "ingest::source_cursor"]),
    ("http/coverage", &["ingest::source_cursor", "ingest::star_count"]),
    ("http/usage", &["ingest::budgets"]),
    ("control", &["gharchive::ArchiveHour", "serve"]),
];

/// The own crates that each own crate may use.
const FLOORS: &[(&str, &[&str])] = &[
    ("crates/domain", &[]),
    ("crates/database", &[]),
    ("crates/fake-github", &[]),
    ("crates/testbed", &[]),
    ("crates/fake-kurrentdb", &[]),
    ("crates/vault", &["database", "domain"]),
    ("crates/event-log", &["database", "domain"]),
    ("projections", &["database", "domain", "event-log"]),
];

/// Words, the paths that alone may hold them, and why. Test code may hold those that end in a star.
const PLACES: &[(&str, &[&str], &str)] = &[
    (
        "%repo,*",
        &[],
        "a log line would name a repository, and so its owner: an id does",
    ),
    ("%login,*", &[], "a log line would name a person"),
    (
        "rusqlite*",
        &["crates/database/", "crates/event-log/"],
        "only the database and the log's adapters know the engine",
    ),
    (
        "tokio_postgres*",
        &["crates/database/", "crates/event-log/", "crates/testbed/"],
        "only the database and the log's adapters know the engine",
    ),
    (
        "kurrentdb::*",
        &["crates/event-log/"],
        "only the log's adapter knows the engine",
    ),
    (
        "tonic*",
        &["crates/fake-kurrentdb/"],
        "only the stand-in for KurrentDB serves gRPC",
    ),
    (
        "StreamAppend*",
        &["src/commands/", "crates/event-log/"],
        "only commands append to the log",
    ),
    (concat!("to", "do!("), &[], "what is not written yet is left out"),
    (
        concat!("unimple", "mented!("),
        &[],
        "what is not written yet is left out",
    ),
    (concat!("#[ig", "nore"), &[], "a test that does not run tells nothing"),
    (
        "super::super::*",
        &[],
        "write it from crate::, so that the arrow can be seen",
    ),
];

/// Test code that may wait for a while: it polls a condition of another process.
const MAY_SLEEP: &str = "tests/it/harness";

/// A Rust file of the project.
struct Source {
    /// From the root of the tree, with slashes.
    path: String,
    text: String,
    /// Whether all of it is test code; a bench fills a log and a database as a test does.
    is_test: bool,
}

impl Source {
    /// The lines with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }

    /// The first line of test code; every test file begins with it.
    fn tests_from(&self) -> usize {
        let mut code = self.code();
        let mut marked = || code.find(|(_, line)| line.trim() == "#[cfg(test)]");
        if self.is_test {
            1
        } else {
            marked().map_or(usize::MAX, |(number, _)| number)
        }
    }

    /// The files, without their ending, of the modules that are declared for tests only.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
        let root = ["/mod", "/lib", "/main"].iter().any(|name| stem.ends_with(name));
        let below = if root { folder } else { stem };
        let mut found = Vec::new();
        for declared in self.text.split("#[cfg(test)]\n").skip(1) {
            let (path, rest) = match declared.strip_prefix("#[path = \"") {
                Some(named) => named.split_once("\"]\n").unwrap_or_default(),
                None => ("", declared),
            };
            let name = rest
                .trim_start_matches("pub")
                .trim_start_matches("(crate)")
                .trim_start()
                .strip_prefix("mod ");
            let name = name.and_then(|name| name.lines().next()?.strip_suffix(';'));
            found.extend(name.map(|name| match path.strip_suffix(".rs") {
                Some(path) => format!("{folder}/{path}"),
                None => format!("{below}/{name}"),
            }));
        }
        found
    }

    fn at(&self, line: usize, reason: &str) -> String {
        format!("{}:{line}: {reason}", self.path)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["benches", "crates", "projections", "src", "tests"] {
        collect(root, &root.join(folder), &mut sources);
    }
    assert!(sources.len() > 50, "the tree was not found");
    let modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let within = |module: &String| {
            let rest = source.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        source.is_test |= modules.iter().any(within);
    }
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let is_test = path.contains("tests/") || path.contains("benches/");
            sources.push(Source { path, text, is_test });
        }
    }
}

/// Holds a rule over the whole tree.
fn hold(rule: fn(&Source) -> Vec<String>) {
    let mut found: Vec<String> = sources().iter().flat_map(rule).collect();
    found.sort();
    assert!(found.is_empty(), "{} to put right:\n{}", found.len(), found.join("\n"));
}

fn first_sentence(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//! ").unwrap_or_default();
    if says.split_whitespace().count() < 3 {
        return vec![source.at(1, "opens with no //! sentence that says what it is for")];
    }
    Vec::new()
}

fn size(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > LINES {
        return vec![source.at(lines, &format!("has {lines} lines; {LINES} is the most"))];
    }
    Vec::new()
}

fn places(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (word, paths, reason) in PLACES {
        let tests_too = !word.ends_with('*');
        let word = word.trim_end_matches('*');
        let until = if tests_too { usize::MAX } else { source.tests_from() };
        if source.path == "tests/it/tidy.rs" || paths.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        let lines = source
            .code()
            .filter(|(number, line)| *number < until && line.contains(word));
        found.extend(lines.map(|(number, _)| source.at(number, &format!("{word}: {reason}"))));
    }
    found
}

fn sleeps(source: &Source) -> Vec<String> {
    if source.path == "tests/it/tidy.rs" || source.path.starts_with(MAY_SLEEP) {
        return Vec::new();
    }
    let tests = source.code().filter(|(number, _)| *number >= source.tests_from());
    let asleep = tests.filter(|(_, line)| line.contains("sleep("));
    asleep
        .map(|(number, _)| source.at(number, "a test waits for a condition, not for a while"))
        .collect()
}

fn arrows(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("src/") else {
        return Vec::new();
    };
    let room = inside.split(['/', '.']).next().unwrap_or_default();
    let within = |key: &str| key == room || inside.starts_with(&format!("{key}/")) || inside == format!("{key}.rs");
    let rules: Vec<_> = ARROWS.iter().filter(|(key, _)| within(key)).collect();
    if rules.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    // Tests may put together what they need.
    for (line, path) in named(source)
        .into_iter()
        .filter(|(line, _)| *line < source.tests_from())
    {
        let inside_of = |allowed: &str| path == allowed || path.starts_with(&format!("{allowed}::"));
        let allowed = rules
            .iter()
            .any(|(_, allowed)| allowed.iter().any(|one| inside_of(one)));
        if !allowed && !inside_of(room) {
            found.push(source.at(
                line,
                &format!("{room} may not name {path}; see ARROWS in tests/it/tidy.rs"),
            ));
        }
    }
    found
}

/// Every path from the root of the crate that the file names, with its line; groups are written out.
fn named(source: &Source) -> Vec<(usize, String)> {
    let code: String = source.code().flat_map(|(_, line)| [line, "\n"]).collect();
    let mut found = Vec::new();
    for (start, root) in code.match_indices("crate::") {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|one| one.is_alphanumeric() || one == '_' || one == '$') {
            continue;
        }
        let line = 1 + code[..start].matches('\n').count();
        let mut paths = Vec::new();
        write_out("", &code[start + root.len()..], &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads one path or group at the start of `text`, writes its paths behind `prefix`, and answers what follows.
fn write_out<'a>(prefix: &str, text: &'a str, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = write_out(prefix, rest, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => rest = more,
                Some(end) => return end.trim_start().strip_prefix('}').unwrap_or_default(),
                None => return rest.strip_prefix('}').unwrap_or_default(),
            }
        }
    }
    let length = text
        .find(|one: char| !(one.is_alphanumeric() || one == '_'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(length);
    let path = if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}::{name}")
    };
    if let Some(more) = rest.strip_prefix("::") {
        return write_out(&path, more, paths);
    }
    paths.push(path);
    rest.strip_prefix('*').unwrap_or(rest)
}

#[test]
fn every_file_opens_with_a_sentence_that_says_what_it_is_for() {
    hold(first_sentence);
}

#[test]
fn no_file_is_too_long_to_be_read() {
    hold(size);
}

#[test]
fn every_room_names_only_the_rooms_below_it() {
    hold(arrows);
}

#[test]
fn words_that_belong_in_one_place_stand_there_only() {
    hold(places);
}

#[test]
fn no_test_waits_for_a_while() {
    hold(sleeps);
}

#[test]
fn every_crate_uses_only_the_crates_below_it() {
    let own: Vec<&str> = FLOORS
        .iter()
        .map(|(folder, _)| folder.trim_start_matches("crates/"))
        .collect();
    for (folder, below) in FLOORS {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("Cargo.toml");
        let text = fs::read_to_string(manifest).unwrap();
        let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(
                !own.contains(&name) || below.contains(&name),
                "{folder}/Cargo.toml: may not use {name}"
            );
        }
    }
}

#[test]
fn each_rule_sees_what_it_is_there_for() {
    let at = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
        is_test: path.contains("tests"),
    };
    let seen = |rule: fn(&Source) -> Vec<String>, path: &str, text: &str| rule(&at(path, text)).len();
    assert_eq!(seen(first_sentence, "src/a.rs", "use std::fs;\n"), 1);
    assert_eq!(seen(first_sentence, "src/a.rs", "//! Reads a file.\n"), 0);
    let declared = at(
        "src/http/mod.rs",
        "#[cfg(test)]\nmod sandbox;\n#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\n",
    );
    assert_eq!(declared.test_modules(), ["src/http/sandbox", "src/http/a_tests"]);
    let inner = at(
        "src/http/auth.rs",
        "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more {\n",
    );
    assert_eq!(inner.test_modules(), ["src/http/auth/tests"]);
    assert_eq!(seen(size, "src/a.rs", &"\n".repeat(601)), 1);
    assert_eq!(
        seen(
            arrows,
            "src/http/leads.rs",
            "use crate::{clock::Clock, ingest::accept};\n"
        ),
        1
    );
    assert_eq!(
        seen(
            arrows,
            "src/http/leads.rs",
            "use crate::deliver::{guard::{A, B}, worker, sign};\n"
        ),
        1
    );
    assert_eq!(
        seen(
            arrows,
            "src/http/github_webhook.rs",
            "use crate::ingest::accept; // crate::cli::x\n"
        ),
        0
    );
    assert_eq!(seen(arrows, "src/cli/mod.rs", "use crate::http::routes;\n"), 0);
    assert_eq!(seen(places, "src/http/leads.rs", "use rusqlite::Connection;\n"), 1);
    assert_eq!(seen(places, "src/ingest/a.rs", "warn!(%repo, reason, \"said\");\n"), 1);
    assert_eq!(seen(places, "src/http/leads.rs", "log.append(vec![StreamAppend {\n"), 1);
    assert_eq!(seen(places, "src/http/tests.rs", "log.append(vec![StreamAppend {\n"), 0);
    assert_eq!(
        seen(sleeps, "src/http/mod.rs", "sleep(a);\n#[cfg(test)]\nsleep(b);\n"),
        1
    );
}

#[test]
fn no_two_tables_have_one_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(root.join("migrations")).unwrap().collect();
    files.extend(fs::read_dir(root.join("projections")).unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for file in files {
        let path = file.unwrap().path();
        let path = if path.is_dir() { path.join("schema.sql") } else { path };
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        // On PostgreSQL all of them lie in one schema.
        for rest in fs::read_to_string(path)
            .unwrap_or_default()
            .split("CREATE TABLE ")
            .skip(1)
        {
            let name = rest.split_whitespace().next().unwrap().to_owned();
            assert!(seen.insert(name.clone()), "{name}");
        }
    }
    assert!(seen.len() > 15, "the tables were not found");
}
