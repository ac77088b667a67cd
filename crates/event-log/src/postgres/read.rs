//! Reads in a snapshot of the database.

use database::{Row, Snapshot, Statement, Value};
use domain::StreamId;

use crate::codec::{StoredEvent, account_bytes};
use crate::{Position, ReadError, Recorded, Scope};

const SELECT: &str = "SELECT position, id, stream, version, recorded_at, type, schema, data FROM events";

pub(super) async fn head(snapshot: &mut dyn Snapshot) -> Result<Position, ReadError> {
    let query = Statement::sql("SELECT position FROM events ORDER BY position DESC LIMIT 1", Vec::new());
    let rows = snapshot.read(query).await?;
    rows.first()
        .map_or(Ok(Position::START), |row| Ok(Position::new(number(row, 0)?)))
}

pub(super) async fn stream(snapshot: &mut dyn Snapshot, stream: &StreamId) -> Result<Vec<Recorded>, ReadError> {
    let text = format!("{SELECT} WHERE stream = $1 ORDER BY version");
    query(snapshot, text, vec![stream.as_str().into()]).await
}

pub(super) async fn events(
    snapshot: &mut dyn Snapshot,
    scope: Scope,
    after: Position,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let limit = Value::from(u64::try_from(limit).unwrap_or(u64::MAX));
    match scope {
        Scope::All => {
            let text = format!("{SELECT} WHERE position > $1 ORDER BY position LIMIT $2");
            query(snapshot, text, vec![after.get().into(), limit]).await
        }
        Scope::Account(account) => {
            let text = format!("{SELECT} WHERE account = $1 AND position > $2 ORDER BY position LIMIT $3");
            let params = vec![account_bytes(account).as_slice().into(), after.get().into(), limit];
            query(snapshot, text, params).await
        }
    }
}

async fn query(snapshot: &mut dyn Snapshot, text: String, params: Vec<Value>) -> Result<Vec<Recorded>, ReadError> {
    let rows = snapshot.read(Statement::sql(text, params)).await?;
    rows.iter().map(recorded).collect()
}

fn recorded(row: &Row) -> Result<Recorded, ReadError> {
    let column = |error| ReadError::from(database::DatabaseError::Column(error));
    let stored = StoredEvent {
        position: number(row, 0)?,
        id: row.blob(1).map_err(column)?,
        stream: row.text(2).map_err(column)?,
        version: number(row, 3)?,
        recorded_at: row.int(4).map_err(column)?,
        name: row.text(5).map_err(column)?,
        schema: u32::try_from(number(row, 6)?).unwrap_or(u32::MAX),
        data: row.text(7).map_err(column)?,
    };
    stored.decode()
}

fn number(row: &Row, index: usize) -> Result<u64, ReadError> {
    let number = row.int(index).map_err(database::DatabaseError::Column)?;
    Ok(u64::try_from(number).unwrap_or_default())
}
