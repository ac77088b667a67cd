//! Tracked repositories and keywords.

use serde_json::json;

use super::house;

#[tokio::test]
async fn a_repo_is_tracked_updated_listed_and_untracked() {
    let house = house().await;
    let body = json!({ "full_name": "Acme-Corp/rival-sdk", "type": "competitor" });
    let made = house.call("POST", "/v1/tracked-repos", Some(body)).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("repo_"));
    let record = |kind: &str| {
        json!({
            "id": id,
            "full_name": "Acme-Corp/rival-sdk",
            "type": kind,
            "renamed_to": null,
            "created_at": "2026-04-24T10:31:00.000002Z",
            "status": "active",
            "sources": [
                { "collector": "events_feed", "state": "waiting", "last_success_at": null, "last_gap_at": null, "standing": null }
            ],
        })
    };
    assert_eq!(made.json(), record("competitor"));
    assert!(made.header("gitleads-position").parse::<u64>().is_ok());

    let again = json!({ "full_name": "acme-corp/RIVAL-SDK" });
    let answer = house.call("POST", "/v1/tracked-repos", Some(again)).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, record("competitor")));
    let other = json!({ "full_name": "acme-corp/rival-sdk", "type": "own" });
    let answer = house.call("POST", "/v1/tracked-repos", Some(other)).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, record("own")));

    assert_eq!(
        house.get("/v1/tracked-repos").await.json(),
        json!({ "data": [record("own")] })
    );
    let path = format!("/v1/tracked-repos/{id}");
    let mut detail = record("own");
    detail["coverage"] = json!(null);
    assert_eq!(house.get(&path).await.json(), detail);
    let gone = house.call("DELETE", &path, None).await;
    assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""));
    for method in ["DELETE", "GET"] {
        house
            .call(method, &path, None)
            .await
            .is(404, "not_found", "There is no such tracked repository");
    }
    assert_eq!(house.get("/v1/tracked-repos").await.json(), json!({ "data": [] }));
}

#[tokio::test]
async fn a_repo_tells_how_its_source_is() {
    let house = house().await;
    let body = json!({ "full_name": "Acme-Corp/rival-sdk" });
    house.call("POST", "/v1/tracked-repos", Some(body.clone())).await;
    let success = super::NOON * 1_000_000;
    for (state, status) in [
        ("waiting", "active"),
        ("ok", "active"),
        ("limited", "active"),
        ("denied", "degraded"),
        ("not_found", "degraded"),
        ("failed", "degraded"),
    ] {
        let poll = database::Statement::insert(
            "poll_cursor (repo, next_poll_at, last_success_at, failures, state)",
            "ON CONFLICT (repo) DO UPDATE SET state = excluded.state",
            vec![
                "acme-corp/rival-sdk".into(),
                0_i64.into(),
                success.into(),
                0_i64.into(),
                state.into(),
            ],
        );
        house.store.write(vec![poll]).await.unwrap();
        let source = json!({
            "collector": "events_feed",
            "state": state,
            "last_success_at": "2026-04-24T10:31:00Z",
            "last_gap_at": null,
            "standing": null,
        });
        let listed = house.get("/v1/tracked-repos").await.json()["data"][0].clone();
        assert_eq!(
            (&listed["status"], &listed["sources"]),
            (&json!(status), &json!([source]))
        );
        let again = house.call("POST", "/v1/tracked-repos", Some(body.clone())).await;
        assert_eq!((again.status.as_u16(), again.json()), (200, listed));
    }
}

#[tokio::test]
async fn a_repo_is_of_the_ecosystem_unless_said_otherwise() {
    let house = house().await;
    let made = house
        .call(
            "POST",
            "/v1/tracked-repos",
            Some(json!({ "full_name": "a/b", "type": null })),
        )
        .await;
    assert_eq!(
        (made.status.as_u16(), made.json()["type"].as_str()),
        (201, Some("ecosystem"))
    );
}

