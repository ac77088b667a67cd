//! Sends millions of mutated requests to a running server, over loopback, and ends at the first that it should not have
//! answered so: `cargo run --release --example fuzz -- http://127.0.0.1:8080 KEY [REQUESTS [SEED]]`.
//!
//! The server should hold few leads, since exports are among the requests. A request is a valid one with a few mutations:
//! of its parts, so that the server reads a whole request and the connection goes on; or of its raw bytes, so that it may
//! be anything. No answer may be a 5xx, and the server must go on answering.
#![allow(clippy::print_stdout, reason = "what it found is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Requests on their way at a time.
const PIPELINED: usize = 32;
/// How long whole requests may go unanswered.
const WHOLE: Duration = Duration::from_secs(30);
/// How long a request may that the server may take for a part of one, and wait for the rest.
const PART: Duration = Duration::from_millis(100);
/// Threads, each with a connection.
const THREADS: u64 = 4;

const PATHS: [&str; 14] = [
    "/v1/leads?limit=20&signal_type=stargazer&repo=acme-corp/rival-sdk&since=2026-01-01T00:00:00Z",
    "/v1/leads?cursor=cursor_AAZPbV0jQwAAAAAAAAAAAbhLh2Cwq0jQbHqkq1kq2eo",
    "/v1/leads/lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
    "/v1/leads/export?format=csv&repo=acme-corp/rival-sdk",
    "/v1/tracked-repos",
    "/v1/tracked-repos/repo_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
    "/v1/tracked-keywords",
    "/v1/tracked-keywords/kw_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
    "/v1/webhooks",
    "/v1/webhooks/wh_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
    "/v1/people/ada-example-1",
    "/v1/events?after=3&type=LeadCaptured&limit=5",
    "/v1/usage",
    "/github/webhooks",
];
const METHODS: [&str; 8] = ["GET", "GET", "GET", "POST", "DELETE", "PATCH", "PUT", "OPTIONS"];
const BODIES: [&str; 5] = [
    r#"{"full_name":"acme-corp/rival-sdk","type":"own"}"#,
    r#"{"keyword":"event sourcing","scan_targets":["issues","prs"]}"#,
    r#"{"url":"https://hooks.example.com/x","events":["lead.created"],"secret":"0123456789abcdef"}"#,
    r#"{"status":"contacted","notes":"said hello"}"#,
    r#"{"label":"second"}"#,
];
/// What parsers trip over.
const TOKENS: [&[u8]; 22] = [
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"%00",
    b"%2e%2e/",
    b"%",
    b"%zz",
    b"\\",
    b"'",
    b"\"",
    b"\r\n",
    b"\n",
    b"{",
    b"[[[[[[[[",
    b"&",
    b"=",
    b"-1",
    b"99999999999999999999",
    b"1e309",
    b"NaN",
    b"null",
    "\u{202e}\u{1f600}".as_bytes(),
];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, key, rest @ ..] = arguments.as_slice() else {
        return Err("usage: fuzz URL KEY [REQUESTS [SEED]]".into());
    };
    let requests = rest.first().map_or(Ok(1_000_000), |text| text.parse::<u64>())?;
    let seed = rest.get(1).map_or(Ok(1), |text| text.parse::<u64>())?;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let started = Instant::now();
    let mut answers = BTreeMap::new();
    let threads = (0..THREADS).map(|number| {
        let (address, key) = (address.to_owned(), key.clone());
        let chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number + 1));
        std::thread::spawn(move || Thread::new(address, key, chance).run(requests / THREADS))
    });
    for thread in threads.collect::<Vec<_>>() {
        for (status, count) in thread.join().map_err(|_| "a thread panicked")?? {
            *answers.entry(status).or_insert(0) += count;
        }
    }
    let sent: u64 = answers.values().sum();
    println!(
        "{sent} requests in {:.0?}; answers by status, 0 for none: {answers:?}",
        started.elapsed()
    );
    Ok(())
}

/// Xorshift: the same seed sends the same requests.
struct Chance(u64);

impl Chance {
    fn draw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % below.max(1)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let index = self.draw(of.len());
        of.get(index).copied()
    }

    /// A few changes anywhere in the bytes.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.draw(3) {
            let at = self.draw(bytes.len() + 1);
            match self.draw(5) {
                0 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << (at % 8);
                    }
                }
                1 => bytes.truncate(at),
                2 => {
                    let token = self.pick(&TOKENS).unwrap_or_default();
                    bytes.splice(at..at, token.iter().copied());
                }
                3 => {
                    let again: Vec<u8> = bytes.iter().skip(at).take(1 + at % 40).copied().collect();
                    bytes.splice(at..at, again);
                }
                _ => {
                    let end = (at + 1 + self.draw(8)).min(bytes.len());
                    bytes.drain(at.min(end)..end);
                }
            }
        }
    }
}

