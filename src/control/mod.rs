//! How the command line works on a data directory that a running server holds: it sends its command to the server
//! over a Unix socket in that directory, and prints what comes back.
//!
//! A command runs through the same [`Execute`] in both cases; [`start`] is the one place that starts it.

pub mod channel;
pub mod client;
pub mod server;
pub mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use channel::{Input, Output};
pub use wire::{Command, Frame, Order, Unit};

/// Executes commands; the composition root's one implementation serves the process itself and the socket.
#[async_trait]
pub trait Execute: Send + Sync {
    /// Executes a command: reads its input if it has one, tells what comes of it, and ends.
    async fn execute(&self, order: Order, input: Option<Input>, output: &Output) -> anyhow::Result<()>;
}

/// The socket of a data directory.
pub fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Starts work of this process alone, which tells what comes of it as a command does.
pub fn run<F>(work: impl FnOnce(Output) -> F) -> mpsc::Receiver<Frame>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (output, frames) = Output::channel();
    tokio::spawn(tell(work(output.clone()), output));
    frames
}

/// Starts a command; its frames arrive in the channel, the last one says how it ended. Dropping the receiver drops the
/// command, which loses no more than a crash would.
pub fn start(execute: Arc<dyn Execute>, order: Order, input: Option<Input>) -> mpsc::Receiver<Frame> {
    run(|output| async move { execute.execute(order, input, &output).await })
}

async fn tell(work: impl Future<Output = anyhow::Result<()>>, output: Output) {
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = output.closed() => return,
    };
    let last = match outcome {
        Ok(()) => Frame::Done,
        Err(error) => Frame::Failed(format!("{error:#}")),
    };
    // Nobody left to tell is no fault: the work has ended anyway.
    let _ = output.send(last).await;
}

#[cfg(test)]
mod tests;
