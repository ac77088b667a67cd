//! `/v1/tracked-repos`: which repositories an account hears of.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::tracked_repo::TrackedRepoRefusal;
use domain::{Collector, RepoId, RepoName, RepoRelation, Timestamp};
use http::StatusCode;
use projections::tracked_repos::{self, TrackedRepoRow};
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
use crate::commands::{RepoRecord, track_repo, untrack_repo};
use crate::ingest::poll_cursor::{PollOutcome, PollState, poll_states};

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
    #[schema(value_type = words::Time)]
    created_at: Timestamp,
    status: Status,
    sources: Vec<Source>,
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

/// Where the repository's activity comes from, and how that went last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackedRepoSource)]
struct Source {
    #[schema(value_type = words::SignalCollector)]
    collector: Collector,
    #[schema(value_type = words::SourceState)]
    state: PollOutcome,
    #[schema(value_type = Option<words::Time>, required)]
    last_success_at: Option<Timestamp>,
    /// When the source last showed less than had happened since the look before.
    #[schema(value_type = Option<words::Time>, required)]
    last_gap_at: Option<Timestamp>,
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
    let rows = tracked_repos::list(room.api.views.as_ref(), account).await?;
    let polls = poll_states(room.api.store.as_ref()).await?;
    Ok(Json(Records {
        data: rows.into_iter().map(|row| record(as_record(row), &polls)).collect(),
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
    let polls = poll_states(room.api.store.as_ref()).await?;
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

/// The record with what the polls say; a repository that they do not know yet waits for its first.
fn record(repo: RepoRecord, polls: &[PollState]) -> Record {
    let key = repo.full_name.key();
    let poll = polls.iter().find(|poll| poll.repo == key);
    let feed = Source {
        collector: Collector::EventsFeed,
        state: poll.map_or(PollOutcome::Waiting, |poll| poll.outcome),
        last_success_at: poll.and_then(|poll| poll.last_success_at),
        last_gap_at: poll.and_then(|poll| poll.last_gap_at),
    };
    Record {
        id: repo.repo_id,
        full_name: repo.full_name,
        r#type: repo.relation,
        created_at: repo.created_at,
        status: status(feed.state),
        sources: vec![feed],
    }
}

fn as_record(row: TrackedRepoRow) -> RepoRecord {
    RepoRecord {
        repo_id: row.repo_id,
        full_name: row.full_name,
        relation: row.relation,
        created_at: row.created_at,
    }
}

const fn status(feed: PollOutcome) -> Status {
    match feed {
        PollOutcome::Waiting | PollOutcome::Ok | PollOutcome::Limited => Status::Active,
        PollOutcome::Denied | PollOutcome::NotFound | PollOutcome::Failed => Status::Degraded,
    }
}
