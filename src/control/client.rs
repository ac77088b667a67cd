//! The control socket's asking side: sends a command and its input to the running server, and hands back its frames.

use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{Request, StatusCode};
use http_body::Frame as BodyFrame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::wire::{Frame, Order};
use super::{Input, Output};

/// A connection within one machine breaks off when the other process ends, and for no other reason worth telling.
#[derive(Debug, thiserror::Error)]
#[error("the running server ended before the command did")]
struct Ended;

/// Bytes of the input sent at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Sends a command to the server of a data directory; its frames arrive in the channel, the last one says how it ended.
pub async fn start(data_dir: &Path, order: &Order, input: Option<Input>) -> anyhow::Result<mpsc::Receiver<Frame>> {
    let connection = UnixStream::connect(super::socket(data_dir))
        .await
        .context("the running server does not answer")?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    let (output, frames) = Output::channel();
    tokio::spawn(async move {
        let last = tokio::select! {
            outcome = converse(connection, line, input, &output) => outcome,
            () = output.closed() => return,
        };
        if let Err(error) = last {
            // Nobody left to tell is no fault: the command ends with its connection.
            let _ = output.send(Frame::Failed(format!("{error:#}"))).await;
        }
    });
    Ok(frames)
}

async fn converse(connection: UnixStream, line: Vec<u8>, input: Option<Input>, output: &Output) -> anyhow::Result<()> {
    let (chunks, body) = mpsc::channel::<io::Result<Bytes>>(4);
    let (mut sender, exchange) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    // In a set, so that the connection ends with whoever waits for the answer.
    let mut connected = JoinSet::new();
    connected.spawn(exchange);
    chunks.send(Ok(line.into())).await?;
    let (tell, mut told) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        if let Err(fault) = send_input(input, &chunks) {
            // Told first: by the time that the request is broken off, its reason is there.
            let _ = tell.send(fault);
            let _ = chunks.blocking_send(Err(io::ErrorKind::UnexpectedEof.into()));
        }
    });
    let body = StreamBody::new(stream::unfold(body, |mut body| async move {
        Some((body.recv().await?.map(BodyFrame::data), body))
    }));
    let request = Request::post("/run")
        .header(http::header::HOST, "gitleads")
        .body(body)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|_| Ended)?;
        relay(response, output).await
    };
    let answered = answer.await;
    // An input that cannot be read breaks the request off; then its fault is the one to tell.
    match (answered, told.try_recv()) {
        (Err(_), Ok(fault)) => Err(fault).context("the input cannot be read"),
        (answered, _) => answered,
    }
}

fn send_input(input: Option<Input>, chunks: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let Some(mut input) = input else {
        return Ok(());
    };
    loop {
        let mut chunk = BytesMut::zeroed(CHUNK_BYTES);
        match input.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                chunk.truncate(length);
                if chunks.blocking_send(Ok(chunk.freeze())).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Hands the frames of an answer on, up to the last one.
async fn relay(response: http::Response<Incoming>, output: &Output) -> anyhow::Result<()> {
    let status = response.status();
    let mut body = response.into_body();
    if status != StatusCode::OK {
        let text = body.collect().await?.to_bytes();
        bail!(
            "the running server refused the command: {}",
            String::from_utf8_lossy(&text)
        );
    }
    let mut read = BytesMut::new();
    while let Some(part) = body.frame().await {
        let Ok(data) = part.map_err(|_| Ended)?.into_data() else {
            continue;
        };
        read.extend_from_slice(&data);
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let frame: Frame = serde_json::from_slice(&read.split_to(end + 1))?;
            let last = matches!(frame, Frame::Done | Frame::Failed(_));
            output.send(frame).await?;
            if last {
                return Ok(());
            }
        }
    }
    bail!(Ended)
}
