//! The control socket's serving side: one route, which runs a command and streams its frames.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::channel::Feed;
use super::wire::{Frame, Order};
use super::{Execute, Input};
use crate::serve::Shutdown;

/// The longest first line of a request.
const COMMAND_BYTES: usize = 64 * 1024;

/// Whether a socket can lie in this directory; a path that is too long for one is found out at the start.
pub fn check(data_dir: &Path) -> io::Result<()> {
    SocketAddr::from_pathname(super::socket(data_dir)).map(|_| ())
}

/// Serves the control socket of a data directory until the shutdown. Whoever calls this holds the directory's lock, so
/// a socket that is there already is a dead process's.
pub async fn serve(data_dir: &Path, execute: Arc<dyn Execute>, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = listen(data_dir).context("the control socket cannot be made")?;
    let router = Router::new()
        .route("/run", post(run))
        .with_state((execute, shutdown.clone()));
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.requested().await })
        .await;
    // The next process would remove it as well.
    let _ = std::fs::remove_file(super::socket(data_dir));
    served.context("the control socket is broken")
}

/// Listens on a socket that only this user can connect to from its first moment: it is made in a directory that nobody
/// else can enter, and then moved to its place, over the one of a dead process.
fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let nursery = data_dir.join(".new");
    match std::fs::remove_dir_all(&nursery) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => std::fs::DirBuilder::new().mode(0o700).create(&nursery)?,
    }
    let path = nursery.join("socket");
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&path, super::socket(data_dir))?;
    std::fs::remove_dir(&nursery)?;
    Ok(listener)
}

async fn run(State((execute, shutdown)): State<(Arc<dyn Execute>, Shutdown)>, body: Body) -> Response {
    let mut body = body.into_data_stream();
    let (order, rest) = match order(&mut body).await {
        Ok(read) => read,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error:#}")).into_response(),
    };
    let input = if order.command.has_input() {
        Some(feed(rest, body))
    } else {
        // To its end, or else nobody notices when the asker goes away.
        while body.next().await.is_some() {}
        None
    };
    let frames = super::start(execute, order, input);
    Body::from_stream(stream::unfold(Some((frames, shutdown)), |state| async move {
        next(state?).await
    }))
    .into_response()
}

/// The command with its account, and what was read of the input behind it.
async fn order(body: &mut BodyDataStream) -> anyhow::Result<(Order, Bytes)> {
    let mut read = BytesMut::new();
    loop {
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line = read.split_to(end + 1);
            let order = serde_json::from_slice(&line).context("the command is not one that this server knows")?;
            return Ok((order, read.freeze()));
        }
        anyhow::ensure!(read.len() < COMMAND_BYTES, "the command is too long");
        let chunk = body.next().await.context("the request ended before its command")?;
        read.extend_from_slice(&chunk?);
    }
}

/// The rest of a request as the input of its command.
fn feed(rest: Bytes, mut body: BodyDataStream) -> Input {
    let (feed, input) = Feed::channel();
    tokio::spawn(async move {
        if feed.bytes(rest).await.is_err() {
            return;
        }
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(bytes) => {
                    if feed.bytes(bytes).await.is_err() {
                        return;
                    }
                }
                Err(error) => return feed.broken(io::Error::other(error)).await,
            }
        }
        feed.end().await;
    });
    input
}

type Running = (mpsc::Receiver<Frame>, Shutdown);

/// The next frame as a line, and what follows it: nothing after a shutdown, which drops the command.
async fn next((mut frames, shutdown): Running) -> Option<(Result<Bytes, Infallible>, Option<Running>)> {
    tokio::select! {
        frame = frames.recv() => Some((Ok(line(&frame?)), Some((frames, shutdown)))),
        () = shutdown.requested() => {
            let last = Frame::Failed("the server is shutting down; run the command again".into());
            Some((Ok(line(&last)), None))
        }
    }
}

fn line(frame: &Frame) -> Bytes {
    let mut text = serde_json::to_vec(frame).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
