//! Webhook endpoints over HTTP: added, listed, removed.

use domain::DisabledReason;
use serde_json::{Value, json};

use super::house;
use crate::commands::disable_webhook_endpoint;

#[tokio::test]
async fn an_endpoint_is_added_with_its_secret_shown_once() {
    let house = house().await;
    let body = json!({ "url": "https://hooks.example.com/in" });
    let made = house.call("POST", "/v1/webhooks", Some(body)).await;
    assert_eq!(made.status, 201);
    let mut record = made.json();
    let secret = record.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    let id = record["id"].as_str().unwrap().to_owned();
    let expected = json!({
        "id": id, "url": "https://hooks.example.com/in",
        "events": ["lead.created", "lead.enriched", "lead.updated"],
        "description": null, "status": "active", "disabled_reason": null, "last_failure": null,
        "created_at": "2026-04-24T10:31:00Z",
    });
    assert_eq!(record, expected);
    assert_eq!(house.get("/v1/webhooks").await.json(), json!({ "data": [expected] }));
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(house.get(&path).await.json(), expected);

    assert_eq!(house.call("DELETE", &path, None).await.status, 204);
    for method in ["DELETE", "GET"] {
        house
            .call(method, &path, None)
            .await
            .is(404, "not_found", "There is no such webhook endpoint");
    }
}

#[tokio::test]
async fn a_chosen_secret_is_shown_with_its_standard_form() {
    let house = house().await;
    let body = json!({
        "url": "https://hooks.example.com/in", "events": ["lead.updated", "lead.created", "lead.created"],
        "secret": "correct horse battery staple", "description": "Staging",
    });
    let made = house.call("POST", "/v1/webhooks", Some(body)).await.json();
    assert_eq!(made["secret"], "correct horse battery staple");
    assert_eq!(made["signing_secret"], "whsec_Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==");
    assert_eq!(made["events"], json!(["lead.created", "lead.updated"]));
    assert_eq!(made["description"], "Staging");
}

#[tokio::test]
async fn a_refused_endpoint_names_the_field() {
    let house = house().await;
    let url = "https://hooks.example.com/in";
    let cases: [(Value, &str); 7] = [
        (json!({}), "url: is missing"),
        (
            json!({ "url": "http://hooks.example.com" }),
            "url: must begin with https://",
        ),
        (json!({ "url": "https://127.0.0.1/" }), "url: address not allowed"),
        (
            json!({ "url": url, "events": [] }),
            "events: must name at least one of lead.created, lead.enriched, lead.updated, lead.erased",
        ),
        (
            json!({ "url": url, "events": ["lead.gone"] }),
            "events[0]: must be one of lead.created, lead.enriched, lead.updated, lead.erased",
        ),
        (
            json!({ "url": url, "secret": "short" }),
            "secret: must have 16 to 128 printable ASCII characters",
        ),
        (
            json!({ "url": url, "description": "x".repeat(513) }),
            "description: must have 512 characters at most",
        ),
    ];
    for (body, message) in cases {
        house
            .call("POST", "/v1/webhooks", Some(body))
            .await
            .is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn a_disabled_endpoint_says_why_and_what_it_failed_with_last() {
    let house = house().await;
    let body = json!({ "url": "https://hooks.example.com/in" });
    let made = house.call("POST", "/v1/webhooks", Some(body)).await.json();
    let id = made["id"].as_str().unwrap();
    let failing = DisabledReason::Failing;
    let position = disable_webhook_endpoint(&house.writer, house.account, id.parse().unwrap(), failing, "timeout")
        .await
        .unwrap();
    house.shown(position).await;
    let record = house.get(&format!("/v1/webhooks/{id}")).await.json();
    assert_eq!(record["status"], "disabled");
    assert_eq!(
        (&record["disabled_reason"], &record["last_failure"]),
        (&json!("failing"), &json!("timeout"))
    );
}

#[tokio::test]
async fn another_accounts_endpoint_is_not_there() {
    let house = house().await;
    let (_, stranger) = house.another_account("agency").await;
    let body = json!({ "url": "https://hooks.example.com/in" });
    let made = house.call("POST", "/v1/webhooks", Some(body)).await.json();
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        assert_eq!(house.call_as(&stranger, method, &path, None).await.status, 404);
    }
    assert_eq!(house.get(&path).await.status, 200);
}
