//! What all answers share: JSON bodies, entity tags, rate limit headers, and cutting one short.

use std::hash::{DefaultHasher, Hasher as _};
use std::io;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::RateLimit;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

/// GitHub's form of an error.
pub(crate) fn message(status: StatusCode, text: &str) -> Response {
    let body = json!({
        "message": text,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_str(),
    });
    json(status, &body)
}

/// Sets a header whose value the caller made; one that cannot be sent is left out.
pub(crate) fn text_header(answer: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Gives a 200 its entity tag, and makes it a 304 if the client has it already.
pub(crate) async fn conditional(answer: Response, request: &HeaderMap) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let tag = entity_tag(&bytes);
    let known = request.get_all(IF_NONE_MATCH).iter().any(|value| names(value, &tag));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        head.headers.insert(ETAG, tag);
    }
    if known {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(CONTENT_TYPE);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(bytes))
}

/// GitHub's tags are weak ones, whatever the body.
fn entity_tag(bytes: &Bytes) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// Weak comparison (RFC 9110, 8.8.3.2) with each tag of a list.
fn names(list: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let list = list.to_str().unwrap_or_default();
    list.split(',')
        .any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}

/// The rate limit headers; those that the answer has already stay.
pub(crate) fn with_rate(mut answer: Response, rate: &RateLimit) -> Response {
    let headers = [
        ("x-ratelimit-limit", rate.limit),
        ("x-ratelimit-remaining", rate.limit.saturating_sub(rate.used)),
        ("x-ratelimit-used", rate.used),
        ("x-ratelimit-reset", rate.reset),
    ];
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        answer.headers_mut().entry(name).or_insert(HeaderValue::from(value));
    }
    text_header(&mut answer, "x-ratelimit-resource", "core");
    answer
}

/// The answer with its full `Content-Length` and half of its body; then the connection breaks.
pub(crate) async fn truncated(answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    let broken = async {
        // The server sends what it has only while the body makes it wait.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    };
    let body = stream::once(async { Ok(half) }).chain(stream::once(broken));
    Response::from_parts(head, Body::from_stream(body))
}
