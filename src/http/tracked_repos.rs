//! `/v1/tracked-repos`: which repositories an account hears of.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::tracked_repo::TrackedRepoRefusal;
use domain::{RepoId, RepoName, RepoRelation, Timestamp};
use http::StatusCode;
use projections::tracked_repos::{self, TrackedRepoRow};
use serde::{Deserialize, Serialize};

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::{failed, settled};
use crate::commands::{RepoRecord, track_repo, untrack_repo};

/// What a 404 says is not there.
const WHAT: &str = "tracked repository";

/// The record that clients read.
#[derive(Debug, Serialize)]
struct Record {
    id: RepoId,
    full_name: RepoName,
    r#type: RepoRelation,
    created_at: Timestamp,
}

#[derive(Debug, Serialize)]
pub(super) struct Records {
    data: Vec<Record>,
}

/// What `POST` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRecord {
    full_name: RepoName,
    r#type: Option<RepoRelation>,
}

/// `GET /v1/tracked-repos`
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
) -> Result<Json<Records>, ApiError> {
    let rows = tracked_repos::list(room.api.views.as_ref(), account).await?;
    Ok(Json(Records {
        data: rows.into_iter().map(Record::from).collect(),
    }))
}

/// `POST /v1/tracked-repos`: 201 for a new record, 200 for one that was there.
pub(super) async fn track(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    JsonBody(new): JsonBody<NewRecord>,
) -> Result<Response, ApiError> {
    let committed = track_repo(&room.api.writer, account, new.full_name, new.r#type)
        .await
        .map_err(|error| failed(error, refused))?;
    let status = if committed.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let record = Json(Record::from(committed.value));
    Ok(settled(&room, committed.position, (status, record)).await)
}

/// `DELETE /v1/tracked-repos/{id}`: 204, then 404.
pub(super) async fn untrack(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Response, ApiError> {
    let id: RepoId = id.of(WHAT)?;
    let row = tracked_repos::find(room.api.views.as_ref(), account, id)
        .await?
        .ok_or(ApiError::NotFound(WHAT))?;
    let position = untrack_repo(&room.api.writer, account, &row.full_name, id)
        .await
        .map_err(|error| failed(error, refused))?;
    Ok(settled(&room, position, StatusCode::NO_CONTENT).await)
}

fn refused(refusal: &TrackedRepoRefusal) -> ApiError {
    match refusal {
        TrackedRepoRefusal::NotTracked => ApiError::NotFound(WHAT),
    }
}

impl From<TrackedRepoRow> for Record {
    fn from(row: TrackedRepoRow) -> Self {
        Self {
            id: row.repo_id,
            full_name: row.full_name,
            r#type: row.relation,
            created_at: row.created_at,
        }
    }
}

impl From<RepoRecord> for Record {
    fn from(record: RepoRecord) -> Self {
        Self {
            id: record.repo_id,
            full_name: record.full_name,
            r#type: record.relation,
            created_at: record.created_at,
        }
    }
}
