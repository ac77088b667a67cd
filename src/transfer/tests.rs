//! A copy keeps everything, goes on where it was broken off, and refuses what it would spoil; on both engines.

use std::sync::Arc;

use database::{Durability, MIGRATIONS, Postgres, Sqlite, Value, migrate};
use tempfile::TempDir;
use testbed::FreshDatabase;

use super::tables::{EVENTS, LEFT, PERSON_KEYS, PROGRESS};
use super::*;

/// A database and what must live as long as it.
struct Place {
    database: Arc<dyn Database>,
    _keep: (Option<TempDir>, Option<FreshDatabase>),
}

async fn file() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let database = Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap();
    place(Arc::new(database), (Some(folder), None)).await
}

async fn server() -> Place {
    let fresh = testbed::Postgres::fresh_database().await;
    let database = Postgres::open(fresh.url().parse().unwrap(), false).await.unwrap();
    place(Arc::new(database), (None, Some(fresh))).await
}

async fn place(database: Arc<dyn Database>, keep: (Option<TempDir>, Option<FreshDatabase>)) -> Place {
    migrate(&*database, MIGRATIONS).await.unwrap();
    Place { database, _keep: keep }
}

fn event(position: u64) -> Vec<Value> {
    let id = u128::from(position).to_be_bytes().to_vec();
    let stream = format!("lead-{position}");
    vec![
        position.into(),
        id.into(),
        stream.into(),
        1_u64.into(),
        vec![7_u8; 16].into(),
        "LeadReleased".into(),
        1_u64.into(),
        (position * 10).into(),
        r#"{"lead_id":"é"}"#.into(),
    ]
}

fn person(number: u64, wrapped: Option<Vec<u8>>) -> Vec<Value> {
    let person = (u128::from(number) << 64).to_be_bytes().to_vec();
    vec![person.into(), "acct_1".into(), wrapped.into()]
}

/// The table of that name among those that say how far everything has come.
fn progress(name: &str) -> &'static tables::Table {
    PROGRESS.iter().find(|table| table.name == name).unwrap()
}

/// A log of so many events and half as many people, one of them erased, and some progress.
async fn fill(place: &Place, events: u64) {
    let people = (0..events / 2).map(|number| person(number, (number != 3).then(|| vec![9; 73])));
    let insert =
        |table: &tables::Table, rows: Vec<Vec<Value>>| table.insert(rows.into_iter().map(database::Row).collect(), "");
    let rows = vec![
        insert(&EVENTS, (1..=events).map(event).collect()),
        insert(&PERSON_KEYS, people.collect()),
        insert(progress("follower"), vec![vec!["enrichment".into(), 17_u64.into()]]),
        insert(progress("github_delivery"), vec![vec!["delivery".into(), 5_u64.into()]]),
    ];
    place.database.write(rows).await.unwrap();
}

async fn rows(place: &Place, table: &tables::Table) -> Vec<database::Row> {
    let text = format!("SELECT {} FROM {} ORDER BY 1", table.columns, table.name);
    place.database.read(Statement::sql(text, Vec::new())).await.unwrap()
}

async fn copied(from: &Place, to: &Place) -> anyhow::Result<Copied> {
    copy(&*from.database, &*to.database, |_, _| {}).await
}

#[tokio::test]
async fn a_log_that_went_to_a_server_and_back_is_the_same() {
    let (from, between, back) = (file().await, server().await, file().await);
    fill(&from, 2_500).await;
    let there = copied(&from, &between).await.unwrap();
    let again = copied(&between, &back).await.unwrap();
    assert_eq!((there.events, again.events), (2_500, 2_500));
    assert_eq!((there.digest.events, there.digest.people), (2_500, 1_250));
    assert_eq!(there.digest, again.digest);
    for table in [&EVENTS, &PERSON_KEYS].into_iter().chain(&PROGRESS) {
        let (first, last) = (rows(&from, table).await, rows(&back, table).await);
        assert!(first == last, "{}", table.name);
    }
    assert!(!is_unfinished(&*back.database).await.unwrap());
}

#[tokio::test]
async fn a_copy_that_was_broken_off_is_marked_and_goes_on_where_it_was() {
    let (from, to) = (file().await, file().await);
    fill(&from, 2_500).await;
    // As after the first stretch, before a key was destroyed at the source.
    let begun = vec![
        EVENTS.insert((1..=1_000).map(event).map(database::Row).collect(), ""),
        PERSON_KEYS.insert(vec![database::Row(person(3, Some(vec![9; 73])))], ""),
        Statement::insert("follower (name, position)", "", vec![UNFINISHED.into(), 0_u64.into()]),
    ];
    to.database.write(begun).await.unwrap();
    assert!(is_unfinished(&*to.database).await.unwrap());
    let copied = copied(&from, &to).await.unwrap();
    assert_eq!((copied.events, copied.digest.events), (1_500, 2_500));
    assert!(rows(&from, &PERSON_KEYS).await == rows(&to, &PERSON_KEYS).await);
    assert!(!is_unfinished(&*to.database).await.unwrap());
}

