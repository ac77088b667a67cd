//! The same POST again with the same `Idempotency-Key`, on both engines.

use std::sync::atomic::AtomicU32;

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::MethodRouter;
use database::Statement;
use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::engines::{Store, on_both_engines};
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::idempotency::once;
use crate::http::settle::settled;

on_both_engines!(
    the_same_request_again_gets_the_first_answer_and_does_nothing_more,
    another_body_or_route_under_the_same_key_is_refused,
    a_key_is_an_accounts_own,
    after_a_day_a_key_may_be_used_anew,
    a_request_that_is_being_worked_on_is_not_worked_on_twice,
    what_a_process_did_that_died_before_it_could_answer_is_answered_by_the_next_and_not_done_again,
    what_was_undone_since_is_answered_and_not_done_again,
    two_nodes_that_work_on_one_key_do_one_thing,
    a_failure_after_the_write_does_not_lead_to_a_second_one,
    an_answer_that_says_the_server_failed_or_nothing_was_written_is_not_kept,
    a_dry_run_uses_its_key_up_and_is_answered_anew,
    a_resend_is_done_once_and_its_key_is_used_up,
    what_is_kept_is_sealed,
    a_client_that_goes_away_leaves_its_answer_behind,
);

const IN_PROGRESS: &str = "Idempotency-Key: the first request with it is still being worked on";
const OTHER: &str = "Idempotency-Key: was used for another request within the last 24 hours";

/// A house whose nodes share this store.
async fn house_over(store: Store) -> House {
    let mut house = house().await;
    house.router = router(Api {
        store,
        ..house.api(Leases::sole())
    });
    house
}

fn post(key: &str, idempotency_key: &str, path: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .header("idempotency-key", idempotency_key)
        .body(Body::from(body.to_string()))
        .unwrap()
}

impl House {
    async fn post(&self, idempotency_key: &str, path: &str, body: &Value) -> Answer {
        self.send(post(&self.key, idempotency_key, path, body)).await
    }

    async fn endpoints(&self) -> usize {
        self.count("/v1/webhooks").await
    }

    async fn count(&self, list: &str) -> usize {
        let list = self.get(list).await.json();
        list["data"].as_array().unwrap().len()
    }
}

fn hook() -> Value {
    json!({ "url": "https://hooks.example.com/in" })
}

async fn number(store: &Store, text: &'static str) -> i64 {
    let rows = store.read(Statement::sql(text, Vec::new())).await.unwrap();
    rows[0].int(0).unwrap()
}

async fn write(store: &Store, text: &'static str) {
    store.write(vec![Statement::sql(text, Vec::new())]).await.unwrap();
}

async fn the_same_request_again_gets_the_first_answer_and_does_nothing_more(store: Store) {
    let house = house_over(store).await;
    let first = house.post("a key", "/v1/webhooks", &hook()).await;
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (201, ""));
    house.pass(Duration::from_hours(23));
    let again = house.post("a key", "/v1/webhooks", &hook()).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for name in ["content-type", "gitleads-position"] {
        assert!(!first.header(name).is_empty());
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(house.endpoints().await, 1);
    let refused = json!({ "url": "http://hooks.example.com" });
    let first = house.post("another key", "/v1/webhooks", &refused).await;
    let again = house.post("another key", "/v1/webhooks", &refused).await;
    assert_eq!((again.status.as_u16(), again.body), (400, first.body));
}

async fn another_body_or_route_under_the_same_key_is_refused(store: Store) {
    let house = house_over(store).await;
    assert_eq!(house.post("k", "/v1/webhooks", &hook()).await.status, 201);
    let other = json!({ "url": "https://hooks.example.com/other" });
    house.post("k", "/v1/webhooks", &other).await.is(409, "conflict", OTHER);
    house
        .post("k", "/v1/tracked-repos", &hook())
        .await
        .is(409, "conflict", OTHER);
    assert_eq!(house.endpoints().await, 1);
    assert_eq!(house.post("K", "/v1/webhooks", &other).await.status, 201);
}

async fn a_key_is_an_accounts_own(store: Store) {
    let house = house_over(store).await;
    let (_, stranger) = house.another_account("agency").await;
    let first = house.post("k", "/v1/webhooks", &hook()).await;
    let theirs = house.send(post(&stranger, "k", "/v1/webhooks", &hook())).await;
    assert_eq!(
        (theirs.status.as_u16(), theirs.header("idempotent-replayed")),
        (201, "")
    );
    assert_ne!(theirs.body, first.body);
}

