//! Pages of other sites in a browser.

use super::*;

const ORIGIN: &str = "https://app.example.com";

/// A house that lets pages of the origin ask.
async fn open_house() -> House {
    let mut house = house().await;
    house.router = router(Api {
        cors_origins: vec![HeaderValue::from_static(ORIGIN)],
        ..house.api(Leases::sole())
    });
    house
}

/// What a browser asks before a page's own request.
async fn preflight(house: &House, path: &str, origin: &str, method: &str) -> Answer {
    let request = Request::options(path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header(
            "access-control-request-headers",
            "authorization,content-type,idempotency-key",
        );
    house.send(request.body(Body::empty()).unwrap()).await
}

async fn ask(house: &House, origin: &str) -> Answer {
    let request = Request::get("/v1/leads")
        .header("authorization", format!("Bearer {}", house.key))
        .header("origin", origin);
    house.send(request.body(Body::empty()).unwrap()).await
}

fn listed<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.header(name).split(',').map(str::trim).collect()
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_ask_and_read_the_answers_headers() {
    let house = open_house().await;
    for (path, method) in [
        ("/v1/leads", "GET"),
        ("/v1/tracked-repos", "POST"),
        ("/v1/leads/lead_x", "PATCH"),
        ("/v1/api-keys/key_x", "DELETE"),
        ("/openapi.json", "GET"),
    ] {
        let answer = preflight(&house, path, ORIGIN, method).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "{path}");
        assert!(
            listed(&answer, "access-control-allow-methods").contains(&method),
            "{path}"
        );
        for header in [
            "authorization",
            "content-type",
            "idempotency-key",
            "last-event-id",
            "gitleads-position",
        ] {
            assert!(
                listed(&answer, "access-control-allow-headers").contains(&header),
                "{header}"
            );
        }
        assert_eq!(answer.header("access-control-max-age"), "3600");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert_eq!(answer.header("x-request-id").len(), 26);
    }
    let answer = ask(&house, ORIGIN).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (200, ORIGIN)
    );
    for header in [
        "x-request-id",
        "x-ratelimit-remaining",
        "retry-after",
        "etag",
        "gitleads-position",
    ] {
        assert!(
            listed(&answer, "access-control-expose-headers").contains(&header),
            "{header}"
        );
    }
    let varies = answer.headers.get_all("vary");
    assert!(
        varies.iter().any(|value| value.to_str().unwrap().contains("origin")),
        "{:?}",
        answer.headers
    );
    let refused = house.send(
        Request::get("/v1/leads")
            .header("origin", ORIGIN)
            .body(Body::empty())
            .unwrap(),
    );
    let refused = refused.await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("access-control-allow-origin")),
        (401, ORIGIN)
    );
}

#[tokio::test]
async fn a_page_of_another_origin_is_allowed_nothing() {
    let house = open_house().await;
    for origin in ["https://evil.example.com", "http://app.example.com", "null"] {
        let answer = preflight(&house, "/v1/leads", origin, "GET").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        assert_eq!(
            ask(&house, origin).await.header("access-control-allow-origin"),
            "",
            "{origin}"
        );
    }
}

#[tokio::test]
async fn unless_configured_no_page_is_allowed_anything() {
    let house = house().await;
    let answer = preflight(&house, "/v1/leads", ORIGIN, "GET").await;
    assert_eq!(answer.status, 401);
    for answer in [answer, ask(&house, ORIGIN).await] {
        let names = answer.headers.keys().map(http::HeaderName::as_str);
        assert_eq!(names.filter(|name| name.starts_with("access-control")).count(), 0);
    }
}
