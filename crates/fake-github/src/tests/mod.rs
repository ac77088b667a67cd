//! The server as a client meets it, over a plain socket, so that broken answers can be looked at byte by byte.

mod apps;
mod faults;
mod feeds;
mod hooks;
mod ledger;
mod limits;
mod profiles;
mod repositories;
mod script;
mod stars;
pub(crate) mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{FakeGithub, Repo, User};

pub(crate) const AT: &str = "2026-11-22T16:00:00Z";
/// [`AT`] in seconds since 1970.
pub(crate) const NOW: u64 = 1_795_363_200;
pub(crate) const SDK: &str = "acme-corp/rival-sdk";
pub(crate) const FEED: &str = "/repos/acme-corp/rival-sdk/events";

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.body))
    }

    /// How many entries the list has.
    pub fn entries(&self) -> usize {
        self.json().as_array().unwrap().len()
    }

    /// One field of each entry of the list, as text.
    pub fn each(&self, pointer: &str) -> Vec<String> {
        let list = self.json();
        let field = |entry: &Value| match entry.pointer(pointer).unwrap() {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        list.as_array().unwrap().iter().map(field).collect()
    }
}

/// Sends one request and reads until the server closes.
pub(crate) async fn raw(fake: &FakeGithub, method: &str, target: &str, headers: &str, body: &str) -> Vec<u8> {
    let address = fake.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let request = format!("{head}Content-Length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

pub(crate) async fn send(fake: &FakeGithub, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let bytes = raw(fake, method, target, &format!("User-Agent: test\r\n{headers}"), body).await;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get_with(fake: &FakeGithub, target: &str, headers: &str) -> Answer {
    send(fake, "GET", target, headers, "").await
}

pub(crate) async fn get(fake: &FakeGithub, target: &str) -> Answer {
    get_with(fake, target, "").await
}

/// Asks with a token.
pub(crate) async fn get_as(fake: &FakeGithub, token: &str, target: &str) -> Answer {
    get_with(fake, target, &format!("Authorization: Bearer {token}\r\n")).await
}

pub(crate) fn ada() -> User {
    User {
        name: Some("Ada Example".into()),
        company: Some("Example Ltd".into()),
        followers: 12,
        ..User::new(1001, "ada-example")
    }
}

pub(crate) fn ben() -> User {
    User::new(1002, "ben-example")
}

fn fill(fake: &FakeGithub) {
    fake.change(|world| {
        world.put_user(ada());
        world.put_repo(Repo::new(7, SDK).with_language("Rust", 900).with_language("C", 100));
    });
}

pub(crate) async fn fake() -> FakeGithub {
    let fake = FakeGithub::start().await.unwrap();
    fill(&fake);
    fake
}

/// The same with a clock that stands at [`NOW`] until it is moved.
pub(crate) async fn with_clock() -> (FakeGithub, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(NOW));
    let hand = Arc::clone(&clock);
    let fake = FakeGithub::start_at(move || hand.load(Ordering::SeqCst)).await.unwrap();
    fill(&fake);
    (fake, clock)
}

pub(crate) fn advance(clock: &AtomicU64, seconds: u64) {
    clock.fetch_add(seconds, Ordering::SeqCst);
}
