//! Serves a listener: bounded connections, cut-off slow clients, graceful end. Used by `serve`.
//!
//! hyper itself answers, before the router sees a request, to bytes that are no HTTP (400), headers beyond
//! [`Limits::header_bytes`] or [`Limits::headers`] (431) and a target beyond 64 KiB (414); `explained` gives those answers their
//! body. The router's own bounds are tighter, and say more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::explained::Explained;
use super::patience::Patience;
use crate::clock::Clock;

/// What one server grants its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; further ones wait in the listener's backlog.
    pub connections: usize,
    /// How long the headers of a request may take, from the connection's start or from the answer before: it also
    /// ends idle connections.
    pub header_read: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_stall: Duration,
    /// The most headers that hyper reads.
    pub headers: usize,
    /// The most bytes of headers that hyper reads; at least 8 KiB.
    pub header_bytes: usize,
    /// How long requests in flight may take once the end has come.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_read: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            headers: 256,
            header_bytes: 64 * 1024,
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop` comes true, then ends: no new connections, requests in flight finish within the bound,
/// and who has not asked anything yet is not waited for.
///
/// What is no request is answered with an id from `clock`.
pub async fn serve(
    listener: &TcpListener,
    router: Router,
    clock: Arc<dyn Clock>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let (ending, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, permit) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(listener, &permits) => accepted,
            // Finished connections are dropped as they come.
            Some(_) = connections.join_next() => continue,
        };
        let watcher = graceful.watcher();
        let asked = Arc::new(AtomicBool::new(false));
        let connection = connection(stream, (router.clone(), clock.clone()), limits, asked.clone());
        let unasked = ends_unasked(ending.subscribe(), asked);
        connections.spawn(async move {
            tokio::select! {
                ended = watcher.watch(connection) => if let Err(error) = ended {
                    // A client that broke HTTP or went away: its affair, and of no use at a louder level.
                    tracing::debug!(%error, "a connection ended early");
                },
                () = unasked => {}
            }
            drop(permit);
        });
    }
    ending.send_replace(true);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(limits.drain) => {
            tracing::warn!(open = connections.len(), "requests were still in flight at the end");
        }
    }
    connections.shutdown().await;
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a permit in the end.
    let permit = permits.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                // Out of file descriptors, most likely: they come back as connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Comes true at the end for a connection on which no request has arrived yet: hyper would wait for its head.
async fn ends_unasked(mut ending: watch::Receiver<bool>, asked: Arc<AtomicBool>) {
    let ended = ending.wait_for(|ending| *ending).await.is_ok();
    if !ended || asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// The connection, which notes in `asked` that a request's head has come.
fn connection(
    stream: TcpStream,
    (router, clock): (Router, Arc<dyn Clock>),
    limits: Limits,
    asked: Arc<AtomicBool>,
) -> impl GracefulConnection<Error = hyper::Error> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays with Nagle's algorithm");
    }
    let noted = router.map_request(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request
    });
    let io = TokioIo::new(Explained::new(Patience::new(stream, limits.write_stall), clock));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes)
        .serve_connection(io, TowerToHyperService::new(noted))
}
