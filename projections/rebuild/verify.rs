//! Compares a projection's new rows with the live ones, row by row, before they are exchanged: every range of keys at a
//! position at which both stand.
//!
//! Not all ranges at the same one: for that a snapshot would have to be held from the first row to the last, and as long as
//! somebody holds one, SQLite's write-ahead log only grows, and what it grew by is then copied while others wait.

use std::collections::HashMap;

use database::{Row, Snapshot, Statement, Value};
use event_log::Scope;

use super::{PAUSE, Rebuild, RebuildError, TRIES, live};
use crate::stretch;
use crate::tables::{Slot, Tables};

/// Rows that are compared at a time.
const PAGE: i64 = 1_000;

/// Differences that are told; the others are counted.
const TOLD: usize = 5;

/// What came of comparing a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The projection.
    pub projection: &'static str,
    /// How many live rows were looked at.
    pub rows: u64,
    /// How many rows differ, or are among the live or the new ones only.
    pub differences: u64,
    /// The first of them.
    pub first: Vec<Difference>,
}

/// A row that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The values of its primary key; no more of a row is told.
    pub key: Vec<Value>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (", self.table)?;
        for (index, value) in self.key.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match value {
                Value::Null => write!(f, "{comma}NULL")?,
                Value::Int(number) => write!(f, "{comma}{number}")?,
                Value::Text(text) => write!(f, "{comma}'{text}'")?,
                Value::Blob(bytes) => {
                    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    write!(f, "{comma}{hex}")?;
                }
            }
        }
        write!(f, ")")
    }
}

impl Rebuild {
    /// Compares the new rows of every projection with the live ones, and tells `progress` how many rows it has seen, and
    /// of how many.
    pub async fn verify(&mut self, mut progress: impl FnMut(u64, u64) + Send) -> Result<Vec<Compared>, RebuildError> {
        let mut compared = Vec::new();
        for index in 0..self.followers.len() {
            let Some(follower) = self.followers.get(index) else {
                continue;
            };
            let name = follower.projection.name();
            let tables = follower.tables.clone();
            compared.push(self.compare(index, name, &tables, &mut progress).await?);
        }
        Ok(compared)
    }

    async fn compare(
        &mut self,
        index: usize,
        projection: &'static str,
        tables: &Tables,
        progress: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<Compared, RebuildError> {
        let mut compared = Compared {
            projection,
            rows: 0,
            differences: 0,
            first: Vec::new(),
        };
        let mut snapshot = self.meet(index, projection).await?;
        let mut total = 0;
        for (table, _) in tables.iter() {
            total += count(&mut *snapshot, table).await?;
        }
        let mut look_ends = self.look;
        for (table, key) in tables.iter() {
            let mut after = None;
            loop {
                let mut pages = Pages {
                    snapshot: &mut *snapshot,
                    table,
                    key,
                };
                after = pages.compare_next(after, &mut compared).await?;
                progress(compared.rows, total.max(compared.rows));
                if after.is_none() {
                    break;
                }
                if compared.rows >= look_ends {
                    drop(snapshot);
                    snapshot = self.meet(index, projection).await?;
                    look_ends = compared.rows + self.look;
                }
            }
        }
        Ok(compared)
    }

    /// A snapshot in which the new rows stand where the live ones do.
    async fn meet(&mut self, index: usize, name: &'static str) -> Result<Box<dyn Snapshot>, RebuildError> {
        for _ in 0..TRIES {
            let target = live(&*self.views, name).await?.checkpoint.position;
            let Some(follower) = self.followers.get(index) else {
                break;
            };
            let from = follower.checkpoint.position;
            if from > target {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if from < target {
                let stretch = stretch::read(&*self.log, Scope::All, from, self.stretch).await?;
                self.apply(&stretch.up_to(target)).await?;
            }
            let mut snapshot = self.views.snapshot().await?;
            if stands_together(&mut *snapshot, name).await? {
                return Ok(snapshot);
            }
        }
        Err(RebuildError::NeverMet(name))
    }
}

async fn stands_together(snapshot: &mut dyn Snapshot, name: &str) -> Result<bool, RebuildError> {
    let text = "SELECT count(DISTINCT position), count(*) FROM projection_checkpoint WHERE name = $1 OR name = $2";
    let query = Statement::sql(text, vec![name.into(), Slot::Next.of(name).into()]);
    let rows = snapshot.read(query).await?;
    Ok(rows.first() == Some(&Row(vec![Value::Int(1), Value::Int(2)])))
}

async fn count(snapshot: &mut dyn Snapshot, table: &str) -> Result<u64, RebuildError> {
    let rows = snapshot
        .read(Statement::sql(format!("SELECT count(*) FROM {table}"), Vec::new()))
        .await?;
    let counted = rows
        .first()
        .map(|row| row.int(0))
        .transpose()
        .map_err(database::DatabaseError::from)?;
    Ok(counted
        .and_then(|counted| u64::try_from(counted).ok())
        .unwrap_or_default())
}

fn is_full(page: &[Row]) -> bool {
    i64::try_from(page.len()).is_ok_and(|length| length >= PAGE)
}

/// One table, live and new, page by page in the order of its primary key, which is the engine's to know.
struct Pages<'a> {
    snapshot: &'a mut dyn Snapshot,
    table: &'a str,
    key: &'a [String],
}

impl Pages<'_> {
    /// Compares the live rows after the key with the new ones; the key of the last, if there may be more.
    async fn compare_next(
        &mut self,
        after: Option<Vec<Value>>,
        compared: &mut Compared,
    ) -> Result<Option<Vec<Value>>, RebuildError> {
        let live = self.read(Slot::Live, after.as_deref(), None).await?;
        let last = live.last().map(|row| self.key_of(row)).filter(|_| is_full(&live));
        compared.rows += u64::try_from(live.len()).unwrap_or(u64::MAX);
        self.compare(live, after.as_deref(), last.as_deref(), compared).await?;
        Ok(last)
    }

