//! Runs one [`Statement`] on a connection: prepared and remembered, or, behind a pooler, in one unnamed go.

use std::borrow::Cow;
use std::error::Error;

use deadpool_postgres::Object;
use futures_util::TryStreamExt as _;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};

use super::values::{self, Param};
use crate::{DatabaseError, Row, Statement};

/// Runs one query.
pub(super) async fn query(client: &Object, is_pooled: bool, query: &Statement) -> Result<Vec<Row>, DatabaseError> {
    let Statement::Sql { text, params } = query else {
        return Err(DatabaseError::engine("an insert is no query"));
    };
    let params: Vec<Param> = params.iter().map(Param::Value).collect();
    let rows = if is_pooled {
        client.query_typed(text, &typed(&params)).await?
    } else {
        let prepared = client.prepare_typed_cached(text, &types(&params)).await?;
        check_count(prepared.params().len(), params.len())?;
        let rows = client.query_raw(&prepared, params.iter()).await?;
        rows.try_collect().await?
    };
    rows.iter().map(values::row).collect()
}

/// A statement that writes, ready to go out: nothing has to be asked before it any more.
pub(super) struct Ready<'params> {
    text: Cow<'params, str>,
    /// None behind a pooler: the statement then goes out with its text.
    prepared: Option<tokio_postgres::Statement>,
    params: Vec<Param<'params>>,
}

impl<'params> Ready<'params> {
    /// Prepares the statement, if the connection has not done so before.
    pub(super) async fn new(
        client: &Object,
        is_pooled: bool,
        text: Cow<'params, str>,
        params: Vec<Param<'params>>,
    ) -> Result<Self, DatabaseError> {
        let prepared = if is_pooled {
            None
        } else {
            let prepared = client.prepare_typed_cached(&text, &types(&params)).await?;
            check_count(prepared.params().len(), params.len())?;
            Some(prepared)
        };
        Ok(Self { text, prepared, params })
    }

    /// Runs it; how many rows it changed.
    pub(super) async fn execute(&self, client: &Object) -> Result<u64, DatabaseError> {
        let changed = match &self.prepared {
            Some(prepared) => client.execute_raw(prepared, self.params.iter()).await,
            None => client.execute_typed(&self.text, &typed(&self.params)).await,
        };
        Ok(changed?)
    }
}

/// Runs the statements of a text without parameters; how many rows they changed together.
pub(super) async fn execute_all(client: &Object, text: &str) -> Result<u64, DatabaseError> {
    let messages = client.simple_query(&in_its_own_words(text)).await?;
    let changed = messages.iter().map(|message| match message {
        SimpleQueryMessage::CommandComplete(rows) => *rows,
        _ => 0,
    });
    Ok(changed.sum())
}

/// The schema in PostgreSQL's types (see [`crate::statement`]).
fn in_its_own_words(text: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut words = String::with_capacity(text.len());
    for part in text.split_inclusive(|character| !is_word(character)) {
        let word = part.trim_end_matches(|character| !is_word(character));
        words.push_str(match word {
            "BLOB" => "BYTEA",
            "INTEGER" => "BIGINT",
            word => word,
        });
        words.push_str(part.get(word.len()..).unwrap_or_default());
    }
    words
}

fn types(params: &[Param<'_>]) -> Vec<Type> {
    params.iter().map(Param::announced).collect()
}

fn typed<'a>(params: &'a [Param<'a>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    let pair = |param: &'a Param<'a>| -> (&'a (dyn ToSql + Sync), Type) { (param, param.announced()) };
    params.iter().map(pair).collect()
}

fn check_count(expected: usize, given: usize) -> Result<(), DatabaseError> {
    if expected == given {
        return Ok(());
    }
    let fault = format!("the statement takes {expected} parameters and was given {given}");
    Err(DatabaseError::engine(fault))
}

/// Whether the server gave the transaction up for the sake of another one, so that it is worth another try.
pub(super) fn gave_way(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let code = error.downcast_ref().and_then(tokio_postgres::Error::code);
    [
        &SqlState::T_R_DEADLOCK_DETECTED,
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::LOCK_NOT_AVAILABLE,
    ]
    .into_iter()
    .any(|worth| code == Some(worth))
}

/// Whether the connection came to its end, or to no beginning: the server is away, or it is none that takes writes any
/// more.
pub(super) fn is_away(error: &tokio_postgres::Error) -> bool {
    let Some(told) = error.as_db_error() else {
        return error.is_closed() || error.source().is_some_and(<dyn Error>::is::<std::io::Error>);
    };
    let ends = matches!(told.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    let class = told.code().code().get(..2);
    // Connection exceptions, shutdowns and starts, too many connections. A wrong password is FATAL too, and stays wrong.
    ends && matches!(class, Some("08" | "53" | "57")) || *told.code() == SqlState::READ_ONLY_SQL_TRANSACTION
}

/// Whether the server refused a value: cardinality, data, constraint or a limit, by the class of its code.
pub(super) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2));
    class.is_some_and(|class| ["21", "22", "23", "54"].contains(&class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_of_the_schema_are_put_into_the_engines_own() {
        assert_eq!(
            in_its_own_words("CREATE TABLE a (x INTEGER NOT NULL, y BLOB,blob_x BLOB) -- INTEGERS é"),
            "CREATE TABLE a (x BIGINT NOT NULL, y BYTEA,blob_x BYTEA) -- INTEGERS é"
        );
    }
}
