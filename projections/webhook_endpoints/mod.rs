//! The webhook endpoints, their secrets sealed; the API lists them, delivery sends to the active ones.

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::event::WebhookEndpointAdded;
use domain::{AccountId, DisabledReason, Event, EventId, Sealed, Timestamp, WebhookEndpointId, WebhookEventType};
use event_log::{Position, Recorded};

use crate::{Projection, columns};

/// The projection.
pub struct WebhookEndpoints;

impl Projection for WebhookEndpoints {
    fn name(&self) -> &'static str {
        "webhook_endpoints"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        ""
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        let account = columns::id(recorded.account().ulid());
        match &recorded.event {
            Event::WebhookEndpointAdded(added) => vec![insert(recorded, added)],
            Event::WebhookEndpointDisabled(disabled) => vec![Statement::sql(
                "UPDATE webhook_endpoints SET disabled_reason = $1, last_failure = $2 \
                 WHERE account = $3 AND endpoint_id = $4",
                vec![
                    disabled.reason.as_str().into(),
                    disabled.last_failure.as_deref().into(),
                    account,
                    columns::id(disabled.endpoint_id.ulid()),
                ],
            )],
            Event::WebhookEndpointRemoved(removed) => vec![Statement::sql(
                "DELETE FROM webhook_endpoints WHERE account = $1 AND endpoint_id = $2",
                vec![account, columns::id(removed.endpoint_id.ulid())],
            )],
            _ => Vec::new(),
        }
    }
}

fn insert(recorded: &Recorded, added: &WebhookEndpointAdded) -> Statement {
    let events: Vec<_> = added.events.iter().map(|event| event.as_str()).collect();
    Statement::insert(
        "webhook_endpoints (account, endpoint_id, url, events, description, secret, secret_event, added_at, created_at)",
        "ON CONFLICT DO NOTHING",
        vec![
            columns::id(recorded.account().ulid()),
            columns::id(added.endpoint_id.ulid()),
            added.url.as_str().into(),
            events.join(",").into(),
            added.description.as_deref().into(),
            added.secret.bytes().into(),
            columns::id(recorded.id.ulid()),
            columns::place(recorded.position),
            columns::time(recorded.recorded_at),
        ],
    )
}

/// Whether an endpoint gets deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointStatus {
    /// It does.
    Active,
    /// It does not.
    Disabled(DisabledReason),
}

/// A webhook endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpointRow {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its id.
    pub endpoint_id: WebhookEndpointId,
    /// Where deliveries go.
    pub url: String,
    /// Which events it hears of.
    pub events: Vec<WebhookEventType>,
    /// What the customer says of it.
    pub description: Option<String>,
    /// The signing secret, sealed for the account.
    pub secret: Sealed,
    /// The event that the secret was sealed for; needed to open it.
    pub secret_event: EventId,
    /// Whether it gets deliveries.
    pub status: EndpointStatus,
    /// The word for what its last attempt failed with when it was disabled.
    pub last_failure: Option<String>,
    /// It hears of what stands after this place.
    pub added_at: Position,
    /// When it was added.
    pub created_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT account, endpoint_id, url, events, description, secret, secret_event, disabled_reason, added_at, ",
            "created_at, last_failure FROM webhook_endpoints ",
            $rest
        )
    };
}

/// The account's endpoints, disabled ones too, oldest first.
pub async fn list(views: &dyn Database, account: AccountId) -> Result<Vec<WebhookEndpointRow>, DatabaseError> {
    let text = select!("WHERE account = $1 ORDER BY endpoint_id");
    read(views, text, vec![columns::id(account.ulid())]).await
}

/// All accounts' endpoints that get deliveries.
pub async fn active(views: &dyn Database) -> Result<Vec<WebhookEndpointRow>, DatabaseError> {
    let text = select!("WHERE disabled_reason IS NULL ORDER BY account, endpoint_id");
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
    /// Those that were disabled.
    pub disabled: u64,
}

/// How many endpoints there are.
pub async fn count(views: &dyn Database) -> Result<Count, DatabaseError> {
    let text = "SELECT count(*) FILTER (WHERE disabled_reason IS NULL), count(disabled_reason) FROM webhook_endpoints";
    let rows = views.read(Statement::sql(text, Vec::new())).await?;
    let number = |index| rows.first().map_or(Ok(0), |row| row.int(index)).map(i64::unsigned_abs);
    Ok(Count {
        active: number(0)?,
        disabled: number(1)?,
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
        status: match row.find_text(7)? {
            None => EndpointStatus::Active,
            Some(_) => EndpointStatus::Disabled(columns::parsed(row, 7, "reason for disabling")?),
        },
        added_at: columns::position(row, 8)?,
        created_at: columns::timestamp(row, 9)?,
        last_failure: row.find_text(10)?.map(str::to_owned),
    })
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

#[cfg(test)]
mod tests;
