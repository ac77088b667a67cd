//! `POST /github/webhooks`: what GitHub itself tells us, on its way to the one door of ingestion.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use super::Room;
use super::error::ApiError;
use super::json_body;
use crate::ingest::{self, Ingest, Receipt};

/// GitHub caps its payloads at 25 MB ("Webhook events and payloads", docs.github.com).
const LIMIT: usize = 25 * 1024 * 1024;
/// GitHub gives up on a delivery after 10 s, and so do we on its body.
const AT_MOST: Duration = Duration::from_secs(10);
/// Until its signature is checked a body may be anyone's: of those beyond the size of nearly all of GitHub's, so many
/// are held in memory at once.
const LARGE: usize = 64 * 1024;
const LARGE_AT_ONCE: usize = 16;

/// What takes GitHub's webhooks in.
pub struct GithubWebhook {
    /// The door.
    pub ingest: Arc<Ingest>,
    /// What GitHub signs its deliveries with.
    pub secret: String,
}

/// Room for large bodies.
pub(super) struct LargeBodies(Semaphore);

impl Default for LargeBodies {
    fn default() -> Self {
        Self(Semaphore::new(LARGE_AT_ONCE))
    }
}

/// A delivery that could not be taken in; GitHub shows it as failed, and it can be sent again.
#[derive(Debug, thiserror::Error)]
#[error("a delivery of GitHub could not be taken in: {0:#}")]
struct NotTakenIn(anyhow::Error);

/// `POST /github/webhooks`: 202 for what is new, 200 for what needs nothing done.
pub(super) async fn receive(State(room): State<Arc<Room>>, request: Request) -> Result<Response, ApiError> {
    let Some(webhook) = &room.api.github_webhook else {
        return Err(not_configured());
    };
    let (parts, body) = request.into_parts();
    // Before the body is read: without a signature there is nothing to check it by.
    let signature = text(&parts.headers, "x-hub-signature-256").ok_or(ApiError::WrongSignature)?;
    let _held = if is_small(&parts.headers) {
        None
    } else {
        let busy = |_| ApiError::Unavailable("Too many large deliveries at once; try again");
        Some(room.large_bodies.0.try_acquire().map_err(busy)?)
    };
    let body: Bytes = json_body::read(&parts.headers, body, LIMIT, AT_MOST).await?;
    let receipt = ingest::receive(
        &webhook.ingest,
        Some(&webhook.secret),
        text(&parts.headers, "x-github-delivery"),
        text(&parts.headers, "x-github-event"),
        Some(signature),
        &body,
    )
    .await
    .map_err(|error| ApiError::internal(NotTakenIn(error)))?;
    answer(receipt)
}

fn answer(receipt: Receipt) -> Result<Response, ApiError> {
    let (status, word) = match receipt {
        Receipt::Accepted(_) => (StatusCode::ACCEPTED, "accepted"),
        Receipt::Duplicate => (StatusCode::OK, "duplicate"),
        Receipt::Ignored => (StatusCode::OK, "ignored"),
        Receipt::BadSignature => return Err(ApiError::WrongSignature),
        Receipt::NotConfigured => return Err(not_configured()),
        Receipt::Malformed(reason) => return Err(ApiError::field("body", reason)),
    };
    Ok((status, Json(json!({ "status": word }))).into_response())
}

const fn not_configured() -> ApiError {
    ApiError::NotFound("path: GitHub webhooks are not configured")
}

fn is_small(headers: &HeaderMap) -> bool {
    let announced = text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    announced.is_some_and(|length| length <= LARGE)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
