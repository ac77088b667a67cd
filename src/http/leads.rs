//! `GET /v1/leads` and `GET /v1/leads/{id}`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use domain::{AccountId, LeadId, PersonRef};
use projections::leads::{self, LeadQuery};
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::cursor::{Filters, Place};
use super::error::ApiError;
use super::lead_body::{Detail, Summary};
use super::openapi::words;
use super::path_id::PathId;
use super::query::{NoQuery, Query};

/// What a 404 says is not there.
pub(super) const WHAT: &str = "lead";

const PARAMETERS: &[&str] = &["limit", "cursor", "signal_type", "repo", "since"];
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// A page of leads.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Leads)]
pub(super) struct Page {
    data: Vec<Summary>,
    /// What to pass as `cursor` to get the next page; null when there is none.
    #[schema(required, example = "cursor_AAZP…")]
    next_cursor: Option<String>,
    has_more: bool,
}

/// `GET /v1/leads`: newest first.
#[utoipa::path(
    get,
    path = "/leads",
    tag = "leads",
    operation_id = "listLeads",
    summary = "List leads, newest first",
    description = "A lead is a person. A row shows the first signal of that person that matches the query. Pages neither skip \
        nor repeat a row while new leads arrive.",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows of a page; 20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, with the same filters"),
        ("signal_type" = Option<words::SignalType>, Query, description = "Only leads with a signal of this kind"),
        ("repo" = Option<words::RepoName>, Query, description = "Only leads with a signal in this repository"),
        ("since" = Option<words::Time>, Query, description = "Only leads captured after this moment, with any offset"),
    ),
    responses((status = 200, description = "A page", body = Page)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Page>, ApiError> {
    let query = Query::read(raw.as_deref(), PARAMETERS)?;
    let limit = limit(&query)?;
    let filters = filters(&query)?;
    let before = place(&room, account, &filters, &query)?;
    // One row more than asked for tells whether there is a next page.
    let mut rows = leads::page(
        room.api.views.as_ref(),
        &lead_query(&room, account, &filters, before, limit + 1),
    )
    .await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| has_more);
    let next_cursor = next.map(|row| room.cursors.issue(account, &filters, (row.captured_at, row.position)));

    let people: Vec<PersonRef> = rows.iter().map(|row| row.person).collect();
    let keys = room.api.writer.vault.keys(account, &people).await?;
    Ok(Json(Page {
        data: rows.iter().map(|row| Summary::open(&keys, row)).collect(),
        next_cursor,
        has_more,
    }))
}

/// `GET /v1/leads/{id}`
#[utoipa::path(
    get,
    path = "/leads/{id}",
    tag = "leads",
    operation_id = "getLead",
    summary = "Get a lead",
    params(("id" = words::LeadId, Path, description = "The lead")),
    responses((status = 200, description = "The lead", body = Detail)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Json<Detail>, ApiError> {
    let id: LeadId = id.of(WHAT)?;
    let views = room.api.views.as_ref();
    let Some(detail) = leads::find(views, account, id).await? else {
        let erased = leads::find_erased(views, account, id).await?;
        return Ok(Json(Detail::erased(&erased.ok_or(ApiError::NotFound(WHAT))?)));
    };
    let keys = room.api.writer.vault.keys(account, &[detail.lead.person]).await?;
    Ok(Json(Detail::open(&keys, detail)))
}

fn limit(query: &Query) -> Result<u32, ApiError> {
    let Some(text) = query.text("limit") else {
        return Ok(DEFAULT_LIMIT);
    };
    // Number parsing would also take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text
        .parse()
        .ok()
        .filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| ApiError::field("limit", format_args!("must be an integer from 1 to {MAX_LIMIT}")))
}

fn filters(query: &Query) -> Result<Filters, ApiError> {
    let since = query
        .parse("since")
        .map_err(|error| match (error, query.text("since")) {
            // The commonest slip: an unescaped + arrives as a space.
            (ApiError::BadRequest(message), Some(text)) if text.contains(' ') => {
                ApiError::BadRequest(format!("{message}; a + in a query is written %2B"))
            }
            (error, _) => error,
        })?;
    Ok(Filters {
        signal_type: query.parse("signal_type")?,
        repo: query.parse("repo")?,
        since,
    })
}

fn place(room: &Room, account: AccountId, filters: &Filters, query: &Query) -> Result<Option<Place>, ApiError> {
    let Some(text) = query.text("cursor") else {
        return Ok(None);
    };
    let place = room.cursors.open(account, filters, text);
    let refused = || ApiError::field("cursor", "not the next_cursor of an answer to this query");
    place.map(Some).ok_or_else(refused)
}

fn lead_query(room: &Room, account: AccountId, filters: &Filters, before: Option<Place>, limit: u32) -> LeadQuery {
    LeadQuery {
        account,
        signal_type: filters.signal_type,
        repo: filters
            .repo
            .as_ref()
            .map(|repo| room.api.writer.vault.repo_key(account, repo)),
        since: filters.since,
        before,
        limit,
    }
}