async fn after_a_day_a_key_may_be_used_anew(store: Store) {
    let house = house_over(store.clone()).await;
    house.post("k", "/v1/webhooks", &hook()).await;
    house.pass(Duration::from_hours(24));
    let other = json!({ "url": "https://hooks.example.com/other" });
    let anew = house.post("k", "/v1/webhooks", &other).await;
    assert_eq!((anew.status.as_u16(), anew.header("idempotent-replayed")), (201, ""));
    house.pass(Duration::from_hours(24));
    house.post("l", "/v1/webhooks", &other).await;
    assert_eq!(number(&store, "SELECT COUNT(*) FROM idempotency_key").await, 1);
}

async fn a_request_that_is_being_worked_on_is_not_worked_on_twice(store: Store) {
    let mut house = house_over(store.clone()).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        move || async move {
            begun.notify_one();
            go_on.notified().await;
            ([("gitleads-position", "7")], "written")
        }
    };
    house.router = behind_the_layer(&house, store, axum::routing::post(handler));
    let first = tokio::spawn(house.router.clone().oneshot(post(&house.key, "k", "/only", &json!({}))));
    begun.notified().await;
    house
        .post("k", "/only", &json!({}))
        .await
        .is(409, "conflict", IN_PROGRESS);
    go_on.notify_one();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    let again = house.post("k", "/only", &json!({})).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
}

/// The process dies before it keeps its answers, and another begins.
async fn die(house: &mut House, store: &Store) {
    write(store, "UPDATE idempotency_key SET answer = NULL").await;
    house.router = router(Api {
        store: store.clone(),
        ..house.api(Leases::sole())
    });
}

/// What writes to the log, and what tells how much of it there is.
fn writes(endpoint: &str) -> [(String, Value, String); 5] {
    let replay = json!({ "since": "2026-04-24T10:00:00Z", "until": "2026-04-24T10:30:00Z" });
    [
        (
            "/v1/tracked-repos".to_owned(),
            json!({ "full_name": "acme/sdk" }),
            "/v1/tracked-repos".to_owned(),
        ),
        (
            "/v1/tracked-keywords".to_owned(),
            json!({ "keyword": "event sourcing" }),
            "/v1/tracked-keywords".to_owned(),
        ),
        (
            "/v1/api-keys".to_owned(),
            json!({ "label": "second" }),
            "/v1/api-keys".to_owned(),
        ),
        ("/v1/webhooks".to_owned(), hook(), "/v1/webhooks".to_owned()),
        (format!("{endpoint}/replay"), replay, format!("{endpoint}/replays")),
    ]
}

async fn what_a_process_did_that_died_before_it_could_answer_is_answered_by_the_next_and_not_done_again(store: Store) {
    let mut house = house_over(store.clone()).await;
    let made = house.post("k", "/v1/webhooks", &hook()).await.json();
    let endpoint = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    for (path, body, list) in writes(&endpoint) {
        let first = house.post(&path, &path, &body).await;
        assert!(first.status.is_success(), "{path}: {}", first.body);
        let count = house.count(&list).await;
        let head = house.writer.log.head().await.unwrap();
        die(&mut house, &store).await;
        house.pass(Duration::from_hours(1));
        let again = house.post(&path, &path, &body).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        assert_eq!(
            again.header("gitleads-position"),
            first.header("gitleads-position"),
            "{path}"
        );
        assert_eq!(again.header("idempotent-replayed"), "", "{path}");
        assert_eq!(house.count(&list).await, count, "{path}");
        assert_eq!(house.writer.log.head().await.unwrap(), head, "{path}");
        let kept = house.post(&path, &path, &body).await;
        assert_eq!(
            (kept.header("idempotent-replayed"), &kept.body),
            ("true", &first.body),
            "{path}"
        );
    }
}

