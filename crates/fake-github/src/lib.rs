//! A GitHub that behaves like the real one, and misbehaves when told to: for tests and for `gitleads demo`.
//!
//! [`FakeGithub::start`] listens on a free loopback port. What it knows is a [`World`] that the caller fills and
//! changes; what it was asked is in [`FakeGithub::requests`]; how it fails next is said with [`World::misbehave`].
//! Shapes and rules are those of GitHub's REST documentation, version 2022-11-28.

mod answer;
mod feed;
mod misbehaviour;
mod page;
mod repo;
mod request;
mod routes;
mod server;
#[cfg(test)]
mod tests;
mod user;
mod world;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use feed::Issue;
pub use misbehaviour::Misbehaviour;
pub use repo::Repo;
pub use request::Request;
pub use user::{User, UserKind};
pub use world::{RateLimit, World};

/// A running server; it stops when this is dropped.
pub struct FakeGithub {
    shared: Arc<Shared>,
    url: String,
    task: JoinHandle<()>,
}

/// What the server and its owner both see.
struct Shared {
    world: Mutex<World>,
    requests: watch::Sender<Vec<Request>>,
}

impl FakeGithub {
    /// Starts with an empty world, where every path is unknown.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(url.clone())),
            requests: watch::Sender::new(Vec::new()),
        });
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, url, task })
    }

    /// Where it listens, such as `http://127.0.0.1:49152`: what stands in for `https://api.github.com`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fills or changes what it knows, between two requests.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shared.change(change)
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// The requests to `path` so far, oldest first.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        let all = self.shared.requests.borrow();
        all.iter().filter(|request| request.path == path).cloned().collect()
    }

    /// Waits until `path` was asked for `count` times in all. The last of these may not be answered yet.
    pub async fn asked(&self, path: &str, count: usize) -> Vec<Request> {
        let enough = |all: &Vec<Request>| all.iter().filter(|request| request.path == path).count() >= count;
        // Fails only if the sender is gone, and this holds it.
        let _ = self.shared.requests.subscribe().wait_for(enough).await;
        self.requests_to(path)
    }
}

impl Drop for FakeGithub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        // A test's own panic inside a change must not hide behind a second one.
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
