//! What the stories share: a whole server as a child process, an invented archive hour, a receiver of webhooks.

pub mod archive;
pub mod config;
pub mod home;
pub mod receiver;
pub mod server;

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks again and again until `condition` gives a value; a bound keeps a broken story from hanging.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "never came true: {what}");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
