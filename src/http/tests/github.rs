//! GitHub's own webhooks: what the route makes of a delivery.

use axum::body::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use serde_json::json;

use super::{Answer, GITHUB_SECRET, House, house};

const STAR: &str = r#"{"action":"created","starred_at":"2026-04-24T09:00:00Z",
    "repository":{"full_name":"acme/sdk"},"sender":{"id":11,"login":"ada-example","type":"User"}}"#;

fn signature(body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(GITHUB_SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={hex}")
}

impl House {
    async fn github(&self, id: &str, event: &str, body: &str) -> Answer {
        let request = Request::post("/github/webhooks")
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .header("x-github-event", event)
            .header("x-github-delivery", id)
            .header("x-hub-signature-256", signature(body));
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

#[tokio::test]
async fn a_star_that_github_tells_of_becomes_a_lead_once() {
    let house = house().await;
    let tracked = house
        .call("POST", "/v1/tracked-repos", Some(json!({ "full_name": "acme/sdk" })))
        .await;
    assert_eq!(tracked.status, 201);
    for (id, event, status, word) in [
        ("1", "star", 202, "accepted"),
        ("1", "star", 200, "duplicate"),
        ("2", "ping", 200, "ignored"),
    ] {
        let answer = house.github(id, event, STAR).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (status, json!({ "status": word }))
        );
    }
    let head = house.writer.log.head().await.unwrap();
    house.shown(head).await;
    let leads = house.get("/v1/leads").await.json();
    assert_eq!(leads["data"].as_array().unwrap().len(), 1);
    assert_eq!(leads["data"][0]["github_username"], "ada-example");
}

#[tokio::test]
async fn a_wrong_or_missing_signature_gets_401() {
    let house = house().await;
    let message = "Invalid or missing webhook signature";
    for given in [
        None,
        Some(signature("another body")),
        Some("sha256=".into()),
        Some("sha1=00".into()),
    ] {
        let mut request = Request::post("/github/webhooks").header("x-github-event", "star");
        if let Some(given) = given {
            request = request.header("x-hub-signature-256", given);
        }
        let answer = house.send(request.body(Body::from(STAR)).unwrap()).await;
        answer.is(401, "unauthorized", message);
    }
}

#[tokio::test]
async fn a_genuine_delivery_that_is_no_json_gets_400() {
    let answer = house().await.github("1", "star", "payload=%7B").await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["error"].as_str()),
        (400, Some("bad_request"))
    );
    assert!(answer.body.contains("body: "), "{}", answer.body);
}

#[tokio::test]
async fn a_body_beyond_what_github_sends_gets_413() {
    let house = house().await;
    let answer = house.github("1", "star", &"x".repeat(25 * 1024 * 1024 + 1)).await;
    answer.is(
        413,
        "payload_too_large",
        "The body must not be larger than 26214400 bytes",
    );
}
