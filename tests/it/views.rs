//! Stories of the disposable file: deleted, it comes back the same to the byte.

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::{Home, on_every_engine};
use crate::harness::server::{Server, output};

on_every_engine!(every_get_answers_as_before_after_the_views_were_deleted);

async fn every_get_answers_as_before_after_the_views_were_deleted(home: Home) {
    let config = generous(home.folder(), None);
    let arguments = ["--config", config.to_str().unwrap()];
    let server = Server::start(&home, None, &arguments);
    let key = server.key();
    server
        .post(
            "/v1/tracked-repos",
            serde_json::json!({"full_name": STARRED, "type": "competitor"}),
            201,
        )
        .await;
    server
        .post("/v1/tracked-keywords", serde_json::json!({"keyword": "docker"}), 201)
        .await;
    let hook = serde_json::json!({"url": "http://127.0.0.1:9999/none", "events": ["lead.enriched"]});
    let hook = server.post("/v1/webhooks", hook, 201).await;
    assert!(
        output(&home, &["backfill", "-"], hour(120).text.as_bytes())
            .status
            .success()
    );
    let mut paths: Vec<String> = [
        "/v1/leads",
        "/v1/leads?signal_type=keyword_pr",
        "/v1/leads?limit=3",
        "/v1/tracked-repos",
        "/v1/tracked-keywords",
        "/v1/webhooks",
    ]
    .map(String::from)
    .into();
    paths.push(format!("/v1/leads?repo={STARRED}"));
    paths.push(format!("/v1/webhooks/{}", hook["id"].as_str().unwrap()));
    paths.extend(
        server
            .leads("")
            .await
            .iter()
            .map(|lead| format!("/v1/leads/{}", lead["id"].as_str().unwrap())),
    );
    eventually("the repository was polled", || async {
        let repos = server.get("/v1/tracked-repos").await;
        (repos["data"][0]["sources"][0]["state"] != "waiting").then_some(())
    })
    .await;
    let mut before = Vec::new();
    for path in &paths {
        before.push(server.request("GET", path, None).await);
    }
    assert!(server.terminate());
    home.delete_views().await;
    let server = Server::start(&home, Some(&key), &arguments);
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(server.request("GET", path, None).await, before, "{path}");
    }
}
