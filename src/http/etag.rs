//! `ETag` and `If-None-Match`: who has an answer already is told that it still holds, and nothing more. A layer around
//! everything that a key opens, and one around what is open to everyone.
//!
//! The tag is a hash of the body. It is a weak one, since the same body may go out compressed. Which hash is left to the
//! standard library, where it is quick; at worst a new release sends every answer once more.

use std::hash::{DefaultHasher, Hasher as _};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;

use super::error::ApiError;

/// The layer around what a key opens. What is sent while it is made (streams, exports) passes untouched, and what must not be
/// kept needs no name.
pub async fn tagged(request: Request, next: Next) -> Response {
    let is_kept = |headers: &HeaderMap| is_json(headers) && !headers.contains_key(CACHE_CONTROL);
    tagged_if(is_kept, "private, no-cache", request, next).await
}

/// The layer around texts that are the same for everyone.
pub async fn tagged_openly(request: Request, next: Next) -> Response {
    tagged_if(|_| true, "public, no-cache", request, next).await
}

async fn tagged_if(
    is_kept: fn(&HeaderMap) -> bool,
    cache_control: &'static str,
    request: Request,
    next: Next,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let known = request.headers().get_all(IF_NONE_MATCH).iter().cloned().collect();
    let response = next.run(request).await;
    if response.status() == StatusCode::OK
        && is_kept(response.headers())
        && response.body().size_hint().exact().is_some()
    {
        tag(response, known, cache_control).await
    } else {
        response
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value == "application/json")
}

async fn tag(response: Response, known: Vec<HeaderValue>, cache_control: &'static str) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return ApiError::internal(error).into_response(),
    };
    let mut hasher = DefaultHasher::new();
    hasher.write(&body);
    let tag = format!("\"{:016x}\"", hasher.finish());
    if let Ok(value) = HeaderValue::try_from(format!("W/{tag}")) {
        parts.headers.insert(ETAG, value);
        // To be asked about before it is shown again, unless its handler knows better.
        let cache_control = HeaderValue::from_static(cache_control);
        parts.headers.entry(CACHE_CONTROL).or_insert(cache_control);
    }
    if !known.iter().any(|value| names(value, &tag)) {
        return Response::from_parts(parts, Body::from(body));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    // The answer that it stands for depends on it.
    parts.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    Response::from_parts(parts, Body::empty())
}

/// Whether a value of `If-None-Match` names the tag, by the weak comparison.
fn names(value: &HeaderValue, tag: &str) -> bool {
    let listed = value.to_str().unwrap_or_default().split(',');
    let mut opaque = listed.map(str::trim).map(|one| one.strip_prefix("W/").unwrap_or(one));
    opaque.any(|one| one == "*" || one == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        for (value, found) in [
            (r#""abc""#, true),
            (r#"W/"abc""#, true),
            (r#""x", W/"abc" ,"y""#, true),
            ("*", true),
            (r#""abcd""#, false),
            ("abc", false),
            ("", false),
            (r#"w/"abc""#, false),
        ] {
            assert_eq!(names(&HeaderValue::from_static(value), "\"abc\""), found, "{value}");
        }
    }
}
