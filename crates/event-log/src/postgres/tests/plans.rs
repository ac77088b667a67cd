//! Each query is served by the one index that is meant for it, however little the server knows of the tables.

use super::*;
use crate::postgres::read;

/// The plan that the server would use for any parameters, with the names of the given types.
async fn plan(session: &Client, types: &str, text: &str) -> String {
    session
        .batch_execute(&format!("PREPARE shape ({types}) AS {text}"))
        .await
        .unwrap();
    let nothing = vec!["NULL"; types.split(',').count()].join(", ");
    let rows = session
        .simple_query(&format!("EXPLAIN EXECUTE shape ({nothing})"))
        .await
        .unwrap();
    session.batch_execute("DEALLOCATE shape").await.unwrap();
    let lines = rows.iter().filter_map(|row| match row {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
        _ => None,
    });
    lines.collect::<Vec<String>>().join("\n")
}

#[tokio::test]
async fn each_query_is_served_by_one_index() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let session = connect(fresh.url()).await;
    session
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    for known in ["nothing", "that all is one account's"] {
        let shapes = [
            ("bigint, bigint", read::PAGE, "events_pkey"),
            ("bigint, bigint, bytea", read::ACCOUNT_PAGE, "events_by_account"),
            ("text[], bigint[], bigint[]", read::STREAMS, "events_stream_version_key"),
        ];
        for (types, text, index) in shapes {
            let plan = plan(&session, types, text).await;
            assert!(plan.contains(index), "knowing {known}: {plan}");
            for wrong in ["Seq Scan", "Sort"] {
                assert!(!plan.contains(wrong), "knowing {known}: {plan}");
            }
        }
        let batch = (1..=3_000).map(|id| append(lead(id), 0, &[id], 0)).collect();
        log.append(batch).await;
        session.batch_execute("ANALYZE events").await.unwrap();
    }
}
