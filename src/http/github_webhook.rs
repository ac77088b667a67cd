//! `POST /github/webhooks`: what GitHub itself tells us. The door of ingestion is the one thing behind it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use super::Room;
use super::error::ApiError;
use super::json_body;

/// GitHub caps its payloads at 25 MB ("Webhook events and payloads", docs.github.com).
const LIMIT: usize = 25 * 1024 * 1024;
/// GitHub gives up on a delivery after 10 s, and so do we on its body.
const AT_MOST: Duration = Duration::from_secs(10);
/// Bodies held in memory at once: anyone may post here until the signature is checked.
const AT_ONCE: usize = 16;

/// One delivery, as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubDelivery {
    /// `X-GitHub-Delivery`: the same when GitHub sends it again.
    pub id: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-Hub-Signature-256`.
    pub signature: String,
    /// `Content-Type`; GitHub sends JSON or a form.
    pub content_type: String,
    /// The body, byte for byte: the signature is over it.
    pub body: Bytes,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It was taken in.
    Accepted,
    /// It was taken in before.
    Duplicate,
    /// It is genuine, and about nothing that we look at.
    Ignored,
    /// The signature is not that of the body.
    WrongSignature,
    /// It is genuine, and not what GitHub documents.
    Malformed,
}

/// Takes deliveries in; what it accepts is durable when it answers.
#[async_trait]
pub trait GithubWebhook: Send + Sync {
    /// Checks the signature, drops what was seen before, takes in the rest.
    async fn receive(&self, delivery: GithubDelivery) -> anyhow::Result<Reception>;
}

/// Room for the bodies that are held at once.
pub(super) struct Bodies(Semaphore);

impl Default for Bodies {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

/// The error of a delivery that could not be taken in; GitHub shows it as failed and it can be sent again.
#[derive(Debug, thiserror::Error)]
#[error("a delivery of GitHub could not be taken in: {0}")]
struct NotTakenIn(String);

/// `POST /github/webhooks`: 202 for what is new, 200 for what needs nothing done.
pub(super) async fn receive(State(room): State<Arc<Room>>, request: Request) -> Result<Response, ApiError> {
    let Some(webhook) = &room.api.github_webhook else {
        return Err(ApiError::NotFound("path: GitHub webhooks are not configured"));
    };
    let Ok(_held) = room.github_bodies.0.try_acquire() else {
        return Err(ApiError::Unavailable("Too many deliveries at once; try again"));
    };
    let (parts, body) = request.into_parts();
    // Before the body is read: what carries no signature need not be read.
    let signature = header(&parts.headers, "x-hub-signature-256").ok_or(ApiError::WrongSignature)?;
    let delivery = GithubDelivery {
        signature,
        id: required(&parts.headers, "x-github-delivery")?,
        event: required(&parts.headers, "x-github-event")?,
        content_type: header(&parts.headers, "content-type").unwrap_or_default(),
        body: json_body::read(&parts.headers, body, LIMIT, AT_MOST).await?,
    };
    let reception = webhook.receive(delivery).await;
    let reception = reception.map_err(|error| ApiError::internal(NotTakenIn(format!("{error:#}"))))?;
    let (status, word) = match reception {
        Reception::Accepted => (StatusCode::ACCEPTED, "accepted"),
        Reception::Duplicate => (StatusCode::OK, "duplicate"),
        Reception::Ignored => (StatusCode::OK, "ignored"),
        Reception::WrongSignature => return Err(ApiError::WrongSignature),
        Reception::Malformed => return Err(ApiError::field("body", "not a payload of this event")),
    };
    Ok((status, Json(json!({ "status": word }))).into_response())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn required(headers: &HeaderMap, name: &str) -> Result<String, ApiError> {
    header(headers, name).ok_or_else(|| ApiError::field(name, "the header is missing"))
}
