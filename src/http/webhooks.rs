//! `/v1/webhooks`: the URLs of an account that hear of its leads.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::{Extension, Json};
use domain::webhook_endpoint::{EndpointEdit, WebhookEndpointRefusal};
use domain::{StartFrom, WebhookEndpointId, WebhookEventType, WebhookKind, WebhookStatus};
use event_log::Position;
use http::StatusCode;
use projections::webhook_endpoints;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::openapi::words;
use super::path_id::PathId;
use super::query::{NoQuery, Query};
use super::settle::{failed, settled, shown};
use super::webhook_body::{
    Filters, Record, Shown, WHAT, after, checked_description, checked_events, checked_secret, checked_url, find, given,
};
use crate::commands::{NewEndpoint, add_webhook_endpoint, change_webhook_endpoint, remove_webhook_endpoint};

const PARAMETERS: &[&str] = &["limit", "cursor", "status"];

/// A page of webhook endpoints.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoints)]
pub(super) struct Page {
    data: Vec<Shown>,
    /// What to pass as `cursor` to get the next page; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
}

/// What `POST` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
pub(super) struct NewRecord {
    #[schema(value_type = words::EndpointUrl)]
    url: String,
    /// `webhook` if not given. The others get messages for people.
    #[schema(value_type = Option<words::EndpointKind>)]
    kind: Option<WebhookKind>,
    /// All published ones if not given.
    #[schema(value_type = Option<Vec<words::WebhookEvent>>, min_items = 1)]
    events: Option<Vec<WebhookEventType>>,
    /// Every lead if not given.
    filters: Option<Filters>,
    /// `now` if not given; an earlier place feeds the endpoint from history first.
    #[schema(value_type = Option<words::StartFrom>)]
    start_from: Option<StartFrom>,
    /// Generated if not given.
    #[schema(value_type = Option<words::OwnSecret>)]
    secret: Option<String>,
    #[schema(max_length = 512, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    description: Option<String>,
}

/// The record at its creation, with the secret this once.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedWebhookEndpoint)]
struct Created {
    #[serde(flatten)]
    record: Record,
    secret: String,
    /// The form of the secret that Standard Webhooks libraries take, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

/// What `PATCH` takes: at least one of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointEdit)]
pub(super) struct Edit {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = words::EndpointUrl, required = false)]
    url: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<words::WebhookEvent>, required = false, min_items = 1)]
    events: Option<Vec<WebhookEventType>>,
    /// All of them, as they are to be.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Filters, required = false)]
    filters: Option<Filters>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "described")]
    #[schema(value_type = Option<String>, max_length = 512, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    #[expect(clippy::option_option, reason = "left out, null and a text are three things")]
    description: Option<Option<String>>,
}

/// A field that may be left out, and may be null.
#[expect(clippy::option_option, reason = "left out, null and a text are three things")]
fn described<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `GET /v1/webhooks`
#[utoipa::path(
    get,
    path = "/webhooks",
    tag = "webhooks",
    operation_id = "listWebhookEndpoints",
    summary = "List webhook endpoints, oldest first",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows of a page; 20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("status" = Option<words::EndpointStatus>, Query, description = "Only endpoints of this status"),
    ),
    responses((status = 200, description = "A page", body = Page)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Page>, ApiError> {
    let query = Query::read(raw.as_deref(), PARAMETERS)?;
    let limit = query.limit()?;
    let status: Option<WebhookStatus> = query.parse("status")?;
    let about = format!("webhooks\n{}", status.map_or("", WebhookStatus::as_str));
    let after: Option<WebhookEndpointId> = after(&room, account, &about, &query)?;
    // One more than is shown, to know whether there is more.
    let views = room.api.views.as_ref();
    let mut rows = webhook_endpoints::page(views, account, status, after, limit + 1).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().map(|row| row.endpoint_id);
    Ok(Json(Page {
        data: Shown::of(&room, rows).await?,
        next_cursor: last
            .filter(|_| has_more)
            .map(|last| room.cursors.issue_text(account, &about, &last.to_string())),
        has_more,
    }))
}

/// `GET /v1/webhooks/{id}`
#[utoipa::path(
    get,
    path = "/webhooks/{id}",
    tag = "webhooks",
    operation_id = "getWebhookEndpoint",
    summary = "Get a webhook endpoint",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    responses((status = 200, description = "The endpoint", body = Shown)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Json<Shown>, ApiError> {
    let row = find(&room, account, &id).await?;
    Ok(Json(Shown::one(&room, row).await?))
}

/// `POST /v1/webhooks`
#[utoipa::path(
    post,
    path = "/webhooks",
    tag = "webhooks",
    operation_id = "addWebhookEndpoint",
    summary = "Add a webhook endpoint",
    description = "It hears of what happens from now on, and of what happened before if `start_from` says so. The secret is \
        shown here, and by `getWebhookSecret`.",
    request_body = NewRecord,
    responses((status = 201, description = "Added", body = Created)),
)]
pub(super) async fn add(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    JsonBody(new): JsonBody<NewRecord>,
) -> Result<Response, ApiError> {
    let secret = checked_secret(&room, new.secret.as_deref())?;
    let start_from = new.start_from.unwrap_or_default();
    if matches!(start_from, StartFrom::Time(time) if time > room.api.writer.clock.now()) {
        return Err(ApiError::field("start_from", "must not be in the future"));
    }
    let endpoint = NewEndpoint {
        kind: new.kind.unwrap_or(WebhookKind::Webhook),
        url: checked_url(&room, &new.url)?,
        events: checked_events(new.events.unwrap_or_else(|| WebhookEventType::USUAL.to_vec()))?,
        filters: new.filters.unwrap_or_default().checked()?,
        start_from,
        description: checked_description(new.description)?,
        secret: secret.as_str().to_owned(),
    };
    let committed = add_webhook_endpoint(&room.api.writer, account, endpoint.clone())
        .await
        .map_err(|error| failed(error, refused))?;
    let standard_form = secret.standard_form();
    let created = Created {
        record: Record {
            id: committed.value.endpoint_id,
            kind: endpoint.kind,
            url: endpoint.url,
            events: endpoint.events,
            filters: endpoint.filters.into(),
            start_from,
            description: endpoint.description,
            status: WebhookStatus::Active,
            status_since: committed.value.created_at,
            disabled_reason: None,
            last_failure: None,
            previous_secret_valid_until: None,
            created_at: committed.value.created_at,
        },
        signing_secret: (standard_form != secret.as_str()).then_some(standard_form),
        secret: secret.as_str().to_owned(),
    };
    Ok(settled(&room, committed.position, (StatusCode::CREATED, Json(created))).await)
}

