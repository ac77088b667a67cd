//! API keys over HTTP: issued, listed, revoked.

use serde_json::{Value, json};

use super::house;

#[tokio::test]
async fn a_key_is_issued_with_its_secret_shown_once_and_lets_in() {
    let house = house().await;
    let made = house
        .call("POST", "/v1/api-keys", Some(json!({ "label": "  the CRM " })))
        .await;
    assert_eq!(made.status, 201);
    assert!(made.header("gitleads-position").parse::<u64>().is_ok());
    let mut record = made.json();
    let secret = record.as_object_mut().unwrap().remove("secret").unwrap();
    let secret = secret.as_str().unwrap();
    let expected = json!({
        "id": record["id"], "label": "the CRM", "hint": secret[secret.len() - 4..],
        "created_at": "2026-04-24T10:31:00.000002Z", "revoked_at": null,
    });
    assert_eq!(record, expected);
    let listed = house.call_as(secret, "GET", "/v1/api-keys", None).await.json();
    assert_eq!(listed["data"][0]["label"], "first");
    assert_eq!(listed["data"][1], expected);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_may_revoke_itself_and_is_gone_the_second_time() {
    let house = house().await;
    let made = house
        .call("POST", "/v1/api-keys", Some(json!({ "label": "second" })))
        .await
        .json();
    let (path, secret) = (
        format!("/v1/api-keys/{}", made["id"].as_str().unwrap()),
        made["secret"].as_str().unwrap(),
    );
    let revoked = house.call_as(secret, "DELETE", &path, None).await;
    assert_eq!((revoked.status.as_u16(), revoked.body.as_str()), (204, ""));
    assert_eq!(house.call_as(secret, "GET", "/v1/leads", None).await.status, 401);
    house
        .call("DELETE", &path, None)
        .await
        .is(404, "not_found", "There is no such API key");
    let listed = house.get("/v1/api-keys").await.json();
    let states: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["revoked_at"])
        .collect();
    assert_eq!(states, [&Value::Null, &json!("2026-04-24T10:31:00.000003Z")]);
}

#[tokio::test]
async fn another_accounts_key_is_not_there() {
    let house = house().await;
    let (_, stranger) = house.another_account("agency").await;
    let path = format!("/v1/api-keys/{}", house.key_id().await);
    house
        .call_as(&stranger, "DELETE", &path, None)
        .await
        .is(404, "not_found", "There is no such API key");
    let theirs = house.call_as(&stranger, "GET", "/v1/api-keys", None).await.json();
    assert_eq!(theirs["data"].as_array().unwrap().len(), 1);
    assert_eq!(house.get("/v1/leads").await.status, 200);
}

#[tokio::test]
async fn a_refused_label_says_what_is_wrong() {
    let house = house().await;
    let length = "label: must have 1 to 128 characters after trimming";
    for (body, message) in [
        (json!({}), "label: is missing"),
        (json!({ "label": " " }), length),
        (json!({ "label": "x".repeat(129) }), length),
        (json!({ "label": "a\nb" }), "label: must not contain control characters"),
        (json!({ "label": null }), "label: invalid type: null, expected a string"),
        (
            json!({ "label": "a", "plan": "agency" }),
            "plan: unknown field; known are label",
        ),
    ] {
        house
            .call("POST", "/v1/api-keys", Some(body))
            .await
            .is(400, "bad_request", message);
    }
    house
        .call("DELETE", "/v1/api-keys/key_x", None)
        .await
        .is(404, "not_found", "There is no such API key");
}
