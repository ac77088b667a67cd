//! Runs [`Statement`]s on a SQLite connection and turns what comes back into [`Row`]s.

use std::iter::repeat_n;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error, Result, ToSql};

use crate::{DatabaseError, Row, Statement, Value};

/// Rows in one `INSERT`. Few different sizes, so that the texts stay in the cache of prepared statements.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// Runs the statements; all of them or none.
pub(super) fn write(connection: &Connection, statements: &[Statement]) -> Result<Vec<u64>, DatabaseError> {
    // A savepoint, since the transaction belongs to the whole group.
    connection.prepare_cached("SAVEPOINT job")?.execute([])?;
    let changed: Result<Vec<u64>, DatabaseError> = statements
        .iter()
        .map(|statement| write_one(connection, statement))
        .collect();
    if changed.is_err() && !connection.is_autocommit() && undo(connection).is_err() {
        // Rows that cannot be undone must not be committed: give the whole group up.
        connection.execute_batch("ROLLBACK")?;
    }
    let changed = changed?;
    connection.prepare_cached("RELEASE job")?.execute([])?;
    Ok(changed)
}

fn undo(connection: &Connection) -> Result<()> {
    connection.execute_batch("ROLLBACK TO job; RELEASE job")
}

/// Runs one query.
pub(super) fn read(connection: &Connection, query: &Statement) -> Result<Vec<Row>, DatabaseError> {
    let Statement::Sql { text, params } = query else {
        return Err(DatabaseError::engine("an insert is no query"));
    };
    let mut prepared = connection.prepare_cached(text)?;
    bind_numbered(&mut prepared, params)?;
    let columns = prepared.column_count();
    let mut rows = prepared.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Result<Vec<Value>> = (0..columns).map(|index| value(index, row.get_ref(index)?)).collect();
        found.push(Row(values?));
    }
    Ok(found)
}

fn write_one(connection: &Connection, statement: &Statement) -> Result<u64, DatabaseError> {
    // Not `changes()`, which repeats the number of the statement before for one that writes no rows.
    let before = connection.total_changes();
    match statement {
        Statement::Sql { text, params } | Statement::Guard { text, params } => run(connection, text, params)?,
        Statement::Insert {
            into,
            on_conflict,
            rows,
        } => insert(connection, into, on_conflict, rows)?,
    }
    let changed = connection.total_changes() - before;
    if changed == 0 && matches!(statement, Statement::Guard { .. }) {
        return Err(DatabaseError::Stale);
    }
    Ok(changed)
}

fn run(connection: &Connection, text: &str, params: &[Value]) -> Result<()> {
    // A schema: several statements, none of them with parameters.
    if params.is_empty() && text.trim_end().trim_end_matches(';').contains(';') {
        return connection.execute_batch(text);
    }
    let mut prepared = connection.prepare_cached(text)?;
    bind_numbered(&mut prepared, params)?;
    prepared.raw_execute().map(|_| ())
}

/// To SQLite `$2` is a name, numbered by its first appearance: each is bound by what it says.
fn bind_numbered(prepared: &mut rusqlite::Statement<'_>, params: &[Value]) -> Result<()> {
    let expected = prepared.parameter_count();
    for index in 1..=expected {
        let number = prepared
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|number| number.parse::<usize>().ok());
        let param = number.and_then(|number| params.get(number.checked_sub(1)?));
        let param = param.ok_or(Error::InvalidParameterCount(params.len(), expected))?;
        prepared.raw_bind_parameter(index, param)?;
    }
    Ok(())
}

fn insert(connection: &Connection, into: &str, on_conflict: &str, rows: &[Vec<Value>]) -> Result<()> {
    let mut rest = rows;
    for size in CHUNKS {
        let chunks = rest.chunks_exact(size);
        rest = chunks.remainder();
        insert_chunks(connection, into, on_conflict, size, chunks)?;
    }
    Ok(())
}

fn insert_chunks<'rows>(
    connection: &Connection,
    into: &str,
    on_conflict: &str,
    size: usize,
    chunks: impl Iterator<Item = &'rows [Vec<Value>]>,
) -> Result<()> {
    let mut chunks = chunks.peekable();
    let Some(columns) = chunks.peek().and_then(|chunk| chunk.first()).map(Vec::len) else {
        return Ok(());
    };
    let row = format!("({})", comma_separated("?", columns));
    let text = format!(
        "INSERT INTO {into} VALUES {} {on_conflict}",
        comma_separated(&row, size)
    );
    let mut prepared = connection.prepare_cached(&text)?;
    for chunk in chunks {
        if chunk.iter().any(|row| row.len() != columns) {
            return Err(Error::InvalidParameterCount(columns, prepared.parameter_count()));
        }
        for (index, value) in chunk.iter().flatten().enumerate() {
            prepared.raw_bind_parameter(index + 1, value)?;
        }
        prepared.raw_execute()?;
    }
    Ok(())
}

fn comma_separated(item: &str, times: usize) -> String {
    repeat_n(item, times).collect::<Vec<_>>().join(",")
}

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

fn value(index: usize, value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Text(_) => Value::Text(value.as_str()?.to_owned()),
        ValueRef::Blob(value) => Value::Blob(value.to_vec()),
        ValueRef::Real(_) => return Err(Error::InvalidColumnType(index, String::new(), value.data_type())),
    })
}