struct Thread {
    address: String,
    key: String,
    chance: Chance,
    answers: BTreeMap<u16, u64>,
}

impl Thread {
    const fn new(address: String, key: String, chance: Chance) -> Self {
        Self {
            address,
            key,
            chance,
            answers: BTreeMap::new(),
        }
    }

    fn run(mut self, requests: u64) -> Outcome<BTreeMap<u16, u64>> {
        let mut sent = 0;
        while sent < requests {
            let raw = self.chance.draw(4) == 0;
            let batch: Vec<Vec<u8>> = (0..if raw { 1 } else { PIPELINED })
                .map(|_| self.request(raw))
                .collect();
            sent += batch.len() as u64;
            self.exchange(&batch)?;
        }
        Ok(self.answers)
    }

    fn request(&mut self, raw: bool) -> Vec<u8> {
        let chance = &mut self.chance;
        let method = chance.pick(&METHODS).unwrap_or_default();
        let mut path = chance.pick(&PATHS).unwrap_or_default().as_bytes().to_vec();
        let mut body = if matches!(method, "GET" | "DELETE" | "OPTIONS") {
            Vec::new()
        } else {
            chance.pick(&BODIES).unwrap_or_default().as_bytes().to_vec()
        };
        let mut value = b"after".to_vec();
        let header = [
            "accept",
            "if-none-match",
            "idempotency-key",
            "gitleads-position",
            "content-type",
            "last-event-id",
        ];
        let header = chance.pick(&header).unwrap_or_default();
        if !raw {
            match chance.draw(3) {
                0 => chance.mutate(&mut path),
                1 => chance.mutate(&mut body),
                _ => chance.mutate(&mut value),
            }
            // What ends a line or a word would make it another request than is counted.
            path.retain(|byte| !byte.is_ascii_whitespace() && *byte > 0x20 && *byte < 0x7f);
            if path.first() != Some(&b'/') {
                path.insert(0, b'/');
            }
            value.retain(|byte| *byte >= 0x20 && *byte != 0x7f);
        }
        let mut bytes = format!("{method} ").into_bytes();
        bytes.extend(&path);
        bytes.extend(
            format!(
                " HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n{header}: ",
                self.key
            )
            .bytes(),
        );
        bytes.extend(&value);
        if raw {
            // Else the server would wait for a second one.
            bytes.extend(b"\r\nconnection: close");
        }
        if !body.is_empty() {
            bytes.extend(format!("\r\ncontent-type: application/json\r\ncontent-length: {}", body.len()).bytes());
        }
        bytes.extend(b"\r\n\r\n");
        bytes.extend(&body);
        if raw {
            self.chance.mutate(&mut bytes);
        }
        bytes
    }

    /// Sends the requests on a connection of their own and reads until the server closes it. Not half-closed: a server may
    /// take that for the client's end, and answer no more.
    fn exchange(&mut self, batch: &[Vec<u8>]) -> Outcome<()> {
        let mut connection = TcpStream::connect(&self.address)?;
        let is_whole = batch.len() > 1;
        connection.set_read_timeout(Some(if is_whole { WHOLE } else { PART }))?;
        let mut writing = connection.try_clone()?;
        let mut bytes = batch.concat();
        if is_whole {
            bytes.extend(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        }
        let writer = std::thread::spawn(move || {
            // A server that had enough closes first.
            let _ = writing.write_all(&bytes);
        });
        let mut answer = Vec::new();
        match connection.read_to_end(&mut answer) {
            Err(error) if is_whole && error.kind() != ErrorKind::ConnectionReset => return Err(error.into()),
            _ => {}
        }
        drop(connection);
        writer.join().map_err(|_| "the writer panicked")?;
        self.count(batch, &answer)
    }

    fn count(&mut self, batch: &[Vec<u8>], answer: &[u8]) -> Outcome<()> {
        let text = String::from_utf8_lossy(answer);
        let mut answered = 0;
        for line in text.split("\r\n").flat_map(|line| line.split('\n')) {
            let Some(at) = line.find("HTTP/1.1 ") else { continue };
            let status: u16 = line.get(at + 9..at + 12).unwrap_or_default().parse().unwrap_or(0);
            if status >= 500 {
                let sent = batch
                    .iter()
                    .map(|request| String::from_utf8_lossy(request))
                    .collect::<Vec<_>>();
                return Err(format!("answered {status}; sent {sent:#?}; got {text}").into());
            }
            if answered < batch.len() {
                *self.answers.entry(status).or_insert(0) += 1;
            }
            answered += 1;
        }
        let unanswered = batch.len().saturating_sub(answered) as u64;
        *self.answers.entry(0).or_insert(0) += unanswered;
        Ok(())
    }
}
