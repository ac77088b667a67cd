//! What surrounds every answer: its request id, its log line, the bounds on request and time, the last word on a fault.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{counter, histogram};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH, Entry, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument as _, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::error::{ApiError, Fault, chain, error_body};
use crate::clock::Clock;
use crate::metrics;
use crate::telemetry::TRACE;

/// Names the answer in our log; made here, never taken from outside.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Generous for an API: what browsers and proxies send stays below half of each.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 16 * 1024;
pub(super) const MAX_URI_BYTES: usize = 8 * 1024;

/// A handler that lost its head; the panic's own text went to standard error.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

/// In front of the compression, which would answer 406 to whoever refuses every form that there is, after the work was done:
/// the answer as it is beats none (RFC 9110, section 12.5.3, leaves the choice to the server).
pub async fn plain_at_worst(mut request: Request) -> Request {
    if let Entry::Occupied(mut wishes) = request.headers_mut().entry(ACCEPT_ENCODING) {
        // The first that names a form counts.
        let given: Vec<HeaderValue> = wishes.iter().cloned().collect();
        wishes.insert(HeaderValue::from_static("identity;q=0.001"));
        for value in given {
            wishes.append(value);
        }
    }
    request
}

/// The outermost layer but for the compression: request id, log line, and the body of a 500.
pub async fn envelope(State(clock): State<Arc<dyn Clock>>, request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let request_id = clock.ulid().to_string();
    let method = request.method().clone();
    // The pattern, not the path: paths and queries name repositories, leads and cursors.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(none)", MatchedPath::as_str);

    let span = span(request.headers(), &method, route, &request_id);
    let mut response = contained(next.run(request)).instrument(span.clone()).await;
    if let Some(Fault(cause)) = response.extensions_mut().remove::<Fault>() {
        tracing::error!(%request_id, %method, route, error = chain(&*cause), "a request failed");
        tell_id(&mut response, &request_id);
    }
    if let Ok(value) = HeaderValue::try_from(&request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::info!(%request_id, %method, route, status, micros, "answered");
    count(&method, route, status, started.elapsed());
    response
}

/// The request's span, part of the caller's trace if it says that there is one (W3C Trace Context).
fn span(headers: &HeaderMap, method: &Method, route: &str, request_id: &str) -> Span {
    let span = info_span!(
        target: TRACE,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        request_id,
    );
    if !span.is_disabled() {
        // A span that is not traced has no parent to set.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Carrier(headers)));
    }
    span
}

/// Where the caller says which trace it is in.
struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

fn count(method: &Method, route: &str, status: u16, took: Duration) {
    // Anyone can make up methods, and each would be a series of its own.
    let method = match *method {
        Method::GET | Method::POST | Method::PATCH | Method::DELETE => method.as_str().to_owned(),
        _ => "other".to_owned(),
    };
    let labels = [
        ("method", method),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    counter!(metrics::HTTP_REQUESTS, &labels).increment(1);
    histogram!(metrics::HTTP_SECONDS, "route" => route.to_owned()).record(took);
}

/// Writes the body of a 500; the headers that inner layers put on the answer stay.
fn tell_id(response: &mut Response, request_id: &str) {
    let message = format!("Something went wrong on our side; the request id is {request_id}");
    *response.body_mut() = error_body("internal_error", &message).into_response().into_body();
    response.headers_mut().remove(CONTENT_LENGTH);
}

/// The innermost layer around the handlers, with the bounds on a request. What goes wrong in here, a panic or a stuck
/// handler too, is an answer like any other, so that the layers between add their headers to it.
pub async fn bounded(State(at_most): State<Duration>, request: Request, next: Next) -> Response {
    if let Err(error) = within_bounds(&request) {
        return error.into_response();
    }
    match tokio::time::timeout(at_most, contained(next.run(request))).await {
        Ok(response) => response,
        Err(_) => ApiError::Unavailable("The answer took too long; try again").into_response(),
    }
}

/// The layer around everything that a key opens: no cache between may keep it, nor a client what is not tagged.
pub async fn not_stored(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("private, no-store");
    response.headers_mut().entry(CACHE_CONTROL).or_insert(no_store);
    response
}

async fn contained(answer: impl Future<Output = Response>) -> Response {
    let answered = AssertUnwindSafe(answer).catch_unwind().await;
    answered.unwrap_or_else(|_| ApiError::internal(Panicked).into_response())
}

/// The server's own, wider bounds stand before these (see `server.rs`).
fn within_bounds(request: &Request) -> Result<(), ApiError> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, str::len);
    if length > MAX_URI_BYTES {
        return Err(ApiError::UriTooLong(MAX_URI_BYTES));
    }
    if request.headers().len() > MAX_HEADERS || header_bytes(request.headers()) > MAX_HEADER_BYTES {
        return Err(headers_too_large());
    }
    Ok(())
}

pub(super) fn headers_too_large() -> ApiError {
    ApiError::HeadersTooLarge(format!(
        "A request may have {MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes of them at most"
    ))
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(at_most: Duration, router: Router) -> StatusCode {
        let router = router.layer(from_fn_with_state(at_most, bounded));
        router.oneshot(Request::new(Body::empty())).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_an_internal_error() {
        async fn panics() {
            panic!("as asked");
        }
        let router = Router::new().route("/", get(panics));
        let answer = status(Duration::from_secs(30), router).await;
        assert_eq!(answer, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn a_stuck_handler_is_given_up_on() {
        let router = Router::new().route("/", get(std::future::pending::<()>));
        assert_eq!(
            status(Duration::from_millis(20), router).await,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
}
