//! The story of a person who asks to be forgotten: nothing of them is left anywhere, and nothing of them comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use database::Statement;
use fake_github::{FakeGithub, User};
use serde_json::{Value, json};
use testbed::Cluster;

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::{Home, on_every_database};
use crate::harness::receiver::Receiver;
use crate::harness::server::{Server, output, run};

const LOGIN: &str = "ada-example-0";
const NAME: &str = "Planted Person";
const EMAIL: &str = "planted@example.com";
const NOTES: &str = "Planted notes: met at the fair";

mod on_files {
    #[tokio::test]
    async fn an_erased_person_is_nowhere_and_does_not_come_back() {
        super::an_erased_person_is_nowhere_and_does_not_come_back(super::Home::on_sqlite()).await;
    }
}

mod on_a_postgres_of_its_own {
    // Its write-ahead log is turned over.
    #[tokio::test]
    async fn an_erased_person_is_nowhere_and_does_not_come_back() {
        let cluster = super::Cluster::start();
        let home = super::Home::at(cluster.url("postgres"));
        super::an_erased_person_is_nowhere_and_does_not_come_back(home).await;
    }
}

on_every_database!(a_person_is_forgotten_on_the_command_line_with_a_server_and_without);

fn planted() -> User {
    let mut user = User::new(700_000, LOGIN);
    user.name = Some(NAME.into());
    user.email = Some(EMAIL.into());
    user
}

/// Every key that is stored, as it is stored.
async fn wrapped_keys(home: &Home) -> BTreeSet<Vec<u8>> {
    let text = "SELECT wrapped FROM person_keys WHERE wrapped IS NOT NULL";
    let rows = home.store().await.read(Statement::sql(text, Vec::new())).await.unwrap();
    rows.iter().map(|row| row.blob(0).unwrap().to_vec()).collect()
}

/// Which of the needles the files of the installation hold, and where.
async fn found(home: &Home, needles: &[&[u8]]) -> BTreeMap<Vec<u8>, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = home.folders_on_disk().await;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // A socket has no bytes.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let held = needles
                .iter()
                .filter(|needle| memchr::memmem::find(&bytes, needle).is_some());
            found.extend(held.map(|needle| (needle.to_vec(), path.clone())));
        }
    }
    found
}

/// The deliveries that speak of the lead, by their event.
fn told_of(receiver: &Receiver, lead: &str) -> Vec<Value> {
    let bodies = receiver.received();
    let bodies = bodies.iter().map(|taken| serde_json::from_slice(&taken.body).unwrap());
    bodies.filter(|body: &Value| body["data"]["id"] == lead).collect()
}

async fn add_hook(server: &Server, receiver: &Receiver) {
    let events = ["lead.created", "lead.enriched", "lead.updated", "lead.erased"];
    let hook = json!({"url": receiver.url(), "events": events});
    server.post("/v1/webhooks", hook, 201).await;
}

/// The planted person's lead, once everything is known of them that will be.
async fn enriched_lead(server: &Server) -> String {
    eventually("the planted person is enriched", || async {
        let leads = server.leads("").await;
        let planted = leads.into_iter().find(|lead| lead["email"] == EMAIL)?;
        Some(planted["id"].as_str()?.to_owned())
    })
    .await
}

