//! Which further sources told of a signal that another had brought, and what of a source could not be read. Used by the door and the
//! collectors.
//!
//! The first source stands in the signal's event; a further one is a row here, once, and no event.

use ::metrics::counter;
use database::{Database, DatabaseError, Statement, Value};
use domain::{AccountId, Collector, SignalKey, Timestamp};

use crate::metrics;

/// Notes the sources of known signals.
pub(super) async fn note(
    store: &dyn Database,
    account: AccountId,
    again: &[(SignalKey, Collector)],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if again.is_empty() {
        return Ok(());
    }
    for (_, collector) in again {
        counter!(metrics::SIGHTINGS, "collector" => collector.as_str()).increment(1);
    }
    let row = |(signal, collector): &(SignalKey, Collector)| {
        vec![
            Value::Blob(account.ulid().to_bytes().to_vec()),
            signal.bytes().as_slice().into(),
            collector.as_str().into(),
            now.micros().into(),
        ]
    };
    let insert = Statement::Insert {
        into: "sighting (account, signal, collector, seen_at)",
        on_conflict: "ON CONFLICT DO NOTHING",
        rows: again.iter().map(row).collect(),
    };
    store.write(vec![insert]).await.map(drop)
}

/// Counts items in an answer of that source which could not be read.
pub(super) fn unreadable(collector: Collector, items: usize) {
    counter!(metrics::UNREADABLE, "collector" => collector.as_str()).increment(items as u64);
}

/// How many signals of the account each source told of that another had brought, by source.
pub async fn count(store: &dyn Database, account: AccountId) -> Result<Vec<(String, u64)>, DatabaseError> {
    let text = "SELECT collector, count(*) FROM sighting WHERE account = $1 GROUP BY collector ORDER BY collector";
    let params = vec![Value::Blob(account.ulid().to_bytes().to_vec())];
    let rows = store.read(Statement::sql(text, params)).await?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in &rows {
        counts.push((row.text(0)?.to_owned(), u64::try_from(row.int(1)?).unwrap_or(0)));
    }
    Ok(counts)
}
