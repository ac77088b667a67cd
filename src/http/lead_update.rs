//! `PATCH /v1/leads/{id}`: how far the customer got with a lead, and what they noted.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::lead::LeadRefusal;
use domain::{LeadId, LeadStatus};
use projections::leads;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::lead_body::Detail;
use super::leads::WHAT;
use super::openapi::words;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::{failed, settled};
use crate::commands::{LeadEdit, NotesEdit, update_lead};

/// Enough for a history of a conversation.
const NOTES: usize = 10_000;

/// What `PATCH` takes: at least one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeadEdit, min_properties = 1)]
pub(super) struct Edit {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = words::LeadStatus, required = false)]
    status: Option<LeadStatus>,
    /// What the customer notes, whole. Null or an empty text clears it.
    #[serde(default = "kept", deserialize_with = "written")]
    #[schema(value_type = Option<String>, max_length = 10_000, required = false)]
    notes: NotesEdit,
}

/// A field that may be left out, and is no null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LeadStatus>, D::Error> {
    LeadStatus::deserialize(deserializer).map(Some)
}

const fn kept() -> NotesEdit {
    NotesEdit::Keep
}

/// A null or an empty text clears the notes.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NotesEdit, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text
        .filter(|text| !text.is_empty())
        .map_or(NotesEdit::Clear, NotesEdit::Write))
}

/// `PATCH /v1/leads/{id}`: the whole lead, as `GET` shows it.
#[utoipa::path(
    patch,
    path = "/leads/{id}",
    tag = "leads",
    operation_id = "updateLead",
    summary = "Note how far you got with a lead",
    description = "What is not named stays. Subscribers of `lead.updated` are told.",
    params(("id" = words::LeadId, Path, description = "The lead")),
    request_body = Edit,
    responses((status = 200, description = "The lead as it is now", body = Detail)),
)]
pub(super) async fn update(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonBody(edit): JsonBody<Edit>,
) -> Result<Response, ApiError> {
    let id: LeadId = id.of(WHAT)?;
    let edit = check(edit)?;
    let views = room.api.views.as_ref();
    let Some(detail) = leads::find(views, account, id).await? else {
        let erased = leads::find_erased(views, account, id).await?;
        return Err(erased.map_or(ApiError::NotFound(WHAT), |_| refused(&LeadRefusal::Erased)));
    };
    let person = detail.lead.person;
    let keys = room.api.writer.vault.keys(account, &[person]).await?;
    let committed = update_lead(&room.api.writer, account, person, &edit)
        .await
        .map_err(|error| failed(error, refused))?;
    let detail = Detail::open(&keys, detail).edited(committed.value);
    Ok(settled(&room, committed.position, Json(detail)).await)
}

fn check(edit: Edit) -> Result<LeadEdit, ApiError> {
    let Edit { status, notes } = edit;
    if status.is_none() && notes == NotesEdit::Keep {
        return Err(ApiError::field("body", "must have status or notes"));
    }
    if matches!(&notes, NotesEdit::Write(text) if text.chars().count() > NOTES) {
        let fault = format_args!("must have {NOTES} characters at most");
        return Err(ApiError::field("notes", fault));
    }
    Ok(LeadEdit { status, notes })
}

fn refused(refusal: &LeadRefusal) -> ApiError {
    match refusal {
        LeadRefusal::Unknown => ApiError::NotFound(WHAT),
        LeadRefusal::Erased => ApiError::Conflict("The lead's person was erased; it takes no more changes".to_owned()),
    }
}
