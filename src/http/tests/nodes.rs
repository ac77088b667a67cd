//! What clients and supervisors see of there being several nodes.

use serde_json::json;

use super::*;
use crate::commands::{revoke_key, track_repo};
use crate::config::Roles;

impl House {
    async fn get_after(&self, positions: &[&str], path: &str) -> Answer {
        let mut request = Request::get(path).header("authorization", format!("Bearer {}", self.key));
        for position in positions {
            request = request.header("gitleads-position", *position);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn an_answer_shows_at_least_the_position_that_the_request_names() {
    let house = house().await;
    for number in 0..20 {
        let repo = format!("acme/sdk-{number}").parse().unwrap();
        // As on another node: nobody here waits until it is shown.
        let written = track_repo(&house.writer, house.account, repo, None).await.unwrap();
        let position = written.position.get().to_string();
        let answer = house.get_after(&[&position], "/v1/tracked-repos").await;
        assert_eq!(answer.json()["data"].as_array().unwrap().len(), number + 1);
    }
}

#[tokio::test]
async fn a_key_is_made_and_revoked_as_of_the_position_that_the_request_names() {
    let mut house = house().await;
    for _ in 0..20 {
        // As on another node, as above.
        let issued = issue_key(&house.writer, house.account, "another".into()).await.unwrap();
        house.key.clone_from(&issued.value.secret);
        let position = issued.position.get().to_string();
        assert_eq!(house.get_after(&[&position], "/v1/account").await.status, 200);
        let revoked = revoke_key(&house.writer, house.account, issued.value.key_id)
            .await
            .unwrap();
        let position = revoked.get().to_string();
        assert_eq!(house.get_after(&[&position], "/v1/account").await.status, 401);
    }
}

#[tokio::test]
async fn the_position_of_an_answer_is_taken_as_it_stands() {
    let house = house().await;
    let written = house
        .call("POST", "/v1/tracked-repos", Some(json!({"full_name": "acme/sdk"})))
        .await;
    let position = written.header("gitleads-position").to_owned();
    assert_eq!(house.get_after(&[&position], "/v1/tracked-repos").await.status, 200);
}

#[tokio::test]
async fn a_malformed_position_is_refused_by_its_name() {
    let house = house().await;
    for wrong in [
        &["x"][..],
        &["+1"],
        &["-1"],
        &["1.0"],
        &[""],
        &["1", "2"],
        &["99999999999999999999"],
    ] {
        house.get_after(wrong, "/v1/leads").await.is(
            400,
            "bad_request",
            "GitLeads-Position: must be one number, as the answer to a write has it",
        );
    }
}

#[tokio::test]
async fn a_position_beyond_the_log_is_no_answers_and_refused_at_once() {
    let house = house().await;
    house.get_after(&["1000000"], "/v1/leads").await.is(
        400,
        "bad_request",
        "GitLeads-Position: no write was answered with it",
    );
}

#[tokio::test]
async fn a_revoked_key_lets_in_no_more_where_it_was_revoked_while_the_read_models_stand_still() {
    let mut house = house().await;
    let issued = issue_key(&house.writer, house.account, "another".into()).await.unwrap();
    house.shown(issued.position).await;
    house.router = router(Api {
        freshness: still(&house).await,
        ..house.api(Leases::sole())
    });
    let secret = &issued.value.secret;
    assert_eq!(house.call_as(secret, "GET", "/v1/account", None).await.status, 200);
    let path = format!("/v1/api-keys/{}", issued.value.key_id);
    assert_eq!(house.call("DELETE", &path, None).await.status, 204);
    assert_eq!(house.call_as(secret, "GET", "/v1/account", None).await.status, 401);
    assert_eq!(house.get("/v1/account").await.status, 200);
}

/// How far read models are that nobody moves.
async fn still(house: &House) -> Freshness {
    let views: Arc<dyn Database> = Arc::new(Sqlite::open(&house.beside("still.db"), Durability::Disposable).unwrap());
    let runner = Runner::open(house.writer.log.clone(), views, projections::all()).await;
    runner.unwrap().freshness()
}

#[tokio::test]
async fn a_position_that_does_not_come_is_answered_with_503_and_never_with_older_rows() {
    let mut house = house().await;
    house.router = router(Api {
        freshness: still(&house).await,
        ..house.api(Leases::sole())
    });
    let answer = house.get_after(&["1"], "/v1/leads").await;
    answer.is(
        503,
        "service_unavailable",
        "The read models have not come to the GitLeads-Position of the request yet; try again",
    );
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_node_that_serves_no_clients_answers_its_supervisors_alone() {
    let mut house = house().await;
    house.router = supervisors_router(house.api(Leases::sole()));
    assert_eq!(house.call_openly("GET", "/healthz").await.status, 200);
    assert_eq!(house.call_openly("GET", "/readyz").await.status, 200);
    house
        .call_openly("GET", "/v1/leads")
        .await
        .is(404, "not_found", "There is no such path");
    house
        .call_openly("POST", "/github/webhooks")
        .await
        .is(404, "not_found", "There is no such path");
}

#[tokio::test]
async fn a_node_that_others_take_for_dead_is_not_ready() {
    let mut house = house().await;
    let leases = Leases::join(house.store.clone(), house.clock.clone(), &Roles::default())
        .await
        .unwrap();
    let _polls = leases.try_acquire("polls:0").await.unwrap();
    house.router = router(house.api(leases));
    let ready = house.call_openly("GET", "/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), ready.json()["leases"].clone()),
        (200, json!({"polls": 1}))
    );
    house.pass(Duration::from_secs(7));
    let ready = house.call_openly("GET", "/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), ready.json()["checks"]["node"].clone()),
        (503, json!("silent"))
    );
}