async fn what_was_undone_since_is_answered_and_not_done_again(store: Store) {
    let mut house = house_over(store.clone()).await;
    let repo = json!({ "full_name": "acme/sdk" });
    let first = house.post("k", "/v1/tracked-repos", &repo).await;
    let record = format!("/v1/tracked-repos/{}", first.json()["id"].as_str().unwrap());
    assert_eq!(house.call("DELETE", &record, None).await.status, 204);
    die(&mut house, &store).await;
    let again = house.post("k", "/v1/tracked-repos", &repo).await;
    assert_eq!((again.status.as_u16(), &again.body), (201, &first.body));
    assert_eq!(house.count("/v1/tracked-repos").await, 0);
}

async fn two_nodes_that_work_on_one_key_do_one_thing(store: Store) {
    let house = house_over(store.clone()).await;
    let nodes = [(); 2].map(|()| {
        router(Api {
            store: store.clone(),
            ..house.api(Leases::sole())
        })
    });
    let request = || post(&house.key, "k", "/v1/api-keys", &json!({ "label": "second" }));
    let [one, other] = nodes.map(|node| node.oneshot(request()));
    let (one, other) = tokio::join!(one, other);
    let mut bodies = Vec::new();
    for response in [one.unwrap(), other.unwrap()] {
        assert_eq!(response.status(), 201);
        bodies.push(response.into_body().collect().await.unwrap().to_bytes());
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(house.count("/v1/api-keys").await, 2);
}

async fn a_failure_after_the_write_does_not_lead_to_a_second_one(store: Store) {
    let mut house = house_over(store.clone()).await;
    let turns = Arc::new(AtomicU32::new(0));
    let handler = move |State(room): State<Arc<Room>>, Extension(Caller(account)): Extension<Caller>| async move {
        let issued = issue_key(&room.api.writer, account, "second".into()).await.unwrap();
        if turns.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(ApiError::Unavailable("as asked"));
        }
        Ok(settled(&room, issued.position, issued.value.secret).await)
    };
    let whole = house.router.clone();
    house.router = behind_the_layer(&house, store, axum::routing::post(handler));
    assert_eq!(house.post("k", "/only", &json!({})).await.status, 503);
    let answer = house.post("k", "/only", &json!({})).await;
    house.router = whole;
    assert_eq!(house.count("/v1/api-keys").await, 2);
    // The secret that was told is the one of the key that was made the first time.
    assert_eq!(
        house.call_as(&answer.body, "GET", "/v1/account", None).await.status,
        200
    );
}

/// A route of its own, with the layer alone in front of it.
fn behind_the_layer(house: &House, store: Store, handler: MethodRouter<Arc<Room>>) -> Router {
    let room = Room::new(Api {
        store,
        ..house.api(Leases::sole())
    });
    let layer = from_fn_with_state(room.clone(), once);
    Router::new()
        .route("/only", handler)
        .route_layer(layer)
        .layer(Extension(Caller(house.account)))
        .with_state(room)
}

/// A route that fails once, panics once, writes nothing once and then writes, behind the layer alone.
fn flaky(house: &House, store: Store) -> Router {
    let turns = Arc::new(AtomicU32::new(0));
    let turn = move || {
        let turn = turns.fetch_add(1, Ordering::SeqCst);
        async move {
            match turn {
                0 => Err(ApiError::Unavailable("as asked")),
                1 => panic!("as asked"),
                2 => Ok("nothing".into_response()),
                _ => Ok(([("gitleads-position", "7")], "written").into_response()),
            }
        }
    };
    behind_the_layer(house, store, axum::routing::post(turn))
}

async fn an_answer_that_says_the_server_failed_or_nothing_was_written_is_not_kept(store: Store) {
    let mut house = house_over(store.clone()).await;
    house.router = flaky(&house, store);
    let mut answers = Vec::new();
    for _ in 0..5 {
        let answer = house.post("k", "/only", &json!({})).await;
        answers.push((answer.status.as_u16(), answer.header("idempotent-replayed").to_owned()));
    }
    let expected = [(503, ""), (500, ""), (200, ""), (200, ""), (200, "true")];
    assert_eq!(
        answers,
        expected.map(|(status, replayed)| (status, replayed.to_owned()))
    );
}

