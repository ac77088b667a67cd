//! Deliveries of GitHub's own webhooks.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

const SECRET: &str = "a planted secret";
const STAR: &str = r#"{"action":"created","starred_at":"2026-04-09T01:02:03Z","repository":{"id":1,"full_name":"acme/sdk"},"sender":{"id":11,"login":"ada-example","type":"User"}}"#;

fn signed(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={hex}")
}

async fn deliver(room: &Room, id: &str, event: &str, body: &str) -> Receipt {
    let signature = signed(body);
    let receipt = receive(
        &room.ingest,
        Some(SECRET),
        Some(id),
        Some(event),
        Some(&signature),
        body.as_bytes(),
    );
    receipt.await.unwrap()
}

#[tokio::test]
async fn a_star_is_taken_once_whatever_number_of_times_it_is_delivered() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    let Receipt::Accepted(accepted) = deliver(&room, "d-1", "star", STAR).await else {
        panic!("not accepted");
    };
    assert_eq!(accepted.captured, 1);
    assert_eq!(deliver(&room, "d-1", "star", STAR).await, Receipt::Duplicate);
    let Receipt::Accepted(again) = deliver(&room, "d-2", "star", STAR).await else {
        panic!("not accepted");
    };
    assert_eq!((again.captured, again.known), (0, 1));

    let Event::LeadCaptured(captured) = &room.events().await.last().unwrap().event.clone() else {
        panic!("no lead");
    };
    assert_eq!(captured.signal.collector, Collector::GithubWebhook);
    assert_eq!(captured.signal.occurred_at.to_string(), "2026-04-09T01:02:03Z");
}

#[tokio::test]
async fn a_delivery_as_a_form_field_is_read_like_one_in_json() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    let form: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", STAR)
        .finish();
    let Receipt::Accepted(accepted) = deliver(&room, "d-1", "star", &form).await else {
        panic!("not accepted");
    };
    assert_eq!(accepted.captured, 1);
    assert!(matches!(
        deliver(&room, "d-2", "star", "payload=").await,
        Receipt::Malformed(_)
    ));
}

#[tokio::test]
async fn a_text_in_a_repository_that_nobody_tracks_counts_by_its_keyword() {
    let room = Room::new().await;
    room.track_keyword("docker").await;
    let body = r#"{"action":"opened","issue":{"html_url":"https://github.com/x/y/issues/1","title":"Docker","body":null,"user":{"id":7,"login":"bob-example","type":"User"}},"repository":{"full_name":"x/y"},"sender":{"id":8,"login":"carol-example"}}"#;
    let Receipt::Accepted(accepted) = deliver(&room, "d-1", "issues", body).await else {
        panic!("not accepted");
    };
    assert_eq!(accepted.captured, 1);
    assert_eq!(
        person_of(&room, room.events().await.last().unwrap()).await.login,
        "bob-example"
    );
}

#[tokio::test]
async fn what_is_not_signed_with_the_secret_is_refused() {
    let room = Room::new().await;
    let receipt = |secret, signature| {
        receive(
            &room.ingest,
            secret,
            Some("d"),
            Some("star"),
            signature,
            STAR.as_bytes(),
        )
    };
    let genuine = signed(STAR);
    let foreign = genuine
        .replace("sha256=", "sha256=0")
        .chars()
        .take(71)
        .collect::<String>();
    assert_eq!(
        receipt(None, Some(genuine.as_str())).await.unwrap(),
        Receipt::NotConfigured
    );
    for wrong in [None, Some("sha256=00"), Some(foreign.as_str())] {
        assert_eq!(receipt(Some(SECRET), wrong).await.unwrap(), Receipt::BadSignature);
    }
}

#[tokio::test]
async fn strange_payloads_are_ignored_or_called_malformed_and_never_a_fault() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    let deleted = STAR.replace("created", "deleted");
    for (event, body) in [("ping", "{}"), ("push", "not json"), ("star", deleted.as_str())] {
        assert_eq!(
            deliver(&room, "d", event, body).await,
            Receipt::Ignored,
            "{event} {body}"
        );
    }
    for body in [
        "",
        "[]",
        "{}",
        "{\"action\":7}",
        "\u{0}",
        r#"{"action":"created","sender":"planted"}"#,
    ] {
        match deliver(&room, "d", "star", body).await {
            Receipt::Malformed(reason) => assert!(!reason.contains("planted"), "{reason}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn old_delivery_ids_are_forgotten() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    deliver(&room, "d-1", "star", STAR).await;
    room.clock.advance(Duration::from_hours(8 * 24));
    deliver(&room, "d-2", "star", STAR).await;
    let query = database::Statement::sql("SELECT delivery_id FROM github_delivery", Vec::new());
    let rows = room.store().read(query).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>(), ["d-2"]);
}

#[tokio::test]
async fn a_delivery_does_not_bring_an_erased_person_back() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    room.track("acme/cli").await;
    deliver(&room, "d-1", "star", STAR).await;
    room.erase(11).await;
    let Receipt::Accepted(accepted) = deliver(&room, "d-2", "star", &STAR.replace("acme/sdk", "acme/cli")).await else {
        panic!("not accepted");
    };
    assert_eq!((accepted.erased, accepted.captured, accepted.joined), (1, 0, 0));
    assert_eq!(room.history(11).await, ["LeadCaptured", "LeadErased"]);
}
