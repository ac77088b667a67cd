//! `GET /v1/leads` and `GET /v1/leads/{id}`, as they are or as they were at a moment (`as_of`).

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use domain::{AccountId, LeadId, PersonRef, StreamId, Timestamp};
use event_log::{Position, Recorded};
use http::HeaderMap;
use http::header::{HeaderValue, VARY};
use projections::leads::{self, LeadDetail, LeadQuery, LeadRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::cursor::{Filters, Place};
use super::error::ApiError;
use super::lead_body::{Detail, Summary};
use super::leads_export::{self, Form};
use super::openapi::words;
use super::path_id::PathId;
use super::query::Query;
use super::settle::caught_up;

/// What a 404 says is not there.
pub(super) const WHAT: &str = "lead";

const PARAMETERS: &[&str] = &["limit", "cursor", "signal_type", "repo", "since", "as_of"];
/// An export has no pages.
const EXPORT_PARAMETERS: &[&str] = &["signal_type", "repo", "since", "as_of"];

/// A page of leads.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Leads)]
struct Page {
    data: Vec<Summary>,
    /// What to pass as `cursor` to get the next page; null when there is none.
    #[schema(required, example = "cursor_AAZP…")]
    next_cursor: Option<String>,
    has_more: bool,
}

/// A stretch of the list, opened.
pub(super) struct Stretch {
    pub(super) rows: Vec<Summary>,
    /// Where the next one begins, if there is more.
    pub(super) next: Option<Place>,
}

/// `GET /v1/leads`: newest first; a page, or all of them where the client asks for a file.
#[utoipa::path(
    get,
    path = "/leads",
    tag = "leads",
    operation_id = "listLeads",
    summary = "List leads, newest first",
    description = "A lead is a person. A row shows the first signal of that person that matches the query. Pages neither skip \
        nor repeat a row while new leads arrive. With `Accept: text/csv` or `application/x-ndjson` the answer is the export.",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows of a page; 20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, with the same filters"),
        ("signal_type" = Option<words::SignalType>, Query, description = "Only leads with a signal of this kind"),
        ("repo" = Option<words::RepoName>, Query, description = "Only leads with a signal in this repository"),
        ("since" = Option<words::Time>, Query, description = "Only leads captured after this moment, with any offset"),
        ("as_of" = Option<words::Time>, Query, description = "The list as it was at this moment, which must not be in the future"),
    ),
    responses((status = 200, description = "A page, or the export", body = Page)),
)]
pub(super) async fn list(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut response = if let Some(form) = Form::accepted(&headers) {
        let query = Query::read(raw.as_deref(), EXPORT_PARAMETERS)?;
        let filters = filters(&room, &query)?;
        leads_export::answer(room, account, filters, form).await?
    } else {
        let query = Query::read(raw.as_deref(), PARAMETERS)?;
        page(&room, account, &query).await?.into_response()
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn page(room: &Room, account: AccountId, query: &Query) -> Result<Json<Page>, ApiError> {
    let limit = query.limit()?;
    let filters = filters(room, query)?;
    let before = place(room, account, &filters, query)?;
    let stretch = stretch(room, account, &filters, before, limit).await?;
    let next = stretch.next.map(|place| room.cursors.issue(account, &filters, place));
    Ok(Json(Page {
        data: stretch.rows,
        has_more: next.is_some(),
        next_cursor: next,
    }))
}

/// `GET /v1/leads/{id}`
#[utoipa::path(
    get,
    path = "/leads/{id}",
    tag = "leads",
    operation_id = "getLead",
    summary = "Get a lead",
    params(
        ("id" = words::LeadId, Path, description = "The lead"),
        ("as_of" = Option<words::Time>, Query, description = "The lead as it was at this moment, which must not be in the future"),
    ),
    responses((status = 200, description = "The lead", body = Detail)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    RawQuery(raw): RawQuery,
    id: PathId,
) -> Result<Json<Detail>, ApiError> {
    let query = Query::read(raw.as_deref(), &["as_of"])?;
    let as_of = as_of(&room, &query)?;
    let id: LeadId = id.of(WHAT)?;
    if let Some(moment) = as_of {
        caught_up(&room, moment).await?;
    }
    let views = room.api.views.as_ref();
    let Some(mut detail) = leads::find(views, account, id).await? else {
        let erased = leads::find_erased(views, account, id).await?;
        // Of what was, nothing is told any more but that it was.
        let erased = erased.filter(|erased| as_of.is_none_or(|moment| erased.captured_at <= moment));
        return Ok(Json(Detail::erased(&erased.ok_or(ApiError::NotFound(WHAT))?)));
    };
    if let Some(moment) = as_of {
        detail = detail_at(&room, account, &detail, moment)
            .await?
            .ok_or(ApiError::NotFound(WHAT))?;
    }
    let keys = room.api.writer.vault.keys(account, &[detail.lead.person]).await?;
    Ok(Json(Detail::open(&keys, detail)))
}

/// At most `limit` leads of the list from a place on.
pub(super) async fn stretch(
    room: &Room,
    account: AccountId,
    filters: &Filters,
    before: Option<Place>,
    limit: u32,
) -> Result<Stretch, ApiError> {
    if let Some(moment) = filters.as_of {
        caught_up(room, moment).await?;
    }
    // One row more than asked for tells whether there is a next page.
    let query = lead_query(room, account, filters, before, limit + 1);
    let mut rows = leads::page(room.api.views.as_ref(), &query).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if let Some(moment) = filters.as_of {
        turn_back(room, account, &mut rows, moment).await?;
    }
    let last = rows.last().filter(|_| has_more);
    let next = last.map(|row| (row.captured_at, row.position));
    let people: Vec<PersonRef> = rows.iter().map(|row| row.person).collect();
    let keys = room.api.writer.vault.keys(account, &people).await?;
    let rows = rows.iter().map(|row| Summary::open(&keys, row)).collect();
    Ok(Stretch { rows, next })
}

pub(super) fn filters(room: &Room, query: &Query) -> Result<Filters, ApiError> {
    Ok(Filters {
        signal_type: query.parse("signal_type")?,
        repo: query.parse("repo")?,
        since: query.time("since")?,
        as_of: as_of(room, query)?,
    })
}

/// The moment that the answer is to be of.
fn as_of(room: &Room, query: &Query) -> Result<Option<Timestamp>, ApiError> {
    let moment = query.time("as_of")?;
    if moment.is_some_and(|moment| moment > room.api.writer.clock.now()) {
        return Err(ApiError::field("as_of", "lies in the future"));
    }
    Ok(moment)
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
        // A row's time never changes once it is shown, so the list of a moment is the end of today's.
        before: before.or_else(|| Some((filters.as_of?, Position::new(u64::MAX)))),
        limit,
    }
}

/// Puts the profiles of then in the place of today's. All else in a row is what it was.
async fn turn_back(room: &Room, account: AccountId, rows: &mut [LeadRow], moment: Timestamp) -> Result<(), ApiError> {
    let people: Vec<PersonRef> = rows.iter().map(|row| row.person).collect();
    let histories = histories(room, account, &people).await?;
    for (row, history) in rows.iter_mut().zip(&histories) {
        row.profile = leads::profile_at(history, moment);
    }
    Ok(())
}

/// The lead as it was; none if it was not shown yet.
async fn detail_at(
    room: &Room,
    account: AccountId,
    now: &LeadDetail,
    moment: Timestamp,
) -> Result<Option<LeadDetail>, ApiError> {
    let histories = histories(room, account, &[now.lead.person]).await?;
    let history = histories.first().map(Vec::as_slice).unwrap_or_default();
    Ok(leads::detail_at(history, moment))
}

/// What is recorded of these people.
async fn histories(room: &Room, account: AccountId, people: &[PersonRef]) -> Result<Vec<Vec<Recorded>>, ApiError> {
    let streams: Vec<StreamId> = people.iter().map(|person| StreamId::lead(account, *person)).collect();
    Ok(room.api.writer.log.read_streams(&streams).await?)
}