#[tokio::test]
async fn what_another_account_tracks_is_not_there() {
    let house = house().await;
    let (_, stranger) = house.another_account("agency").await;
    let made = house
        .call("POST", "/v1/tracked-repos", Some(json!({ "full_name": "a/b" })))
        .await;
    let path = format!("/v1/tracked-repos/{}", made.json()["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        assert_eq!(house.call_as(&stranger, method, &path, None).await.status, 404);
    }
    let list = house.call_as(&stranger, "GET", "/v1/tracked-repos", None).await;
    assert_eq!(list.json(), json!({ "data": [] }));
    assert_eq!(house.call("DELETE", &path, None).await.status, 204);
}

#[tokio::test]
async fn a_refused_repo_or_keyword_names_the_field() {
    let house = house().await;
    let repos = [
        (json!({}), "full_name: is missing"),
        (json!({ "full_name": "acme" }), "full_name: must be owner/name"),
        (
            json!({ "full_name": "a/b", "type": "enemy" }),
            "type: must be one of own, competitor, ecosystem",
        ),
        (
            json!({ "full_name": "a/b", "colour": 1 }),
            "colour: unknown field; known are full_name, type",
        ),
    ];
    for (body, message) in repos {
        house
            .call("POST", "/v1/tracked-repos", Some(body))
            .await
            .is(400, "bad_request", message);
    }
    let keywords = [
        (
            json!({ "keyword": " x " }),
            "keyword: must have 2 to 256 characters after trimming",
        ),
        (
            json!({ "keyword": "rust", "scan_targets": [] }),
            "scan_targets: must name at least one of issues, prs, discussions, code",
        ),
        (
            json!({ "keyword": "rust", "scan_targets": ["wiki"] }),
            "scan_targets[0]: must be one of issues, prs, discussions, code",
        ),
    ];
    for (body, message) in keywords {
        house
            .call("POST", "/v1/tracked-keywords", Some(body))
            .await
            .is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn a_keyword_is_tracked_retargeted_listed_and_untracked() {
    let house = house().await;
    let made = house
        .call(
            "POST",
            "/v1/tracked-keywords",
            Some(json!({ "keyword": " Event Sourcing " })),
        )
        .await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("kw_"));
    let record = |targets: &[&str]| json!({ "id": id, "keyword": "Event Sourcing", "scan_targets": targets, "created_at": "2026-04-24T10:31:00.000002Z" });
    let default = ["issues", "prs", "discussions"];
    assert_eq!(made.json(), record(&default));
    let again = house
        .call(
            "POST",
            "/v1/tracked-keywords",
            Some(json!({ "keyword": "event  sourcing" })),
        )
        .await;
    assert_eq!((again.status.as_u16(), again.json()), (200, record(&default)));
    let body = json!({ "keyword": "event sourcing", "scan_targets": ["code", "issues"] });
    let other = house.call("POST", "/v1/tracked-keywords", Some(body)).await;
    assert_eq!(
        (other.status.as_u16(), other.json()),
        (200, record(&["issues", "code"]))
    );

    assert_eq!(
        house.get("/v1/tracked-keywords").await.json(),
        json!({ "data": [record(&["issues", "code"])] })
    );
    let path = format!("/v1/tracked-keywords/{id}");
    let mut detail = record(&["issues", "code"]);
    detail["sources"] = json!([]);
    assert_eq!(house.get(&path).await.json(), detail);
    assert_eq!(house.call("DELETE", &path, None).await.status, 204);
    for method in ["DELETE", "GET"] {
        house
            .call(method, &path, None)
            .await
            .is(404, "not_found", "There is no such tracked keyword");
    }
    for odd in ["kw_x", "repo_x", "%FF", "%2F"] {
        assert_eq!(
            house
                .call("DELETE", &format!("/v1/tracked-keywords/{odd}"), None)
                .await
                .status,
            404,
            "{odd}"
        );
    }
}

#[tokio::test]
async fn a_keyword_is_heard_of_as_well_as_the_best_of_the_repositories_that_are_read() {
    let house = house().await;
    let (_, stranger) = house.another_account("agency").await;
    let keyword = json!({ "keyword": "event sourcing" });
    let made = house.call("POST", "/v1/tracked-keywords", Some(keyword)).await.json();
    let path = format!("/v1/tracked-keywords/{}", made["id"].as_str().unwrap());
    house
        .call_as(
            &stranger,
            "POST",
            "/v1/tracked-repos",
            Some(json!({ "full_name": "their/repo" })),
        )
        .await;
    assert_eq!(house.get(&path).await.json()["sources"], json!([]));
    for repo in ["acme/sdk", "Acme/docs"] {
        house
            .call("POST", "/v1/tracked-repos", Some(json!({ "full_name": repo })))
            .await;
    }
    let source = |state: &str, read: Option<&str>, gap: Option<&str>| json!([{ "collector": "events_feed", "state": state, "last_success_at": read, "last_gap_at": gap, "standing": null }]);
    assert_eq!(house.get(&path).await.json()["sources"], source("waiting", None, None));
    let poll = |repo: &str, state: &str, read: i64, gap: Option<i64>| {
        let micros = |secs: i64| secs * 1_000_000;
        database::Statement::insert(
            "poll_cursor (repo, next_poll_at, last_success_at, last_gap_at, failures, state)",
            "",
            vec![
                repo.into(),
                0_i64.into(),
                micros(super::NOON + read).into(),
                gap.map(|gap| micros(super::NOON + gap)).into(),
                0_i64.into(),
                state.into(),
            ],
        )
    };
    let polls = vec![
        poll("acme/sdk", "denied", 1, Some(5)),
        poll("acme/docs", "limited", 3, None),
    ];
    house.store.write(polls).await.unwrap();
    assert_eq!(
        house.get(&path).await.json()["sources"],
        source("limited", Some("2026-04-24T10:31:03Z"), Some("2026-04-24T10:31:05Z"))
    );
    assert_eq!(house.call_as(&stranger, "GET", &path, None).await.status, 404);
}
