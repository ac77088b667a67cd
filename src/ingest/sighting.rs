//! Which further sources told of a signal that another had brought, which stars were seen to be given again, and what of a source could
//! not be read. Used by the door and the collectors.
//!
//! The first source stands in the signal's event; a further one is a row here, once, and no event. So is the later time of a star that
//! is known: what is told late of its having been taken back before that time holds no more.

use ::metrics::counter;
use database::{Database, DatabaseError, Statement, Value};
use domain::{AccountId, Collector, SignalKey, Timestamp};

use crate::commands::RecordedSignals;
use crate::metrics;

/// Notes the sources of known signals, and the later times of known stars.
pub(super) async fn note(
    store: &dyn Database,
    account: AccountId,
    recorded: &RecordedSignals,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let mut statements: Vec<Statement> = sources(account, &recorded.again, now).into_iter().collect();
    let given_again = recorded.given_again.iter();
    statements.extend(given_again.map(|(signal, at)| given(account, signal, *at)));
    if statements.is_empty() {
        return Ok(());
    }
    store.write(statements).await.map(drop)
}

fn sources(account: AccountId, again: &[(SignalKey, Collector)], now: Timestamp) -> Option<Statement> {
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
    (!again.is_empty()).then(|| Statement::Insert {
        into: "sighting (account, signal, collector, seen_at)",
        on_conflict: "ON CONFLICT DO NOTHING",
        rows: again.iter().map(row).collect(),
    })
}

fn given(account: AccountId, signal: &SignalKey, at: Timestamp) -> Statement {
    let row = vec![
        Value::Blob(account.ulid().to_bytes().to_vec()),
        signal.bytes().as_slice().into(),
        at.micros().into(),
    ];
    Statement::insert(
        "star_given_again (account, signal, given_at)",
        "ON CONFLICT (account, signal) DO UPDATE SET given_at = excluded.given_at \
         WHERE star_given_again.given_at < excluded.given_at",
        row,
    )
}

/// Whether the star was seen to be given again at that time or later.
pub(super) async fn is_given_again(
    store: &dyn Database,
    account: AccountId,
    signal: &SignalKey,
    at: Timestamp,
) -> Result<bool, DatabaseError> {
    let text = "SELECT given_at FROM star_given_again WHERE account = $1 AND signal = $2 AND given_at >= $3";
    let params = vec![
        Value::Blob(account.ulid().to_bytes().to_vec()),
        signal.bytes().as_slice().into(),
        // Sources tell times in whole seconds.
        Timestamp::from_secs(at.secs()).micros().into(),
    ];
    Ok(!store.read(Statement::sql(text, params)).await?.is_empty())
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
