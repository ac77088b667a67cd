//! `/v1/webhooks/{id}/deliveries/{delivery_id}/resend`, `…/replay` and `…/replays`: what was sent, sent again, and how far that is.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::{Extension, Json};
use domain::{DeliveryStatus, EventId, Timestamp, WebhookReplayId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::idempotency::done;
use super::json_body::{JsonBody, JsonIfAny, Nothing};
use super::openapi::words;
use super::path_id::{PathId, PathIds};
use super::query::{NoQuery, Query};
use super::settle::{failed, settled};
use super::webhook_body::{WHAT, after, find};
use super::webhooks::refused;
use crate::commands::request_webhook_replay;
use crate::deliver::journal::{self, NotAgain};
use crate::deliver::replay::{self, Progress};

const PARAMETERS: &[&str] = &["limit", "cursor"];

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
    status: DeliveryStatus,
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
    #[schema(value_type = words::ReplayStatus)]
    status: &'static str,
    /// How much of the span was sent, by its part of the log. What a receiver did not take is tried again and counts as sent.
    #[schema(minimum = 0, maximum = 100, example = 42)]
    percent: u8,
}

/// A page of replays.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookReplays)]
pub(super) struct Replays {
    data: Vec<Replay>,
    /// What to pass as `cursor` to get the next page; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
}

impl From<Progress> for Replay {
    fn from(progress: Progress) -> Self {
        Self {
            id: progress.replay_id,
            since: progress.since,
            until: progress.until,
            status: progress.state.as_str(),
            percent: progress.percent,
        }
    }
}

/// `POST /v1/webhooks/{id}/deliveries/{delivery_id}/resend`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/deliveries/{delivery_id}/resend",
    tag = "webhooks",
    operation_id = "resendWebhookDelivery",
    summary = "Send a delivery again",
    description = "Whatever came of it, as long as it is listed. It is sent in its turn: after earlier events of its lead, and \
        once the endpoint gets deliveries. Its attempts are counted on, so that one which has had its twelve gets one more.",
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
    JsonIfAny(Nothing {}): JsonIfAny<Nothing>,
) -> Result<Response, ApiError> {
    let endpoint = find(&room, account, &id).await?;
    let event: EventId = delivery.of(DELIVERY)?;
    match journal::resend(&room.api.writer, &*room.api.store, &endpoint, event).await? {
        Ok(()) => {}
        Err(NotAgain::Unknown) => return Err(ApiError::NotFound(DELIVERY)),
        Err(NotAgain::NotHeard(event)) => {
            let fault = format!("The endpoint does not hear of {event}: its events do not name it");
            return Err(ApiError::Conflict(fault));
        }
    }
    let waits = Resend {
        id: event,
        status: DeliveryStatus::Waiting,
    };
    Ok(done((StatusCode::ACCEPTED, Json(waits))))
}

/// `POST /v1/webhooks/{id}/replay`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/replay",
    tag = "webhooks",
    operation_id = "replayWebhooks",
    summary = "Send what happened in a span of time again",
    description = "Every event of the span that the endpoint hears of, with the `webhook-id` it had. Live deliveries go first. \
        `listWebhookReplays` tells how far it is.",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    request_body = Span,
    responses((status = 202, description = "It begins once those before it are done", body = Replay)),
)]
pub(super) async fn replay(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonBody(span): JsonBody<Span>,
) -> Result<Response, ApiError> {
    let now = room.api.writer.clock.now();
    if span.since > now {
        return Err(ApiError::field("since", "must not be in the future"));
    }
    let (since, until) = (span.since, span.until.unwrap_or(now));
    if until > now {
        return Err(ApiError::field("until", "must not be in the future"));
    }
    let requested = request_webhook_replay(&room.api.writer, account, id.of(WHAT)?, since, until)
        .await
        .map_err(|error| failed(error, refused))?;
    let replay = Replay {
        id: requested.replay_id,
        since,
        until,
        status: replay::State::Waiting.as_str(),
        percent: 0,
    };
    Ok(settled(&room, requested.position, (StatusCode::ACCEPTED, Json(replay))).await)
}

/// `GET /v1/webhooks/{id}/replays`
#[utoipa::path(
    get,
    path = "/webhooks/{id}/replays",
    tag = "webhooks",
    operation_id = "listWebhookReplays",
    summary = "List an endpoint's replays, newest first, and how far each is",
    params(
        ("id" = words::WebhookEndpointId, Path, description = "The endpoint"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows of a page; 20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Replays)),
)]
pub(super) async fn replays(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    RawQuery(raw): RawQuery,
    id: PathId,
) -> Result<Json<Replays>, ApiError> {
    let query = Query::read(raw.as_deref(), PARAMETERS)?;
    let limit = query.limit()?;
    let endpoint = find(&room, account, &id).await?.endpoint_id;
    let about = format!("replays\n{endpoint}");
    let after: Option<WebhookReplayId> = after(&room, account, &about, &query)?;
    let all = replay::all(&*room.api.writer.log, &*room.api.store, account, endpoint).await?;
    let mut rest = all
        .into_iter()
        .skip_while(|progress| after.is_some_and(|after| progress.replay_id >= after));
    let data: Vec<Replay> = rest.by_ref().take(limit as usize).map(Replay::from).collect();
    let has_more = rest.next().is_some();
    let next_cursor = data.last().filter(|_| has_more);
    let next_cursor = next_cursor.map(|last| room.cursors.issue_text(account, &about, &last.id.to_string()));
    Ok(Json(Replays {
        data,
        next_cursor,
        has_more,
    }))
}
