//! What every write has in common: reading one's own write afterwards, and what a command's refusal becomes.
//!
//! An answer to a write carries its position in `GitLeads-Position` and comes once the read models show the write. Behind
//! a load balancer the next request may go to another node; with the same header it says what it has to see. It is
//! answered once the node's read models have come so far; if that takes too long the answer is 503 with `Retry-After`,
//! never rows that are older. A position beyond
//! the end of the log is no answer's, and refused.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use domain::Timestamp;
use event_log::{Position, ReadError};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use vault::VaultError;

use super::Room;
use super::error::ApiError;
use crate::commands::CommandError;

/// The position in the log that a write's answer stands for.
pub const POSITION: HeaderName = HeaderName::from_static("gitleads-position");

/// How long an answer waits for the read models. They are behind for longer only while they are rebuilt or far
/// behind; the write stands all the same, and the header tells from where on it can be read.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The answer to a write, given once the read models show the write.
pub async fn settled(room: &Room, position: Position, answer: impl IntoResponse) -> Response {
    room.api.freshness.reached(position, PATIENCE).await;
    let mut response = answer.into_response();
    response
        .headers_mut()
        .insert(POSITION, HeaderValue::from(position.get()));
    response
}

/// Waits until the read models show a write that is answered with what they hold; what was written stands all the same.
pub async fn shown(room: &Room, position: Position) -> Result<(), ApiError> {
    if room.api.freshness.reached(position, PATIENCE).await {
        return Ok(());
    }
    Err(ApiError::Unavailable(
        "It is done; the read models have not come to it yet",
    ))
}

/// The layer that lets a request wait for the position that it names.
pub async fn after_position(State(room): State<Arc<Room>>, request: Request, next: Next) -> Response {
    match named(request.headers()) {
        Err(error) => return error.into_response(),
        Ok(None) => {}
        Ok(Some(position)) => {
            if let Err(error) = wait_for(&room, position).await {
                return error.into_response();
            }
        }
    }
    next.run(request).await
}

pub(super) async fn wait_for(room: &Room, position: Position) -> Result<(), ApiError> {
    if room.api.freshness.applied() >= position {
        return Ok(());
    }
    if position > room.api.writer.log.head().await? {
        return Err(ApiError::field("GitLeads-Position", "no write was answered with it"));
    }
    if room.api.freshness.reached(position, PATIENCE).await {
        return Ok(());
    }
    let late = "The read models have not come to the GitLeads-Position of the request yet; try again";
    Err(ApiError::Unavailable(late))
}

/// Waits until the read models hold all that is recorded up to that moment, and nothing is recorded of it any more: an answer that
/// is of a moment must not grow later.
pub async fn caught_up(room: &Room, moment: Timestamp) -> Result<(), ApiError> {
    room.api.writer.log.advance_time(moment).await?;
    let head = room.api.writer.log.head().await?;
    if room.api.freshness.reached(head, PATIENCE).await {
        return Ok(());
    }
    Err(ApiError::Unavailable(
        "The read models have not come to the end of the log yet; try again",
    ))
}

/// The position that a request names.
pub(super) fn named(headers: &HeaderMap) -> Result<Option<Position>, ApiError> {
    let mut given = headers.get_all(&POSITION).iter();
    let Some(first) = given.next() else {
        return Ok(None);
    };
    let text = first.to_str().ok().filter(|_| given.next().is_none());
    // Number parsing would also take a sign.
    let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    let fault = "must be one number, as the answer to a write has it";
    number
        .map(|number| Some(Position::new(number)))
        .ok_or_else(|| ApiError::field("GitLeads-Position", fault))
}

/// What a command that did not happen becomes; `refused` says it for the aggregate's own refusals.
pub fn failed<R>(error: CommandError<R>, refused: impl FnOnce(&R) -> ApiError) -> ApiError
where
    R: std::error::Error + Send + Sync + 'static,
{
    match error {
        CommandError::Refused(refusal) => refused(&refusal),
        CommandError::Contended | CommandError::Busy => ApiError::Unavailable("The server is busy; try again"),
        CommandError::Read(error) => error.into(),
        CommandError::Vault(error) => error.into(),
        error @ (CommandError::Append(_) | CommandError::Sealed(_)) => ApiError::internal(error),
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Database(error) => error.into(),
            error @ VaultError::WrongRootKey => Self::internal(error),
        }
    }
}

/// What delivery's own questions fail with: as what caused it, if that says more than that the server is at fault.
impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<DatabaseError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        match error.downcast::<ReadError>() {
            Ok(error) => error.into(),
            Err(error) => Self::Internal(Arc::from(error.into_boxed_dyn_error())),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Storage(cause) => match cause.downcast::<DatabaseError>() {
                Ok(error) => (*error).into(),
                Err(cause) => Self::internal(ReadError::Storage(cause)),
            },
            error => Self::internal(error),
        }
    }
}
