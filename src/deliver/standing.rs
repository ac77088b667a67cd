//! How far an endpoint is behind the log, and what its last attempt was answered with if that failed, as a customer reads it; whoever
//! adds up what waits asks here, whether the endpoint gets deliveries or not.

use anyhow::Context as _;
use database::{Database, DatabaseError, Statement};
use domain::{StartFrom, Timestamp, WebhookEndpointId};
use event_log::{EventLog, Page, Position, Recorded, Scope};
use projections::webhook_endpoints::WebhookEndpointRow;

use super::cursor::{self, Cursor};
use super::{body, worker};
use crate::commands::Writer;

/// Events of the log that are looked at for what an endpoint has not read.
const COUNTED: usize = 1_000;

/// How an endpoint stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events that are to be told, at least so many; filters may leave out some. Of what the endpoint has not read, those among
    /// the next thousand of the account's log are counted: an exact count would have to read all of a backlog, since whether an
    /// event is told stands in its data.
    pub waiting: u64,
    /// When the oldest of them was recorded.
    pub waiting_since: Option<Timestamp>,
    /// HTTP status of the last attempt, if that failed.
    pub last_status: Option<u16>,
}

/// How these endpoints of an account stand, in their order.
pub async fn of(
    writer: &Writer,
    store: &dyn Database,
    endpoints: &[WebhookEndpointRow],
) -> anyhow::Result<Vec<Standing>> {
    let mut cursors = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        cursors.push(cursor(writer, store, endpoint).await?);
    }
    let mut by_place: Vec<usize> = (0..endpoints.len()).collect();
    by_place.sort_by_key(|index| cursors.get(*index).map(|cursor| cursor.seen));
    let mut standings = vec![Standing::default(); endpoints.len()];
    // Those that have read more find what they have not in what was read for one that has read less.
    let mut read: Option<Page> = None;
    for index in by_place {
        let (Some(endpoint), Some(cursor)) = (endpoints.get(index), cursors.get(index)) else {
            continue;
        };
        let page = if let Some(page) = read.take().filter(|page| page.looked_to >= page.head) {
            page
        } else {
            let scope = Scope::Account(endpoint.account);
            let page = writer.log.read(scope, cursor.seen, COUNTED).await;
            page.context("read the log")?
        };
        let found = standing(writer, store, endpoint, cursor, &page).await?;
        if let Some(standing) = standings.get_mut(index) {
            *standing = found;
        }
        read = Some(page);
    }
    Ok(standings)
}

async fn cursor(writer: &Writer, store: &dyn Database, endpoint: &WebhookEndpointRow) -> anyhow::Result<Cursor> {
    let loaded = cursor::load(store, endpoint.endpoint_id)
        .await
        .context("load the cursor")?;
    match loaded {
        Some(cursor) => Ok(cursor),
        None => worker::first_cursor(&*writer.log, endpoint).await,
    }
}

async fn standing(
    writer: &Writer,
    store: &dyn Database,
    endpoint: &WebhookEndpointRow,
    cursor: &Cursor,
    page: &Page,
) -> anyhow::Result<Standing> {
    let (kept, oldest_kept) = kept(store, endpoint.endpoint_id).await.context("count the retries")?;
    let is_unread = |recorded: &&Recorded| recorded.position > cursor.seen && wants(endpoint, recorded);
    let unread = page.events.iter().filter(is_unread).count();
    let first_unread = page.events.iter().find(is_unread).map(|recorded| recorded.position);
    let oldest = [oldest_kept, cursor.unsettled.first().copied(), first_unread];
    let waiting_since = match oldest.into_iter().flatten().min() {
        Some(oldest) => recorded_at(&*writer.log, endpoint, oldest).await?,
        None => None,
    };
    let waiting = kept + u64::try_from(cursor.unsettled.len() + unread).unwrap_or(u64::MAX);
    Ok(Standing {
        waiting,
        waiting_since,
        last_status: cursor.last_status,
    })
}

/// Whether the endpoint is to be told of the event.
fn wants(endpoint: &WebhookEndpointRow, recorded: &Recorded) -> bool {
    let begins = match endpoint.start_from {
        StartFrom::Time(time) => time,
        StartFrom::Now | StartFrom::Beginning => Timestamp::from_micros(i64::MIN),
    };
    recorded.recorded_at >= begins && body::is_heard(&endpoint.events, &recorded.event)
}

/// How many events are tried again or wait behind one, or are to be sent again; and the place of the first.
async fn kept(store: &dyn Database, endpoint: WebhookEndpointId) -> Result<(u64, Option<Position>), DatabaseError> {
    let query = Statement::sql(
        "SELECT COUNT(*), MIN(position) FROM (SELECT position FROM webhook_retry WHERE endpoint = $1 AND state = 'waiting' \
         UNION SELECT position FROM webhook_resend WHERE endpoint = $1) AS waiting",
        vec![endpoint.to_string().into()],
    );
    let rows = store.read(query).await?;
    let Some(row) = rows.first() else { return Ok((0, None)) };
    let first = row.find_int(1)?.map(|_| cursor::position(row, 1)).transpose()?;
    Ok((u64::try_from(row.int(0)?).unwrap_or(0), first))
}

async fn recorded_at(
    log: &dyn EventLog,
    endpoint: &WebhookEndpointRow,
    place: Position,
) -> anyhow::Result<Option<Timestamp>> {
    let before = Position::new(place.get().saturating_sub(1));
    let page = log.read(Scope::Account(endpoint.account), before, 1).await;
    let events = page.context("read the log")?.events;
    Ok(events.first().map(|recorded| recorded.recorded_at))
}
