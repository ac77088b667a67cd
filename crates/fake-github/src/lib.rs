//! A GitHub that behaves like the real one, and misbehaves when told to: for tests and for `gitleads demo`.
//!
//! [`FakeGithub::start`] listens on a free loopback port. What it knows is a [`World`] that the caller fills and
//! changes; what it was asked is in [`FakeGithub::requests`]; how it fails next is said with [`World::misbehave`] and
//! [`World::outage`]. [`FakeGithub::start_at`] has a simulated clock: rate limits end, and what was told with
//! [`World::at`] happens, when it says so. Shapes and rules are those of GitHub's documentation of REST, version
//! 2022-11-28, and of GraphQL; `tests/github/run` holds them against GitHub's own schemas.

mod app;
mod ask;
mod caller;
mod clock;
mod code;
mod feed;
mod graphql;
mod hooks;
mod limits;
mod misbehaviour;
mod page;
mod payload;
mod pull_json;
mod reply;
mod repo;
mod request;
mod routes;
mod search;
mod server;
mod stars;
#[cfg(test)]
mod tests;
mod thread;
mod thread_json;
mod user;
mod world;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use caller::{Refusal, Token};
pub use clock::rfc3339;
pub use graphql::GraphqlLimits;
pub use hooks::Delivery;
pub use limits::{Bucket, Exceeded, RateLimit};
pub use misbehaviour::Misbehaviour;
pub use repo::Repo;
pub use request::Request;
pub use thread::Post;
pub use user::{User, UserKind};
pub use world::World;

/// A running server; it stops when this is dropped.
pub struct FakeGithub {
    shared: Arc<Shared>,
    url: String,
    task: JoinHandle<()>,
}

/// Seconds since 1970.
type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// What the server and its owner both see.
struct Shared {
    world: Mutex<World>,
    clock: Clock,
    requests: watch::Sender<Vec<Request>>,
    /// How often the hanging answers were released.
    releases: watch::Sender<u64>,
}

impl FakeGithub {
    /// Starts with an empty world, where every path is unknown, and without a clock.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(|| 0).await
    }

    /// The same with a simulated clock, which answers seconds since 1970 and never goes back.
    pub async fn start_at(clock: impl Fn() -> u64 + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(url.clone())),
            clock: Box::new(clock),
            requests: watch::Sender::new(Vec::new()),
            releases: watch::Sender::new(0),
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
        self.ledger(<[Request]>::to_vec)
    }

    /// Looks through every request so far, oldest first, without a copy. No request is answered meanwhile.
    pub fn ledger<T>(&self, look: impl FnOnce(&[Request]) -> T) -> T {
        look(&self.shared.requests.borrow())
    }

    /// The requests that were one too many.
    pub fn exceeded(&self) -> Vec<Request> {
        self.ledger(|all| {
            all.iter()
                .filter(|request| request.exceeded.is_some())
                .cloned()
                .collect()
        })
    }

    /// The requests to `path` so far, oldest first.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        self.ledger(|all| all.iter().filter(|request| request.path == path).cloned().collect())
    }

    /// Waits until `path` was asked for `count` times in all. The last of these may not be answered yet.
    pub async fn asked(&self, path: &str, count: usize) -> Vec<Request> {
        let enough = |all: &Vec<Request>| all.iter().filter(|request| request.path == path).count() >= count;
        // Fails only if the sender is gone, and this holds it.
        let _ = self.shared.requests.subscribe().wait_for(enough).await;
        self.requests_to(path)
    }

    /// Ends the connections of all answers that hang now ([`Misbehaviour::Hang`]).
    pub fn release(&self) {
        self.shared.releases.send_modify(|count| *count += 1);
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
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.tick((self.clock)());
        change(&mut world)
    }

    /// Notes a request. Its place.
    fn note(&self, request: Request) -> usize {
        let mut place = 0;
        self.requests.send_modify(|all| {
            place = all.len();
            all.push(request);
        });
        place
    }

    /// Notes what became of a request.
    fn settle(&self, place: usize, status: Option<u16>, cost: u64, exceeded: Option<Exceeded>) {
        self.requests.send_modify(|all| {
            if let Some(request) = all.get_mut(place) {
                (request.status, request.cost, request.exceeded) = (status, cost, exceeded);
            }
        });
    }
}
