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
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::coverage::{self, Coverage};
use super::error::ApiError;
use super::json_body::JsonBody;
use super::openapi::words;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::{failed, settled};
use super::sources::{Polls, Source};
use crate::commands::{RepoRecord, track_repo, untrack_repo};

/// What a 404 says is not there.
const WHAT: &str = "tracked repository";

/// The record that clients read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackedRepo)]
pub(super) struct Record {
    #[schema(value_type = words::RepoId)]
    id: RepoId,
    #[schema(value_type = words::RepoName)]
    full_name: RepoName,
    #[schema(value_type = words::RepoType)]
    r#type: RepoRelation,
    /// Its name on GitHub, if that is another by now.
    #[schema(value_type = Option<words::RepoName>, required)]
    renamed_to: Option<RepoName>,
    #[schema(value_type = words::Time)]
    created_at: Timestamp,
    status: Status,
    sources: Vec<Source>,
}

/// A tracked repository by itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackedRepoDetail)]
pub(super) struct Detail {
    #[serde(flatten)]
    record: Record,
    /// Null before GitHub's public number of stars was first counted.
    #[schema(required)]
    coverage: Option<Coverage>,
}

/// Whether anything is heard of the repository.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TrackedRepoStatus)]
enum Status {
    /// Some source is read, or will be in its turn.
    Active,
    /// No source can be read at present.
    Degraded,
}

/// All tracked repositories.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackedRepos)]
pub(super) struct Records {
    data: Vec<Record>,
}

/// What `POST` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTrackedRepo)]
pub(super) struct NewRecord {
    #[schema(value_type = words::RepoName)]
    full_name: RepoName,
    /// `ecosystem` if not given.
    #[schema(value_type = Option<words::RepoType>)]
    r#type: Option<RepoRelation>,
}

/// `GET /v1/tracked-repos`
#[utoipa::path(
    get,
    path = "/tracked-repos",
    tag = "tracking",
    operation_id = "listTrackedRepos",
    summary = "List tracked repositories",
    responses((status = 200, description = "All of them, oldest first", body = Records)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
) -> Result<Json<Records>, ApiError> {
    let views = room.api.views.as_ref();
    let rows = tracked_repos::list(views, account).await?;
    let polls = Polls::read(room.api.store.as_ref(), views, account).await?;
    Ok(Json(Records {
        data: rows.into_iter().map(|row| record(as_record(row), &polls)).collect(),
    }))
}

/// `GET /v1/tracked-repos/{id}`
#[utoipa::path(
    get,
    path = "/tracked-repos/{id}",
    tag = "tracking",
    operation_id = "getRepo",
    summary = "Get a tracked repository",
    params(("id" = words::RepoId, Path, description = "The tracked repository")),
    responses((status = 200, description = "The tracked repository", body = Detail)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Json<Detail>, ApiError> {
    let (views, store) = (room.api.views.as_ref(), room.api.store.as_ref());
    let row = tracked_repos::find(views, account, id.of(WHAT)?).await?;
    let row = row.ok_or(ApiError::NotFound(WHAT))?;
    let polls = Polls::read(store, views, account).await?;
    let coverage = coverage::of(&room, account, (row.repo_id, &row.full_name)).await?;
    Ok(Json(Detail {
        record: record(as_record(row), &polls),
        coverage,
    }))
}

#[utoipa::path(
    post,
    path = "/tracked-repos",
    tag = "tracking",
    operation_id = "trackRepo",
    summary = "Track a repository",
    description = "The same repository again, in any letter case, answers the record that is there; another `type` updates it.",
    request_body = NewRecord,
    responses(
        (status = 201, description = "Tracked from now on", body = Record),
        (status = 200, description = "It was tracked already", body = Record),
    ),
)]
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
    let polls = Polls::read(room.api.store.as_ref(), room.api.views.as_ref(), account).await?;
    let record = Json(record(committed.value, &polls));
    Ok(settled(&room, committed.position, (status, record)).await)
}

/// `DELETE /v1/tracked-repos/{id}`: 204, then 404.
#[utoipa::path(
    delete,
    path = "/tracked-repos/{id}",
    tag = "tracking",
    operation_id = "untrackRepo",
    summary = "Stop tracking a repository",
    description = "Its leads stay.",
    params(("id" = words::RepoId, Path, description = "The tracked repository")),
    responses((status = 204, description = "No longer tracked")),
)]
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

fn record(repo: RepoRecord, polls: &Polls) -> Record {
    let sources = polls.of_repo(&repo.full_name, repo.repo_id.ulid());
    let renamed_to = repo.called.filter(|called| *called != repo.full_name);
    Record {
        id: repo.repo_id,
        full_name: repo.full_name,
        r#type: repo.relation,
        renamed_to,
        created_at: repo.created_at,
        status: if sources.iter().any(Source::is_read) {
            Status::Active
        } else {
            Status::Degraded
        },
        sources,
    }
}

fn as_record(row: TrackedRepoRow) -> RepoRecord {
    RepoRecord {
        repo_id: row.repo_id,
        called: row.called,
        full_name: row.full_name,
        relation: row.relation,
        created_at: row.created_at,
    }
}
