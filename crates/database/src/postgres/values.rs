//! Our values on PostgreSQL's wire, and back.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::{ColumnError, DatabaseError, Row, Value};

/// A parameter. A value goes by its own type, whichever integer or text type the server expects.
#[derive(Debug)]
pub(super) enum Param<'value> {
    /// One value.
    Value(&'value Value),
    /// An array of `BIGINT`.
    Ints(Vec<Option<i64>>),
    /// An array of `TEXT`.
    Texts(Vec<Option<&'value str>>),
    /// An array of `BYTEA`.
    Blobs(Vec<Option<&'value [u8]>>),
}

impl Param<'_> {
    /// Its type, told to the server, which would otherwise guess from the text around. Nothing has no type; there the
    /// server finds one.
    pub(super) fn announced(&self) -> Type {
        match self {
            Self::Value(Value::Null) => Type::new("unspecified".to_owned(), 0, Kind::Simple, "pg_catalog".to_owned()),
            Self::Value(Value::Int(_)) => Type::INT8,
            Self::Value(Value::Text(_)) => Type::TEXT,
            Self::Value(Value::Blob(_)) => Type::BYTEA,
            Self::Ints(_) => Type::INT8_ARRAY,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::Blobs(_) => Type::BYTEA_ARRAY,
        }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Value(value) => value_to_sql(value, ty, out),
            Self::Ints(values) => values.to_sql(ty, out),
            Self::Texts(values) => values.to_sql(ty, out),
            Self::Blobs(values) => values.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn value_to_sql(value: &Value, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
    match value {
        Value::Null => Ok(IsNull::Yes),
        Value::Int(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
        Value::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
        Value::Text(value) if <&str as ToSql>::accepts(ty) => value.to_sql(ty, out),
        Value::Blob(value) if *ty == Type::BYTEA => value.to_sql(ty, out),
        other => Err(format!("{} does not go into {ty}", kind(other)).into()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Int(_) => "a BIGINT",
        Value::Text(_) => "a TEXT",
        Value::Blob(_) => "a BLOB",
    }
}

/// A row as it came.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, DatabaseError> {
    let values = (0..row.len()).map(|index| value(row, index));
    Ok(Row(values.collect::<Result<_, _>>()?))
}

fn value(row: &tokio_postgres::Row, index: usize) -> Result<Value, DatabaseError> {
    let ty = row.columns().get(index).map(tokio_postgres::Column::type_);
    Ok(match ty {
        Some(&Type::INT8) => row.try_get::<_, Option<i64>>(index)?.into(),
        Some(&Type::INT4) => row.try_get::<_, Option<i32>>(index)?.map(i64::from).into(),
        Some(&Type::BYTEA) => row.try_get::<_, Option<Vec<u8>>>(index)?.into(),
        Some(ty) if <&str as tokio_postgres::types::FromSql>::accepts(ty) => {
            row.try_get::<_, Option<String>>(index)?.into()
        }
        _ => {
            return Err(ColumnError {
                index,
                expected: "BIGINT, TEXT or BLOB",
            }
            .into());
        }
    })
}
