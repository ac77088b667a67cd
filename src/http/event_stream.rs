//! Events as a client hears of them while they happen: server-sent events that follow the log. Used by `events` alone.
//!
//! The log is read as the client takes what was read, so nothing piles up for one that is slow. The stream ends with the
//! process, with the client, and with the key that it was asked for with; `Last-Event-ID` goes on without a gap.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use domain::AccountId;
use event_log::Position;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::time::{Instant, sleep, sleep_until};

use super::Room;
use super::auth::AskingKey;
use super::error::ApiError;
use super::event_body::{Entry, entries};
use super::events::{Wanted, look};

/// Streams that an account may have open on a node.
const MOST: usize = 16;
/// Events that are read at once.
const AT_ONCE: usize = 100;
/// A client hears this often at least that the stream still stands.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After news a stream rests for so long, lest each of many events wakes all of them.
const BREATH: Duration = Duration::from_millis(100);

/// How many streams each account has open.
#[derive(Debug, Default)]
pub(super) struct OpenStreams(Mutex<HashMap<AccountId, usize>>);

/// A stream's place among those of its account.
struct Place {
    room: Arc<Room>,
    account: AccountId,
}

impl Place {
    fn take(room: Arc<Room>, account: AccountId) -> Result<Self, ApiError> {
        let mut open = room.open_streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(account).or_default();
        if *count >= MOST {
            return Err(ApiError::TooManyStreams(MOST));
        }
        *count += 1;
        drop(open);
        Ok(Self { room, account })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.room.open_streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.account);
            }
        }
    }
}

/// A stream on its way.
struct Following {
    place: Place,
    wanted: Wanted,
    key: AskingKey,
    after: Position,
    /// When the client is to hear something even if there is nothing.
    heartbeat: Instant,
}

/// The wanted events after a position, and those to come.
pub(super) fn answer(room: Arc<Room>, wanted: Wanted, after: Position, key: AskingKey) -> Result<Response, ApiError> {
    let following = Following {
        place: Place::take(room, wanted.account)?,
        wanted,
        key,
        after,
        heartbeat: Instant::now() + HEARTBEAT,
    };
    let chunks = stream::try_unfold(following, |following| async move {
        following.next().await.map_err(ApiError::broken_off)
    });
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
    Ok((content_type, Body::from_stream(chunks)).into_response())
}

impl Following {
    /// What is sent next; none: the stream ends.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, ApiError> {
        loop {
            let room = self.place.room.clone();
            if room.api.shutdown.is_requested() || !self.key.is_valid(&room).await? {
                return Ok(None);
            }
            let found = look(&room, &self.wanted, self.after, AT_ONCE).await?;
            self.after = found.reached();
            if !found.events.is_empty() {
                self.heartbeat = Instant::now() + HEARTBEAT;
                let told = entries(&room, found.events).await?;
                return Ok(Some((written(&told)?, self)));
            }
            if Instant::now() >= self.heartbeat {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Ok(Some((Bytes::from_static(b":\n\n"), self)));
            }
            if !found.has_more() {
                self.news(&room).await;
            }
        }
    }

    /// Returns once there is something to look at.
    async fn news(&self, room: &Room) {
        let appended = async {
            room.api.writer.log.wait(self.after, HEARTBEAT).await;
            sleep(BREATH).await;
        };
        tokio::select! {
            () = appended => {}
            () = sleep_until(self.heartbeat) => {}
            () = room.api.shutdown.requested() => {}
            () = self.key.may_have_changed(&room.api.freshness) => {}
        }
    }
}

/// The events as the standard for server-sent events has them.
fn written(entries: &[Entry]) -> Result<Bytes, ApiError> {
    let mut text = String::new();
    for entry in entries {
        // JSON has no line breaks of its own.
        let data = serde_json::to_string(entry).map_err(ApiError::internal)?;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "id: {}\nevent: {}\ndata: {data}\n\n",
            entry.position, entry.r#type
        );
    }
    Ok(text.into())
}
