//! A connection outside of the pool and what the server says on it unasked; the log's writer and listener hold one each.

use std::future::poll_fn;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Connection};

/// A connection for one owner; it ends with it.
pub struct Dedicated {
    /// Runs statements.
    pub client: Client,
    /// A word for every stretch of notifications; ends with the connection. What they said is not kept: they are hints.
    pub notified: mpsc::Receiver<()>,
}

impl Dedicated {
    /// Lets the connection run on a task, which ends when the client is dropped.
    pub(super) fn drive<S, T>(client: Client, mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (tell, notified) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    Ok(AsyncMessage::Notification(_)) => {
                        // One that waits to be heard says all that a second one would.
                        let _ = tell.try_send(());
                    }
                    Ok(_) => {}
                    // Whoever waits for an answer is told as well, and says what it means.
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the database ended");
                        return;
                    }
                }
            }
        });
        Self { client, notified }
    }
}
