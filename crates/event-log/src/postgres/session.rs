//! The writer's connection and what is said on it: the one statement that appends, and the steps of settling.

use database::postgres::Dedicated;
use database::{DatabaseError, Postgres};
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::{Client, Row, Statement};

use super::group::{Columns, End};
use super::read::Param;

/// Moves the head row by the number of events and inserts them behind where it stood; nothing if a stream does not have
/// the version that is expected of it.
///
/// Another transaction at the head row is waited for, and `moved` goes on from where that left it. The versions are
/// looked up in the state before that wait, so what another process has just appended to the same stream may be
/// overlooked: then the unique keys refuse the insert.
const APPEND: &str = "
    WITH moved AS (
        UPDATE log_head SET position = position + $11, recorded_at = greatest(recorded_at + $14, $12),
            floor = recorded_at
        WHERE id = 1 AND NOT EXISTS (
            SELECT FROM unnest($9::text[], $10::bigint[]) AS known (stream, version)
            WHERE known.version <> coalesce(
                (SELECT version FROM events WHERE stream = known.stream ORDER BY version DESC LIMIT 1), 0))
        RETURNING position - $11 AS position, floor
    ), appended AS (
        INSERT INTO events (position, id, stream, version, account, type, schema, recorded_at, data)
        SELECT moved.position + given.number, given.id, given.stream, given.version, given.account, given.type,
            given.schema, greatest(moved.floor + given.step, given.recorded_at), given.data
        FROM moved, unnest($1::bytea[], $2::text[], $3::bigint[], $4::bytea[], $5::text[], $6::bigint[], $7::bigint[],
            $8::text[], $13::bigint[]) WITH ORDINALITY
            AS given (id, stream, version, account, type, schema, recorded_at, data, step, number)
    )
    SELECT position, floor FROM moved";

/// The lock ends even if this process is stopped between two messages. That the commit of this transaction waits for
/// the disk and the replicas makes what it has read as safe as what it writes.
pub(super) const BEGIN: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// A statement of its own, so that those after it see what was committed while it waited.
const LOCK: &str = "SELECT position, recorded_at FROM log_head WHERE id = 1 FOR UPDATE";

/// The writer's connection.
pub(super) struct Session {
    connection: Dedicated,
    /// None behind a pooler: the statement then goes out with its text.
    append: Option<Statement>,
}

/// A statement that did not succeed.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: tokio_postgres::Error,
    /// The connection is of no more use, and what was sent may yet happen.
    pub(super) is_lost: bool,
}

impl Session {
    pub(super) async fn open(database: &Postgres) -> Result<Self, DatabaseError> {
        let connection = database.dedicated().await?;
        let append = if database.is_pooled() {
            None
        } else {
            Some(connection.client.prepare_typed(APPEND, &Columns::TYPES).await?)
        };
        Ok(Self { connection, append })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// Appends; where the log ended before. None: a stream does not have the version, and nothing was done.
    pub(super) async fn append(&self, columns: &Columns<'_>) -> Result<Option<End>, Fault> {
        let client = &self.connection.client;
        let rows = if let Some(prepared) = &self.append {
            client.query(prepared, &columns.params()).await
        } else {
            let params = columns.params().into_iter().zip(Columns::TYPES);
            client.query_typed(APPEND, &params.collect::<Vec<_>>()).await
        };
        let rows = rows.map_err(|error| self.fault(error))?;
        rows.first().map(|row| self.end(row)).transpose()
    }

    /// Begins a transaction and locks the head row; where the log ends. None: there is no head row.
    pub(super) async fn lock(&self) -> Result<Option<End>, Fault> {
        let begun = self.connection.client.batch_execute(BEGIN).await;
        begun.map_err(|error| self.fault(error))?;
        let rows = self.query(LOCK, &[]).await?;
        rows.first().map(|row| self.end(row)).transpose()
    }

    /// Runs a query.
    pub(super) async fn query(&self, text: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Fault> {
        let rows = self.connection.client.query_typed(text, params).await;
        rows.map_err(|error| self.fault(error))
    }

    /// Ends the transaction with `COMMIT` or `ROLLBACK`. Whether it was one that failed is told by its statements only.
    pub(super) async fn end_transaction(&self, how: &str) -> Result<(), Fault> {
        let ended = self.connection.client.batch_execute(how).await;
        ended.map_err(|error| self.fault(error))
    }

    fn end(&self, row: &Row) -> Result<End, Fault> {
        let read = || {
            let position: i64 = row.try_get(0)?;
            Ok(End {
                position: u64::try_from(position).unwrap_or_default(),
                recorded_at: row.try_get(1)?,
            })
        };
        read().map_err(|error| self.fault(error))
    }

    fn fault(&self, error: tokio_postgres::Error) -> Fault {
        let is_lost = is_lost(&self.connection.client, &error);
        Fault { error, is_lost }
    }
}

/// Whether a connection is of no more use after this error.
pub(super) fn is_lost(client: &Client, error: &tokio_postgres::Error) -> bool {
    error.is_closed() || client.is_closed() || error.as_db_error().is_some_and(ends_the_connection)
}

fn ends_the_connection(error: &DbError) -> bool {
    let is_fatal = matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    // It was the primary when we connected.
    is_fatal || *error.code() == SqlState::READ_ONLY_SQL_TRANSACTION
}
