//! Deliveries that a customer asked to be sent again: which endpoints have some, and which an endpoint has.

use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::{StreamId, Timestamp, WebhookEndpointId};
use event_log::Position;

use super::cursor;
use super::lane::{Item, Track};

/// How many are taken at a time; the others wait for the next look.
const AT_ONCE: u32 = 500;

/// The endpoints for which something waits.
pub async fn asked(store: &dyn Database) -> Result<Vec<WebhookEndpointId>, DatabaseError> {
    let query = Statement::sql(
        "SELECT DISTINCT endpoint FROM webhook_resend ORDER BY endpoint LIMIT $1",
        vec![AT_ONCE.into()],
    );
    let malformed = |_| ColumnError {
        index: 0,
        expected: "prefixed id",
    };
    let rows = store.read(query).await?;
    let ids = rows.iter().map(|row| row.text(0)?.parse().map_err(malformed));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// What waits for the endpoint, as events that are due at `now`.
pub async fn of(store: &dyn Database, endpoint: WebhookEndpointId, now: Timestamp) -> Result<Vec<Item>, DatabaseError> {
    let query = Statement::sql(
        "SELECT position, stream, \
         COALESCE((SELECT MAX(attempt) FROM webhook_attempt AS tried \
         WHERE tried.endpoint = again.endpoint AND tried.position = again.position), 0), \
         COALESCE((SELECT attempts FROM webhook_retry AS kept \
         WHERE kept.endpoint = again.endpoint AND kept.position = again.position), 0) \
         FROM webhook_resend AS again WHERE endpoint = $1 ORDER BY position LIMIT $2",
        vec![endpoint.to_string().into(), AT_ONCE.into()],
    );
    let rows = store.read(query).await?;
    Ok(rows.iter().map(|row| item(row, now)).collect::<Result<_, _>>()?)
}

fn item(row: &Row, now: Timestamp) -> Result<Item, ColumnError> {
    let stream = row.text(1)?.parse::<StreamId>().map_err(|_| ColumnError {
        index: 1,
        expected: "stream",
    })?;
    Ok(Item {
        position: cursor::position(row, 0)?,
        stream,
        // Attempts are counted on, also where those before are no longer kept.
        attempts: cursor::count(row, 2)?.max(cursor::count(row, 3)?),
        due_at: now,
        // In the transaction that takes the wish.
        stored: true,
        track: Track::Live,
        recorded: None,
    })
}

/// Removes a wish that is in `webhook_retry` by now.
pub fn take(endpoint: WebhookEndpointId, position: Position) -> Statement {
    Statement::sql(
        "DELETE FROM webhook_resend WHERE endpoint = $1 AND position = $2",
        vec![endpoint.to_string().into(), position.get().into()],
    )
}
