//! SQL as data: what a projection returns and an adapter runs. One text serves every engine.
//!
//! The common subset: `$1…` parameters, `BIGINT`, `TEXT` and `BLOB` (the PostgreSQL adapter reads it as `BYTEA`, and
//! `INTEGER PRIMARY KEY`, which is SQLite's row id, as `BIGINT`), time as microseconds UTC in a `BIGINT`, never `now()`; no `COLLATE`, arrays, `::type` or JSON operators.

use std::borrow::Cow;

/// A value that goes in or comes out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// `BIGINT`; also booleans, as 0 and 1.
    Int(i64),
    /// `TEXT`.
    Text(String),
    /// `BLOB`.
    Blob(Vec<u8>),
}

/// One thing to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Any statement, with its parameters in the order of their numbers.
    Sql {
        /// The text.
        text: Cow<'static, str>,
        /// `$1`, `$2`, …
        params: Vec<Value>,
    },
    /// Rows for one table, written in as few round trips as the engine allows.
    Insert {
        /// Table and columns, such as `leads (account, lead_id)`.
        into: &'static str,
        /// What follows the values, such as `ON CONFLICT DO NOTHING`; may be empty.
        on_conflict: &'static str,
        /// The rows; all of one length.
        rows: Vec<Vec<Value>>,
    },
    /// A statement that has to change a row; if it changes none, nothing of the whole write happens
    /// ([`crate::DatabaseError::Stale`]). For what a write stands on: a lease that is still held, a checkpoint that is
    /// still where it was.
    Guard {
        /// The text.
        text: Cow<'static, str>,
        /// `$1`, `$2`, …
        params: Vec<Value>,
    },
}

impl Statement {
    /// A statement with parameters.
    pub fn sql(text: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Self::Sql {
            text: text.into(),
            params,
        }
    }

    /// A statement without which nothing of the write happens.
    pub fn guard(text: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Self::Guard {
            text: text.into(),
            params,
        }
    }

    /// One row for a table.
    pub fn insert(into: &'static str, on_conflict: &'static str, row: Vec<Value>) -> Self {
        Self::Insert {
            into,
            on_conflict,
            rows: vec![row],
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

/// Positions and versions; they never reach 2^63.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row that came out, its columns in the order of the query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row(pub Vec<Value>);

/// A column that is not there or of another type than the query promised: a fault of the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {index} is no {expected}")]
pub struct ColumnError {
    /// Which column, from 0.
    pub index: usize,
    /// The type that was asked for.
    pub expected: &'static str,
}

impl Row {
    /// A number.
    pub fn int(&self, index: usize) -> Result<i64, ColumnError> {
        match self.0.get(index) {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err(ColumnError {
                index,
                expected: "BIGINT",
            }),
        }
    }

    /// A number or NULL.
    pub fn find_int(&self, index: usize) -> Result<Option<i64>, ColumnError> {
        match self.0.get(index) {
            Some(Value::Null) => Ok(None),
            _ => self.int(index).map(Some),
        }
    }

    /// A text.
    pub fn text(&self, index: usize) -> Result<&str, ColumnError> {
        match self.0.get(index) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(ColumnError {
                index,
                expected: "TEXT",
            }),
        }
    }

    /// A text or NULL.
    pub fn find_text(&self, index: usize) -> Result<Option<&str>, ColumnError> {
        match self.0.get(index) {
            Some(Value::Null) => Ok(None),
            _ => self.text(index).map(Some),
        }
    }

    /// Bytes.
    pub fn blob(&self, index: usize) -> Result<&[u8], ColumnError> {
        match self.0.get(index) {
            Some(Value::Blob(value)) => Ok(value),
            _ => Err(ColumnError {
                index,
                expected: "BLOB",
            }),
        }
    }

    /// Bytes or NULL.
    pub fn find_blob(&self, index: usize) -> Result<Option<&[u8]>, ColumnError> {
        match self.0.get(index) {
            Some(Value::Null) => Ok(None),
            _ => self.blob(index).map(Some),
        }
    }
}
