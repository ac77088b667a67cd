//! The contract suite: what every engine promises to those who write and read, run by each over an empty database.

use std::sync::Arc;

use crate::{Database, DatabaseError, Row, Statement, Value};

/// A test for each part of the promise. `$empty` is an async function that gives an empty database, and what must live
/// as long as it.
macro_rules! keeps_the_promise {
    ($empty:ident) => {
        $crate::contract::keeps_the_promise!($empty:
            what_is_written_reads_back_with_its_type,
            parameters_go_by_their_number_and_not_by_their_first_appearance,
            nothing_fits_where_a_value_of_any_type_does,
            an_insert_takes_any_number_of_rows_and_counts_those_it_changed,
            a_text_without_parameters_may_hold_several_statements,
            a_write_happens_whole_or_not_at_all,
            a_refused_value_is_told_from_a_fault_of_the_statement,
            a_write_whose_guard_changes_nothing_does_not_happen,
            an_insert_tells_what_it_made_of_a_conflict,
            a_snapshot_stays_as_it_was,
        );
    };
    ($empty:ident: $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (database, _keep) = $empty().await;
                $crate::contract::$promise(database).await;
            }
        )+
    };
}
pub(crate) use keeps_the_promise;

type Shared = Arc<dyn Database>;

const SCHEMA: &str = "CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, name TEXT, bytes BLOB);
    -- A second statement; with a semicolon in its comment.
    CREATE INDEX by_name ON things (name);";

async fn make_table(database: &Shared) {
    database.write(vec![Statement::sql(SCHEMA, vec![])]).await.unwrap();
}

fn thing(id: i64) -> Statement {
    Statement::insert("things (id, name)", "", vec![id.into(), "thing".into()])
}

async fn rows(database: &Shared, text: &'static str, params: Vec<Value>) -> Vec<Row> {
    database.read(Statement::sql(text, params)).await.unwrap()
}

async fn count(database: &Shared) -> i64 {
    let rows = rows(database, "SELECT count(*) FROM things", vec![]).await;
    rows[0].int(0).unwrap()
}

pub async fn what_is_written_reads_back_with_its_type(database: Shared) {
    make_table(&database).await;
    let row = vec![Value::Int(-7), Value::Text("é'$1".into()), Value::Blob(vec![0, 255])];
    let insert = Statement::insert("things (id, name, bytes)", "", row.clone());
    assert_eq!(database.write(vec![insert, thing(1)]).await.unwrap(), [1, 1]);
    let found = rows(&database, "SELECT id, name, bytes FROM things ORDER BY id", vec![]).await;
    assert_eq!(found[0], Row(row));
    assert_eq!(found[1].find_blob(2), Ok(None));
}

pub async fn parameters_go_by_their_number_and_not_by_their_first_appearance(database: Shared) {
    make_table(&database).await;
    database.write(vec![thing(1)]).await.unwrap();
    let set = "UPDATE things SET bytes = $3, name = $2 WHERE id = $1 AND name <> $2";
    let params = vec![1_i64.into(), "other".into(), Value::Blob(vec![3])];
    assert_eq!(database.write(vec![Statement::sql(set, params)]).await.unwrap(), [1]);
    let found = rows(
        &database,
        "SELECT name, bytes FROM things WHERE id = $2 AND id = $1",
        vec![1_i64.into(), 1_i64.into()],
    )
    .await;
    assert_eq!(found, [Row(vec!["other".into(), Value::Blob(vec![3])])]);
    let short = Statement::sql("SELECT id FROM things WHERE id = $2", vec![1_i64.into()]);
    assert!(database.read(short).await.is_err());
}

pub async fn nothing_fits_where_a_value_of_any_type_does(database: Shared) {
    make_table(&database).await;
    let empty = vec![1_i64.into(), Value::Null, Value::Null];
    database
        .write(vec![Statement::insert("things (id, name, bytes)", "", empty.clone())])
        .await
        .unwrap();
    let set = "UPDATE things SET name = $1, bytes = $2";
    database
        .write(vec![Statement::sql(set, vec![Value::Null, Value::Null])])
        .await
        .unwrap();
    assert_eq!(
        rows(&database, "SELECT id, name, bytes FROM things", vec![]).await,
        [Row(empty)]
    );
}

