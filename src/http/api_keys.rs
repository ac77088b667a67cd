//! `/v1/api-keys`: what requests of the account are let in with.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::account::AccountRefusal;
use domain::{ApiKeyId, Label, Timestamp};
use http::StatusCode;
use projections::api_keys::{self, ApiKeyRow};
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
use crate::commands::{issue_key, revoke_key};

/// What a 404 says is not there.
const WHAT: &str = "API key";

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct Record {
    #[schema(value_type = words::ApiKeyId)]
    id: ApiKeyId,
    label: String,
    /// The last characters of the secret, to tell keys apart.
    #[schema(example = "x7Qf")]
    hint: String,
    #[schema(value_type = words::Time)]
    created_at: Timestamp,
    /// Null: it is valid.
    #[schema(value_type = Option<words::Time>, required)]
    revoked_at: Option<Timestamp>,
}

/// All API keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeys)]
pub(super) struct Records {
    data: Vec<Record>,
}

/// What `POST` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub(super) struct NewRecord {
    /// What tells it from others: 1 to 128 characters after trimming.
    #[schema(value_type = words::Label)]
    label: Label,
}

/// The record at its creation, with the secret this once.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
struct Created {
    #[serde(flatten)]
    record: Record,
    #[schema(example = "gl_live_…")]
    secret: String,
}

/// `GET /v1/api-keys`: revoked ones too, oldest first.
#[utoipa::path(
    get,
    path = "/api-keys",
    tag = "account",
    operation_id = "listApiKeys",
    summary = "List API keys",
    responses((status = 200, description = "All of them, revoked ones too, oldest first", body = Records)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
) -> Result<Json<Records>, ApiError> {
    let rows = api_keys::list(room.api.views.as_ref(), account).await?;
    Ok(Json(Records {
        data: rows.into_iter().map(Record::from).collect(),
    }))
}

/// `POST /v1/api-keys`
#[utoipa::path(
    post,
    path = "/api-keys",
    tag = "account",
    operation_id = "createApiKey",
    summary = "Create an API key",
    request_body = NewRecord,
    responses((status = 201, description = "The key, with its secret this once", body = Created)),
)]
pub(super) async fn issue(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    JsonBody(new): JsonBody<NewRecord>,
) -> Result<Response, ApiError> {
    let label = new.label.to_string();
    let issued = issue_key(&room.api.writer, account, label.clone())
        .await
        .map_err(|error| failed(error, refused))?;
    let created = Created {
        record: Record {
            id: issued.value.key_id,
            label,
            hint: issued.value.hint,
            created_at: issued.value.created_at,
            revoked_at: None,
        },
        secret: issued.value.secret,
    };
    Ok(settled(&room, issued.position, (StatusCode::CREATED, Json(created))).await)
}

/// `DELETE /v1/api-keys/{id}`: 204, then 404; the key that asks may be the one that goes.
#[utoipa::path(
    delete,
    path = "/api-keys/{id}",
    tag = "account",
    operation_id = "revokeApiKey",
    summary = "Revoke an API key",
    description = "It is refused from then on, be it the key that asks. Streams that were opened with it end.",
    params(("id" = words::ApiKeyId, Path, description = "The key")),
    responses((status = 204, description = "Revoked")),
)]
pub(super) async fn revoke(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Response, ApiError> {
    let id: ApiKeyId = id.of(WHAT)?;
    let row = api_keys::find(room.api.views.as_ref(), account, id).await?;
    if row.is_none_or(|row| row.revoked_at.is_some()) {
        return Err(ApiError::NotFound(WHAT));
    }
    let position = revoke_key(&room.api.writer, account, id)
        .await
        .map_err(|error| failed(error, refused))?;
    room.keys.revoke(id);
    Ok(settled(&room, position, StatusCode::NO_CONTENT).await)
}

fn refused(refusal: &AccountRefusal) -> ApiError {
    match refusal {
        AccountRefusal::UnknownKey => ApiError::NotFound(WHAT),
        // The account asks, so it is open; the id was made a moment ago.
        AccountRefusal::NotOpened | AccountRefusal::AlreadyOpened | AccountRefusal::KeyIdUsed => {
            ApiError::internal(refusal.clone())
        }
    }
}

impl From<ApiKeyRow> for Record {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.key_id,
            label: row.label,
            hint: row.hint,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        }
    }
}
