//! What `/v1/webhooks` shows and takes: the record of an endpoint without its secret, and the checks of each field.

use std::str::FromStr;

use domain::{
    AccountId, DisabledReason, Keyword, RepoName, SignalKind, StartFrom, Timestamp, WebhookEndpointId,
    WebhookEventType, WebhookFilters, WebhookKind, WebhookStatus, webhook,
};
use projections::webhook_endpoints::{self, EndpointStatus, WebhookEndpointRow};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::error::ApiError;
use super::openapi::words;
use super::path_id::PathId;
use super::query::Query;
use crate::deliver::sign::Secret;
use crate::deliver::standing;

/// What a 404 says is not there.
pub(super) const WHAT: &str = "webhook endpoint";

/// The record with what it says of the moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(super) struct Shown {
    #[serde(flatten)]
    record: Record,
    /// HTTP status of the last attempt, if that failed; null: it did not fail, or no answer came.
    #[schema(required, example = 500)]
    last_status: Option<u16>,
    /// Events that are to be told, at least so many; filters may leave out some. Of those that the endpoint has not come to,
    /// only the ones among the next 1,000 of the account's log are counted.
    waiting: u64,
    /// When the oldest of those that are counted was recorded; null: none is.
    #[schema(value_type = Option<words::Time>, required)]
    waiting_since: Option<Timestamp>,
}

impl Shown {
    /// These endpoints as they are to be shown now.
    pub(super) async fn of(room: &Room, rows: Vec<WebhookEndpointRow>) -> Result<Vec<Self>, ApiError> {
        let standings = standing::of(&room.api.writer, &*room.api.store, &rows).await?;
        let now = room.api.writer.clock.now();
        let shown = rows.into_iter().zip(standings).map(|(row, standing)| Self {
            record: Record::of(row, now),
            last_status: standing.last_status,
            waiting: standing.waiting,
            waiting_since: standing.waiting_since,
        });
        Ok(shown.collect())
    }

    /// The endpoint as it is to be shown now.
    pub(super) async fn one(room: &Room, row: WebhookEndpointRow) -> Result<Self, ApiError> {
        let shown = Self::of(room, vec![row]).await?.pop();
        shown.ok_or(ApiError::NotFound(WHAT))
    }
}

/// The record that clients read; no secret in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpointRecord)]
pub(super) struct Record {
    #[schema(value_type = words::WebhookEndpointId)]
    pub(super) id: WebhookEndpointId,
    #[schema(value_type = words::EndpointKind)]
    pub(super) kind: WebhookKind,
    #[schema(value_type = words::EndpointUrl)]
    pub(super) url: String,
    #[schema(value_type = Vec<words::WebhookEvent>)]
    pub(super) events: Vec<WebhookEventType>,
    pub(super) filters: Filters,
    #[schema(value_type = words::StartFrom)]
    pub(super) start_from: StartFrom,
    #[schema(required)]
    pub(super) description: Option<String>,
    #[schema(value_type = words::EndpointStatus)]
    pub(super) status: WebhookStatus,
    #[schema(value_type = words::Time)]
    pub(super) status_since: Timestamp,
    #[schema(value_type = Option<String>, required)]
    pub(super) disabled_reason: Option<DisabledReason>,
    /// The word for what the last attempt failed with, of an endpoint that was disabled.
    #[schema(required)]
    pub(super) last_failure: Option<String>,
    /// Until when the secret before the last rotation is valid beside the new one.
    #[schema(value_type = Option<words::Time>, required)]
    pub(super) previous_secret_valid_until: Option<Timestamp>,
    #[schema(value_type = words::Time)]
    pub(super) created_at: Timestamp,
}

