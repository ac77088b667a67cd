//! `GET /v1/events`: the account's own part of the log, in order; as pages, or as a stream that follows it live.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use domain::{AccountId, Event, StreamId};
use event_log::{Position, ReadError, Recorded, Scope};
use http::HeaderMap;
use http::header::{HeaderValue, VARY};
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::accept::preferred;
use super::auth::{AskingKey, Caller};
use super::error::ApiError;
use super::event_body::{Entry, entries};
use super::event_stream;
use super::openapi::words;
use super::query::{Query, position};

const JSON: &str = "application/json";
const LIVE: &str = "text/event-stream";

const PARAMETERS: &[&str] = &["type", "stream", "after", "since", "limit"];
/// A stream has no pages.
const LIVE_PARAMETERS: &[&str] = &["type", "stream", "after", "since"];

/// Where a client that was cut off goes on.
const LAST_EVENT_ID: &str = "last-event-id";

/// Events that are read at once where a filter may pass over many.
const STRETCH: usize = 1_000;
/// Stretches that are looked through for one answer.
const STRETCHES: usize = 10;

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
struct Page {
    data: Vec<Entry>,
    /// How far was looked: what to pass as `after` to go on, now or later.
    next_cursor: u64,
    has_more: bool,
}

/// Which of an account's events are asked for.
pub(super) struct Wanted {
    pub(super) account: AccountId,
    kind: Option<&'static str>,
    stream: Option<StreamId>,
}

/// What a look into the log found.
pub(super) struct Found {
    pub(super) events: Vec<Recorded>,
    /// The account's last event that was looked at.
    looked_to: Position,
    /// Where the log ended, if it was looked through to its end.
    end: Option<Position>,
}

