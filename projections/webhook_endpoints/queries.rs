//! What is asked of the endpoints: a list, a page, one of them, those to deliver to, and the replays of one.

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{
    AccountId, DisabledReason, EventId, Sealed, StartFrom, Timestamp, WebhookEndpointId, WebhookEventType,
    WebhookFilters, WebhookKind, WebhookReplayId, WebhookStatus,
};
use event_log::Position;

use crate::columns;

/// Whether an endpoint gets deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointStatus {
    /// It does.
    Active,
    /// Not before the customer resumes it.
    Paused,
    /// Not before the customer resumes it, and why.
    Disabled(DisabledReason),
}

impl EndpointStatus {
    /// The word for it.
    pub const fn word(self) -> WebhookStatus {
        match self {
            Self::Active => WebhookStatus::Active,
            Self::Paused => WebhookStatus::Paused,
            Self::Disabled(_) => WebhookStatus::Disabled,
        }
    }
}

/// The secret before the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// It, sealed for the account.
    pub secret: Sealed,
    /// The event that it was sealed for; needed to open it.
    pub event: EventId,
    /// Until when it is valid beside the current one.
    pub valid_until: Timestamp,
}

/// A webhook endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpointRow {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its id.
    pub endpoint_id: WebhookEndpointId,
    /// What reads it.
    pub kind: WebhookKind,
    /// Where deliveries go.
    pub url: String,
    /// Which events it hears of.
    pub events: Vec<WebhookEventType>,
    /// Which leads it hears of.
    pub filters: WebhookFilters,
    /// Where in the log it begins.
    pub start_from: StartFrom,
    /// What the customer says of it.
    pub description: Option<String>,
    /// The signing secret, sealed for the account.
    pub secret: Sealed,
    /// The event that the secret was sealed for; needed to open it.
    pub secret_event: EventId,
    /// The secret before, if it was ever rotated; it may be valid no more.
    pub previous: Option<PreviousSecret>,
    /// Whether it gets deliveries.
    pub status: EndpointStatus,
    /// Since when that is so.
    pub status_since: Timestamp,
    /// The word for what its last attempt failed with when it was disabled.
    pub last_failure: Option<String>,
    /// The place of the event that added it.
    pub added_at: Position,
    /// The place of the last event that changed this row: it differs once anything here does.
    pub changed_at: Position,
    /// The place of the last event since when another receiver may stand there: it was added, got another URL, or was
    /// resumed after it had been disabled.
    pub receiver_since: Position,
    /// When it was added.
    pub created_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT account, endpoint_id, url, events, description, secret, secret_event, disabled_reason, added_at, ",
            "created_at, last_failure, kind, filters, start_from, previous_secret, previous_event, previous_until, ",
            "status, status_since, changed_at, receiver_since FROM webhook_endpoints ",
            $rest
        )
    };
}

/// The account's endpoints, whatever their status, oldest first.
pub async fn list(views: &dyn Database, account: AccountId) -> Result<Vec<WebhookEndpointRow>, DatabaseError> {
    let text = select!("WHERE account = $1 ORDER BY endpoint_id");
    read(views, text, vec![columns::id(account.ulid())]).await
}

/// The account's endpoints after `after`, at most `limit`, oldest first; of one status if one is named.
pub async fn page(
    views: &dyn Database,
    account: AccountId,
    status: Option<WebhookStatus>,
    after: Option<WebhookEndpointId>,
    limit: u32,
) -> Result<Vec<WebhookEndpointRow>, DatabaseError> {
    let mut params = vec![
        columns::id(account.ulid()),
        columns::id(after.unwrap_or_default().ulid()),
    ];
    let text = match status {
        None => select!("WHERE account = $1 AND endpoint_id > $2 ORDER BY endpoint_id LIMIT $3"),
        Some(status) => {
            params.push(status.as_str().into());
            select!("WHERE account = $1 AND endpoint_id > $2 AND status = $3 ORDER BY endpoint_id LIMIT $4")
        }
    };
    params.push(limit.into());
    read(views, text, params).await
}

/// All accounts' endpoints that get deliveries.
pub async fn active(views: &dyn Database) -> Result<Vec<WebhookEndpointRow>, DatabaseError> {
    let text = select!("WHERE status = 'active' ORDER BY account, endpoint_id");
    read(views, text, Vec::new()).await
}

/// The account's endpoint of that id.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
) -> Result<Option<WebhookEndpointRow>, DatabaseError> {
    let text = select!("WHERE account = $1 AND endpoint_id = $2");
    let params = vec![columns::id(account.ulid()), columns::id(endpoint_id.ulid())];
    Ok(read(views, text, params).await?.pop())
}

