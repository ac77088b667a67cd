//! `/v1/api-keys`: what requests of the account are let in with.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::account::AccountRefusal;
use domain::{ApiKeyId, Timestamp};
use http::StatusCode;
use projections::api_keys::{self, ApiKeyRow};
use serde::{Deserialize, Serialize};

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::{failed, settled};
use crate::commands::{issue_key, revoke_key};

/// What a 404 says is not there.
const WHAT: &str = "API key";

/// Enough for a few words that tell keys apart.
const LABEL: usize = 128;

/// The record that clients read; no secret in it.
#[derive(Debug, Serialize)]
struct Record {
    id: ApiKeyId,
    label: String,
    hint: String,
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub(super) struct Records {
    data: Vec<Record>,
}

/// What `POST` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRecord {
    label: String,
}

/// The record at its creation, with the secret this once.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    record: Record,
    secret: String,
}

/// `GET /v1/api-keys`: revoked ones too, oldest first.
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
pub(super) async fn issue(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    JsonBody(new): JsonBody<NewRecord>,
) -> Result<Response, ApiError> {
    let label = label(&new.label)?;
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
    Ok(settled(&room, position, StatusCode::NO_CONTENT).await)
}

fn label(text: &str) -> Result<String, ApiError> {
    let label = text.trim();
    if !(1..=LABEL).contains(&label.chars().count()) {
        let fault = format_args!("must have 1 to {LABEL} characters after trimming");
        return Err(ApiError::field("label", fault));
    }
    if label.chars().any(char::is_control) {
        return Err(ApiError::field("label", "must not contain control characters"));
    }
    Ok(label.to_owned())
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
