//! What surrounds every answer: its request id, the bounds on the request, the log line, and the last word on a fault.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::error::{ApiError, Fault, error_body};
use crate::clock::Clock;

/// Names the answer in our log; made here, never taken from outside.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Generous for an API: what browsers and proxies send stays below half of each.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_URI_BYTES: usize = 8 * 1024;

/// A handler that lost its head; the panic's own text went to standard error.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

/// The outermost layer: request id, bounds, log line, and the body of a 500.
pub async fn envelope(State(clock): State<Arc<dyn Clock>>, request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let request_id = clock.ulid().to_string();
    let method = request.method().clone();
    // The pattern, not the path: paths and queries name repositories, leads and cursors.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(none)", MatchedPath::as_str);

    let mut response = match within_bounds(&request) {
        Ok(()) => contained(next.run(request)).await,
        Err(error) => error.into_response(),
    };
    if let Some(Fault(cause)) = response.extensions_mut().remove::<Fault>() {
        tracing::error!(%request_id, %method, route, error = %chain(&*cause), "a request failed");
        response = with_headers_of(response, &request_id);
    }
    if let Ok(value) = HeaderValue::try_from(&request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::info!(%request_id, %method, route, status, micros, "answered");
    response
}

/// The body of a 500, under the headers that inner layers put on the answer.
fn with_headers_of(failed: Response, request_id: &str) -> Response {
    let message = format!("Something went wrong on our side; the request id is {request_id}");
    let mut response = (failed.status(), error_body("internal_error", &message)).into_response();
    for (name, value) in failed.headers() {
        if !response.headers().contains_key(name) && name != http::header::CONTENT_LENGTH {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// The innermost layer around the handlers: a panic or a stuck handler is an answer like any other, so that the
/// layers between add their headers to it.
pub async fn bounded(State(at_most): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(at_most, contained(next.run(request))).await {
        Ok(response) => response,
        Err(_) => ApiError::Unavailable("The answer took too long; try again").into_response(),
    }
}

async fn contained(answer: impl Future<Output = Response>) -> Response {
    let answered = AssertUnwindSafe(answer).catch_unwind().await;
    answered.unwrap_or_else(|_| ApiError::internal(Panicked).into_response())
}

/// The server's own, wider bounds stand before these (see `server.rs`); here the answer can be JSON.
fn within_bounds(request: &Request) -> Result<(), ApiError> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, str::len);
    if length > MAX_URI_BYTES {
        return Err(ApiError::UriTooLong(MAX_URI_BYTES));
    }
    if request.headers().len() > MAX_HEADERS {
        return Err(ApiError::HeadersTooLarge(format!(
            "A request may have {MAX_HEADERS} headers at most"
        )));
    }
    if header_bytes(request.headers()) > MAX_HEADER_BYTES {
        return Err(ApiError::HeadersTooLarge(format!(
            "A request's headers may have {MAX_HEADER_BYTES} bytes at most"
        )));
    }
    Ok(())
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
