//! A stream that gives hyper's own answers the API's body; used by `server` alone.
//!
//! What is no request never reaches the router: hyper answers it by itself (400, 414, 431), with an empty body, and closes.
//! Such an answer is known by what it lacks, since each of ours has its request id.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::envelope::{MAX_URI_BYTES, X_REQUEST_ID, headers_too_large};
use super::error::ApiError;
use crate::clock::Clock;

/// How hyper's own answers begin and end.
const BEGIN: &[u8] = b"HTTP/1.1 4";
const END: &str = "\r\n\r\n";

/// The stream.
pub struct Explained<T> {
    stream: T,
    clock: Arc<dyn Clock>,
    /// What is still to be written in place of an answer of hyper's.
    rest: Vec<u8>,
}

impl<T: AsyncWrite + Unpin> Explained<T> {
    /// Takes request ids from `clock`.
    pub const fn new(stream: T, clock: Arc<dyn Clock>) -> Self {
        Self {
            stream,
            clock,
            rest: Vec::new(),
        }
    }

    fn write_explained(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.rest.is_empty() {
            match explained(bytes, self.clock.as_ref()) {
                Some(whole) => self.rest = whole,
                None => return Pin::new(&mut self.stream).poll_write(context, bytes),
            }
        }
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.drain(..written);
        }
        Poll::Ready(Ok(bytes.len()))
    }
}

/// The whole answer in place of a bare one of hyper's.
fn explained(bytes: &[u8], clock: &dyn Clock) -> Option<Vec<u8>> {
    if !bytes.starts_with(BEGIN) {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix(END)?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next()?;
    let error = match status_line.get(BEGIN.len() - 1..)?.get(..3)? {
        "400" => ApiError::BadRequest("The request is not well-formed HTTP/1.1".to_owned()),
        "414" => ApiError::UriTooLong(MAX_URI_BYTES),
        "431" => headers_too_large(),
        _ => return None,
    };
    let names: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ")).collect::<Option<_>>()?;
    let is_bare = names.iter().all(|(name, value)| match *name {
        "content-length" => *value == "0",
        "connection" | "date" => true,
        _ => false,
    });
    if !is_bare {
        return None;
    }
    let request_id = clock.ulid().to_string();
    tracing::info!(%request_id, status_line, "answered what is no request");
    let body = error.text();
    let date = names
        .iter()
        .find(|(name, _)| *name == "date")
        .map_or("", |(_, date)| date);
    let whole = format!(
        "{status_line}\r\ncontent-type: application/json\r\n{X_REQUEST_ID}: {request_id}\r\nconnection: close\r\n\
         content-length: {}\r\ndate: {date}{END}{body}",
        body.len()
    );
    Some(whole.into_bytes())
}

impl<T: AsyncRead + Unpin> AsyncRead for Explained<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Explained<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write_explained(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match slices {
            // Without a body there is one part alone.
            [only] => this.write_explained(context, only),
            _ => Pin::new(&mut this.stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
