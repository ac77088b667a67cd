//! Learns how far the log reaches, whoever appends: the server notifies, and a slow poll stands behind that.

use std::time::Duration;

use database::postgres::Dedicated;
use database::{DatabaseError, Postgres};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{read, tell};
use crate::Position;

/// The pause between two looks, however often the server notifies.
const BREATH: Duration = Duration::from_millis(5);

/// The statement that appends notifies there.
const LISTEN: &str = "LISTEN gitleads_log";

/// Follows the log until it is aborted; looks at least once in `poll`.
pub(super) async fn run(database: Postgres, head: watch::Sender<Position>, poll: Duration) {
    let mut ear = None;
    loop {
        if ear.is_none() && !database.is_pooled() {
            // Without one the poll does.
            ear = listen(&database).await.ok();
        }
        match read::head(&database).await {
            Ok(reached) => tell(&head, reached),
            Err(error) => tracing::debug!(%error, "how far the log reaches is not known"),
        }
        sleep(BREATH).await;
        ear = hear(ear, poll).await;
    }
}

async fn listen(database: &Postgres) -> Result<Dedicated, DatabaseError> {
    let connection = database.dedicated().await?;
    connection.client.batch_execute(LISTEN).await?;
    Ok(connection)
}

/// Waits for a notification or so long; the connection, unless it has ended.
async fn hear(ear: Option<Dedicated>, at_most: Duration) -> Option<Dedicated> {
    let Some(mut connection) = ear else {
        sleep(at_most).await;
        return None;
    };
    match timeout(at_most, connection.notified.recv()).await {
        Ok(None) => None,
        Ok(Some(())) | Err(_) => Some(connection),
    }
}
