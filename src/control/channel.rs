//! The two ends of a running command: what it reads, and where it tells; the same in this process and over the socket.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

use super::wire::{Frame, Unit};

/// Frames that may wait for a slow reader before the command waits for it.
const WAITING_FRAMES: usize = 256;
/// Chunks of input that may wait for the command.
const WAITING_CHUNKS: usize = 8;

/// What a command reads, on a thread that may block.
pub type Input = Box<dyn Read + Send>;

/// Whoever asked for the command is gone.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub struct Gone;

/// Where a command tells what comes of it.
#[derive(Clone)]
pub struct Output(mpsc::Sender<Frame>);

impl Output {
    /// An output and what arrives from it.
    pub fn channel() -> (Self, mpsc::Receiver<Frame>) {
        let (sender, receiver) = mpsc::channel(WAITING_FRAMES);
        (Self(sender), receiver)
    }

    /// Tells a line, waiting if the reader is slow.
    pub async fn line(&self, text: impl Into<String>) -> Result<(), Gone> {
        self.send(Frame::Line(text.into())).await
    }

    /// Tells how far the command is, unless the reader is slow; may be called on any thread and never waits.
    pub fn progress(&self, done: u64, total: Option<u64>, unit: Unit) {
        // A reader that has not caught up yet does without this one.
        let _ = self.0.try_send(Frame::Progress { done, total, unit });
    }

    pub(super) async fn send(&self, frame: Frame) -> Result<(), Gone> {
        self.0.send(frame).await.map_err(|_| Gone)
    }

    /// Returns once nobody reads any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// A stretch of an input that arrives over the socket.
enum Chunk {
    Bytes(Bytes),
    End,
    Broken(io::Error),
}

/// Feeds the input of a command from an asynchronous source.
pub(super) struct Feed(mpsc::Sender<Chunk>);

impl Feed {
    /// A feed and the input that it feeds.
    pub(super) fn channel() -> (Self, Input) {
        let (sender, chunks) = mpsc::channel(WAITING_CHUNKS);
        let input = Fed {
            chunks,
            current: Bytes::new(),
            ended: false,
        };
        (Self(sender), Box::new(input))
    }

    /// Hands a stretch on; an error means that the command has read enough.
    pub(super) async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.send(Chunk::Bytes(bytes)).await.map_err(|_| Gone)
    }

    /// Says that the input is whole. A feed that is dropped without this makes reading fail.
    pub(super) async fn end(self) {
        let _ = self.0.send(Chunk::End).await;
    }

    /// Says that the rest of the input cannot be had.
    pub(super) async fn broken(self, error: io::Error) {
        let _ = self.0.send(Chunk::Broken(error)).await;
    }
}

struct Fed {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    ended: bool,
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.chunks.blocking_recv() {
                Some(Chunk::Bytes(bytes)) => self.current = bytes,
                Some(Chunk::End) => self.ended = true,
                Some(Chunk::Broken(error)) => return Err(error),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the input broke off")),
            }
        }
        let length = self.current.len().min(buffer.len());
        self.current.split_to(length).reader().read(buffer)
    }
}
