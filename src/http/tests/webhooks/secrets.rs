//! An endpoint's secrets over HTTP: shown to whoever asks for exactly that, and rotated with a day in which both hold.

use std::time::Duration;

use serde_json::{Value, json};

use super::endpoint;
use crate::http::tests::house;

#[tokio::test]
async fn the_secret_is_shown_where_it_is_asked_for_and_is_not_to_be_kept_on_the_way() {
    let house = house().await;
    let (record, path) = endpoint(&house, json!({ "secret": "correct horse battery staple" })).await;
    let shown = house.get(&format!("{path}/secret")).await;
    let expected = json!({
        "secret": "correct horse battery staple",
        "signing_secret": "whsec_Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==",
        "previous": null,
    });
    assert_eq!(shown.json(), expected);
    assert_eq!(
        (shown.header("cache-control"), shown.header("etag")),
        ("private, no-store", "")
    );
    let generated = endpoint(&house, json!({})).await;
    let shown = house.get(&format!("{}/secret", generated.1)).await.json();
    assert_eq!(shown, json!({ "secret": generated.0["secret"], "previous": null }));
    assert_ne!(generated.0["secret"], record["secret"]);
}

#[tokio::test]
async fn after_a_rotation_both_secrets_are_shown_until_a_day_has_passed() {
    let house = house().await;
    let (record, path) = endpoint(&house, json!({})).await;
    let rotated = house.call("POST", &format!("{path}/rotate-secret"), None).await;
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    assert_eq!(rotated.header("cache-control"), "private, no-store");
    assert!(!rotated.header("gitleads-position").is_empty());
    let both = rotated.json();
    assert!(both["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_ne!(both["secret"], record["secret"]);
    let previous = json!({ "secret": record["secret"], "valid_until": "2026-04-25T10:31:00Z" });
    assert_eq!(both["previous"], previous);
    assert_eq!(house.get(&format!("{path}/secret")).await.json(), both);
    let shown = house.get(&path).await.json();
    assert_eq!(shown["previous_secret_valid_until"], "2026-04-25T10:31:00Z");

    let chosen = json!({ "secret": "correct horse battery staple" });
    let early = house
        .call("POST", &format!("{path}/rotate-secret"), Some(chosen.clone()))
        .await;
    early.is(
        409,
        "conflict",
        "secret: the secret before the current one is valid until 2026-04-25T10:31:00Z; rotate again after that",
    );
    house.pass(Duration::from_hours(24));
    let alone = house.get(&format!("{path}/secret")).await.json();
    assert_eq!((&alone["secret"], &alone["previous"]), (&both["secret"], &Value::Null));
    let again = house
        .call("POST", &format!("{path}/rotate-secret"), Some(chosen))
        .await
        .json();
    assert_eq!(again["secret"], "correct horse battery staple");
    assert_eq!(again["previous"]["secret"], both["secret"]);
}

#[tokio::test]
async fn the_secret_that_it_has_is_no_other_and_it_may_have_any_letters() {
    let house = house().await;
    let given = json!({ "secret": "пароль 合言葉 of Ada" });
    let (_, path) = endpoint(&house, given.clone()).await;
    let answer = house.call("POST", &format!("{path}/rotate-secret"), Some(given)).await;
    answer.is(409, "conflict", "secret: is the endpoint's secret already");
    assert_eq!(
        house.get(&format!("{path}/secret")).await.json()["previous"],
        Value::Null
    );
}

#[tokio::test]
async fn a_secret_that_is_none_is_refused_and_nothing_is_rotated() {
    let house = house().await;
    let (_, path) = endpoint(&house, json!({})).await;
    let short = json!({ "secret": "short" });
    let refused = house.call("POST", &format!("{path}/rotate-secret"), Some(short)).await;
    refused.is(400, "bad_request", "secret: must have 16 to 128 printable characters");
    assert_eq!(
        house.get(&format!("{path}/secret")).await.json()["previous"],
        Value::Null
    );
}

#[tokio::test]
async fn the_log_as_the_account_reads_it_holds_no_secret() {
    let house = house().await;
    let (record, path) = endpoint(&house, json!({})).await;
    house.call("POST", &format!("{path}/rotate-secret"), None).await;
    let page = house.get("/v1/events?type=WebhookSecretRotated").await.json();
    let id = record["id"].clone();
    let expected = json!({ "endpoint_id": id, "previous_valid_until": "2026-04-25T10:31:00Z" });
    assert_eq!(page["data"][0]["data"], expected);
}
