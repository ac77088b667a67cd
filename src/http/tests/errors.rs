//! Every error of the contract's table, and that each is JSON with a request id.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::house;
use crate::commands::revoke_key;

const UNAUTHORIZED: &str = r#"{"error":"unauthorized","message":"Invalid or missing API key"}"#;

#[tokio::test]
async fn a_missing_malformed_or_unknown_key_gets_the_exact_401() {
    let house = house().await;
    let unknown = crate::commands::api_key::generate([77, 88]);
    let typo = format!("{}x", &house.key[..house.key.len() - 1]);
    let values = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer nonsense".into()),
        Some(format!("Basic {}", house.key)),
        Some(format!("Bearer {unknown}")),
        Some(format!("Bearer {typo}")),
        Some(house.key.clone()),
    ];
    for value in values {
        let mut request = Request::builder().uri("/v1/leads");
        if let Some(value) = &value {
            request = request.header("authorization", value);
        }
        let answer = house.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_str()),
            (401, UNAUTHORIZED),
            "{value:?}"
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
}

#[tokio::test]
async fn a_revoked_key_gets_401_though_it_was_remembered() {
    let house = house().await;
    assert_eq!(house.get("/v1/leads").await.status, 200);
    let key_id = house.key_id().await;
    let position = revoke_key(&house.writer, house.account, key_id).await.unwrap();
    house.shown(position).await;
    assert_eq!(house.get("/v1/leads").await.body, UNAUTHORIZED);
}

#[tokio::test]
async fn a_plan_without_api_gets_403_with_rate_headers() {
    let house = super::house_on("free").await;
    let answer = house.get("/v1/leads").await;
    answer.is(403, "forbidden", "The REST API is not available on the free plan");
    let headers = ["limit", "remaining", "reset"].map(|name| answer.header(&format!("x-ratelimit-{name}")).to_owned());
    assert_eq!(
        headers,
        ["0".to_owned(), "0".to_owned(), (super::NOON + 60).to_string()]
    );
}

#[tokio::test]
async fn an_account_that_moves_to_a_plan_with_api_is_let_in_at_once() {
    let house = super::house_on("free").await;
    assert_eq!(house.get("/v1/leads").await.status, 403);
    let position = crate::commands::change_plan(&house.writer, house.account, "pro".parse().unwrap())
        .await
        .unwrap();
    house.shown(position).await;
    let answer = house.get("/v1/leads").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-ratelimit-limit")),
        (200, "60")
    );
}

