//! GitHub's own webhooks: what the route does with what the ingestion says.

use std::time::Duration;

use axum::body::Body;
use http::Request;

use super::{Answer, House, house, house_that};

impl House {
    /// A delivery with that signature.
    pub(super) async fn github(&self, signature: &str, body: &str) -> Answer {
        let request = Request::post("/github/webhooks")
            .header("content-type", "application/json")
            .header("x-github-event", "star")
            .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
            .header("x-hub-signature-256", signature);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

#[tokio::test]
async fn a_delivery_is_taken_in_once() {
    let house = house().await;
    for (signature, status, word) in [
        ("sha256=new", 202, "accepted"),
        ("sha256=again", 200, "duplicate"),
        ("sha256=other", 200, "ignored"),
    ] {
        let answer = house.github(signature, r#"{"action":"created"}"#).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json(), serde_json::json!({ "status": word }));
    }
    let deliveries = house.deliveries.lock().unwrap();
    assert_eq!(deliveries[0].event, "star");
    assert_eq!(deliveries[0].id, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(&deliveries[0].body[..], br#"{"action":"created"}"#);
}

#[tokio::test]
async fn a_wrong_or_missing_signature_gets_401() {
    let house = house().await;
    let message = "Invalid or missing webhook signature";
    house
        .github("sha256=wrong", "{}")
        .await
        .is(401, "unauthorized", message);
    let unsigned = Request::post("/github/webhooks").header("x-github-event", "star");
    house
        .send(unsigned.body(Body::from("{}")).unwrap())
        .await
        .is(401, "unauthorized", message);
}

#[tokio::test]
async fn a_delivery_without_its_headers_or_with_a_strange_body_gets_400() {
    let house = house().await;
    let request = Request::post("/github/webhooks")
        .header("x-hub-signature-256", "sha256=new")
        .header("x-github-delivery", "1");
    let answer = house.send(request.body(Body::from("{}")).unwrap()).await;
    answer.is(400, "bad_request", "x-github-event: the header is missing");
    let answer = house.github("sha256=broken", "[]").await;
    answer.is(400, "bad_request", "body: not a payload of this event");
}

#[tokio::test]
async fn a_stuck_handler_is_given_up_on() {
    let house = house_that("agency", Duration::from_millis(20)).await;
    let answer = house.github("sha256=stuck", "{}").await;
    answer.is(503, "service_unavailable", "The answer took too long; try again");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_body_beyond_what_github_sends_gets_413() {
    let house = house().await;
    let answer = house.github("sha256=new", &"x".repeat(25 * 1024 * 1024 + 1)).await;
    answer.is(
        413,
        "payload_too_large",
        "The body must not be larger than 26214400 bytes",
    );
}
