//! The story of a client that pages to the end while new leads arrive.

use std::collections::BTreeSet;

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::home::{Home, on_every_database};
use crate::harness::server::{Server, output};

on_every_database!(five_thousand_leads_page_by_page_while_more_arrive_none_twice_and_none_skipped);

/// Pages of 20 to the end; after each page some more of the lines are fed.
async fn page_while_feeding(
    home: &Home,
    server: &Server,
    filter: &str,
    lines: &mut impl Iterator<Item = String>,
) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("/v1/leads?limit=20{filter}{cursor}")).await;
        ids.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|lead| lead["id"].as_str().unwrap().to_owned()),
        );
        assert_eq!(page["has_more"].as_bool().unwrap(), page["next_cursor"].is_string());
        let Some(next) = page["next_cursor"].as_str() else {
            return ids;
        };
        cursor = format!("&cursor={next}");
        if ids.len() % 400 == 0 {
            let fed: String = lines.by_ref().take(40).collect();
            assert!(output(home, &["backfill", "-"], fed.as_bytes()).status.success());
        }
    }
}

async fn five_thousand_leads_page_by_page_while_more_arrive_none_twice_and_none_skipped(home: Home) {
    let config = generous(home.folder(), None);
    let server = Server::start(&home, None, &["--config", config.to_str().unwrap()]);
    server
        .post("/v1/tracked-repos", serde_json::json!({"full_name": STARRED}), 201)
        .await;
    server
        .post(
            "/v1/tracked-repos",
            serde_json::json!({"full_name": "acme-corp/unrelated"}),
            201,
        )
        .await;
    server
        .post("/v1/tracked-keywords", serde_json::json!({"keyword": "docker"}), 201)
        .await;
    let hour = hour(10_400);
    let lines: Vec<String> = hour.text.lines().map(|line| format!("{line}\n")).collect();
    let (first, later) = lines.split_at(9_600);
    assert!(
        output(&home, &["backfill", "-"], first.concat().as_bytes())
            .status
            .success()
    );
    let mut later = later.iter().cloned();
    let repo = format!("&repo={STARRED}");
    let filters = [
        "",
        "&signal_type=stargazer",
        &repo,
        "&signal_type=keyword_issue",
        "&signal_type=keyword_pr&repo=globex/app",
        "&since=2020-01-01T00:00:00Z",
    ];
    for filter in filters {
        let before: BTreeSet<String> = server
            .leads(&filter.replacen('&', "", 1))
            .await
            .iter()
            .map(|lead| lead["id"].as_str().unwrap().to_owned())
            .collect();
        assert!(
            filter.contains("repo") || filter.contains("type") || before.len() >= 5_000,
            "{}",
            before.len()
        );
        let paged = page_while_feeding(&home, &server, filter, &mut later).await;
        let distinct: BTreeSet<String> = paged.iter().cloned().collect();
        assert_eq!(distinct.len(), paged.len(), "a row twice under {filter:?}");
        let differing = distinct.symmetric_difference(&before).count();
        assert_eq!(differing, 0, "rows skipped or new under {filter:?}");
    }
}
