//! One write as one transaction: its statements go out together, and the commit once all of them went well.

use std::borrow::Cow;

use deadpool_postgres::Object;
use futures_util::future::join_all;

use super::insert;
use super::session::{self, Ready};
use super::values::Param;
use crate::{DatabaseError, Durability, Statement};

/// Statements on their way at the same time. Not more than `join_all` polls in their order.
const PIPELINED: usize = 24;

/// A change of tables waits at most so long for those who use them, and is tried again: whoever comes meanwhile would
/// stand behind it. Only one at a time, on whichever node: two that make the same table at once would collide.
const CHANGES_TABLES: &str = "SET LOCAL lock_timeout = '100ms'; SELECT pg_advisory_xact_lock(7164202406191836773)";

/// A process that is stopped in the middle of a write holds its locks; the server ends that write after this long, so that
/// nobody waits for ever behind, say, a lease that the process had.
const GIVEN_UP: &str = "SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// A connection inside a transaction. Dropped before the end it is closed, and the server rolls back.
pub(super) struct Transaction(Option<Object>);

impl Transaction {
    pub(super) const fn new(connection: Object) -> Self {
        Self(Some(connection))
    }

    pub(super) fn client(&self) -> Result<&Object, DatabaseError> {
        self.0.as_ref().ok_or(DatabaseError::Closed)
    }

    async fn roll_back(mut self) {
        if let Some(connection) = self.0.take()
            && connection.batch_execute("ROLLBACK").await.is_err()
        {
            drop(Object::take(connection));
        }
    }

    async fn commit(mut self) -> Result<(), DatabaseError> {
        let committed = self.client()?.simple_query("COMMIT").await;
        let connection = self.0.take();
        if let Err(error) = committed {
            // The next one on it would only find out that it is closed.
            drop(connection.map(Object::take));
            return Err(DatabaseError::Commit(Box::new(error)));
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// Runs the statements; all of them or none. How many rows each one changed.
pub(super) async fn write(
    connection: Object,
    is_pooled: bool,
    durability: Durability,
    statements: &[Statement],
) -> Result<Vec<u64>, DatabaseError> {
    let transaction = Transaction::new(connection);
    match run(&transaction, is_pooled, durability, statements).await {
        Ok(changed) => {
            transaction.commit().await?;
            Ok(changed)
        }
        Err(error) => {
            transaction.roll_back().await;
            Err(error)
        }
    }
}

async fn run(
    transaction: &Transaction,
    is_pooled: bool,
    durability: Durability,
    statements: &[Statement],
) -> Result<Vec<u64>, DatabaseError> {
    let client = transaction.client()?;
    client.batch_execute(&begin(durability, statements)).await?;
    let mut pipeline = Pipeline::new(client, is_pooled, statements);
    for (index, statement) in statements.iter().enumerate() {
        pipeline.take(index, statement).await?;
    }
    pipeline.run().await?;
    Ok(pipeline.changed)
}

/// Statements that go out together, in their order, without waiting for each other's answers.
struct Pipeline<'run> {
    client: &'run Object,
    is_pooled: bool,
    statements: &'run [Statement],
    /// Each with the number of the statement that its rows count for.
    waiting: Vec<(usize, Ready<'run>)>,
    changed: Vec<u64>,
}

impl<'run> Pipeline<'run> {
    fn new(client: &'run Object, is_pooled: bool, statements: &'run [Statement]) -> Self {
        Self {
            client,
            is_pooled,
            statements,
            waiting: Vec::new(),
            changed: vec![0; statements.len()],
        }
    }

    async fn take(&mut self, index: usize, statement: &'run Statement) -> Result<(), DatabaseError> {
        match statement {
            // May make the tables of what follows, which can be prepared only then.
            Statement::Sql { text, params } | Statement::Guard { text, params } if params.is_empty() => {
                self.run().await?;
                let rows = session::execute_all(self.client, text).await?;
                self.count(index, rows)
            }
            Statement::Sql { text, params } | Statement::Guard { text, params } => {
                let params = params.iter().map(Param::Value).collect();
                self.push(index, Cow::Borrowed(text), params).await
            }
            Statement::Insert {
                into,
                on_conflict,
                rows,
            } => {
                for chunk in rows.chunks(insert::CHUNK) {
                    let (text, params) = insert::statement(into, on_conflict, chunk)?;
                    self.push(index, Cow::Owned(text), params).await?;
                }
                Ok(())
            }
        }
    }

    async fn push(
        &mut self,
        index: usize,
        text: Cow<'run, str>,
        params: Vec<Param<'run>>,
    ) -> Result<(), DatabaseError> {
        let ready = Ready::new(self.client, self.is_pooled, text, params).await?;
        self.waiting.push((index, ready));
        if self.waiting.len() < PIPELINED {
            return Ok(());
        }
        self.run().await
    }

    async fn run(&mut self) -> Result<(), DatabaseError> {
        let waiting = std::mem::take(&mut self.waiting);
        let running = waiting.iter().map(|(_, ready)| ready.execute(self.client));
        // In their order: what comes of a statement behind a guard that did not hold says nothing, and after the first
        // fault the others only say that the transaction is over.
        let answers = join_all(running).await;
        for ((index, _), rows) in waiting.iter().zip(answers) {
            self.count(*index, rows?)?;
        }
        Ok(())
    }

    fn count(&mut self, index: usize, rows: u64) -> Result<(), DatabaseError> {
        if rows == 0 && matches!(self.statements.get(index), Some(Statement::Guard { .. })) {
            return Err(DatabaseError::Stale);
        }
        if let Some(changed) = self.changed.get_mut(index) {
            *changed += rows;
        }
        Ok(())
    }
}

fn begin(durability: Durability, statements: &[Statement]) -> String {
    let mut begin = format!("BEGIN; {GIVEN_UP}");
    if durability == Durability::Disposable {
        begin.push_str("; SET LOCAL synchronous_commit = off");
    }
    if statements.iter().any(changes_tables) {
        begin.push_str("; ");
        begin.push_str(CHANGES_TABLES);
    }
    begin
}

fn changes_tables(statement: &Statement) -> bool {
    let Statement::Sql { text, params } = statement else {
        return false;
    };
    // Comments may stand before the first word.
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with("--"));
    let changes = |line: &str| ["CREATE ", "ALTER ", "DROP "].iter().any(|word| line.starts_with(word));
    params.is_empty() && first.is_some_and(changes)
}
