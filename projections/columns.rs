//! How the domain's words stand in columns and come back; every projection's fold and queries use it.
//!
//! Ids and keyed hashes are the 16 bytes of a `BLOB`, times microseconds in a `BIGINT`, words of closed lists `TEXT`.

use std::str::FromStr;

use database::{ColumnError, Row, Value};
use domain::Timestamp;
use event_log::Position;
use ulid::Ulid;

/// An id as a value.
pub fn id(ulid: Ulid) -> Value {
    Value::Blob(ulid.to_bytes().to_vec())
}

/// A time as a value.
pub const fn time(time: Timestamp) -> Value {
    Value::Int(time.micros())
}

/// A place in the log as a value.
pub fn place(position: Position) -> Value {
    Value::from(position.get())
}

/// The id in a column.
pub fn ulid(row: &Row, index: usize) -> Result<Ulid, ColumnError> {
    bytes(row, index).map(Ulid::from_bytes)
}

/// The id in a column that may be NULL.
pub fn find_ulid(row: &Row, index: usize) -> Result<Option<Ulid>, ColumnError> {
    row.find_blob(index)?.map(|_| ulid(row, index)).transpose()
}

/// The 16 bytes in a column.
pub fn bytes(row: &Row, index: usize) -> Result<[u8; 16], ColumnError> {
    row.blob(index)?.try_into().map_err(|_| ColumnError {
        index,
        expected: "BLOB of 16 bytes",
    })
}

/// The time in a column.
pub fn timestamp(row: &Row, index: usize) -> Result<Timestamp, ColumnError> {
    row.int(index).map(Timestamp::from_micros)
}

/// The time in a column that may be NULL.
pub fn find_timestamp(row: &Row, index: usize) -> Result<Option<Timestamp>, ColumnError> {
    Ok(row.find_int(index)?.map(Timestamp::from_micros))
}

/// The place in the log in a column.
pub fn position(row: &Row, index: usize) -> Result<Position, ColumnError> {
    count(row, index).map(Position::new)
}

/// The number in a column that is never negative.
pub fn count(row: &Row, index: usize) -> Result<u64, ColumnError> {
    u64::try_from(row.int(index)?).map_err(|_| ColumnError {
        index,
        expected: "BIGINT from 0",
    })
}

/// The text in a column, read as the domain reads it; `expected` names the type.
pub fn parsed<T: FromStr>(row: &Row, index: usize, expected: &'static str) -> Result<T, ColumnError> {
    row.text(index)?.parse().map_err(|_| ColumnError { index, expected })
}
