//! One state of the database for several queries: a connection of the pool inside one transaction.

use async_trait::async_trait;
use deadpool_postgres::Object;

use super::session;
use super::transaction::Transaction;
use crate::{DatabaseError, Row, Snapshot, Statement};

/// The open transaction; none after a query that failed, since the server then takes no further one.
pub(super) struct PostgresSnapshot {
    transaction: Option<Transaction>,
    is_pooled: bool,
}

impl PostgresSnapshot {
    pub(super) async fn open(connection: Object, is_pooled: bool) -> Result<Self, DatabaseError> {
        let transaction = Transaction::new(connection);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1";
        // The transaction's state is that of its first query.
        transaction.client()?.batch_execute(begin).await?;
        Ok(Self {
            transaction: Some(transaction),
            is_pooled,
        })
    }
}

#[async_trait]
impl Snapshot for PostgresSnapshot {
    async fn read(&mut self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
        let client = self.transaction.as_ref().ok_or(DatabaseError::Closed)?.client()?;
        session::query(client, self.is_pooled, &query).await
    }
}
