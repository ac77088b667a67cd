//! Appends that could not go out together, or of which nobody knows whether they did: judged under the head row's lock.

use tokio_postgres::types::Type;

use super::group::{Answer, Columns};
use super::judge::{Held, judge};
use super::read;
use super::session::{Fault, Session};
use crate::codec::EncodedAppend;
use crate::{ReadError, Recorded, Version};

/// Why appends were not settled.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettled {
    /// The server failed a statement; nothing was written.
    #[error("the server refused a statement")]
    Refused(#[source] tokio_postgres::Error),
    /// The connection was lost. Something may have been written if it was lost `at_commit`.
    #[error("the connection to the server was lost")]
    Lost {
        /// Why.
        #[source]
        error: tokio_postgres::Error,
        /// Whether the commit was on its way.
        at_commit: bool,
    },
    /// What the log holds could not be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// There is no head row.
    #[error("the row of log_head is missing")]
    Headless,
}

impl From<Fault> for Unsettled {
    fn from(fault: Fault) -> Self {
        if fault.is_lost {
            Self::Lost {
                error: fault.error,
                at_commit: false,
            }
        } else {
            Self::Refused(fault.error)
        }
    }
}

/// Appends what can be, in one transaction. One answer each, in order.
pub(super) async fn run(session: &Session, appends: &[EncodedAppend]) -> Result<Vec<Answer>, Unsettled> {
    match settle(session, appends).await {
        Ok(answers) => commit(session).await.map(|()| answers),
        Err(lost @ Unsettled::Lost { .. }) => Err(lost),
        Err(refused) => {
            session.end_transaction("ROLLBACK").await?;
            Err(refused)
        }
    }
}

async fn settle(session: &Session, appends: &[EncodedAppend]) -> Result<Vec<Answer>, Unsettled> {
    let end = session.lock().await?.ok_or(Unsettled::Headless)?;
    let (answers, taken) = judge(appends, &held(session, appends).await?, end);
    if let Some(columns) = Columns::new(taken).filter(|columns| !columns.is_empty()) {
        session.append(&columns).await?.ok_or(Unsettled::Headless)?;
    }
    Ok(answers)
}

async fn commit(session: &Session) -> Result<(), Unsettled> {
    let committed = session.end_transaction("COMMIT").await;
    // A fault of whatever kind proves nothing here; the next round sees what is there.
    committed.map_err(|fault| Unsettled::Lost {
        error: fault.error,
        at_commit: true,
    })
}

/// What the log holds of the appends' streams and ids.
async fn held(session: &Session, appends: &[EncodedAppend]) -> Result<Held, Unsettled> {
    let (versions, later, ids) = tokio::try_join!(
        versions(session, appends),
        later(session, appends),
        used_ids(session, appends)
    )?;
    Ok(Held { versions, later, ids })
}

const VERSIONS: &str = "
    SELECT coalesce((SELECT version FROM events WHERE stream = wanted.stream ORDER BY version DESC LIMIT 1), 0)
    FROM unnest($1::text[]) WITH ORDINALITY AS wanted (stream, number) ORDER BY number";

async fn versions(session: &Session, appends: &[EncodedAppend]) -> Result<Vec<Version>, Unsettled> {
    let streams: Vec<&str> = appends.iter().map(|append| append.append.stream.as_str()).collect();
    let rows = session.query(VERSIONS, &[(&streams, Type::TEXT_ARRAY)]).await?;
    let versions = rows.iter().map(|row| read::unsigned(row, 0));
    Ok(versions.collect::<Result<_, _>>()?)
}

async fn later(session: &Session, appends: &[EncodedAppend]) -> Result<Vec<Vec<Recorded>>, Unsettled> {
    let mut wanted = read::Wanted::default();
    for EncodedAppend { append, events, .. } in appends {
        wanted.push(&append.stream, append.expected, events.len());
    }
    let rows = session.query(read::STREAMS, &wanted.params()).await?;
    let rows: Vec<_> = rows.iter().map(read::numbered).collect::<Result<_, _>>()?;
    Ok(wanted.events(rows))
}

const USED: &str = "SELECT id FROM events WHERE id = ANY($1::bytea[])";

async fn used_ids(session: &Session, appends: &[EncodedAppend]) -> Result<Vec<[u8; 16]>, Unsettled> {
    let ids = appends.iter().flat_map(|append| &append.events);
    let ids: Vec<&[u8]> = ids.map(|event| event.id.as_slice()).collect();
    let rows = session.query(USED, &[(&ids, Type::BYTEA_ARRAY)]).await?;
    let used = rows.iter().map(|row| {
        let id: &[u8] = row.try_get(0).map_err(ReadError::from)?;
        id.try_into().map_err(|error| ReadError::Storage(Box::new(error)))
    });
    Ok(used.collect::<Result<_, ReadError>>()?)
}
