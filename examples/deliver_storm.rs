//! A server that delivers while it is killed again and again, and a receiver that must hear of everything, each lead in order:
//! `cargo build --release && cargo run --release --example deliver_storm`.
//!
//! Arguments, in any order: a number of deliveries (100000); the URL of an empty PostgreSQL database, where besides the server's
//! connections are cut off; `limits`, on files: every other life may not let a file grow much further, so that writes fail in the
//! middle; a folder on a small file system, on files: the data are there, and in the middle of a life what is left of the file system
//! is taken for a while; `beginning`, which kills nothing: an endpoint that is added when the leads are there already hears of each
//! exactly once and then of what comes live.
//!
//! `scripts/postgres sh -c 'cargo run --release --example deliver_storm -- $GITLEADS_TEST_POSTGRES'`
//! `mount -t tmpfs -o size=400m tmpfs /mnt/small && cargo run --release --example deliver_storm -- limits /mnt/small`

#![expect(clippy::print_stdout, reason = "its findings are what it is for")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a fault ends it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use testbed::FreshDatabase;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// The storm ends with a fault after so long.
const AT_MOST: Duration = Duration::from_mins(15);
/// For how long a server lives, in seconds: at least, and at most so much longer. On PostgreSQL another node takes over only once
/// the one before counts as dead, 11 s after its end.
const LIVES: [(u64, u64); 2] = [(2, 3), (14, 6)];
/// How far a file may grow in a life with a limit, in bytes: at least, and at most so much further.
const GROWTH: (u64, u64) = (200_000, 4_000_000);
/// For how long a file system stays full.
const FULL_FOR: Duration = Duration::from_millis(1_500);
/// What the server says of each write that failed.
const COMPLAINT: &str = "a database transaction failed";
/// The signal of a process that ends itself at once.
const SIGABRT: i32 = 6;
/// One request of so many gets 500.
const FAILS: usize = 200;

const REPOS: [&str; 2] = ["acme-corp/rival-sdk", "acme-corp/other-sdk"];
const KINDS: [&str; 2] = ["lead.created", "lead.signal_added"];

/// What was heard, in that order.
#[derive(Default)]
struct Inbox {
    requests: usize,
    /// Taken: id, person, kind.
    taken: Vec<(String, String, String)>,
    ids: BTreeSet<String>,
    /// Ids of which a request failed: they come again.
    failed: usize,
    fails: bool,
}

type Shared = Arc<Mutex<Inbox>>;

