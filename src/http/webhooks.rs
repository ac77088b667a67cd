//! `/v1/webhooks`: the URLs of an account that hear of its leads.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::webhook_endpoint::WebhookEndpointRefusal;
use domain::{DisabledReason, Timestamp, WebhookEndpointId, WebhookEventType};
use http::StatusCode;
use projections::webhook_endpoints::{self, EndpointStatus, WebhookEndpointRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::openapi::words;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::{failed, settled};
use crate::clock::Clock;
use crate::commands::{NewEndpoint, add_webhook_endpoint, remove_webhook_endpoint};
use crate::deliver::sign::Secret;

/// What a 404 says is not there.
const WHAT: &str = "webhook endpoint";

const ACTIVE: &str = "active";

/// Enough for a sentence that tells endpoints apart.
const DESCRIPTION: usize = 512;

/// The record that clients read; no secret in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(super) struct Record {
    #[schema(value_type = words::WebhookEndpointId)]
    id: WebhookEndpointId,
    #[schema(value_type = words::EndpointUrl)]
    url: String,
    #[schema(value_type = Vec<words::WebhookEvent>)]
    events: Vec<WebhookEventType>,
    #[schema(required)]
    description: Option<String>,
    /// `active` or `disabled`.
    #[schema(example = "active")]
    status: &'static str,
    #[schema(value_type = Option<String>, required)]
    disabled_reason: Option<DisabledReason>,
    /// The word for what the last attempt failed with, of an endpoint that was disabled.
    #[schema(required)]
    last_failure: Option<String>,
    #[schema(value_type = words::Time)]
    created_at: Timestamp,
}

/// All webhook endpoints.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoints)]
pub(super) struct Records {
    data: Vec<Record>,
}

/// What `POST` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
pub(super) struct NewRecord {
    #[schema(value_type = words::EndpointUrl)]
    url: String,
    /// All published ones if not given.
    #[schema(value_type = Option<Vec<words::WebhookEvent>>, min_items = 1)]
    events: Option<Vec<WebhookEventType>>,
    /// 16 to 128 printable characters; generated if not given.
    #[schema(min_length = 16, max_length = 128, pattern = "^[!-~]+$")]
    secret: Option<String>,
    #[schema(max_length = 512)]
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

/// `GET /v1/webhooks`
#[utoipa::path(
    get,
    path = "/webhooks",
    tag = "webhooks",
    operation_id = "listWebhookEndpoints",
    summary = "List webhook endpoints",
    responses((status = 200, description = "All of them, oldest first", body = Records)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
) -> Result<Json<Records>, ApiError> {
    let rows = webhook_endpoints::list(room.api.views.as_ref(), account).await?;
    Ok(Json(Records {
        data: rows.into_iter().map(Record::from).collect(),
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
    responses((status = 200, description = "The endpoint", body = Record)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Json<Record>, ApiError> {
    let id = id.of(WHAT)?;
    let row = webhook_endpoints::find(room.api.views.as_ref(), account, id).await?;
    Ok(Json(row.ok_or(ApiError::NotFound(WHAT))?.into()))
}

/// `POST /v1/webhooks`
#[utoipa::path(
    post,
    path = "/webhooks",
    tag = "webhooks",
    operation_id = "addWebhookEndpoint",
    summary = "Add a webhook endpoint",
    description = "It hears of what happens from now on. Its secret is shown this once.",
    request_body = NewRecord,
    responses((status = 201, description = "Added", body = Created)),
)]
pub(super) async fn add(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    JsonBody(new): JsonBody<NewRecord>,
) -> Result<Response, ApiError> {
    let (endpoint, secret) = check(&room, new)?;
    let (url, events, description) = (
        endpoint.url.clone(),
        endpoint.events.clone(),
        endpoint.description.clone(),
    );
    let committed = add_webhook_endpoint(&room.api.writer, account, endpoint)
        .await
        .map_err(|error| failed(error, refused))?;
    let record = Record {
        id: committed.value.endpoint_id,
        url,
        events,
        description,
        status: ACTIVE,
        disabled_reason: None,
        last_failure: None,
        created_at: committed.value.created_at,
    };
    let standard_form = secret.standard_form();
    let created = Created {
        record,
        signing_secret: (standard_form != secret.as_str()).then_some(standard_form),
        secret: secret.as_str().to_owned(),
    };
    Ok(settled(&room, committed.position, (StatusCode::CREATED, Json(created))).await)
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

fn check(room: &Room, new: NewRecord) -> Result<(NewEndpoint, Secret), ApiError> {
    let url = room
        .api
        .endpoint_policy
        .check_url(&new.url)
        .map_err(|refusal| ApiError::field("url", refusal))?;
    let mut events = new.events.unwrap_or_else(|| WebhookEventType::USUAL.to_vec());
    events.sort_unstable();
    events.dedup();
    if events.is_empty() {
        let names = WebhookEventType::ALL.iter().map(|event| event.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(ApiError::field(
            "events",
            format_args!("must name at least one of {names}"),
        ));
    }
    let description = new.description.filter(|text| !text.trim().is_empty());
    if description
        .as_ref()
        .is_some_and(|text| text.chars().count() > DESCRIPTION)
    {
        let fault = format_args!("must have {DESCRIPTION} characters at most");
        return Err(ApiError::field("description", fault));
    }
    let secret = match &new.secret {
        Some(text) => Secret::try_new(text).map_err(|fault| ApiError::field("secret", fault))?,
        None => Secret::generate(entropy(room.api.writer.clock.as_ref())),
    };
    let endpoint = NewEndpoint {
        kind: domain::WebhookKind::Webhook,
        filters: domain::WebhookFilters::default(),
        start_from: domain::StartFrom::Now,
        url: url.into(),
        events,
        description,
        secret: secret.as_str().to_owned(),
    };
    Ok((endpoint, secret))
}

/// 32 random bytes from draws of 80 bits: 8 of each.
fn entropy(clock: &dyn Clock) -> [u8; 32] {
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        let draw = clock.entropy().to_le_bytes();
        part.iter_mut().zip(draw).for_each(|(to, from)| *to = from);
    }
    bytes
}

fn refused(refusal: &WebhookEndpointRefusal) -> ApiError {
    match refusal {
        WebhookEndpointRefusal::Unknown => ApiError::NotFound(WHAT),
        WebhookEndpointRefusal::Overlap { .. } | WebhookEndpointRefusal::EmptySpan => ApiError::internal(refusal.clone()),
        // The id was made a moment ago: only a clock and a random source that both repeat themselves end here.
        WebhookEndpointRefusal::IdUsed => ApiError::internal(refusal.clone()),
    }
}

impl From<WebhookEndpointRow> for Record {
    fn from(row: WebhookEndpointRow) -> Self {
        let (status, disabled_reason) = match row.status {
            EndpointStatus::Active => (ACTIVE, None),
            EndpointStatus::Paused => ("paused", None),
            EndpointStatus::Disabled(reason) => ("disabled", Some(reason)),
        };
        Self {
            id: row.endpoint_id,
            url: row.url,
            events: row.events,
            description: row.description,
            status,
            disabled_reason,
            last_failure: row.last_failure,
            created_at: row.created_at,
        }
    }
}
