//! How far the log reaches: own appends tell at once, those of other processes by notifications, and behind that stands a
//! slow poll.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use database::postgres::Dedicated;
use database::{DatabaseError, Postgres};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::read;
use crate::Position;

/// The pause after each word that was said or heard. A notification in every append would cost the server a tenth of
/// its time.
const BREATH: Duration = Duration::from_millis(5);

/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// Where the processes speak to each other.
const LISTEN: &str = "LISTEN gitleads_log";
const NOTIFY: &str = "NOTIFY gitleads_log";

/// The last position that this process knows to be committed.
pub(super) struct Reached {
    head: watch::Sender<Position>,
    /// The others are to be told.
    news: Notify,
}

impl Reached {
    pub(super) fn new(head: Position) -> Self {
        Self {
            head: watch::Sender::new(head),
            news: Notify::new(),
        }
    }

    /// This process has appended up to there.
    pub(super) fn appended(&self, position: Position) {
        self.advance(position);
        self.news.notify_one();
    }

    /// Returns once the log reaches beyond `after`, or when the time is up.
    pub(super) async fn beyond(&self, after: Position, at_most: Duration) {
        let mut head = self.head.subscribe();
        // Both ends of the wait mean the same to the caller: read and see.
        let _ = timeout(at_most, head.wait_for(|head| *head > after)).await;
    }

    fn advance(&self, position: Position) {
        let advance = |head: &mut Position| std::mem::replace(head, position.max(*head)) < position;
        self.head.send_if_modified(advance);
    }
}

/// Follows the log until it is aborted; looks at least once in `poll`.
pub(super) async fn run(database: Postgres, reached: Arc<Reached>, poll: Duration) {
    let mut line = None;
    loop {
        let listened = listen(&database, line).await;
        // After that, so that nothing is committed between the look and the first word that is heard.
        let looked = read::head(&database).await;
        if let Ok(position) = looked {
            reached.advance(position);
        }
        let is_well = listened.is_ok() && looked.is_ok();
        let at_most = if is_well { poll } else { poll.min(RETRY) };
        sleep(BREATH).await;
        line = attend(listened.unwrap_or_default(), &reached.news, at_most).await;
    }
}

/// The line, or a new one; none behind a pooler, where the poll does.
async fn listen(database: &Postgres, line: Option<Dedicated>) -> Result<Option<Dedicated>, DatabaseError> {
    if line.is_some() || database.is_pooled() {
        return Ok(line);
    }
    let line = database.dedicated().await?;
    line.client.batch_execute(LISTEN).await?;
    Ok(Some(line))
}

/// Passes news on until something is heard, be it the own word, or so much time has passed. The line, unless it was cut.
async fn attend(line: Option<Dedicated>, news: &Notify, at_most: Duration) -> Option<Dedicated> {
    let mut enough = pin!(sleep(at_most));
    let Some(mut line) = line else {
        enough.await;
        return None;
    };
    loop {
        tokio::select! {
            heard = line.notified.recv() => return heard.map(|()| line),
            () = &mut enough => return Some(line),
            () = news.notified() => if line.client.batch_execute(NOTIFY).await.is_err() {
                // To be told on the next line.
                news.notify_one();
                return None;
            },
        }
    }
}
