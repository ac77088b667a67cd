//! Answers that a client has already, and answers that travel small.

use std::io::Read as _;

use axum::response::Response;
use domain::SignalKind::Stargazer;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::*;

async fn bytes(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

fn header<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let values = response.headers().get_all(name);
    values.iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn an_answer_that_still_holds_is_304_and_counts_as_a_request() {
    let house = house().await;
    house.record([sighting(1, Stargazer, "acme/sdk")]).await;
    let id = house.get("/v1/leads").await.json()["data"][0]["id"].clone();
    for path in [
        "/v1/leads",
        &format!("/v1/leads/{}", id.as_str().unwrap()),
        "/v1/events",
        "/v1/account",
        "/v1/api-keys",
        "/v1/webhooks",
    ] {
        let first = house.get(path).await;
        let tag = first.header("etag");
        assert!(tag.starts_with("W/\""), "{path}: {tag}");
        assert_eq!(first.header("cache-control"), "private, no-cache", "{path}");
        let again = house.get_with(path, &[("if-none-match", tag)]).await;
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(header(&again, "etag"), [tag]);
        assert_eq!(header(&again, "cache-control"), ["private, no-cache"]);
        assert_eq!(header(&again, "content-type"), [""; 0]);
        assert!(header(&again, "vary").contains(&"accept-encoding"));
        assert_eq!(header(&again, "x-request-id").len(), 1);
        let remaining: u32 = first.header("x-ratelimit-remaining").parse().unwrap();
        assert_eq!(header(&again, "x-ratelimit-remaining"), [(remaining - 1).to_string()]);
        assert_eq!(bytes(again).await, b"");
        let strong = tag.strip_prefix("W/").unwrap();
        let listed = format!("\"other\", {strong}");
        assert_eq!(house.get_with(path, &[("if-none-match", &listed)]).await.status(), 304);
    }
}

#[tokio::test]
async fn an_answer_that_changed_has_another_tag() {
    let house = house().await;
    let before = house.get("/v1/leads").await;
    house.record([sighting(1, Stargazer, "acme/sdk")]).await;
    let after = house
        .get_with("/v1/leads", &[("if-none-match", before.header("etag"))])
        .await;
    assert_eq!(after.status(), 200);
    assert_ne!(header(&after, "etag"), [before.header("etag")]);
    assert_eq!(header(&after, "vary"), ["accept"]);
}

#[tokio::test]
async fn only_answers_to_questions_are_tagged() {
    let house = house().await;
    for (path, accept) in [
        ("/v1/leads/x", "*/*"),
        ("/v1/leads?limit=x", "*/*"),
        ("/v1/usage", "*/*"),
        ("/v1/leads", "text/csv"),
        ("/v1/events", "text/event-stream"),
    ] {
        let answer = house
            .get_with(path, &[("if-none-match", "*"), ("accept", accept)])
            .await;
        assert_ne!(answer.status(), 304, "{path}");
        assert_eq!(header(&answer, "etag"), [""; 0], "{path}");
        assert_eq!(header(&answer, "cache-control"), ["private, no-store"], "{path}");
    }
    let made = house.call("POST", "/v1/api-keys", Some(json!({ "label": "x" }))).await;
    assert_eq!(
        (made.header("etag"), made.header("cache-control")),
        ("", "private, no-store")
    );
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let house = house().await;
    house.record([sighting(1, Stargazer, "acme/sdk")]).await;
    let get = house.get("/v1/leads").await;
    let head = house.call("HEAD", "/v1/leads", None).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    for name in ["etag", "content-type", "cache-control", "vary"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(head.header("content-length"), get.body.len().to_string());
}

#[tokio::test]
async fn an_answer_is_compressed_for_those_who_read_it_so() {
    let house = house().await;
    house
        .record((1..=30).map(|user| sighting(user, Stargazer, "acme/sdk")))
        .await;
    let plain = house.get("/v1/leads").await;
    for (asked, encoding) in [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd, br", "zstd"),
        ("br", ""),
        // As it is at worst: 406 would come after the work is done.
        ("identity;q=0", ""),
        ("*;q=0", ""),
        ("*;q=0, identity;q=0", ""),
        ("gzip, identity;q=0", "gzip"),
    ] {
        let answer = house.get_with("/v1/leads", &[("accept-encoding", asked)]).await;
        let told = header(&answer, "content-encoding").concat();
        assert_eq!(told, encoding, "{asked}");
        assert!(header(&answer, "vary").contains(&"accept-encoding"), "{asked}");
        assert_eq!(header(&answer, "etag"), [plain.header("etag")]);
        assert_eq!(header(&answer, "x-request-id").len(), 1);
        let body = bytes(answer).await;
        if encoding == "gzip" {
            let mut text = String::new();
            flate2::read::GzDecoder::new(body.as_slice())
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, plain.body);
            assert!(body.len() < text.len() / 3, "{} of {}", body.len(), text.len());
        }
        if encoding.is_empty() {
            assert_eq!(body, plain.body.as_bytes());
        }
    }
    let small = house.get_with("/v1/webhooks", &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&small, "content-encoding"), [""; 0]);
    let tag = plain.header("etag");
    let held = house
        .get_with("/v1/leads", &[("accept-encoding", "gzip"), ("if-none-match", tag)])
        .await;
    assert_eq!(
        (held.status().as_u16(), header(&held, "content-encoding")),
        (304, vec![])
    );
}

#[tokio::test]
async fn a_fault_is_readable_whatever_the_client_can_decompress() {
    let house = house().await;
    assert_eq!(house.get("/v1/leads").await.status, 200);
    house.close_views().await;
    let answer = house.get_with("/v1/leads", &[("accept-encoding", "gzip")]).await;
    assert_eq!(answer.status(), 500);
    let body: Value = serde_json::from_slice(&bytes(answer).await).unwrap();
    assert_eq!(body["error"], "internal_error");
}

#[tokio::test]
async fn what_is_open_to_everyone_is_304_too() {
    let house = house().await;
    for (path, cache_control) in [
        ("/openapi.json", "public, no-cache"),
        ("/llms.txt", "public, no-cache"),
        ("/docs", "public, no-cache"),
        ("/docs/scalar.js", "public, max-age=3600"),
    ] {
        let first = house.call_openly("GET", path).await;
        let tag = first.header("etag");
        assert!(tag.starts_with("W/\""), "{path}: {tag}");
        assert_eq!(first.header("cache-control"), cache_control, "{path}");
        let request = |tag: &str| {
            let request = Request::get(path).header("if-none-match", tag);
            request.body(Body::empty()).unwrap()
        };
        let again = house.send(request(tag)).await;
        assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""), "{path}");
        assert_eq!(
            (again.header("etag"), again.header("cache-control")),
            (tag, cache_control)
        );
        assert_eq!(house.send(request("\"other\"")).await.status, 200, "{path}");
    }
    let nothing = house.call_openly("GET", "/docs/x").await;
    assert_eq!((nothing.status.as_u16(), nothing.header("etag")), (404, ""));
}