pub async fn an_insert_takes_any_number_of_rows_and_counts_those_it_changed(database: Shared) {
    make_table(&database).await;
    database.write(vec![thing(3)]).await.unwrap();
    let insert = Statement::Insert {
        into: "things (id, name)",
        on_conflict: "ON CONFLICT DO NOTHING",
        rows: (0..20_000_i64).map(|id| vec![id.into(), "thing".into()]).collect(),
    };
    let none = Statement::Insert {
        into: "things (id, name)",
        on_conflict: "",
        rows: vec![],
    };
    assert_eq!(database.write(vec![insert, none]).await.unwrap(), [19_999, 0]);
    assert_eq!(count(&database).await, 20_000);
}

pub async fn a_text_without_parameters_may_hold_several_statements(database: Shared) {
    make_table(&database).await;
    database.write(vec![thing(1), thing(2)]).await.unwrap();
    let both = "DELETE FROM things WHERE id = 1; DELETE FROM things WHERE id = 2";
    database.write(vec![Statement::sql(both, vec![])]).await.unwrap();
    assert_eq!(count(&database).await, 0);
}

pub async fn a_write_happens_whole_or_not_at_all(database: Shared) {
    make_table(&database).await;
    let failed = database.write(vec![thing(1), thing(2), thing(1)]).await;
    assert!(matches!(failed, Err(DatabaseError::Refused(_))), "{failed:?}");
    assert_eq!(count(&database).await, 0);
    database.write(vec![thing(1)]).await.unwrap();
}

pub async fn a_refused_value_is_told_from_a_fault_of_the_statement(database: Shared) {
    make_table(&database).await;
    let nameless = Statement::insert("things (id, name)", "", vec![Value::Null, "thing".into()]);
    let failed = database.write(vec![nameless]).await;
    assert!(matches!(failed, Err(DatabaseError::Refused(_))), "{failed:?}");
    let nowhere = Statement::insert("nothings (id)", "", vec![1_i64.into()]);
    let failed = database.write(vec![nowhere]).await;
    assert!(matches!(failed, Err(DatabaseError::Engine(_))), "{failed:?}");
}

pub async fn a_write_whose_guard_changes_nothing_does_not_happen(database: Shared) {
    make_table(&database).await;
    let guard = |name: &str| {
        Statement::guard(
            "UPDATE things SET name = $2 WHERE id = 1 AND name = $1",
            vec![name.into(), "held".into()],
        )
    };
    let refused = database.write(vec![thing(1), guard("nobody"), thing(2)]).await;
    assert!(matches!(refused, Err(DatabaseError::Stale)), "{refused:?}");
    // Whatever comes after it may be wrong because of that.
    let wrong = Statement::insert("things (id)", "", vec![Value::Null]);
    let refused = database.write(vec![thing(1), guard("nobody"), wrong]).await;
    assert!(matches!(refused, Err(DatabaseError::Stale)), "{refused:?}");
    assert_eq!(count(&database).await, 0);
    assert_eq!(
        database.write(vec![thing(1), guard("thing"), thing(2)]).await.unwrap(),
        [1, 1, 1]
    );
}

pub async fn an_insert_tells_what_it_made_of_a_conflict(database: Shared) {
    make_table(&database).await;
    database.write(vec![thing(1)]).await.unwrap();
    let upsert = "ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE things.name <> excluded.name";
    let put = |name: &str| Statement::insert("things (id, name)", upsert, vec![1_i64.into(), name.into()]);
    assert_eq!(database.write(vec![put("thing"), put("other")]).await.unwrap(), [0, 1]);
}

pub async fn a_snapshot_stays_as_it_was(database: Shared) {
    make_table(&database).await;
    database.write(vec![thing(1)]).await.unwrap();
    let mut snapshot = database.snapshot().await.unwrap();
    database.write(vec![thing(2)]).await.unwrap();
    let query = || Statement::sql("SELECT count(*) FROM things", vec![]);
    assert_eq!(snapshot.read(query()).await.unwrap()[0].int(0), Ok(1));
    let wrong = Statement::sql("SELECT count(*) FROM things WHERE id = $1", vec![]);
    snapshot.read(wrong).await.unwrap_err();
    database.write(vec![thing(3)]).await.unwrap();
    drop(snapshot);
    assert_eq!(count(&database).await, 3);
}
