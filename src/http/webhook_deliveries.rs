//! `/v1/webhooks/{id}/deliveries`: what an endpoint was sent, with every attempt, and what waits for it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use domain::{DeliveryStatus, EventId, Timestamp, WebhookEventType};
use event_log::Position;
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::openapi::words;
use super::path_id::PathId;
use super::query::Query;
use super::webhook_body::{after, find};
use crate::deliver::journal::{self, Wanted};

const PARAMETERS: &[&str] = &["limit", "cursor", "status", "since", "until"];

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDeliveries)]
pub(super) struct Page {
    data: Vec<Record>,
    /// What to pass as `cursor` to get the next page; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
}

/// An event on its way to an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
struct Record {
    /// The `webhook-id` of every attempt.
    #[schema(value_type = words::EventId)]
    id: EventId,
    /// Null: an older version of the server made the attempts.
    #[schema(value_type = Option<words::WebhookEvent>, required)]
    event: Option<WebhookEventType>,
    #[schema(value_type = words::DeliveryStatus)]
    status: DeliveryStatus,
    /// When it is tried next, or shortly after; null: not again, or not before an earlier event of its lead is done with or the
    /// endpoint is resumed.
    #[schema(value_type = Option<words::Time>, required)]
    next_attempt_at: Option<Timestamp>,
    /// Those of the last 30 days, in the order they were made.
    attempts: Vec<Attempt>,
}

/// A request of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDeliveryAttempt)]
struct Attempt {
    /// What `X-GitLeads-Delivery` said.
    #[schema(example = "dlv_01J8ZQ4N3M8YV7T6S5R4Q3P2N1")]
    id: String,
    /// What `X-GitLeads-Attempt` said.
    #[schema(minimum = 1, example = 1)]
    number: u32,
    #[schema(value_type = words::Time)]
    at: Timestamp,
    duration_ms: u64,
    /// HTTP status of the answer; null: none came.
    #[schema(required, example = 503)]
    status: Option<u16>,
    /// The word for why it failed; null: it was taken.
    #[schema(required, value_type = Option<words::DeliveryFailure>)]
    failure: Option<String>,
    /// The first KiB of the answer; null: it was empty, the message told of several events, or the person was erased since.
    #[schema(required)]
    answer: Option<String>,
}

impl From<journal::Delivery> for Record {
    fn from(delivery: journal::Delivery) -> Self {
        Self {
            id: delivery.event_id,
            event: delivery.event,
            status: delivery.status,
            next_attempt_at: delivery.next_attempt_at,
            attempts: delivery.attempts.into_iter().map(Attempt::from).collect(),
        }
    }
}

impl From<journal::Tried> for Attempt {
    fn from(tried: journal::Tried) -> Self {
        Self {
            id: tried.id,
            number: tried.number,
            at: tried.at,
            duration_ms: tried.took_micros / 1_000,
            status: tried.status,
            failure: Some(tried.outcome).filter(|outcome| outcome != DeliveryStatus::Delivered.as_str()),
            answer: tried.answer,
        }
    }
}

/// `GET /v1/webhooks/{id}/deliveries`
#[utoipa::path(
    get,
    path = "/webhooks/{id}/deliveries",
    tag = "webhooks",
    operation_id = "listWebhookDeliveries",
    summary = "List an endpoint's deliveries, newest event first",
    description = "Every event that was sent, is being tried, or failed for good, with its attempts of the last 30 days.",
    params(
        ("id" = words::WebhookEndpointId, Path, description = "The endpoint"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows of a page; 20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("status" = Option<words::DeliveryStatus>, Query, description = "Only deliveries that stand so"),
        ("since" = Option<words::Time>, Query, description = "Only of events recorded after this moment, with any offset"),
        ("until" = Option<words::Time>, Query, description = "Only of events recorded at this moment or before"),
    ),
    responses((status = 200, description = "A page", body = Page)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    RawQuery(raw): RawQuery,
    id: PathId,
) -> Result<Json<Page>, ApiError> {
    let query = Query::read(raw.as_deref(), PARAMETERS)?;
    let limit = query.limit()?;
    let endpoint = find(&room, account, &id).await?;
    let asked = |name| query.text(name).unwrap_or_default();
    let about = format!(
        "deliveries\n{}\n{}\n{}\n{}",
        endpoint.endpoint_id,
        asked("status"),
        asked("since"),
        asked("until")
    );
    let before: Option<u64> = after(&room, account, &about, &query)?;
    let wanted = Wanted {
        since: query.time("since")?,
        until: query.time("until")?,
        before: before.map(Position::new),
        status: query.parse("status")?,
        limit,
    };
    let page = journal::page(&room.api.writer, &*room.api.store, &endpoint, wanted).await?;
    Ok(Json(Page {
        data: page.deliveries.into_iter().map(Record::from).collect(),
        next_cursor: page
            .next
            .map(|next| room.cursors.issue_text(account, &about, &next.to_string())),
        has_more: page.next.is_some(),
    }))
}
