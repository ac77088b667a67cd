//! `/v1/webhooks/{id}/deliveries/{delivery_id}/resend` and `…/replay`: what was sent, sent again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::{EventId, Timestamp, WebhookReplayId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::openapi::words;
use super::path_id::{PathId, PathIds};
use super::query::NoQuery;
use super::settle::{failed, settled};
use super::webhook_body::{WHAT, find};
use super::webhooks::refused;
use crate::commands::request_webhook_replay;
use crate::deliver::journal;

/// What a 404 says is not there.
const DELIVERY: &str = "delivery";

/// A delivery that is to be made again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookResend)]
pub(super) struct Resend {
    /// The `webhook-id`, the same as before.
    #[schema(value_type = words::EventId)]
    id: EventId,
    #[schema(value_type = words::DeliveryStatus)]
    status: &'static str,
}

/// The span of time to send again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookReplay)]
pub(super) struct Span {
    /// Events recorded at this moment or later.
    #[schema(value_type = words::Time)]
    since: Timestamp,
    /// Events recorded before this moment; now if not given.
    #[schema(value_type = Option<words::Time>)]
    until: Option<Timestamp>,
}

/// A replay that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookReplay)]
pub(super) struct Replay {
    #[schema(value_type = words::WebhookReplayId)]
    id: WebhookReplayId,
    #[schema(value_type = words::Time)]
    since: Timestamp,
    #[schema(value_type = words::Time)]
    until: Timestamp,
}

/// `POST /v1/webhooks/{id}/deliveries/{delivery_id}/resend`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/deliveries/{delivery_id}/resend",
    tag = "webhooks",
    operation_id = "resendWebhookDelivery",
    summary = "Send a delivery again",
    description = "Whatever came of it, as long as one of its attempts is kept: 30 days.",
    params(
        ("id" = words::WebhookEndpointId, Path, description = "The endpoint"),
        ("delivery_id" = words::EventId, Path, description = "The delivery"),
    ),
    responses((status = 202, description = "It waits for its turn", body = Resend)),
)]
pub(super) async fn resend(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    PathIds(id, delivery): PathIds,
) -> Result<(StatusCode, Json<Resend>), ApiError> {
    let endpoint = find(&room, account, &id).await?.endpoint_id;
    let event: EventId = delivery.of(DELIVERY)?;
    let now = room.api.writer.clock.now();
    if !journal::resend(&*room.api.store, endpoint, event, now).await? {
        return Err(ApiError::NotFound(DELIVERY));
    }
    let waits = Resend {
        id: event,
        status: journal::State::Waiting.as_str(),
    };
    Ok((StatusCode::ACCEPTED, Json(waits)))
}

/// `POST /v1/webhooks/{id}/replay`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/replay",
    tag = "webhooks",
    operation_id = "replayWebhooks",
    summary = "Send what happened in a span of time again",
    description = "Every event of the span that the endpoint hears of, with the `webhook-id` it had. Live deliveries go first.",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    request_body = Span,
    responses((status = 202, description = "It begins at once", body = Replay)),
)]
pub(super) async fn replay(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonBody(span): JsonBody<Span>,
) -> Result<Response, ApiError> {
    let now = room.api.writer.clock.now();
    let (since, until) = (span.since, span.until.unwrap_or(now));
    if until > now {
        return Err(ApiError::field("until", "must not be to come"));
    }
    let requested = request_webhook_replay(&room.api.writer, account, id.of(WHAT)?, since, until)
        .await
        .map_err(|error| failed(error, refused))?;
    let replay = Replay {
        id: requested.replay_id,
        since,
        until,
    };
    Ok(settled(&room, requested.position, (StatusCode::ACCEPTED, Json(replay))).await)
}