#[tokio::test]
async fn a_target_that_holds_another_log_is_refused_and_left_as_it_is() {
    let (from, to) = (file().await, file().await);
    fill(&from, 20).await;
    let mut other = event(10);
    other[8] = "{}".into();
    let rows_before = vec![EVENTS.insert(vec![database::Row(other)], "")];
    to.database.write(rows_before).await.unwrap();
    let before = digest(&*to.database, |_| {}).await.unwrap();
    let told = copied(&from, &to).await.unwrap_err().to_string();
    assert!(told.contains("holds a log already (it ends at position 10)"), "{told}");
    assert_eq!(digest(&*to.database, |_| {}).await.unwrap(), before);
    // Of a copy from elsewhere that was broken off, too.
    let mark = Statement::insert("follower (name, position)", "", vec![UNFINISHED.into(), 0_u64.into()]);
    to.database.write(vec![mark]).await.unwrap();
    let told = copied(&from, &to).await.unwrap_err().to_string();
    assert!(told.contains("another log (it ends at position 10)"), "{told}");
    assert_eq!(digest(&*to.database, |_| {}).await.unwrap(), before);
}

#[tokio::test]
async fn a_copy_that_is_whole_or_at_work_is_not_overwritten() {
    let (from, to) = (file().await, server().await);
    fill(&from, 20).await;
    copied(&from, &to).await.unwrap();
    let cursor = progress("webhook_cursor");
    let before = rows(&to, cursor).await;
    let told = copied(&from, &to).await.unwrap_err().to_string();
    assert!(told.contains("no copy into it was broken off"), "{told}");
    assert!(rows(&to, cursor).await == before);
}

#[tokio::test]
async fn a_database_is_not_copied_into_itself_whatever_the_addresses() {
    for place in [file().await, server().await] {
        let told = copied(&place, &place).await.unwrap_err().to_string();
        assert!(told.contains("the same database"), "{told}");
        assert!(!is_unfinished(&*place.database).await.unwrap());
        fill(&place, 20).await;
        let told = copied(&place, &place).await.unwrap_err().to_string();
        assert!(told.contains("holds a log already"), "{told}");
    }
}

#[tokio::test]
async fn a_node_is_at_work_until_it_expires() {
    let place = server().await;
    let at_work = |micros| {
        let database = place.database.clone();
        async move { is_at_work(&*database, Timestamp::from_micros(micros)).await.unwrap() }
    };
    assert!(!at_work(5).await);
    let node = Statement::insert(
        "node (id, roles, expires_at)",
        "",
        vec!["one".into(), "api".into(), 9_u64.into()],
    );
    place.database.write(vec![node]).await.unwrap();
    assert!(at_work(8).await);
    assert!(!at_work(9).await);
}

#[tokio::test]
async fn every_change_of_a_value_changes_the_digest() {
    let place = file().await;
    fill(&place, 20).await;
    let digest = || async { digest(&*place.database, |_| {}).await.unwrap().hash };
    let mut seen = vec![digest().await];
    for change in [
        "UPDATE events SET data = 'x' WHERE position = 5",
        "UPDATE events SET recorded_at = 1 WHERE position = 5",
        "UPDATE events SET version = 2 WHERE position = 5",
        "UPDATE events SET position = 21 WHERE position = 20",
        "UPDATE person_keys SET wrapped = NULL WHERE wrapped IS NOT NULL",
        "DELETE FROM events WHERE position = 7",
    ] {
        place
            .database
            .write(vec![Statement::sql(change, Vec::new())])
            .await
            .unwrap();
        let now = digest().await;
        assert!(!seen.contains(&now), "{change}");
        seen.push(now);
    }
}

#[test]
fn every_table_is_either_copied_or_left_on_purpose() {
    let copied = [&EVENTS, &PERSON_KEYS]
        .into_iter()
        .chain(&PROGRESS)
        .map(|table| table.name);
    let mut known: Vec<&str> = copied.chain(LEFT).collect();
    let text: String = MIGRATIONS.iter().map(|migration| migration.sql).collect();
    let made = text.split("CREATE TABLE ").skip(1);
    let mut made: Vec<&str> = made.filter_map(|rest| rest.split_whitespace().next()).collect();
    known.sort_unstable();
    made.sort_unstable();
    assert_eq!(known, made);
}

#[tokio::test]
async fn every_column_of_a_copied_table_is_copied() {
    let place = file().await;
    for table in [&EVENTS, &PERSON_KEYS].into_iter().chain(&PROGRESS) {
        let text = "SELECT name FROM pragma_table_info($1)";
        let query = Statement::sql(text, vec![table.name.into()]);
        let rows = place.database.read(query).await.unwrap();
        let mut made: Vec<&str> = rows.iter().map(|row| row.text(0).unwrap()).collect();
        let mut copied: Vec<&str> = table.columns.split(',').map(str::trim).collect();
        made.sort_unstable();
        copied.sort_unstable();
        assert_eq!(copied, made, "{}", table.name);
    }
}
