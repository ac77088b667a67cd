//! Many rows in one statement: a parameter for each column, an array of its values, which the server lays side by side.

use super::values::Param;
use crate::{DatabaseError, Value};

/// Rows in one statement, so that no message becomes too large.
pub(super) const CHUNK: usize = 4_096;

/// The statement that inserts these rows, at least one, and its parameters.
pub(super) fn statement<'rows>(
    into: &str,
    on_conflict: &str,
    rows: &'rows [Vec<Value>],
) -> Result<(String, Vec<Param<'rows>>), DatabaseError> {
    let columns = columns(rows)?;
    let text = text(into, on_conflict, &columns, rows.len());
    Ok((text, columns.into_iter().flatten().collect()))
}

/// `INSERT INTO things (id, name) SELECT c0, c1 FROM unnest($1::bigint[], $2::text[]) AS given (c0, c1)`
fn text(into: &str, on_conflict: &str, columns: &[Option<Param<'_>>], rows: usize) -> String {
    let mut selected = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    let mut names = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let Some(array) = column else {
            // Nothing but NULL has no type: it stands in the text.
            selected.push("NULL".to_owned());
            continue;
        };
        let name = format!("c{index}");
        arrays.push(format!("${}::{}", arrays.len() + 1, array.announced().name()));
        selected.push(name.clone());
        names.push(name);
    }
    let source = if names.is_empty() {
        format!("generate_series(1, {rows})")
    } else {
        format!("unnest({}) AS given ({})", arrays.join(", "), names.join(", "))
    };
    // Without WHERE, an ON after FROM would be read as a join's.
    format!(
        "INSERT INTO {into} SELECT {} FROM {source} WHERE true {on_conflict}",
        selected.join(", ")
    )
}

/// The columns; none for one that holds nothing but NULL.
fn columns(rows: &[Vec<Value>]) -> Result<Vec<Option<Param<'_>>>, DatabaseError> {
    let width = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != width) {
        return Err(DatabaseError::engine("the rows of an insert have different lengths"));
    }
    (0..width).map(|index| column(rows, index)).collect()
}

fn column(rows: &[Vec<Value>], index: usize) -> Result<Option<Param<'_>>, DatabaseError> {
    let mut values = rows.iter().filter_map(|row| row.get(index));
    let first = values.find(|value| **value != Value::Null);
    let array = match first {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Int(_)) => all(rows, index, |value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        })
        .map(Param::Ints),
        Some(Value::Text(_)) => all(rows, index, |value| match value {
            Value::Text(value) => Some(value.as_str()),
            _ => None,
        })
        .map(Param::Texts),
        Some(Value::Blob(_)) => all(rows, index, |value| match value {
            Value::Blob(value) => Some(value.as_slice()),
            _ => None,
        })
        .map(Param::Blobs),
    };
    let mixed = || DatabaseError::engine("a column of an insert has values of different types");
    array.map(Some).ok_or_else(mixed)
}

/// The column's values, if each of them is NULL or what `read` takes.
fn all<'rows, T>(
    rows: &'rows [Vec<Value>],
    index: usize,
    read: impl Fn(&'rows Value) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let values = rows.iter().filter_map(|row| row.get(index));
    values
        .map(|value| match value {
            Value::Null => Some(None),
            value => read(value).map(Some),
        })
        .collect()
}
