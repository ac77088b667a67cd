//! The same POST again with the same `Idempotency-Key`, on both engines.

use std::sync::atomic::AtomicU32;

use axum::Extension;
use axum::response::IntoResponse as _;
use database::Statement;
use serde_json::json;

use super::*;
use crate::engines::{Store, on_both_engines};
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::idempotency::once;

on_both_engines!(
    the_same_request_again_gets_the_first_answer_and_does_nothing_more,
    another_body_or_route_under_the_same_key_is_refused,
    a_key_is_an_accounts_own,
    after_a_day_a_key_may_be_used_anew,
    a_request_that_is_being_worked_on_is_not_worked_on_twice_and_one_of_a_dead_process_is,
    an_answer_that_says_the_server_failed_or_nothing_was_written_is_not_kept,
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
        let list = self.get("/v1/webhooks").await.json();
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

async fn a_request_that_is_being_worked_on_is_not_worked_on_twice_and_one_of_a_dead_process_is(store: Store) {
    let house = house_over(store.clone()).await;
    house.post("k", "/v1/webhooks", &hook()).await;
    write(&store, "UPDATE idempotency_key SET answer = NULL").await;
    house.pass(Duration::from_secs(119));
    house
        .post("k", "/v1/webhooks", &hook())
        .await
        .is(409, "conflict", IN_PROGRESS);
    house.pass(Duration::from_secs(1));
    assert_eq!(house.post("k", "/v1/webhooks", &hook()).await.status, 201);
    assert_eq!(house.endpoints().await, 2);
    let replayed = house.post("k", "/v1/webhooks", &hook()).await;
    assert_eq!(replayed.header("idempotent-replayed"), "true");
}

/// A route that fails once, panics once, writes nothing once and then writes, behind the layer alone.
fn flaky(house: &House, store: Store) -> Router {
    let room = Room::new(Api {
        store,
        ..house.api(Leases::sole())
    });
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
    let layer = from_fn_with_state(room.clone(), once);
    Router::new()
        .route("/flaky", axum::routing::post(turn))
        .route_layer(layer)
        .layer(Extension(Caller(house.account)))
        .with_state(room)
}

async fn an_answer_that_says_the_server_failed_or_nothing_was_written_is_not_kept(store: Store) {
    let mut house = house_over(store.clone()).await;
    house.router = flaky(&house, store);
    let mut answers = Vec::new();
    for _ in 0..5 {
        let answer = house.post("k", "/flaky", &json!({})).await;
        answers.push((answer.status.as_u16(), answer.header("idempotent-replayed").to_owned()));
    }
    let expected = [(503, ""), (500, ""), (200, ""), (200, ""), (200, "true")];
    assert_eq!(
        answers,
        expected.map(|(status, replayed)| (status, replayed.to_owned()))
    );
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
