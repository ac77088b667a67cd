//! `/v1/tracked-keywords`: which phrases an account looks for.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::tracked_keyword::TrackedKeywordRefusal;
use domain::{Keyword, KeywordId, ScanTargets, Timestamp};
use http::StatusCode;
use projections::tracked_keywords::{self, TrackedKeywordRow};
use projections::tracked_repos;
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
use super::sources::{Polls, Source};
use crate::commands::{KeywordRecord, track_keyword, untrack_keyword};

/// What a 404 says is not there.
const WHAT: &str = "tracked keyword";

/// The record that clients read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackedKeyword)]
pub(super) struct Record {
    #[schema(value_type = words::KeywordId)]
    id: KeywordId,
    #[schema(value_type = words::Keyword)]
    keyword: Keyword,
    #[schema(value_type = Vec<words::KeywordScanTarget>)]
    scan_targets: ScanTargets,
    #[schema(value_type = words::Time)]
    created_at: Timestamp,
}

/// A tracked keyword by itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackedKeywordDetail)]
pub(super) struct Detail {
    #[serde(flatten)]
    record: Record,
    /// What the phrase is looked for in; empty: no repository is tracked, so nothing is read.
    sources: Vec<Source>,
}

/// All tracked keywords.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackedKeywords)]
pub(super) struct Records {
    data: Vec<Record>,
}

/// What `POST` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTrackedKeyword)]
pub(super) struct NewRecord {
    #[schema(value_type = words::Keyword)]
    keyword: Keyword,
    /// Issues, pull requests and discussions if not given.
    #[schema(value_type = Option<Vec<words::KeywordScanTarget>>, min_items = 1)]
    scan_targets: Option<ScanTargets>,
}

/// `GET /v1/tracked-keywords`
#[utoipa::path(
    get,
    path = "/tracked-keywords",
    tag = "tracking",
    operation_id = "listTrackedKeywords",
    summary = "List tracked keywords",
    responses((status = 200, description = "All of them, oldest first", body = Records)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
) -> Result<Json<Records>, ApiError> {
    let rows = tracked_keywords::list(room.api.views.as_ref(), account).await?;
    Ok(Json(Records {
        data: rows.into_iter().map(Record::from).collect(),
    }))
}

/// `GET /v1/tracked-keywords/{id}`
#[utoipa::path(
    get,
    path = "/tracked-keywords/{id}",
    tag = "tracking",
    operation_id = "getKeyword",
    summary = "Get a tracked keyword with its sources",
    params(("id" = words::KeywordId, Path, description = "The tracked keyword")),
    responses((status = 200, description = "The tracked keyword", body = Detail)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Json<Detail>, ApiError> {
    let views = room.api.views.as_ref();
    let row = tracked_keywords::find(views, account, id.of(WHAT)?).await?;
    let row = row.ok_or(ApiError::NotFound(WHAT))?;
    let repos = tracked_repos::list(views, account).await?;
    let polls = Polls::read(room.api.store.as_ref(), views, account).await?;
    let feeds = polls.feeds(repos.iter().map(|row| &row.full_name)).into_iter();
    let searches = polls.of_keyword(row.keyword.folded(), row.keyword_id.ulid(), &row.scan_targets);
    Ok(Json(Detail {
        sources: feeds.chain(searches).collect(),
        record: row.into(),
    }))
}

#[utoipa::path(
    post,
    path = "/tracked-keywords",
    tag = "tracking",
    operation_id = "trackKeyword",
    summary = "Track a keyword",
    description = "The same keyword again, in any letter case, answers the record that is there; new targets update it.",
    request_body = NewRecord,
    responses(
        (status = 201, description = "Tracked from now on", body = Record),
        (status = 200, description = "It was tracked already", body = Record),
    ),
)]
/// `POST /v1/tracked-keywords`: 201 for a new record, 200 for one that was there.
pub(super) async fn track(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    JsonBody(new): JsonBody<NewRecord>,
) -> Result<Response, ApiError> {
    let committed = track_keyword(&room.api.writer, account, new.keyword, new.scan_targets)
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

/// `DELETE /v1/tracked-keywords/{id}`: 204, then 404.
#[utoipa::path(
    delete,
    path = "/tracked-keywords/{id}",
    tag = "tracking",
    operation_id = "untrackKeyword",
    summary = "Stop tracking a keyword",
    description = "Its leads stay.",
    params(("id" = words::KeywordId, Path, description = "The tracked keyword")),
    responses((status = 204, description = "No longer tracked")),
)]
pub(super) async fn untrack(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Response, ApiError> {
    let id: KeywordId = id.of(WHAT)?;
    let row = tracked_keywords::find(room.api.views.as_ref(), account, id)
        .await?
        .ok_or(ApiError::NotFound(WHAT))?;
    let position = untrack_keyword(&room.api.writer, account, &row.keyword, id)
        .await
        .map_err(|error| failed(error, refused))?;
    Ok(settled(&room, position, StatusCode::NO_CONTENT).await)
}

fn refused(refusal: &TrackedKeywordRefusal) -> ApiError {
    match refusal {
        TrackedKeywordRefusal::NotTracked => ApiError::NotFound(WHAT),
    }
}

impl From<TrackedKeywordRow> for Record {
    fn from(row: TrackedKeywordRow) -> Self {
        Self {
            id: row.keyword_id,
            keyword: row.keyword,
            scan_targets: row.scan_targets,
            created_at: row.created_at,
        }
    }
}

impl From<KeywordRecord> for Record {
    fn from(record: KeywordRecord) -> Self {
        Self {
            id: record.keyword_id,
            keyword: record.keyword,
            scan_targets: record.scan_targets,
            created_at: record.created_at,
        }
    }
}