#[tokio::test]
async fn unknown_paths_get_404_in_and_out_of_the_api() {
    let house = house().await;
    for path in [
        "/v1/nothing",
        "/v1/leads/",
        "/v1/leads/a/b",
        "/v1",
        "/v1/",
        "/nothing",
        "/",
    ] {
        house.get(path).await.is(404, "not_found", "There is no such path");
    }
    assert_eq!(house.get("/v1/nothing").await.header("x-ratelimit-limit"), "300");
    for path in ["/v1", "/v1/", "/v1/nothing"] {
        assert_eq!(house.call_openly("GET", path).await.body, UNAUTHORIZED, "{path}");
        assert_eq!(house.call_openly("POST", path).await.body, UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn the_root_of_the_api_counts_as_any_other_unknown_path() {
    let house = house().await;
    for (path, remaining) in [("/v1/", "299"), ("/v1/", "298"), ("/v1", "297"), ("/v1/nothing", "296")] {
        let answer = house.get(path).await;
        answer.is(404, "not_found", "There is no such path");
        assert_eq!(answer.header("x-ratelimit-remaining"), remaining, "{path}");
    }
}

#[tokio::test]
async fn no_answer_of_the_api_may_be_kept_by_a_cache() {
    let house = house().await;
    for path in [
        "/v1/leads/x",
        "/v1/leads?limit=x",
        "/v1/leads/export?format=csv",
        "/v1/",
        "/v1/nothing",
    ] {
        for answer in [house.get(path).await, house.call_openly("GET", path).await] {
            assert_eq!(answer.header("cache-control"), "private, no-store", "{path}");
        }
    }
    assert_eq!(
        house.get("/v1/leads").await.header("cache-control"),
        "private, no-cache"
    );
    assert_eq!(
        house.call("PUT", "/v1/leads", None).await.header("cache-control"),
        "private, no-store"
    );
    assert_eq!(house.call_openly("GET", "/healthz").await.header("cache-control"), "");
}

#[tokio::test]
async fn other_methods_get_405_with_the_allowed_ones() {
    let house = house().await;
    let cases = [
        ("DELETE", "/v1/leads", "GET,HEAD"),
        ("PUT", "/v1/tracked-repos", "GET,HEAD,POST"),
        ("OPTIONS", "/v1/tracked-keywords", "GET,HEAD,POST"),
        ("POST", "/v1/webhooks/wh_x", "GET,HEAD,PATCH,DELETE"),
        ("POST", "/healthz", "GET,HEAD"),
        ("GET", "/github/webhooks", "POST"),
    ];
    for (method, path, allow) in cases {
        let answer = house.call(method, path, None).await;
        let message = format!("{method} is not allowed here; the Allow header lists what is");
        answer.is(405, "method_not_allowed", &message);
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_gets_415() {
    let house = house().await;
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = Request::post("/v1/tracked-repos").header("authorization", format!("Bearer {}", house.key));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = house
            .send(request.body(Body::from(r#"{"full_name":"a/b"}"#)).unwrap())
            .await;
        answer.is(415, "unsupported_media_type", "Content-Type: must be application/json");
    }
}

#[tokio::test]
async fn a_body_beyond_the_bound_gets_413_whether_or_not_it_says_its_length() {
    let house = house().await;
    let body = json!({ "full_name": "a".repeat(64 * 1024) });
    let message = "The body must not be larger than 65536 bytes";
    house
        .call("POST", "/v1/tracked-repos", Some(body.clone()))
        .await
        .is(413, "payload_too_large", message);
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(body.to_string())]);
    let request = Request::post("/v1/tracked-repos")
        .header("authorization", format!("Bearer {}", house.key))
        .header("content-type", "application/json");
    let answer = house.send(request.body(Body::from_stream(chunks)).unwrap()).await;
    answer.is(413, "payload_too_large", message);
}

#[tokio::test]
async fn a_body_that_is_no_json_gets_400() {
    let house = house().await;
    let request = Request::post("/v1/tracked-repos")
        .header("authorization", format!("Bearer {}", house.key))
        .header("content-type", "application/json");
    let answer = house.send(request.body(Body::from("{")).unwrap()).await;
    let message = "body: not valid JSON: EOF while parsing an object at line 1 column 1";
    answer.is(400, "bad_request", message);
}

#[tokio::test]
async fn headers_and_targets_beyond_the_bounds_get_json() {
    let house = house().await;
    let large = Request::get("/healthz").header("x-large", "x".repeat(20_000));
    let answer = house.send(large.body(Body::empty()).unwrap()).await;
    answer.is(
        431,
        "headers_too_large",
        "A request may have 100 headers and 16384 bytes of them at most",
    );

    let many = (0..101).fold(Request::get("/healthz"), |request, nth| {
        request.header(format!("x-{nth}"), "x")
    });
    let answer = house.send(many.body(Body::empty()).unwrap()).await;
    answer.is(
        431,
        "headers_too_large",
        "A request may have 100 headers and 16384 bytes of them at most",
    );

    let answer = house.get(&format!("/v1/leads?repo={}", "x".repeat(9_000))).await;
    answer.is(414, "uri_too_long", "Path and query must not be longer than 8192 bytes");
    assert_eq!(answer.header("x-ratelimit-limit"), "300");
}

#[tokio::test]
async fn a_query_parameter_where_none_is_known_gets_400() {
    let house = house().await;
    let message = "limit: unknown query parameter; there is none here";
    for path in [
        "/v1/tracked-repos",
        "/v1/tracked-keywords",
        "/v1/webhooks/wh_x",
        "/v1/account",
        "/v1/usage",
        "/v1/api-keys",
    ] {
        house
            .get(&format!("{path}?limit=5"))
            .await
            .is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn every_answer_has_its_own_request_id_and_none_is_taken_from_outside() {
    let house = house().await;
    let mut seen = Vec::new();
    for path in ["/v1/leads", "/v1/nothing", "/nothing", "/healthz"] {
        let request = Request::get(path).header("x-request-id", "mine");
        let answer = house.send(request.body(Body::empty()).unwrap()).await;
        let id = answer.header("x-request-id").to_owned();
        assert_eq!(id.len(), 26, "{path}");
        assert!(!seen.contains(&id));
        seen.push(id);
    }
}

#[tokio::test]
async fn a_fault_gets_500_with_the_request_id_the_rate_headers_and_no_internals() {
    let house = house().await;
    assert_eq!(house.get("/v1/leads").await.status, 200);
    house.close_views().await;
    let answer = house.get("/v1/leads").await;
    let id = answer.header("x-request-id").to_owned();
    let message = format!("Something went wrong on our side; the request id is {id}");
    answer.is(500, "internal_error", &message);
    assert_eq!(answer.header("x-ratelimit-remaining"), "298");
}

#[tokio::test]
async fn without_its_read_models_the_server_is_not_ready() {
    let house = house().await;
    house.close_views().await;
    let answer = house.call_openly("GET", "/readyz").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["checks"]["views"]),
        (503, &json!("failed"))
    );
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let house = house().await;
    let answer = house.call("HEAD", "/v1/leads", None).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("x-ratelimit-limit"), "300");
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_says_what_is_taken() {
    let house = house().await;
    for idempotency_key in ["", "k"] {
        let mut request = Request::post("/v1/tracked-repos")
            .header("authorization", format!("Bearer {}", house.key))
            .header("content-type", "application/json")
            .header("content-encoding", "gzip");
        if !idempotency_key.is_empty() {
            request = request.header("idempotency-key", idempotency_key);
        }
        let answer = house.send(request.body(Body::from("{}")).unwrap()).await;
        let message = "Content-Encoding: bodies are not taken compressed; send it as it is";
        answer.is(415, "unsupported_media_type", message);
        assert_eq!(answer.header("accept-encoding"), "identity");
    }
}

#[tokio::test]
async fn a_time_that_cannot_be_kept_is_refused_by_its_fields_name() {
    let house = house().await;
    let malformed = "not an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z";
    let leap = "a leap second, which cannot be told from the second after it; use that one";
    let range = "must lie between 0000-01-01T00:00:00Z and 9999-12-30T21:59:59Z";
    for (time, fault) in [
        ("2016-12-31T23:59:60Z", leap),
        ("9999-12-31T23:59:59Z", range),
        ("2026-04-31T00:00:00Z", malformed),
        ("2026-04-24", malformed),
    ] {
        for path in ["leads", "events"] {
            let answer = house.get(&format!("/v1/{path}?since={time}")).await;
            answer.is(400, "bad_request", &format!("since: {fault}"));
        }
        let answer = house.get(&format!("/v1/leads?as_of={time}")).await;
        answer.is(400, "bad_request", &format!("as_of: {fault}"));
    }
    for time in [
        "2026-04-24t10:00:00z",
        "2026-04-24T12%3A00%3A00%2B02:00",
        "9999-12-30T21:59:59Z",
    ] {
        for path in ["leads", "events"] {
            let answer = house.get(&format!("/v1/{path}?since={time}")).await;
            assert_eq!(answer.status, 200, "{time}: {}", answer.body);
        }
    }
}