/// Which leads an endpoint hears of: of a list that is not empty, an entry has to fit. Erased people are told of whatever the
/// filters, unless they were withheld.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
#[schema(as = WebhookFilters)]
pub(super) struct Filters {
    #[schema(value_type = Vec<words::SignalType>, required = false)]
    signal_types: Vec<SignalKind>,
    #[schema(value_type = Vec<words::RepoName>, required = false, max_items = 100)]
    repos: Vec<RepoName>,
    #[schema(value_type = Vec<words::Keyword>, required = false, max_items = 100)]
    keywords: Vec<Keyword>,
}

impl Record {
    /// The record as it is to be shown at `now`.
    fn of(row: WebhookEndpointRow, now: Timestamp) -> Self {
        let disabled_reason = match row.status {
            EndpointStatus::Active | EndpointStatus::Paused => None,
            EndpointStatus::Disabled(reason) => Some(reason),
        };
        let overlap = row.previous.map(|previous| previous.valid_until);
        Self {
            id: row.endpoint_id,
            kind: row.kind,
            url: row.url,
            events: row.events,
            filters: row.filters.into(),
            start_from: row.start_from,
            description: row.description,
            status: row.status.word(),
            status_since: row.status_since,
            disabled_reason,
            last_failure: row.last_failure,
            previous_secret_valid_until: overlap.filter(|until| now < *until),
            created_at: row.created_at,
        }
    }
}

impl From<WebhookFilters> for Filters {
    fn from(filters: WebhookFilters) -> Self {
        Self {
            signal_types: filters.signal_types,
            repos: filters.repos,
            keywords: filters.keywords,
        }
    }
}

impl Filters {
    /// The filters, each entry once.
    pub(super) fn checked(self) -> Result<WebhookFilters, ApiError> {
        WebhookFilters::try_new(self.signal_types, self.repos, self.keywords)
            .map_err(|fault| ApiError::field(&format!("filters.{}", fault.list), fault))
    }
}

/// The account's endpoint of that id.
pub(super) async fn find(room: &Room, account: AccountId, id: &PathId) -> Result<WebhookEndpointRow, ApiError> {
    let row = webhook_endpoints::find(room.api.views.as_ref(), account, id.of(WHAT)?).await?;
    row.ok_or(ApiError::NotFound(WHAT))
}

/// Where the page goes on that a query asks for: after what its `cursor` says, which was issued for `about`.
pub(super) fn after<T: FromStr>(
    room: &Room,
    account: AccountId,
    about: &str,
    query: &Query,
) -> Result<Option<T>, ApiError> {
    let Some(text) = query.text("cursor") else {
        return Ok(None);
    };
    let fault = || {
        ApiError::field(
            "cursor",
            "must be the next_cursor of a page of this list with these filters",
        )
    };
    room.cursors.open_text(account, about, text).ok_or_else(fault).map(Some)
}

/// The URL, if deliveries may go there.
pub(super) fn checked_url(room: &Room, url: &str) -> Result<String, ApiError> {
    let checked = room.api.endpoint_policy.check_url(url);
    checked
        .map(Into::into)
        .map_err(|refusal| ApiError::field("url", refusal))
}

/// The event types, each once and at least one.
pub(super) fn checked_events(events: Vec<WebhookEventType>) -> Result<Vec<WebhookEventType>, ApiError> {
    let events = WebhookEventType::distinct(events);
    if events.is_empty() {
        let names = WebhookEventType::ALL.iter().map(|event| event.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        let fault = format_args!("must name at least one of {names}");
        return Err(ApiError::field("events", fault));
    }
    Ok(events)
}

/// The description; one without a word is none.
pub(super) fn checked_description(text: Option<String>) -> Result<Option<String>, ApiError> {
    webhook::description(text).map_err(|fault| ApiError::field("description", fault))
}

/// The secret that was given, or a new one.
pub(super) fn checked_secret(room: &Room, given: Option<&str>) -> Result<Secret, ApiError> {
    match given {
        Some(text) => Secret::try_new(text).map_err(|fault| ApiError::field("secret", fault)),
        None => Ok(Secret::random(room.api.writer.clock.as_ref())),
    }
}

/// Reads a field that may be left out and is no null.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
