//! The tables that a copy takes along, and reading any of them page by page in the order of its key.

use database::{Database, DatabaseError, Row, Statement, Value};

use super::STRETCH;

/// A table of `migrations/`.
pub(super) struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, those of the key first.
    pub columns: &'static str,
    /// How many columns the key has.
    pub key: usize,
    /// Table and columns, for an insert.
    pub into: &'static str,
}

macro_rules! table {
    ($name:literal, $key:literal, $columns:literal) => {
        Table {
            name: $name,
            columns: $columns,
            key: $key,
            into: concat!($name, " (", $columns, ")"),
        }
    };
}

/// The log.
pub(super) const EVENTS: Table = table!(
    "events",
    1,
    "position, id, stream, version, account, type, schema, recorded_at, data"
);

/// The people's keys.
pub(super) const PERSON_KEYS: Table = table!("person_keys", 1, "person, account, wrapped");

/// How far everything has come that follows the log or GitHub, and what clients were answered.
pub(super) const PROGRESS: [Table; 22] = [
    table!(
        "webhook_cursor",
        1,
        "endpoint, account, position, seen, unsettled, silent_until, failing_since, failures, open_until, openings, \
         added_at, last_status, changed_at"
    ),
    table!(
        "webhook_retry",
        2,
        "endpoint, position, stream, attempts, due_at, state, failure"
    ),
    table!(
        "webhook_attempt",
        1,
        "id, endpoint, position, event_id, attempt, at, duration_us, status, outcome, answer, stream, event"
    ),
    table!("webhook_replay", 2, "endpoint, replay, place, since, until, position"),
    table!("webhook_resend", 2, "endpoint, position, stream, requested_at"),
    table!(
        "poll_cursor",
        1,
        "repo, etag, last_event_id, last_event_at, next_poll_at, last_success_at, last_gap_at, serves, failures, state"
    ),
    table!("github_delivery", 1, "delivery_id, received_at"),
    table!(
        "enrichment",
        2,
        "account, person, event_id, sealed, due_at, etag, failures, by_rest, login"
    ),
    table!("code_seen", 1, "mark, seen_at"),
    table!("follower", 1, "name, position"),
    table!("unfinished_erasure", 2, "account, person"),
    table!("source_look", 2, "subject, collector, state, reason, since"),
    table!(
        "source_cursor",
        2,
        "subject, collector, next_at, pace, last_success_at, reached, failures, last_gap_at"
    ),
    table!(
        "star_count",
        1,
        "repo, stars, counted_at, held_stars, held_at, next_at, pace, is_public"
    ),
    table!(
        "rate_budget",
        2,
        "token, resource, granted, remaining, resets_at, blocked_until, noted_at, fingerprint, is_refused"
    ),
    table!("bare_pull", 2, "repo, number, due_at, tries"),
    table!(
        "missed_delivery",
        2,
        "repo, guid, hook, attempt, event, delivered_at, due_at, failures"
    ),
    table!("sighting", 3, "account, signal, collector, seen_at"),
    table!("star_given_again", 2, "account, signal, given_at"),
    table!(
        "idempotency_key",
        2,
        "account, key_hash, request, claim, claimed_at, answer"
    ),
    table!("backfill_run", 3, "source, first_hour, last_hour, next_hour"),
    table!("backfill_gap", 2, "source, hour, reason, noticed_at"),
];

/// Tables that stay where they are: they speak of one database and the processes that have it open.
#[cfg(test)]
pub(super) const LEFT: [&str; 4] = ["log_head", "node", "lease", "rate_window"];

impl Table {
    /// The rows after the key `after`, or the first ones.
    pub(super) async fn page(&self, database: &dyn Database, after: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let Self { name, columns, .. } = self;
        let key: Vec<&str> = columns.split(", ").take(self.key).collect();
        let key = key.join(", ");
        let mut params = after.to_vec();
        let beyond = if after.is_empty() {
            String::new()
        } else {
            let places: Vec<String> = (1..=after.len()).map(|number| format!("${number}")).collect();
            format!("WHERE ({key}) > ({}) ", places.join(", "))
        };
        let text = format!(
            "SELECT {columns} FROM {name} {beyond}ORDER BY {key} LIMIT ${}",
            params.len() + 1
        );
        params.push(u64::try_from(STRETCH).unwrap_or(u64::MAX).into());
        database.read(Statement::sql(text, params)).await
    }

    /// The key of the last of these rows, to go on after; nothing if there are none.
    pub(super) fn last_key(&self, rows: &[Row]) -> Vec<Value> {
        let key = |row: &Row| row.0.iter().take(self.key).cloned().collect();
        rows.last().map(key).unwrap_or_default()
    }

    /// The insert of these rows.
    pub(super) fn insert(&self, rows: Vec<Row>, on_conflict: &'static str) -> Statement {
        Statement::Insert {
            into: self.into,
            on_conflict,
            rows: rows.into_iter().map(|row| row.0).collect(),
        }
    }
}
