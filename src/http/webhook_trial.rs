//! `POST /v1/webhooks/{id}/test`: a real request to the endpoint, now, and what it answered.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::{EventId, WebhookEventType};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::idempotency::done;
use super::json_body::JsonIfAny;
use super::openapi::words;
use super::path_id::PathId;
use super::query::NoQuery;
use super::webhook_body::find;
use crate::deliver::probe;

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookTest)]
pub(super) struct Outcome {
    /// Whether a delivery would count as taken.
    delivered: bool,
    /// The `webhook-id` of the request.
    #[schema(value_type = words::EventId)]
    webhook_id: EventId,
    /// HTTP status of the answer; null: none came.
    #[schema(required, example = 200)]
    status: Option<u16>,
    /// The word for why it would count as failed.
    #[schema(required, value_type = Option<words::DeliveryFailure>)]
    failure: Option<&'static str>,
    #[schema(example = 41)]
    duration_ms: u64,
    /// The first KiB of the answer.
    answer: String,
}

/// What `POST …/test` takes; it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NewWebhookTest)]
pub(super) struct Trial {
    /// Which event it is to be like, with an invented person or repository; `webhook.test` if not given.
    #[schema(value_type = Option<words::WebhookEvent>)]
    event: Option<WebhookEventType>,
}

/// `POST /v1/webhooks/{id}/test`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/test",
    tag = "webhooks",
    operation_id = "testWebhookEndpoint",
    summary = "Send a test to a webhook endpoint",
    description = "One signed request of `webhook.test`, or of the `event` with an invented person or repository, whatever the \
        endpoint hears of and whatever its status. Nothing is tried again, and no delivery waits behind it.",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    request_body = Option<Trial>,
    responses((status = 200, description = "What came of it", body = Outcome)),
)]
pub(super) async fn test(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonIfAny(trial): JsonIfAny<Trial>,
) -> Result<Response, ApiError> {
    let event = trial.event.unwrap_or(WebhookEventType::WebhookTest);
    let endpoint = find(&room, account, &id).await?;
    let tried = probe::test(&room.api.writer, &room.api.sender, &endpoint, event).await?;
    let outcome = Outcome {
        delivered: tried.failure.is_none(),
        webhook_id: tried.id,
        status: tried.status,
        failure: tried.failure,
        duration_ms: u64::try_from(tried.took.as_millis()).unwrap_or(u64::MAX),
        answer: tried.answer,
    };
    Ok(done(Json(outcome)))
}