async fn an_erased_person_is_nowhere_and_does_not_come_back(home: Home) {
    let config = generous(home.folder(), None);
    let github = FakeGithub::start().await.unwrap();
    github.change(|world| world.put_user(planted()));
    let arguments = ["--config", config.to_str().unwrap(), "--github-api-url", github.url()];
    let server = Server::start(&home, None, &arguments);
    let (healthy, failing) = (Receiver::start(200).await, Receiver::start(500).await);
    add_hook(&server, &healthy).await;
    add_hook(&server, &failing).await;
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    let hour = hour(40);
    assert!(output(&home, &["backfill", "-"], hour.text.as_bytes()).status.success());
    let lead = enriched_lead(&server).await;
    let path = format!("/v1/leads/{lead}");
    let edit = json!({"status": "contacted", "notes": NOTES});
    let (status, body) = server.request("PATCH", &path, Some(edit)).await;
    assert_eq!(status, 200, "{body}");
    eventually("the edit is delivered, and not to everybody", || async {
        let edited = told_of(&healthy, &lead)
            .iter()
            .any(|body| body["event"] == "lead.updated" && body["data"]["notes"] == NOTES);
        (edited && !told_of(&failing, &lead).is_empty()).then_some(())
    })
    .await;
    let leads = server.leads("").await.len();

    let before = wrapped_keys(&home).await;
    let stored: Vec<&[u8]> = before.iter().map(Vec::as_slice).collect();
    assert_eq!(
        found(&home, &stored).await.len(),
        before.len(),
        "keys can be found on the disk"
    );
    let person = format!("/v1/people/{LOGIN}");
    assert_eq!(server.request("DELETE", &person, None).await, (204, String::new()));
    failing.answer(200);
    let after = wrapped_keys(&home).await;
    let destroyed: Vec<&Vec<u8>> = before.difference(&after).collect();
    assert_eq!((destroyed.len(), after.len()), (1, before.len() - 1));

    assert_eq!(server.request("GET", &person, None).await.0, 404);
    let left = server.get(&path).await;
    assert_eq!(
        (&left["status"], &left["github_username"]),
        (&json!("erased"), &Value::Null)
    );
    assert_eq!(server.leads("").await.len(), leads - 1);
    for receiver in [&healthy, &failing] {
        eventually("the erasure is told", || async {
            let told = told_of(receiver, &lead);
            told.iter().any(|body| body["event"] == "lead.erased").then_some(())
        })
        .await;
    }

    let again = output(&home, &["backfill", "-"], hour.text.as_bytes());
    let again = String::from_utf8_lossy(&again.stdout).into_owned();
    // The line stands in the hour twice.
    assert!(again.contains("2  signals of erased people, not kept"), "{again}");
    assert_eq!(server.get(&path).await, left);
    assert_eq!(server.leads("").await.len(), leads - 1);

    let key = server.key();
    assert!(server.terminate());
    home.rotate().await;
    let needles = [LOGIN, NAME, EMAIL, NOTES].map(str::as_bytes);
    let needles = [&needles[..], &[destroyed[0].as_slice()]].concat();
    assert_eq!(found(&home, &needles).await, BTreeMap::new());

    let told = run(&home, &["replay", "--all", "--verify"]);
    let verified = run(&home, &["log", "verify"]);
    assert!(!told.is_empty() && !verified.is_empty());
    let server = Server::start(&home, Some(&key), &arguments);
    assert_eq!(server.get(&path).await, left);
    assert_eq!(server.request("GET", &person, None).await.0, 404);
    for receiver in [&healthy, &failing] {
        let told = told_of(receiver, &lead);
        let erased = told.iter().position(|body| body["event"] == "lead.erased").unwrap();
        assert_eq!(erased, told.len() - 1, "nothing of the person arrives later");
        let data = &told[erased]["data"];
        assert_eq!(*data, json!({"id": lead, "erased_at": data["erased_at"]}));
    }
}

async fn a_person_is_forgotten_on_the_command_line_with_a_server_and_without(home: Home) {
    run(&home, &["track", "repo", STARRED]);
    let hour = hour(40);
    assert!(output(&home, &["backfill", "-"], hour.text.as_bytes()).status.success());
    let logins: Vec<&String> = hour.stargazers.iter().collect();
    let told = run(&home, &["forget", &logins[0].to_uppercase()]);
    assert!(told.contains("is erased: nothing of lead_"), "{told}");

    let config = generous(home.folder(), None);
    let server = Server::start(&home, None, &["--config", config.to_str().unwrap()]);
    assert_eq!(server.leads("").await.len(), logins.len() - 1);
    run(&home, &["forget", logins[1]]);
    eventually("the server shows it", || async {
        (server.leads("").await.len() == logins.len() - 2).then_some(())
    })
    .await;
    for gone in &logins[..2] {
        let again = output(&home, &["forget", gone], b"");
        let complaint = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(!again.status.success());
        assert!(complaint.contains("nobody is found by the name"), "{complaint}");
    }
}