    /// Compares a page of live rows with all new rows of the same range of keys.
    async fn compare(
        &mut self,
        live: Vec<Row>,
        after: Option<&[Value]>,
        last: Option<&[Value]>,
        compared: &mut Compared,
    ) -> Result<(), RebuildError> {
        let mut expected: HashMap<_, Row> = live.into_iter().map(|row| (self.key_of(&row), row)).collect();
        let mut after = after.map(<[Value]>::to_vec);
        loop {
            let new = self.read(Slot::Next, after.as_deref(), last).await?;
            for row in &new {
                if expected.remove(&self.key_of(row)).as_ref() != Some(row) {
                    self.differs(row, compared);
                }
            }
            after = new.last().map(|row| self.key_of(row)).filter(|_| is_full(&new));
            if after.is_none() {
                break;
            }
        }
        for row in expected.values() {
            self.differs(row, compared);
        }
        Ok(())
    }

    fn differs(&self, row: &Row, compared: &mut Compared) {
        compared.differences += 1;
        if compared.first.len() < TOLD {
            compared.first.push(Difference {
                table: self.table.to_owned(),
                key: self.key_of(row),
            });
        }
    }

    /// The values of the primary key, which every row read here begins with.
    fn key_of(&self, row: &Row) -> Vec<Value> {
        row.0.iter().take(self.key.len()).cloned().collect()
    }

    async fn read(
        &mut self,
        slot: Slot,
        after: Option<&[Value]>,
        last: Option<&[Value]>,
    ) -> Result<Vec<Row>, RebuildError> {
        let (table, key) = (slot.of(self.table), self.key.join(", "));
        let mut params = Vec::new();
        let mut bound = |sign: &str, values: &[Value]| {
            let first = params.len() + 1;
            params.extend_from_slice(values);
            let numbers: Vec<String> = (first..=params.len()).map(|number| format!("${number}")).collect();
            format!("({key}) {sign} ({})", numbers.join(", "))
        };
        let bounds = [after.map(|after| bound(">", after)), last.map(|last| bound("<=", last))];
        let bounds: Vec<String> = bounds.into_iter().flatten().collect();
        let range = if bounds.is_empty() {
            String::new()
        } else {
            format!("WHERE {} ", bounds.join(" AND "))
        };
        params.push(Value::Int(PAGE));
        let limit = params.len();
        let text = format!("SELECT {key}, {table}.* FROM {table} {range}ORDER BY {key} LIMIT ${limit}");
        Ok(self.snapshot.read(Statement::sql(text, params)).await?)
    }
}
