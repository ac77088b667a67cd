//! A connection for one question, as tests ask it of a server.

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Runs statements on a connection of their own; several are divided by semicolons.
pub(crate) async fn execute(url: &str, sql: &str) {
    let client = connect(url).await;
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The one number that a query answers.
pub(crate) async fn number(url: &str, sql: &str) -> i64 {
    let client = connect(url).await;
    let row = client.query_one(sql, &[]).await;
    row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

/// The one text that a query answers.
pub(crate) async fn text(url: &str, sql: &str) -> String {
    let client = connect(url).await;
    let row = client.query_one(sql, &[]).await;
    row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

/// The plan that the server makes of a query for any parameters, of which it takes so many.
pub(crate) async fn generic_plan(url: &str, query: &str, parameters: usize) -> String {
    let client = connect(url).await;
    let prepare = format!("SET plan_cache_mode = force_generic_plan; PREPARE shape AS {query}");
    client
        .batch_execute(&prepare)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error:?}"));
    let nothing = vec!["NULL"; parameters].join(", ");
    let explain = format!("EXPLAIN EXECUTE shape ({nothing})");
    let rows = client.simple_query(&explain).await;
    let rows = rows.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    let lines = rows.iter().filter_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The connection ends when the client is dropped.
async fn connect(url: &str) -> Client {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    tokio::spawn(connection);
    client
}
