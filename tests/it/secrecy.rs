//! The story of somebody who reads the disk: nothing personal stands there in clear.

use std::path::Path;

use fake_github::{FakeGithub, User};
use serde_json::json;

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::{Home, on_every_database};
use crate::harness::receiver::Receiver;
use crate::harness::server::{Server, output};

on_every_database!(no_login_name_address_item_or_secret_stands_on_the_disk);

fn contains(haystack: &[u8], needle: &str) -> bool {
    memchr::memmem::find(haystack, needle.as_bytes()).is_some()
}

fn scan(folder: &Path, needles: &[&str]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A socket has no bytes.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for needle in needles {
            assert!(!contains(&bytes, needle), "{needle} stands in {}", path.display());
        }
    }
}

async fn no_login_name_address_item_or_secret_stands_on_the_disk(home: Home) {
    let config = generous(home.folder(), None);
    let github = FakeGithub::start().await.unwrap();
    github.change(|world| world.put_user(planted()));
    let server = Server::start(
        &home,
        None,
        &["--config", config.to_str().unwrap(), "--github-api-url", github.url()],
    );
    let receiver = Receiver::start(500).await;
    let hook = json!({"url": receiver.url(), "secret": "a-planted-hook-secret"});
    server.post("/v1/webhooks", hook, 201).await;
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    server
        .post("/v1/tracked-keywords", json!({"keyword": "docker"}), 201)
        .await;
    assert!(
        output(&home, &["backfill", "-"], hour(40).text.as_bytes())
            .status
            .success()
    );
    eventually("the planted person is enriched", || async {
        let leads = server.leads("").await;
        leads
            .iter()
            .any(|lead| lead["email"] == "planted@example.com")
            .then_some(())
    })
    .await;
    eventually("a delivery failed and is kept", || async {
        (!receiver.received().is_empty()).then_some(())
    })
    .await;
    let key = server.key();
    let needles = [
        "ada-example",
        "Planted Person",
        "planted@example.com",
        "We run it in",
        "globex/app/issues/",
        "a-planted-hook-secret",
        &key,
    ];
    for folder in home.folders_on_disk().await {
        scan(&folder, &needles);
    }
    assert!(server.terminate());
    for folder in home.folders_on_disk().await {
        scan(&folder, &needles);
    }
}

fn planted() -> User {
    let mut user = User::new(700_000, "ada-example-0");
    user.name = Some("Planted Person".into());
    user.email = Some("planted@example.com".into());
    user
}
