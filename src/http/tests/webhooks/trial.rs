//! A test of an endpoint over HTTP: one real request, and what came of it in the answer.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

use super::endpoint;
use crate::clock::{Clock as _, SystemClock};
use crate::deliver::guard::Policy;
use crate::http::router;
use crate::http::tests::{House, house, sender};
use crate::http::{Api, Shutdown};
use crate::lease::Leases;

type Heard = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A subscriber on this machine that answers with that status and text.
async fn subscriber(status: u16, answer: String) -> (String, Heard) {
    let heard = Heard::default();
    let noted = heard.clone();
    let hear = move |headers: HeaderMap, body: String| async move {
        noted.lock().unwrap().push((headers, body));
        (StatusCode::from_u16(status).unwrap(), answer)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(hear)).await.unwrap() });
    (url, heard)
}

/// A house that may deliver to this machine.
async fn lax_house() -> House {
    let mut house = house().await;
    let policy = Policy {
        allow_private: true,
        allow_http: true,
    };
    house.router = router(Api {
        endpoint_policy: policy,
        sender: sender(policy),
        ..house.api(Leases::sole())
    });
    house
}

#[tokio::test]
async fn a_test_is_signed_and_tells_what_the_receiver_answered() {
    let house = lax_house().await;
    // The official library looks at the time.
    let ahead = SystemClock.now().micros() - house.writer.clock.now().micros();
    house.clock.micros.fetch_add(ahead, std::sync::atomic::Ordering::SeqCst);
    let (url, heard) = subscriber(202, "x".repeat(2_000)).await;
    let (record, path) = endpoint(&house, json!({ "url": url, "events": ["lead.created"] })).await;
    house.call("POST", &format!("{path}/pause"), None).await;
    let outcome = house.call("POST", &format!("{path}/test"), None).await;
    assert_eq!(outcome.status, 200);
    let outcome = outcome.json();
    let told = (&outcome["delivered"], &outcome["status"], &outcome["failure"]);
    assert_eq!(told, (&json!(true), &json!(202), &Value::Null));
    assert_eq!(outcome["answer"].as_str().unwrap().len(), 1_024);
    assert!(outcome["duration_ms"].is_u64());
    let (headers, body) = heard.lock().unwrap().pop().unwrap();
    let library = Webhook::new(record["secret"].as_str().unwrap()).unwrap();
    library.verify(body.as_bytes(), &headers).unwrap();
    assert_eq!(headers["x-gitleads-event"], "webhook.test");
    assert_eq!(headers["webhook-id"].to_str().unwrap(), outcome["webhook_id"]);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["event"], &body["data"]),
        (&json!("webhook.test"), &json!({ "endpoint_id": record["id"] }))
    );
}

#[tokio::test]
async fn a_test_can_be_like_any_event_and_is_made_once_for_a_key() {
    let house = lax_house().await;
    let (url, heard) = subscriber(200, String::new()).await;
    let (_, path) = endpoint(&house, json!({ "url": url })).await;
    for event in [
        "lead.created",
        "lead.enriched",
        "lead.updated",
        "lead.signal_added",
        "lead.erased",
    ] {
        let trial = json!({ "event": event });
        assert_eq!(
            house.call("POST", &format!("{path}/test"), Some(trial)).await.status,
            200
        );
        let (headers, body) = heard.lock().unwrap().pop().unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (headers["x-gitleads-event"].to_str().unwrap(), &body["event"]),
            (event, &json!(event))
        );
        let login = body["data"].get("github_username").cloned();
        assert_eq!(login, (event != "lead.erased").then(|| json!("ada-example")));
    }
    let test = || {
        Request::post(format!("{path}/test"))
            .header("authorization", format!("Bearer {}", house.key))
            .header("idempotency-key", "once")
            .body(Body::empty())
            .unwrap()
    };
    let (first, again) = (house.send(test()).await, house.send(test()).await);
    assert_eq!(again.body, first.body);
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_test_says_why_and_a_channel_gets_a_message() {
    let house = lax_house().await;
    let (url, heard) = subscriber(410, String::new()).await;
    let (_, path) = endpoint(&house, json!({ "url": url, "kind": "slack" })).await;
    let outcome = house.call("POST", &format!("{path}/test"), None).await.json();
    let told = (&outcome["delivered"], &outcome["status"], &outcome["failure"]);
    assert_eq!(told, (&json!(false), &json!(410), &json!("status")));
    let (_, body) = heard.lock().unwrap().pop().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["text"], "GitLeads reaches this channel");
    // It was a test: the endpoint stays as it is.
    assert_eq!(house.get(&path).await.json()["status"], "active");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    house.call("PATCH", &path, Some(json!({ "url": url }))).await;
    let outcome = house.call("POST", &format!("{path}/test"), None).await.json();
    assert_eq!(
        (&outcome["status"], &outcome["failure"]),
        (&Value::Null, &json!("connect"))
    );
}

#[tokio::test]
async fn nothing_is_sent_where_the_policy_forbids_it_even_if_it_was_allowed_once() {
    let mut house = lax_house().await;
    let (url, heard) = subscriber(200, String::new()).await;
    let (_, path) = endpoint(&house, json!({ "url": url })).await;
    let (_end, shutdown) = Shutdown::channel();
    house.router = router(Api {
        shutdown,
        sender: sender(Policy {
            allow_private: false,
            allow_http: true,
        }),
        ..house.api(Leases::sole())
    });
    let outcome = house.call("POST", &format!("{path}/test"), None).await.json();
    assert_eq!(
        (&outcome["status"], &outcome["failure"]),
        (&Value::Null, &json!("address_not_allowed"))
    );
    assert!(heard.lock().unwrap().is_empty());
}
