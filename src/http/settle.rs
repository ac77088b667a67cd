//! What every write has in common: reading one's own write afterwards, and what a command's refusal becomes.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use event_log::{Position, ReadError};
use http::header::{HeaderName, HeaderValue};
use vault::VaultError;

use super::Room;
use super::error::ApiError;
use crate::commands::CommandError;

/// The position in the log that a write's answer stands for.
const POSITION: HeaderName = HeaderName::from_static("gitleads-position");

/// How long an answer waits for the read models. They are behind for longer only while they are rebuilt or far
/// behind; the write stands all the same, and the header tells from where on it can be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer to a write, given once the read models show the write.
pub async fn settled(room: &Room, position: Position, answer: impl IntoResponse) -> Response {
    room.api.freshness.reached(position, PATIENCE).await;
    let mut response = answer.into_response();
    response
        .headers_mut()
        .insert(POSITION, HeaderValue::from(position.get()));
    response
}

/// What a command that did not happen becomes; `refused` says it for the aggregate's own refusals.
pub fn failed<R>(error: CommandError<R>, refused: impl FnOnce(&R) -> ApiError) -> ApiError
where
    R: std::error::Error + Send + Sync + 'static,
{
    match error {
        CommandError::Refused(refusal) => refused(&refusal),
        CommandError::Contended | CommandError::Busy => ApiError::Unavailable("The server is busy; try again"),
        error
        @ (CommandError::Append(_) | CommandError::Read(_) | CommandError::Vault(_) | CommandError::Sealed(_)) => {
            ApiError::internal(error)
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        Self::internal(error)
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::internal(error)
    }
}
