//! `/v1/webhooks/{id}/pause` and `…/resume`: whether an endpoint gets deliveries for the time being.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::{JsonIfAny, Nothing};
use super::openapi::words;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::failed;
use super::webhook_body::{Shown, WHAT};
use super::webhooks::{changed, refused};
use crate::commands::{pause_webhook_endpoint, resume_webhook_endpoint};

/// `POST /v1/webhooks/{id}/pause`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/pause",
    tag = "webhooks",
    operation_id = "pauseWebhookEndpoint",
    summary = "Pause a webhook endpoint",
    description = "Nothing more is sent, and nothing is lost: the log keeps it. A disabled endpoint stays disabled.",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    responses((status = 200, description = "The endpoint as it is now", body = Shown)),
)]
pub(super) async fn pause(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonIfAny(Nothing {}): JsonIfAny<Nothing>,
) -> Result<Response, ApiError> {
    let position = pause_webhook_endpoint(&room.api.writer, account, id.of(WHAT)?)
        .await
        .map_err(|error| failed(error, refused))?;
    changed(&room, account, &id, position).await
}

/// `POST /v1/webhooks/{id}/resume`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/resume",
    tag = "webhooks",
    operation_id = "resumeWebhookEndpoint",
    summary = "Resume a webhook endpoint",
    description = "It goes on from where it stopped, whether it was paused or disabled.",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    responses((status = 200, description = "The endpoint as it is now", body = Shown)),
)]
pub(super) async fn resume(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonIfAny(Nothing {}): JsonIfAny<Nothing>,
) -> Result<Response, ApiError> {
    let position = resume_webhook_endpoint(&room.api.writer, account, id.of(WHAT)?)
        .await
        .map_err(|error| failed(error, refused))?;
    changed(&room, account, &id, position).await
}
