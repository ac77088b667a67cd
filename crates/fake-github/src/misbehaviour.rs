//! The ways in which GitHub fails, as the next answers of a path.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::answer::{message, text_header};

/// What the next answer does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// This status with GitHub's error body and the usual rate limit headers: 401, 403, 404, 451, 500, 502, …
    Status(u16),
    /// 403 without any rate limit header: the token or its owner is suspended.
    Suspended,
    /// 403, nothing remains of the primary rate limit; `x-ratelimit-reset` says when it starts anew.
    RateLimited {
        /// Seconds since 1970.
        reset: u64,
    },
    /// 429 with `Retry-After`.
    TooManyRequests {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// 403 with the body of the secondary rate limit; the primary one has plenty left.
    SecondaryRateLimit {
        /// Seconds to wait, where GitHub says so; it often does not.
        retry_after: Option<u32>,
    },
    /// The true answer's head, half of its body, and the end of the connection.
    Truncated,
    /// The end of the connection, without a byte.
    Dropped,
    /// 200 with an HTML page, as something between us and GitHub would send.
    Html,
}

impl Misbehaviour {
    /// The answer that is sent as it is, if it is one.
    pub(crate) fn response(self) -> Option<Response> {
        match self {
            Self::Status(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some(message(status, status.canonical_reason().unwrap_or("Error")))
            }
            Self::Suspended => Some(message(StatusCode::FORBIDDEN, "Sorry. Your account was suspended.")),
            Self::RateLimited { reset } => Some(rate_limited(reset)),
            Self::TooManyRequests { retry_after } => {
                let answer = message(StatusCode::TOO_MANY_REQUESTS, "API rate limit exceeded");
                Some(with_retry_after(answer, Some(retry_after)))
            }
            Self::SecondaryRateLimit { retry_after } => {
                let text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
                Some(with_retry_after(message(StatusCode::FORBIDDEN, text), retry_after))
            }
            Self::Html => {
                let page = "<!DOCTYPE html>\n<html><body><h1>Whoa there!</h1></body></html>\n";
                let mut answer = Response::new(Body::from(page));
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                answer.headers_mut().insert(CONTENT_TYPE, html);
                Some(answer)
            }
            Self::Truncated | Self::Dropped => None,
        }
    }

    /// Whether the usual rate limit headers come with it.
    pub(crate) fn has_rate_headers(self) -> bool {
        !matches!(self, Self::Suspended | Self::Html)
    }
}

/// The answer when nothing remains of the primary rate limit.
pub(crate) fn rate_limited(reset: u64) -> Response {
    let mut answer = message(StatusCode::FORBIDDEN, "API rate limit exceeded for user ID 1001.");
    text_header(&mut answer, "x-ratelimit-remaining", "0");
    text_header(&mut answer, "x-ratelimit-reset", &reset.to_string());
    answer
}

fn with_retry_after(mut answer: Response, seconds: Option<u32>) -> Response {
    if let Some(seconds) = seconds {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// GitHub's body for unknown paths and names.
pub(crate) fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not Found")
}

/// GitHub's body for a page beyond the last one that it keeps.
pub(crate) fn too_far() -> Response {
    let text = "In order to keep the API fast for everyone, pagination is limited for this resource.";
    message(StatusCode::UNPROCESSABLE_ENTITY, text)
}

/// The redirect after a rename.
pub(crate) fn moved(url: &str) -> Response {
    let body = json!({
        "message": "Moved Permanently",
        "url": url,
        "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
    });
    let mut answer = crate::answer::json(StatusCode::MOVED_PERMANENTLY, &body);
    text_header(&mut answer, "location", url);
    answer
}