/// How many endpoints there are, of all accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Those that get deliveries.
    pub active: u64,
    /// Those that the customer paused.
    pub paused: u64,
    /// Those that were disabled.
    pub disabled: u64,
}

/// How many endpoints there are.
pub async fn count(views: &dyn Database) -> Result<Count, DatabaseError> {
    let text = "SELECT count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'paused'), \
                count(*) FILTER (WHERE status = 'disabled') FROM webhook_endpoints";
    let rows = views.read(Statement::sql(text, Vec::new())).await?;
    let number = |index| rows.first().map_or(Ok(0), |row| row.int(index)).map(i64::unsigned_abs);
    Ok(Count {
        active: number(0)?,
        paused: number(1)?,
        disabled: number(2)?,
    })
}

/// A replay that was asked for. How far it is, delivery knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayRow {
    /// Its id.
    pub replay_id: WebhookReplayId,
    /// Events recorded at this time or later …
    pub since: Timestamp,
    /// … and before this one.
    pub until: Timestamp,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The place of the event that asked for it.
    pub place: Position,
}

/// The replays that were ever asked for of an endpoint, in the order of the log.
pub async fn replays(
    views: &dyn Database,
    account: AccountId,
    endpoint_id: WebhookEndpointId,
) -> Result<Vec<ReplayRow>, DatabaseError> {
    let query = Statement::sql(
        "SELECT replay_id, since, until, requested_at, place FROM webhook_replays \
         WHERE account = $1 AND endpoint_id = $2 ORDER BY place",
        vec![columns::id(account.ulid()), columns::id(endpoint_id.ulid())],
    );
    let rows = views.read(query).await?;
    Ok(rows.iter().map(replay_row).collect::<Result<_, _>>()?)
}

fn replay_row(row: &Row) -> Result<ReplayRow, ColumnError> {
    Ok(ReplayRow {
        replay_id: WebhookReplayId::new(columns::ulid(row, 0)?),
        since: columns::timestamp(row, 1)?,
        until: columns::timestamp(row, 2)?,
        requested_at: columns::timestamp(row, 3)?,
        place: columns::position(row, 4)?,
    })
}

async fn read(
    views: &dyn Database,
    text: &'static str,
    params: Vec<Value>,
) -> Result<Vec<WebhookEndpointRow>, DatabaseError> {
    let rows = views.read(Statement::sql(text, params)).await?;
    Ok(rows.iter().map(webhook_endpoint_row).collect::<Result<_, _>>()?)
}

fn webhook_endpoint_row(row: &Row) -> Result<WebhookEndpointRow, ColumnError> {
    Ok(WebhookEndpointRow {
        account: AccountId::new(columns::ulid(row, 0)?),
        endpoint_id: WebhookEndpointId::new(columns::ulid(row, 1)?),
        url: row.text(2)?.to_owned(),
        events: event_types(row, 3)?,
        description: row.find_text(4)?.map(str::to_owned),
        secret: Sealed::new(row.blob(5)?.to_vec()),
        secret_event: EventId::new(columns::ulid(row, 6)?),
        status: match columns::parsed(row, 17, "status")? {
            WebhookStatus::Active => EndpointStatus::Active,
            WebhookStatus::Paused => EndpointStatus::Paused,
            WebhookStatus::Disabled => EndpointStatus::Disabled(columns::parsed(row, 7, "reason for disabling")?),
        },
        added_at: columns::position(row, 8)?,
        created_at: columns::timestamp(row, 9)?,
        last_failure: row.find_text(10)?.map(str::to_owned),
        kind: columns::parsed(row, 11, "kind of endpoint")?,
        filters: serde_json::from_str(row.text(12)?).map_err(|_| ColumnError {
            index: 12,
            expected: "filters",
        })?,
        start_from: columns::parsed(row, 13, "place to begin at")?,
        previous: previous(row)?,
        status_since: columns::timestamp(row, 18)?,
        changed_at: columns::position(row, 19)?,
        receiver_since: columns::position(row, 20)?,
    })
}

fn previous(row: &Row) -> Result<Option<PreviousSecret>, ColumnError> {
    let Some(secret) = row.find_blob(14)? else {
        return Ok(None);
    };
    Ok(Some(PreviousSecret {
        secret: Sealed::new(secret.to_vec()),
        event: EventId::new(columns::ulid(row, 15)?),
        valid_until: columns::timestamp(row, 16)?,
    }))
}

fn event_types(row: &Row, index: usize) -> Result<Vec<WebhookEventType>, ColumnError> {
    let words = row.text(index)?.split(',').filter(|word| !word.is_empty());
    words
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| ColumnError {
            index,
            expected: "list of webhook event types",
        })
}
