//! A connection for one question, as tests ask it of a server.

use tokio_postgres::{Client, NoTls};

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

/// The connection ends when the client is dropped.
async fn connect(url: &str) -> Client {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    tokio::spawn(connection);
    client
}