/// `GET /v1/events`
#[utoipa::path(
    get,
    path = "/events",
    tag = "account",
    operation_id = "listEvents",
    summary = "Read the account's part of the log, oldest first, or follow it",
    description = "With `Accept: text/event-stream` the answer goes on as server-sent events, without `limit`: `id` is the \
        position, `event` the type, `data` the event. `Last-Event-ID` goes on where the stream was cut off. A filter that \
        passes over many events may give a page without any that has more behind it.",
    params(
        ("type" = Option<words::EventType>, Query, description = "Only events of this type"),
        ("stream" = Option<words::StreamName>, Query, description = "Only events about this"),
        ("after" = Option<i64>, Query, minimum = 0, description = "Only events after this position: `next_cursor`"),
        ("since" = Option<words::Time>, Query, description = "Only events recorded after this moment, with any offset"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Events of a page; 20 if not given"),
    ),
    responses((status = 200, description = "A page, or the stream", body = Page)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let live = preferred(&headers, &[JSON, LIVE]) == LIVE;
    let query = Query::read(raw.as_deref(), if live { LIVE_PARAMETERS } else { PARAMETERS })?;
    let wanted = wanted(account, &query)?;
    let mut resumed = headers.get_all(LAST_EVENT_ID).iter();
    let named = after(&query, resumed.next())?;
    if resumed.next().is_some() {
        return Err(ApiError::field("Last-Event-ID", "must stand there once"));
    }
    let after = named.map_or(Position::START, |(_, after)| after);
    let after = match query.time("since")? {
        Some(since) => after.max(room.api.writer.log.position_at(Scope::Account(account), since).await?),
        None => after,
    };
    let limit = query.limit()? as usize;
    let found = look(&room, &wanted, after, if live { 1 } else { limit }).await;
    let found = found.map_err(|error| match (error, named) {
        (ReadError::NoSuchPosition(_), Some((name, _))) => {
            ApiError::field(name, "must be a position, as events have it")
        }
        (error, _) => error.into(),
    })?;
    // Such a client would hear nothing until the log has grown past it: it followed another log, or this one before a restore.
    if let (Some((name, after)), Some(end)) = (named, found.end)
        && after > end
    {
        return Err(ApiError::field(name, "lies beyond the end of the log"));
    }
    let mut response = if live {
        event_stream::answer(room, wanted, after, AskingKey::of(&headers)?)?
    } else {
        page(&room, found).await?.into_response()
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn page(room: &Room, found: Found) -> Result<Json<Page>, ApiError> {
    Ok(Json(Page {
        next_cursor: found.looked_to.get(),
        has_more: found.has_more(),
        data: entries(room, found.events).await?,
    }))
}

fn wanted(account: AccountId, query: &Query) -> Result<Wanted, ApiError> {
    let kind = query.text("type").map(|text| {
        let mut names = Event::TYPES.iter().map(|(name, _)| *name);
        let known = names.clone().collect::<Vec<_>>().join(", ");
        let found = names.find(|name| *name == text);
        found.ok_or_else(|| ApiError::field("type", format_args!("must be one of {known}")))
    });
    Ok(Wanted {
        account,
        kind: kind.transpose()?,
        stream: query.parse("stream")?,
    })
}

/// Where to go on after, and who said so. The header of a client that was cut off wins over the address that it began at.
fn after(query: &Query, resumed: Option<&HeaderValue>) -> Result<Option<(&'static str, Position)>, ApiError> {
    let read = |(name, text)| Ok::<_, ApiError>((name, position(name, text)?));
    let begun = query.text("after").map(|text| ("after", text)).map(read).transpose()?;
    let resumed = resumed.map(|header| ("Last-Event-ID", header.to_str().unwrap_or_default()));
    Ok(resumed.map(read).transpose()?.or(begun))
}

/// At most `limit` of the wanted events after a position. Where a filter passes over many, it ends after so many stretches
/// and says that there is more.
pub(super) async fn look(room: &Room, wanted: &Wanted, after: Position, limit: usize) -> Result<Found, ReadError> {
    let log = &room.api.writer.log;
    let mut found = Found {
        events: Vec::new(),
        looked_to: after,
        end: None,
    };
    if let Some(stream) = &wanted.stream {
        // The head first: what the stream does not show up to there is not to come.
        let head = log.head().await?;
        let later = wanted.history(room, stream).await?.into_iter();
        let later = later.filter(|recorded| recorded.position > after);
        found.end = (!found.take(wanted, later, limit)).then_some(head);
        return Ok(found);
    }
    let at_once = if wanted.kind.is_some() { STRETCH } else { limit + 1 };
    for _ in 0..STRETCHES {
        let scope = Scope::Account(wanted.account);
        let page = log.read(scope, found.looked_to, at_once).await?;
        let is_last = page.events.len() < at_once;
        if found.take(wanted, page.events.into_iter(), limit) {
            break;
        }
        if is_last {
            found.end = Some(page.head);
            break;
        }
    }
    Ok(found)
}

impl Found {
    /// Takes what is wanted. Whether there is one more than `limit`.
    fn take(&mut self, wanted: &Wanted, events: impl Iterator<Item = Recorded>, limit: usize) -> bool {
        for recorded in events {
            let position = recorded.position;
            if wanted.fits(&recorded) {
                if self.events.len() == limit {
                    return true;
                }
                self.events.push(recorded);
            }
            self.looked_to = position;
        }
        false
    }

    /// Whether there is more to look at already.
    pub(super) const fn has_more(&self) -> bool {
        self.end.is_none()
    }

    /// Where to go on: none of the account's events up to there was left out.
    pub(super) fn reached(&self) -> Position {
        self.end.map_or(self.looked_to, |end| end.max(self.looked_to))
    }
}

impl Wanted {
    fn fits(&self, recorded: &Recorded) -> bool {
        self.kind.is_none_or(|kind| kind == recorded.event.name())
    }

    /// The stream, if it is the account's: another's is as empty as one that does not exist.
    async fn history(&self, room: &Room, stream: &StreamId) -> Result<Vec<Recorded>, ReadError> {
        if stream.account() != self.account {
            return Ok(Vec::new());
        }
        let histories = room.api.writer.log.read_streams(std::slice::from_ref(stream)).await?;
        Ok(histories.into_iter().flatten().collect())
    }
}