async fn a_dry_run_uses_its_key_up_and_is_answered_anew(store: Store) {
    const PATH: &str = "/v1/tracked-keywords/dry-run";
    let house = house_over(store).await;
    let body = json!({ "keyword": "event sourcing" });
    let first = house.post("k", PATH, &body).await.json();
    house.record([sighting(1, SignalKind::KeywordIssue, "acme/sdk")]).await;
    let again = house.post("k", PATH, &body).await;
    assert_eq!((&first["matches"], &again.json()["matches"]), (&json!(0), &json!(1)));
    assert_eq!(again.header("idempotent-replayed"), "");
    let other = json!({ "keyword": "event log" });
    house.post("k", PATH, &other).await.is(409, "conflict", OTHER);
    house
        .post("k", "/v1/tracked-keywords", &body)
        .await
        .is(409, "conflict", OTHER);
}

async fn a_resend_is_done_once_and_its_key_is_used_up(store: Store) {
    let house = house_over(store.clone()).await;
    let made = house.post("k", "/v1/webhooks", &hook()).await.json();
    let id = made["id"].as_str().unwrap().to_owned();
    let event = domain::EventId::default();
    let attempt = format!(
        "INSERT INTO webhook_attempt (id, endpoint, position, event_id, attempt, at, duration_us, outcome, stream, event) \
         VALUES ('dlv_1', '{id}', 7, '{event}', 1, 5, 5, 'delivered', '{}', 'lead.created')",
        domain::StreamId::lead(house.account, house.writer.vault.person_ref(house.account, 7)).as_str()
    );
    store.write(vec![Statement::sql(attempt, Vec::new())]).await.unwrap();
    let resend = format!("/v1/webhooks/{id}/deliveries/{event}/resend");
    let first = house.post("again", &resend, &json!({})).await;
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (202, ""));
    write(&store, "DELETE FROM webhook_resend").await;
    let again = house.post("again", &resend, &json!({})).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed"), &again.body),
        (202, "true", &first.body)
    );
    assert_eq!(number(&store, "SELECT COUNT(*) FROM webhook_resend").await, 0);
    let test = format!("/v1/webhooks/{id}/test");
    house.post("again", &test, &json!({})).await.is(409, "conflict", OTHER);
}

async fn what_is_kept_is_sealed(store: Store) {
    let house = house_over(store.clone()).await;
    let made = house.post("my secret key", "/v1/webhooks", &hook()).await.json();
    let text = "SELECT account, key_hash, request, claim, answer FROM idempotency_key";
    let rows = store.read(Statement::sql(text, Vec::new())).await.unwrap();
    let stored: Vec<u8> = (1..5).flat_map(|index| rows[0].blob(index).unwrap().to_vec()).collect();
    let secret = made["secret"].as_str().unwrap();
    for needle in [secret, "my secret key", "hooks.example.com"] {
        let found = stored.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!found, "{needle}");
    }
}

async fn a_client_that_goes_away_leaves_its_answer_behind(store: Store) {
    let house = house_over(store.clone()).await;
    let request = post(&house.key, "k", "/v1/webhooks", &hook());
    let gone = tokio::spawn(house.router.clone().oneshot(request));
    while number(&store, "SELECT COUNT(*) FROM idempotency_key").await == 0 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    while number(&store, "SELECT COUNT(*) FROM idempotency_key WHERE answer IS NOT NULL").await == 0 {
        tokio::task::yield_now().await;
    }
    let again = house.post("k", "/v1/webhooks", &hook()).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(house.endpoints().await, 1);
}

#[tokio::test]
async fn a_malformed_key_is_refused_by_its_name_and_other_methods_do_not_look_at_it() {
    let house = house().await;
    let longest = "k".repeat(255);
    assert_eq!(house.post(&longest, "/v1/webhooks", &hook()).await.status, 201);
    let message = "Idempotency-Key: must have 1 to 255 printable ASCII characters";
    for wrong in ["", &"k".repeat(256), "a\tb"] {
        house
            .post(wrong, "/v1/webhooks", &hook())
            .await
            .is(400, "bad_request", message);
    }
    let mut twice = post(&house.key, "k", "/v1/webhooks", &hook());
    twice.headers_mut().append("idempotency-key", "l".parse().unwrap());
    let answer = house.send(twice).await;
    answer.is(400, "bad_request", "Idempotency-Key: given more than once");
    let mut read = post(&house.key, "", "/v1/webhooks", &hook());
    *read.method_mut() = http::Method::GET;
    assert_eq!(house.send(read).await.status, 200);
}