async fn hear(State(inbox): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut inbox = inbox.lock().unwrap();
    inbox.requests += 1;
    if inbox.fails && inbox.requests.is_multiple_of(FAILS) {
        inbox.failed += 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    assert_eq!(id, text(&body["id"]));
    inbox.ids.insert(id.clone());
    inbox
        .taken
        .push((id, text(&body["data"]["github_username"]), text(&body["event"])));
    StatusCode::OK
}

/// An installation, and the program beside this one.
struct Home {
    /// For archives and for what the server says.
    folder: tempfile::TempDir,
    data: PathBuf,
    url: Option<String>,
    program: PathBuf,
}

impl Home {
    fn command(&self, arguments: &[&str]) -> Command {
        self.limited(None, arguments)
    }

    /// The program, whose files may not grow beyond so many bytes: what it writes there fails, as on a bad disk.
    fn limited(&self, bytes: Option<u64>, arguments: &[&str]) -> Command {
        let mut command = match bytes {
            None => Command::new(&self.program),
            Some(bytes) => {
                let mut shell = Command::new("sh");
                // In blocks of 512 bytes. Ignored, the signal leaves the error to whoever writes.
                let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
                shell.arg("-c").arg(script).arg(&self.program);
                shell
            }
        };
        #[expect(clippy::disallowed_methods, reason = "to take away what the program would read")]
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GITLEADS_")) {
            command.env_remove(name);
        }
        command.arg("--data-dir").arg(&self.data);
        if let Some(url) = &self.url {
            command.args(["--database-url", url]);
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command line to its end.
    fn run(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }

    fn backfill(&self, file: &Path) {
        self.run(&["backfill", file.to_str().unwrap()]);
    }

    /// Starts a server and waits until it listens, or has ended before that.
    fn serve(&self, limit: Option<u64>) -> Server {
        let mut command = self.limited(limit, &["serve", "--listen", "127.0.0.1:0"]);
        // The discard port: nobody asks GitHub.
        command.args(["--github-api-url", "http://127.0.0.1:9", "--allow-private-webhooks"]);
        let said = File::options().create(true).append(true).open(self.said()).unwrap();
        let mut child = command
            .arg("--allow-http-webhooks")
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("http://127.0.0.1:") {
            line.clear();
            if lines.read_line(&mut line).unwrap() == 0 {
                assert!(
                    limit.is_some(),
                    "the server did not start: see {}",
                    self.said().display()
                );
                break;
            }
        }
        std::thread::spawn(move || drop(std::io::copy(&mut lines, &mut std::io::sink())));
        Server(child)
    }

    /// What all servers said.
    fn said(&self) -> PathBuf {
        self.folder.path().join("said")
    }

    /// Takes all that is left of the file system, until what this gives is removed.
    fn fill(&self) -> PathBuf {
        let path = self.data.with_file_name("ballast");
        let mut ballast = File::create(&path).unwrap();
        let mut piece = vec![1_u8; 1 << 20];
        while !piece.is_empty() {
            match ballast.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => panic!("{error}"),
            }
        }
        path
    }

    /// Stars of these people on both repositories: a lead, and a further signal of it.
    fn archive(&self, name: &str, people: std::ops::Range<usize>) -> PathBuf {
        let mut text = String::new();
        for (turn, repo) in REPOS.iter().enumerate() {
            for person in people.clone() {
                let number = 2_489_368_000 + 2 * person + turn;
                let line = serde_json::json!({
                    "id": number.to_string(), "type": "WatchEvent",
                    "actor": {"id": 700_000 + person, "login": format!("ada-example-{person}"),
                        "url": format!("https://api.github.com/users/ada-example-{person}")},
                    "repo": {"id": turn + 1, "name": repo}, "payload": {"action": "started"}, "public": true,
                    "created_at": format!("2026-01-01T0{turn}:00:00Z"),
                });
                writeln!(text, "{line}").unwrap();
            }
        }
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A server that ends with this.
struct Server(Child);

impl Server {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// How it ended, if it did.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let deliveries = arguments
        .iter()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(100_000_usize);
    let url = arguments
        .iter()
        .find(|argument| argument.starts_with("postgres"))
        .cloned();
    let beginning = arguments.iter().any(|argument| argument == "beginning");
    let here = std::env::current_exe().unwrap();
    let program = here.parent().and_then(Path::parent).unwrap().join("gitleads");
    assert!(
        program.exists(),
        "{} is not there: cargo build first",
        program.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let small = arguments.iter().find(|argument| argument.starts_with('/'));
    let small = small.map(|path| tempfile::tempdir_in(path).unwrap());
    let home = Home {
        data: small.as_ref().unwrap_or(&folder).path().join("data"),
        folder,
        url,
        program,
    };
    let faults = Faults {
        limits: arguments.iter().any(|argument| argument == "limits"),
        fills: small.is_some(),
    };

    let inbox = Shared::default();
    inbox.lock().unwrap().fails = !beginning;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().fallback(hear).with_state(inbox.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    for repo in REPOS {
        home.run(&["track", "repo", repo]);
    }
    let people = deliveries / 2;
    let history = home.archive("history.json", 0..people);
    let events = KINDS.join(",");
    let mut add = vec![
        "--allow-private-webhooks",
        "--allow-http-webhooks",
        "webhooks",
        "add",
        &endpoint,
    ];
    add.extend(["--events", &events]);
    let began = Instant::now();
    let expected = if beginning {
        home.backfill(&history);
        add.extend(["--start-from", "beginning"]);
        home.run(&add);
        let live = home.archive("live.json", people..people + people / 10);
        calm(&home, &inbox, &live, people + people / 10).await;
        people + people / 10
    } else {
        home.run(&add);
        home.backfill(&history);
        storm(&home, &inbox, people * 2, faults).await;
        people
    };
    judge(&inbox.lock().unwrap(), expected, beginning, began.elapsed());
}

/// Delivers what was there before and what comes meanwhile.
async fn calm(home: &Home, inbox: &Shared, live: &Path, people: usize) {
    let _server = home.serve(None);
    home.backfill(live);
    let begun = Instant::now();
    while inbox.lock().unwrap().taken.len() < people * 2 {
        assert!(begun.elapsed() < AT_MOST, "{} came", inbox.lock().unwrap().taken.len());
        sleep(Duration::from_millis(100)).await;
    }
    // Whatever came too often would come now.
    sleep(Duration::from_secs(2)).await;
}

/// What happens besides kills.
#[derive(Clone, Copy)]
struct Faults {
    /// Every other life has a limit on the size of files.
    limits: bool,
    /// The file system is full for a while.
    fills: bool,
}

/// What happened.
#[derive(Default)]
struct Happened {
    kills: usize,
    /// Lives with a limit, and how many of them the server ended itself.
    limited: usize,
    gave_up: usize,
    filled: usize,
}

/// A series of numbers that looks like chance and is the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Kills the server again and again until everything was heard.
async fn storm(home: &Home, inbox: &Shared, expected: usize, faults: Faults) {
    let (at_least, more) = LIVES[usize::from(home.url.is_some())];
    let (begun, mut chance, mut happened) = (Instant::now(), Chance(0x5EED), Happened::default());
    let heard = || inbox.lock().unwrap().ids.len();
    let mut lives = 0;
    while heard() < expected {
        assert!(begun.elapsed() < AT_MOST, "{} of {expected} came", heard());
        lives += 1;
        let limit = Some(GROWTH.0 + chance.below(GROWTH.1)).filter(|_| faults.limits && lives % 2 == 0);
        if limit.is_some() {
            // An orderly end empties the write-ahead log, which then grows from nothing.
            home.run(&["webhooks", "list"]);
        }
        let span = Duration::from_secs(at_least) + Duration::from_millis(chance.below(more * 1_000));
        let mut server = home.serve(limit);
        happened.limited += usize::from(limit.is_some());
        let until = Instant::now() + span;
        let mut ballast = (faults.fills && limit.is_none()).then_some(until.checked_sub(span / 2).unwrap());
        while Instant::now() < until && heard() < expected && server.ended().is_none() {
            sleep(Duration::from_millis(50)).await;
            if ballast.is_some_and(|from| from < Instant::now()) {
                let taken = home.fill();
                sleep(FULL_FOR).await;
                std::fs::remove_file(taken).unwrap();
                happened.filled += 1;
                ballast = None;
            }
        }
        if let Some(status) = server.ended() {
            // It said so and ended itself; nothing else may end it.
            let gave_up = status.code().is_some_and(|code| code > 0) || status.signal() == Some(SIGABRT);
            assert!(gave_up && limit.is_some(), "the server ended by itself: {status}");
            happened.gave_up += 1;
        } else if heard() < expected {
            cut_connections(home).await;
            server.kill();
            happened.kills += 1;
        }
    }
    println!("{} kills", happened.kills);
    if faults.limits || faults.fills {
        let said = std::fs::read_to_string(home.said()).unwrap();
        println!(
            "{} lives with a limit on files, of which the server ended {} itself; the file system full {} times; {} failed writes",
            happened.limited,
            happened.gave_up,
            happened.filled,
            said.matches(COMPLAINT).count()
        );
    }
}

async fn cut_connections(home: &Home) {
    if let Some(url) = &home.url {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        FreshDatabase::at(url.clone()).execute(cut).await;
    }
}

/// Compares what was heard with what had to be, and tells.
fn judge(inbox: &Inbox, people: usize, once: bool, took: Duration) {
    let mut firsts: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (id, person, kind) in &inbox.taken {
        let events = firsts.entry(person).or_default();
        if !events.iter().any(|(known, _)| known == id) {
            events.push((id, kind));
        }
    }
    let duplicates = inbox.taken.len() - inbox.ids.len();
    println!(
        "{} people, {} ids of {} expected, {duplicates} more with an id that was known, {} answered with 500, in {took:.0?}",
        firsts.len(),
        inbox.ids.len(),
        people * 2,
        inbox.failed
    );
    for person in 0..people {
        let login = format!("ada-example-{person}");
        let Some(events) = firsts.get(login.as_str()) else {
            panic!("nothing was heard of {login}")
        };
        let kinds: Vec<&str> = events.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(kinds, KINDS, "{login}");
    }
    assert_eq!((firsts.len(), inbox.ids.len()), (people, people * 2));
    assert!(
        !once || duplicates == 0,
        "nothing was killed, and yet something came twice"
    );
    println!("nothing is missing, nothing is there that has another id, each lead's events came in order");
}
