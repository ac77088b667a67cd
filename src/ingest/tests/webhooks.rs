//! Deliveries of GitHub's own webhooks.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

pub const SECRET: &str = "a planted secret";
const STAR: &str = r#"{"action":"created","starred_at":"2026-04-09T01:02:03Z","repository":{"id":1,"full_name":"acme/sdk"},"sender":{"id":11,"login":"ada-example","type":"User"}}"#;

pub fn signed(body: &str) -> String {
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
    let private = STAR.replace(r#""id":1,"#, r#""id":1,"private":true,"#);
    for (event, body) in [("ping", "{}"), ("push", "not json"), ("star", private.as_str())] {
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

/// The same person takes the star back; GitHub does not say when.
fn unstar() -> String {
    STAR.replace(
        r#""created","starred_at":"2026-04-09T01:02:03Z""#,
        r#""deleted","starred_at":null"#,
    )
}

#[tokio::test]
async fn a_star_that_is_taken_back_says_so_in_the_timeline_until_it_is_given_again() {
    let room = Room::new().await;
    room.track("Acme/SDK").await;
    let taken_back = async |id: &str| match deliver(&room, id, "star", &unstar()).await {
        Receipt::Accepted(accepted) => accepted.taken_back,
        other => panic!("{other:?}"),
    };
    assert_eq!(taken_back("d-1").await, 0, "nobody knows of the star");
    deliver(&room, "d-2", "star", STAR).await;
    assert_eq!((taken_back("d-3").await, taken_back("d-4").await), (1, 0));
    room.settle().await;
    let lead_id = |events: &[Recorded]| {
        events.iter().find_map(|recorded| match &recorded.event {
            Event::LeadCaptured(captured) => Some(captured.lead_id),
            _ => None,
        })
    };
    let lead_id = lead_id(&room.events().await).unwrap();
    let gone = async || {
        let detail = projections::leads::find(&*room.ingest.views, room.account, lead_id)
            .await
            .unwrap();
        detail.unwrap().stars_gone.into_values().collect::<Vec<Timestamp>>()
    };
    assert_eq!(gone().await, [room.clock.now()]);

    // The star of before, told late by another source, is no other star.
    let late = Activity {
        occurred_at: "2026-04-09T01:02:03Z".parse().unwrap(),
        ..star(11, "acme/sdk")
    };
    room.ingest.accept(vec![late]).await.unwrap();
    room.settle().await;
    assert_eq!(gone().await, [room.clock.now()]);
    room.clock.advance(Duration::from_mins(5));
    let again = STAR.replace("2026-04-09T01:02:03Z", &room.clock.now().to_string());
    deliver(&room, "d-5", "star", &again).await;
    room.settle().await;
    assert_eq!(gone().await, []);
    assert_eq!(
        room.history(11).await,
        ["LeadCaptured", "StarTakenBack", "StarGivenAgain"]
    );
    room.erase(11).await;
    assert_eq!(taken_back("d-6").await, 0);
}

#[tokio::test]
async fn a_batch_is_put_down_in_its_order() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    let now = room.clock.now();
    let at = |act: Act, seconds: u64| Activity {
        act,
        occurred_at: now.plus(Duration::from_secs(seconds)),
        ..star(5, "acme/sdk")
    };
    let batch = vec![
        at(Act::Starred, 1),
        at(Act::Unstarred, 2),
        at(Act::Starred, 3),
        at(Act::Unstarred, 4),
    ];
    let accepted = room.ingest.accept(batch).await.unwrap();
    assert_eq!((accepted.captured, accepted.known, accepted.taken_back), (1, 1, 2));
    assert_eq!(
        room.history(5).await,
        ["LeadCaptured", "StarTakenBack", "StarGivenAgain", "StarTakenBack"]
    );
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
