//! Webhook endpoints over HTTP: added, listed, removed.

use axum::body::Body;
use domain::DisabledReason;
use http::Request;
use serde_json::{Value, json};

use super::{House, house};
use crate::commands::disable_webhook_endpoint;

mod deliveries;
mod secrets;
mod trial;

/// An endpoint of the account, and its path.
async fn endpoint(house: &House, more: Value) -> (Value, String) {
    let mut body = json!({ "url": "https://hooks.example.com/in" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = house.call("POST", "/v1/webhooks", Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let record = made.json();
    let path = format!("/v1/webhooks/{}", record["id"].as_str().unwrap());
    (record, path)
}

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
        "kind": "webhook", "filters": { "signal_types": [], "repos": [], "keywords": [] }, "start_from": "now",
        "description": null, "status": "active", "status_since": "2026-04-24T10:31:00.000002Z", "disabled_reason": null,
        "last_failure": null, "previous_secret_valid_until": null, "created_at": "2026-04-24T10:31:00.000002Z",
    });
    assert_eq!(record, expected);
    let mut shown = expected;
    let moment = json!({ "last_status": null, "waiting": 0, "waiting_since": null });
    shown
        .as_object_mut()
        .unwrap()
        .extend(moment.as_object().unwrap().clone());
    let page = json!({ "data": [shown], "next_cursor": null, "has_more": false });
    assert_eq!(house.get("/v1/webhooks").await.json(), page);
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(house.get(&path).await.json(), shown);

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
    let cases: [(Value, &str); 12] = [
        (json!({}), "url: is missing"),
        (
            json!({ "url": "http://hooks.example.com" }),
            "url: must begin with https://",
        ),
        (json!({ "url": "https://127.0.0.1/" }), "url: address not allowed"),
        (
            json!({ "url": url, "events": [] }),
            "events: must name at least one of lead.created, lead.enriched, lead.updated, lead.signal_added, lead.erased, \
             source.degraded, webhook.test",
        ),
        (
            json!({ "url": url, "events": ["lead.gone"] }),
            "events[0]: must be one of lead.created, lead.enriched, lead.updated, lead.signal_added, lead.erased, \
             source.degraded, webhook.test",
        ),
        (
            json!({ "url": url, "kind": "teams" }),
            "kind: must be one of webhook, slack, discord",
        ),
        (
            json!({ "url": url, "filters": { "repos": ["acme"] } }),
            "filters.repos[0]: must be owner/name",
        ),
        (
            json!({ "url": url, "filters": { "keywords": vec!["event sourcing"; 101] } }),
            "filters.keywords: must have 100 entries at most",
        ),
        (
            json!({ "url": url, "start_from": "2026-04-24T10:31:01Z" }),
            "start_from: must not be in the future",
        ),
        (
            json!({ "url": url, "start_from": "yesterday" }),
            "start_from: must be now, beginning or an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z",
        ),
        (
            json!({ "url": url, "secret": "short" }),
            "secret: must have 16 to 128 printable characters",
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

#[tokio::test]
async fn an_endpoint_can_be_for_people_filtered_and_fed_from_the_past() {
    let house = house().await;
    let asked = json!({
        "kind": "slack", "start_from": "beginning",
        "filters": {
            "signal_types": ["keyword_pr", "stargazer", "stargazer"],
            "repos": ["acme/sdk", "Acme/SDK"], "keywords": ["event sourcing"],
        },
    });
    let (_, path) = endpoint(&house, asked).await;
    let record = house.get(&path).await.json();
    assert_eq!(
        (&record["kind"], &record["start_from"]),
        (&json!("slack"), &json!("beginning"))
    );
    let filters = json!({
        "signal_types": ["stargazer", "keyword_pr"], "repos": ["acme/sdk"], "keywords": ["event sourcing"],
    });
    assert_eq!(record["filters"], filters);
}

#[tokio::test]
async fn a_change_names_what_is_to_change_and_the_rest_stays() {
    let house = house().await;
    let (before, path) = endpoint(&house, json!({ "description": "CRM" })).await;
    let edit = json!({ "url": "https://hooks.example.com/out", "events": ["lead.erased"] });
    let answer = house.call("PATCH", &path, Some(edit.clone())).await;
    assert_eq!(answer.status, 200);
    let position: u64 = answer.header("gitleads-position").parse().unwrap();
    let record = answer.json();
    assert_eq!((&record["url"], &record["events"]), (&edit["url"], &edit["events"]));
    assert_eq!(
        (&record["description"], &record["created_at"]),
        (&json!("CRM"), &before["created_at"])
    );
    assert_eq!(house.get(&path).await.json(), record);
    // The same again is no news.
    let again = house.call("PATCH", &path, Some(edit)).await;
    assert_eq!(again.header("gitleads-position").parse::<u64>().unwrap(), position);
    let cleared = house.call("PATCH", &path, Some(json!({ "description": null }))).await;
    assert_eq!(cleared.json()["description"], Value::Null);
    let cases = [
        (json!({}), "body: must have url, events, filters or description"),
        (
            json!({ "filters": null }),
            "filters: invalid type: null, expected an object",
        ),
        (
            json!({ "url": "http://hooks.example.com/" }),
            "url: must begin with https://",
        ),
        (json!({ "url": null }), "url: invalid type: null, expected a string"),
    ];
    for (body, message) in cases {
        let answer = house.call("PATCH", &path, Some(body)).await;
        answer.is(400, "bad_request", message);
    }
    let fixed = house.call("PATCH", &path, Some(json!({ "kind": "slack" }))).await;
    assert!(fixed.body.contains("kind: unknown field"), "{}", fixed.body);
}

#[tokio::test]
async fn an_endpoint_is_paused_and_resumed_and_a_disabled_one_is_enabled_by_that() {
    let house = house().await;
    let (record, path) = endpoint(&house, json!({})).await;
    let post = async |what: &str| house.call("POST", &format!("{path}/{what}"), None).await;
    house.pass(std::time::Duration::from_mins(1));
    let paused = post("pause").await;
    assert_eq!(
        (paused.status.as_u16(), &paused.json()["status"]),
        (200, &json!("paused"))
    );
    assert_eq!(paused.json()["status_since"], "2026-04-24T10:32:00Z");
    assert_eq!(post("resume").await.json()["status"], "active");
    let id = record["id"].as_str().unwrap().parse().unwrap();
    let gone = DisabledReason::Gone;
    disable_webhook_endpoint(&house.writer, house.account, id, gone, "status")
        .await
        .unwrap();
    assert_eq!(post("pause").await.json()["status"], "disabled");
    let resumed = post("resume").await.json();
    assert_eq!(
        (&resumed["status"], &resumed["disabled_reason"]),
        (&json!("active"), &Value::Null)
    );
}

#[tokio::test]
async fn endpoints_are_listed_in_pages_and_by_status() {
    let house = house().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        house.pass(std::time::Duration::from_secs(1));
        let (record, path) = endpoint(&house, json!({})).await;
        ids.push(record["id"].as_str().unwrap().to_owned());
        if ids.len() == 2 {
            house.call("POST", &format!("{path}/pause"), None).await;
        }
    }
    let listed = async |query: &str| house.get(&format!("/v1/webhooks?{query}")).await.json();
    let named = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = listed("limit=2").await;
    assert_eq!((named(&first), &first["has_more"]), (ids[..2].to_vec(), &json!(true)));
    let next = format!("limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = listed(&next).await;
    assert_eq!(
        (named(&second), &second["next_cursor"]),
        (ids[2..].to_vec(), &Value::Null)
    );
    assert_eq!(named(&listed("status=paused").await), ids[1..2]);
    let cases = [
        (
            "cursor=x",
            "cursor: must be the next_cursor of a page of this list with these filters",
        ),
        (
            "cursor=wh_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
            "cursor: must be the next_cursor of a page of this list with these filters",
        ),
        ("status=gone", "status: must be one of active, paused, disabled"),
    ];
    for (query, message) in cases {
        let answer = house.get(&format!("/v1/webhooks?{query}")).await;
        answer.is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn a_cursor_is_of_one_list_and_its_filters() {
    let house = house().await;
    for _ in 0..2 {
        endpoint(&house, json!({})).await;
    }
    let page = house.get("/v1/webhooks?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        house.get(&format!("/v1/webhooks?limit=1&cursor={cursor}")).await.status,
        200
    );
    let answer = house.get(&format!("/v1/webhooks?status=active&cursor={cursor}")).await;
    answer.is(
        400,
        "bad_request",
        "cursor: must be the next_cursor of a page of this list with these filters",
    );
}

#[tokio::test]
async fn calls_that_need_nothing_said_refuse_what_is_said_and_take_an_empty_body() {
    let house = house().await;
    let (_, path) = endpoint(&house, json!({})).await;
    for what in [
        "pause",
        "resume",
        "test",
        "deliveries/evt_01J8ZQ4N3M8YV7T6S5R4Q3P2N1/resend",
    ] {
        let path = format!("{path}/{what}");
        let answer = house.call("POST", &path, Some(json!({ "colour": 1 }))).await;
        assert_eq!(answer.status, 400, "{what}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("colour: unknown field"), "{what}: {message}");
        let send = async |body: &'static str| {
            let request = Request::post(&path)
                .header("authorization", format!("Bearer {}", house.key))
                .header("content-type", "application/json");
            house.send(request.body(Body::from(body)).unwrap()).await
        };
        assert_eq!(send("garbage").await.status, 400, "{what}");
    }
    for what in ["pause", "resume"] {
        let answer = house.call("POST", &format!("{path}/{what}"), Some(json!({}))).await;
        assert_eq!(answer.status, 200, "{what}");
        let empty = Request::post(format!("{path}/{what}"))
            .header("authorization", format!("Bearer {}", house.key))
            .header("content-type", "application/json");
        assert_eq!(
            house.send(empty.body(Body::empty()).unwrap()).await.status,
            200,
            "{what}"
        );
    }
}

#[tokio::test]
async fn whatever_is_done_with_an_endpoint_another_account_finds_none() {
    let house = house().await;
    let (_, stranger) = house.another_account("agency").await;
    let (record, path) = endpoint(&house, json!({})).await;
    let calls = [
        ("GET", "secret", None),
        ("GET", "deliveries", None),
        ("POST", "test", None),
        ("POST", "pause", None),
        ("POST", "resume", None),
        ("POST", "rotate-secret", None),
        ("POST", "deliveries/evt_01J8ZQ4N3M8YV7T6S5R4Q3P2N1/resend", None),
        ("POST", "replay", Some(json!({ "since": "2026-04-24T10:00:00Z" }))),
    ];
    for (method, what, body) in calls {
        let answer = house.call_as(&stranger, method, &format!("{path}/{what}"), body).await;
        answer.is(404, "not_found", "There is no such webhook endpoint");
    }
    let edit = json!({ "description": "mine" });
    assert_eq!(house.call_as(&stranger, "PATCH", &path, Some(edit)).await.status, 404);
    let mut shown = house.get(&path).await.json();
    shown["secret"] = record["secret"].clone();
    for of_the_moment in ["last_status", "waiting", "waiting_since"] {
        shown.as_object_mut().unwrap().remove(of_the_moment);
    }
    assert_eq!(shown, record);
}
