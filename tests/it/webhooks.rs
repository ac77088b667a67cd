//! Stories of a subscriber: both signatures check, an outage and a crash lose nothing.

use std::collections::{BTreeMap, BTreeSet};

use fake_github::{FakeGithub, User};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::{Home, on_every_engine};
use crate::harness::receiver::{Received, Receiver};
use crate::harness::server::{Server, output};

on_every_engine!(
    an_outage_of_the_receiver_and_a_crash_of_the_server_lose_no_delivery,
    a_generated_secret_verifies_and_an_enriched_lead_is_announced,
    deliveries_around_a_rotation_verify_with_the_old_secret_and_the_new_one
);

/// Checks a delivery as a subscriber would: with the Standard Webhooks library, and with a plain HMAC of the body.
fn verify(received: &Received, secret: &str, signing_secret: &str) {
    let library = standardwebhooks::Webhook::new(signing_secret).unwrap();
    library.verify(&received.body, &received.headers).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&received.body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(received.header("x-gitleads-signature"), format!("sha256={hex}"));
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

/// Who was delivered with success, by `webhook-id`.
fn delivered(receiver: &Receiver) -> BTreeMap<String, String> {
    let good = receiver
        .received()
        .into_iter()
        .filter(|received| received.answered == 200);
    good.map(|received| {
        let login = body(&received)["data"]["github_username"].as_str().unwrap().to_owned();
        (received.header("webhook-id").to_owned(), login)
    })
    .collect()
}

async fn an_outage_of_the_receiver_and_a_crash_of_the_server_lose_no_delivery(home: Home) {
    let config = generous(home.folder(), None);
    let arguments = ["--config", config.to_str().unwrap()];
    let server = Server::start(&home, None, &arguments);
    let key = server.key();
    let receiver = Receiver::start(503).await;
    let given = "a secret of the subscriber";
    let endpoint = json!({"url": receiver.url(), "events": ["lead.created"], "secret": given});
    let endpoint = server.post("/v1/webhooks", endpoint, 201).await;
    let signing_secret = endpoint["signing_secret"].as_str().unwrap().to_owned();
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    let hour = hour(160);
    let lines: Vec<&str> = hour.text.lines().collect();
    let (first, second) = lines.split_at(80);
    assert!(
        output(&home, &["backfill", "-"], first.join("\n").as_bytes())
            .status
            .success()
    );
    eventually("the receiver was tried", || async {
        (receiver.received().len() >= 4).then_some(())
    })
    .await;
    server.kill();
    receiver.answer(200);
    let server = Server::start(&home, Some(&key), &arguments);
    assert!(
        output(&home, &["backfill", "-"], second.join("\n").as_bytes())
            .status
            .success()
    );
    eventually("everybody was delivered", || async {
        let logins: BTreeSet<String> = delivered(&receiver).into_values().collect();
        (logins == hour.stargazers).then_some(())
    })
    .await;
    let delivered = delivered(&receiver);
    assert_eq!(delivered.len(), hour.stargazers.len(), "one webhook-id an event");
    for received in receiver.received() {
        verify(&received, given, &signing_secret);
        let body = body(&received);
        assert_eq!(
            (body["event"].as_str(), body["data"]["signal_source"].as_str()),
            (Some("lead.created"), Some(STARRED))
        );
        let login = body["data"]["github_username"].as_str().unwrap();
        let id = received.header("webhook-id");
        assert_eq!(
            delivered.get(id).map(String::as_str),
            Some(login),
            "the id of an event changed between attempts"
        );
    }
    let leads = server.leads("").await;
    assert_eq!(leads.len(), hour.stargazers.len());
    assert!(server.terminate());
}

async fn a_generated_secret_verifies_and_an_enriched_lead_is_announced(home: Home) {
    let config = generous(home.folder(), None);
    let github = FakeGithub::start().await.unwrap();
    github.change(|world| {
        let mut ada = User::new(700_000, "ada-example-0");
        ada.name = Some("Ada Example".into());
        world.put_user(ada);
    });
    let server = Server::start(
        &home,
        None,
        &["--config", config.to_str().unwrap(), "--github-api-url", github.url()],
    );
    let receiver = Receiver::start(200).await;
    let endpoint = server.post("/v1/webhooks", json!({"url": receiver.url()}), 201).await;
    let secret = endpoint["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    let hour = hour(1);
    assert!(output(&home, &["backfill", "-"], hour.text.as_bytes()).status.success());
    let enriched = eventually("the lead is announced and its enrichment too", || async {
        receiver
            .received()
            .into_iter()
            .find(|received| body(received)["event"] == "lead.enriched")
    })
    .await;
    assert_eq!(body(&enriched)["data"]["name"], "Ada Example");
    let events: Vec<Value> = receiver
        .received()
        .iter()
        .map(|received| body(received)["event"].clone())
        .collect();
    assert_eq!(events, ["lead.created", "lead.enriched"]);
    for received in receiver.received() {
        verify(&received, &secret, &secret);
    }
    assert!(server.terminate());
}

async fn deliveries_around_a_rotation_verify_with_the_old_secret_and_the_new_one(home: Home) {
    let config = generous(home.folder(), None);
    let arguments = ["--config", config.to_str().unwrap()];
    let server = Server::start(&home, None, &arguments);
    // Refused at first, so that deliveries are under way while the secret is rotated.
    let receiver = Receiver::start(503).await;
    let endpoint = json!({"url": receiver.url(), "events": ["lead.created"]});
    let endpoint = server.post("/v1/webhooks", endpoint, 201).await;
    let old = endpoint["secret"].as_str().unwrap().to_owned();
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    let hour = hour(40);
    assert!(output(&home, &["backfill", "-"], hour.text.as_bytes()).status.success());
    eventually("the receiver was tried", || async {
        (receiver.received().len() >= 4).then_some(())
    })
    .await;
    let path = format!("/v1/webhooks/{}/rotate-secret", endpoint["id"].as_str().unwrap());
    let rotated = server.post(&path, json!({}), 200).await;
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_eq!(rotated["previous"]["secret"].as_str(), Some(old.as_str()));
    receiver.answer(200);
    eventually("everybody was delivered", || async {
        let logins: BTreeSet<String> = delivered(&receiver).into_values().collect();
        (logins == hour.stargazers).then_some(())
    })
    .await;
    let mut with_both = 0;
    for received in receiver.received() {
        // Our own header stays with the old secret for as long as it is valid.
        verify(&received, &old, &old);
        let next = received.header("x-gitleads-signature-next").to_owned();
        let library = standardwebhooks::Webhook::new(&new).unwrap();
        assert_eq!(
            library.verify(&received.body, &received.headers).is_ok(),
            !next.is_empty()
        );
        with_both += usize::from(!next.is_empty());
    }
    assert!(with_both >= hour.stargazers.len() / 2, "{with_both}");
    assert!(server.terminate());
}