/// `PATCH /v1/webhooks/{id}`
#[utoipa::path(
    patch,
    path = "/webhooks/{id}",
    tag = "webhooks",
    operation_id = "changeWebhookEndpoint",
    summary = "Change a webhook endpoint",
    description = "What is under way goes where the endpoint was. Whether \
        the endpoint hears of an event is decided when its turn comes: of what waits, or was recorded while the endpoint was \
        paused, it hears what it is to hear of by then. Whatever failed before is forgiven.",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    request_body = Edit,
    responses((status = 200, description = "The endpoint as it is now", body = Shown)),
)]
pub(super) async fn change(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonBody(edit): JsonBody<Edit>,
) -> Result<Response, ApiError> {
    let edit = checked(&room, edit)?;
    let position = change_webhook_endpoint(&room.api.writer, account, id.of(WHAT)?, edit)
        .await
        .map_err(|error| failed(error, refused))?;
    changed(&room, account, &id, position).await
}

fn checked(room: &Room, edit: Edit) -> Result<EndpointEdit, ApiError> {
    let edit = EndpointEdit {
        url: edit.url.map(|url| checked_url(room, &url)).transpose()?,
        events: edit.events.map(checked_events).transpose()?,
        filters: edit.filters.map(Filters::checked).transpose()?,
        description: edit.description.map(checked_description).transpose()?,
    };
    if edit == EndpointEdit::default() {
        let fault = "must have url, events, filters or description";
        return Err(ApiError::field("body", fault));
    }
    Ok(edit)
}

/// The endpoint after a change to it.
pub(super) async fn changed(
    room: &Room,
    account: domain::AccountId,
    id: &PathId,
    position: Position,
) -> Result<Response, ApiError> {
    shown(room, position).await?;
    let row = find(room, account, id).await?;
    let shown = Shown::one(room, row).await?;
    Ok(settled(room, position, Json(shown)).await)
}

/// `DELETE /v1/webhooks/{id}`: 204, then 404.
#[utoipa::path(
    delete,
    path = "/webhooks/{id}",
    tag = "webhooks",
    operation_id = "removeWebhookEndpoint",
    summary = "Remove a webhook endpoint",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn remove(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Response, ApiError> {
    let id: WebhookEndpointId = id.of(WHAT)?;
    let position = remove_webhook_endpoint(&room.api.writer, account, id)
        .await
        .map_err(|error| failed(error, refused))?;
    Ok(settled(&room, position, StatusCode::NO_CONTENT).await)
}

/// What an endpoint's refusal becomes.
pub(super) fn refused(refusal: &WebhookEndpointRefusal) -> ApiError {
    match refusal {
        WebhookEndpointRefusal::Unknown => ApiError::NotFound(WHAT),
        WebhookEndpointRefusal::Overlap { .. } => ApiError::Conflict(format!("secret: {refusal}")),
        WebhookEndpointRefusal::EmptySpan => ApiError::field("until", "must be later than since"),
        // The id was made a moment ago: only a clock and a random source that both repeat themselves end here.
        WebhookEndpointRefusal::IdUsed => ApiError::internal(refusal.clone()),
    }
}
