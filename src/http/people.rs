//! `/v1/people/{github_username}`: what an account holds on a person, and the end of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::lead::LeadRefusal;
use domain::{AccountId, StreamId};
use event_log::Recorded;
use http::StatusCode;
use projections::leads;
use projections::people::PersonRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::lead_body::{Detail, user_id};
use super::openapi::words;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::{failed, settled};
use crate::commands::erase_person;
use crate::whom;

/// How a person is named.
const WHOM: &str = "The login on GitHub, the id of the person's lead, or `id:` and GitHub's number of the person";

/// What a 404 says is not there.
const WHAT: &str = "person";

/// Everything that is held on a person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Person {
    #[serde(flatten)]
    lead: Detail,
    #[schema(required)]
    github_user_id: Option<u64>,
    /// Whether the lead is over the month's quota, and so in no list yet.
    withheld: bool,
    events: Vec<EventCount>,
}

/// How many events of a kind the log holds of a person.
#[derive(Debug, Serialize, ToSchema)]
struct EventCount {
    r#type: &'static str,
    count: usize,
}

#[utoipa::path(
    get,
    path = "/people/{github_username}",
    tag = "leads",
    operation_id = "getPerson",
    summary = "What is held on a person",
    description = "Letter case does not count. A lead that is withheld is shown here too.",
    params(("github_username" = words::WhoIsMeant, Path, description = WHOM)),
    responses((status = 200, description = "All of it", body = Person)),
)]
/// `GET /v1/people/{github_username}`: a withheld lead is shown here too.
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    username: PathId,
) -> Result<Json<Person>, ApiError> {
    let PersonRow { person, lead_id } = find(&room, account, username).await?;
    let found = leads::find_withheld_too(room.api.views.as_ref(), account, lead_id).await?;
    let detail = found.ok_or(ApiError::NotFound(WHAT))?;
    let stream = StreamId::lead(account, person);
    let mut histories = room.api.writer.log.read_streams(&[stream]).await?;
    let keys = room.api.writer.vault.keys(account, &[person]).await?;
    Ok(Json(Person {
        github_user_id: user_id(&keys, &detail.lead),
        withheld: detail.withheld,
        events: count(&histories.pop().unwrap_or_default()),
        lead: Detail::open(&keys, detail),
    }))
}

#[utoipa::path(
    delete,
    path = "/people/{github_username}",
    tag = "leads",
    operation_id = "erasePerson",
    summary = "Erase a person",
    description = "Destroys the key that everything personal is encrypted with. The person is not captured again.",
    params(("github_username" = words::WhoIsMeant, Path, description = WHOM)),
    responses((status = 204, description = "Erased")),
)]
/// `DELETE /v1/people/{github_username}`: 204, then 404.
pub(super) async fn erase(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    username: PathId,
) -> Result<Response, ApiError> {
    let PersonRow { person, .. } = find(&room, account, username).await?;
    let position = erase_person(&room.api.writer, account, person)
        .await
        .map_err(|error| failed(error, refused))?;
    Ok(settled(&room, position, StatusCode::NO_CONTENT).await)
}

async fn find(room: &Room, account: AccountId, username: PathId) -> Result<PersonRow, ApiError> {
    let username: String = username.of(WHAT)?;
    let found = whom::find(&room.api.writer, room.api.views.as_ref(), account, &username).await?;
    found.ok_or(ApiError::NotFound(WHAT))
}

fn refused(refusal: &LeadRefusal) -> ApiError {
    match refusal {
        LeadRefusal::Unknown | LeadRefusal::Erased => ApiError::NotFound(WHAT),
    }
}

/// The kinds of events, in the order in which each first came.
fn count(history: &[Recorded]) -> Vec<EventCount> {
    let mut counts: Vec<EventCount> = Vec::new();
    for recorded in history {
        let name = recorded.event.name();
        match counts.iter_mut().find(|count| count.r#type == name) {
            Some(known) => known.count += 1,
            None => counts.push(EventCount { r#type: name, count: 1 }),
        }
    }
    counts
}
