//! Each query is served by the one index that is meant for it, however little the server knows of the tables.

use super::*;
use crate::postgres::read;

#[tokio::test]
async fn each_query_is_served_by_one_index() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    for known in ["nothing", "that all is one account's"] {
        let shapes = [
            (&["bigint", "bigint"][..], read::PAGE, "events_pkey"),
            (&["bigint", "bigint", "bytea"], read::ACCOUNT_PAGE, "events_by_account"),
            (
                &["text[]", "bigint[]", "bigint[]"],
                read::STREAMS,
                "events_stream_version_key",
            ),
        ];
        for (types, text, index) in shapes {
            let plan = fresh.generic_plan(text, types).await;
            assert!(plan.contains(index), "knowing {known}: {plan}");
            for wrong in ["Seq Scan", "Sort"] {
                assert!(!plan.contains(wrong), "knowing {known}: {plan}");
            }
        }
        let batch = (1..=3_000).map(|id| append(lead(id), 0, &[id], 0)).collect();
        log.append(batch).await;
        fresh.execute("ANALYZE events").await;
    }
}
