//! Stories of what the log alone brings back: read models that were deleted, and a log that went to another engine.

use serde_json::json;

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::{Home, on_every_engine};
use crate::harness::server::{Server, output, run};

on_every_engine!(every_get_answers_as_before_after_the_views_were_deleted);

/// A server with something to tell, on an installation that has nothing yet.
async fn server_with_leads(home: &Home, arguments: &[&str]) -> Server {
    let server = Server::start(home, None, arguments);
    let repo = json!({"full_name": STARRED, "type": "competitor"});
    server.post("/v1/tracked-repos", repo, 201).await;
    server
        .post("/v1/tracked-keywords", json!({"keyword": "docker"}), 201)
        .await;
    let hook = json!({"url": "http://127.0.0.1:9999/none", "events": ["lead.enriched"]});
    server.post("/v1/webhooks", hook, 201).await;
    let fed = output(home, &["backfill", "-"], hour(120).text.as_bytes());
    assert!(fed.status.success());
    eventually("the repository was polled", || async {
        let repos = server.get("/v1/tracked-repos").await;
        (repos["data"][0]["sources"][0]["state"] != "waiting").then_some(())
    })
    .await;
    server
}

/// What it answers to every question that somebody may ask.
async fn answers(server: &Server) -> Vec<(String, (u16, String))> {
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
    let hooks = server.get("/v1/webhooks").await;
    paths.push(format!("/v1/webhooks/{}", hooks["data"][0]["id"].as_str().unwrap()));
    let leads = server.leads("").await;
    paths.extend(
        leads
            .iter()
            .map(|lead| format!("/v1/leads/{}", lead["id"].as_str().unwrap())),
    );
    let mut answers = Vec::new();
    for path in paths {
        let answer = server.request("GET", &path, None).await;
        answers.push((path, answer));
    }
    answers
}

async fn every_get_answers_as_before_after_the_views_were_deleted(home: Home) {
    let config = generous(home.folder(), None);
    let arguments = ["--config", config.to_str().unwrap()];
    let server = server_with_leads(&home, &arguments).await;
    let (key, before) = (server.key(), answers(&server).await);
    assert!(server.terminate());
    home.delete_views().await;
    let server = Server::start(&home, Some(&key), &arguments);
    assert_eq!(answers(&server).await, before);
}

/// Copies a log; what the command says of both at the end.
fn copy(from: &Home, to: &Home) -> String {
    let told = run(from, &["log", "copy", &from.place(), &to.place()]);
    std::fs::create_dir_all(to.data()).unwrap();
    std::fs::copy(from.data().join("root.key"), to.data().join("root.key")).unwrap();
    let digest = told.lines().find(|line| line.contains("sha256:"));
    digest.unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[tokio::test]
async fn every_get_answers_as_before_where_the_log_was_copied_to_and_back() {
    let files = Home::on_sqlite();
    let config = generous(files.folder(), None);
    let arguments = ["--config", config.to_str().unwrap()];
    let server = server_with_leads(&files, &arguments).await;
    let (key, before) = (server.key(), answers(&server).await);
    assert!(server.terminate());
    let (shared, back) = (Home::on_postgres().await, Home::on_sqlite());
    assert_eq!(copy(&files, &shared), copy(&shared, &back));
    for home in [&shared, &back] {
        let server = Server::start(home, Some(&key), &arguments);
        assert_eq!(answers(&server).await, before);
        assert!(server.terminate());
    }
}
