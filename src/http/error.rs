//! The closed list of what the API answers when it does not do what it was asked; every handler and layer uses it.

use std::error::Error as StdError;
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// An error's body: `{"error","message"}`, from the published contract.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody<'a> {
    /// The code, for programs.
    #[schema(example = "bad_request")]
    pub error: &'static str,
    /// What was wrong with which field, for people.
    #[schema(example = "limit: must be an integer from 1 to 100")]
    pub message: &'a str,
}

/// Why a request gets an error for an answer.
#[derive(Debug)]
pub enum ApiError {
    /// A missing or invalid body, query parameter or header; the text names it.
    BadRequest(String),
    /// No API key, or one that is malformed, unknown or revoked.
    Unauthorized,
    /// An inbound webhook without a signature, or with a wrong one.
    WrongSignature,
    /// The account's plan has no API.
    NoApiOnPlan(String),
    /// The thing does not exist, or belongs to another account.
    NotFound(&'static str),
    /// The request is at odds with what is there; the text says with what.
    Conflict(String),
    /// The path exists, the method does not; the router adds `Allow`.
    MethodNotAllowed(Method),
    /// The request took too long to arrive.
    RequestTimeout,
    /// The body is larger than so many bytes.
    PayloadTooLarge(usize),
    /// The path and query are longer than so many bytes.
    UriTooLong(usize),
    /// The body is not sent as `application/json`.
    UnsupportedMediaType,
    /// The body is compressed.
    EncodedBody,
    /// The headers are more or larger than allowed; the text says which.
    HeadersTooLarge(String),
    /// The account used up its minute; the window ends in so many seconds.
    RateLimited {
        /// Requests a minute that the plan grants.
        limit: u32,
        /// Whole seconds to wait, at least 1.
        retry_after: u64,
    },
    /// The account has so many streams of events open.
    TooManyStreams(usize),
    /// Too much waits to be written, or an answer took too long: the same request may succeed later.
    Unavailable(&'static str),
    /// A fault of the server. The client reads a request id; the cause is logged once.
    Internal(Arc<dyn StdError + Send + Sync>),
}

/// The cause of a 500, on its way to the one place that logs it and writes the body.
#[derive(Debug, Clone)]
pub struct Fault(pub Arc<dyn StdError + Send + Sync>);

/// The end of an answer that has begun and cannot be finished: its transfer breaks, lest anybody takes it for whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

/// An error and its causes on one line.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    std::iter::successors(Some(error), |error| (**error).source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

impl ApiError {
    /// Ends an answer that has begun: the log is all that still can be told.
    pub fn broken_off(self) -> BrokenOff {
        let error = match &self {
            Self::Internal(cause) => chain(&**cause),
            other => other.message(),
        };
        tracing::error!(error, "an answer broke off");
        BrokenOff
    }

    /// A fault of the server.
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(cause))
    }

    /// A refused field: `field: what is wrong with it`.
    pub fn field(name: &str, fault: impl std::fmt::Display) -> Self {
        Self::BadRequest(format!("{name}: {fault}"))
    }

    /// The body, where it is written by hand.
    pub fn text(&self) -> String {
        let (_, code) = self.answer();
        error_body(code, &self.message()).0.to_string()
    }

    const fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unauthorized | Self::WrongSignature => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NoApiOnPlan(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::PayloadTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::UriTooLong(_) => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::UnsupportedMediaType | Self::EncodedBody => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::HeadersTooLarge(_) => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large"),
            Self::RateLimited { .. } | Self::TooManyStreams(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::BadRequest(text) | Self::Conflict(text) | Self::HeadersTooLarge(text) => text.clone(),
            // Word for word from the contract.
            Self::Unauthorized => "Invalid or missing API key".to_owned(),
            Self::WrongSignature => "Invalid or missing webhook signature".to_owned(),
            Self::NoApiOnPlan(plan) => format!("The REST API is not available on the {plan} plan"),
            Self::NotFound(what) => format!("There is no such {what}"),
            Self::MethodNotAllowed(method) => {
                format!("{method} is not allowed here; the Allow header lists what is")
            }
            Self::RequestTimeout => "The request took too long to arrive".to_owned(),
            Self::PayloadTooLarge(limit) => format!("The body must not be larger than {limit} bytes"),
            Self::UriTooLong(limit) => format!("Path and query must not be longer than {limit} bytes"),
            Self::UnsupportedMediaType => "Content-Type: must be application/json".to_owned(),
            Self::EncodedBody => "Content-Encoding: bodies are not taken compressed; send it as it is".to_owned(),
            Self::RateLimited { limit, retry_after } => {
                format!("More than {limit} requests this minute; try again in {retry_after} s")
            }
            Self::TooManyStreams(most) => {
                format!("The account follows its events {most} times already; end one of the streams first")
            }
            Self::Unavailable(what) => (*what).to_owned(),
            Self::Internal(_) => String::new(),
        }
    }
}

/// The body of any error.
pub fn error_body(error: &'static str, message: &str) -> Json<serde_json::Value> {
    Json(serde_json::json!(ErrorBody { error, message }))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.answer();
        let mut response = (status, error_body(code, &self.message())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // RFC 9110, section 15.5.16: says what would be taken.
            Self::EncodedBody => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            Self::RateLimited { retry_after, .. } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after));
            }
            Self::Unavailable(_) | Self::TooManyStreams(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // What is left of the request would be taken for the next one.
            Self::RequestTimeout => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Internal(cause) => {
                response.extensions_mut().insert(Fault(cause));
            }
            _ => {}
        }
        response
    }
}

impl From<database::DatabaseError> for ApiError {
    fn from(error: database::DatabaseError) -> Self {
        match error {
            database::DatabaseError::Busy => Self::Unavailable("The server is busy; try again"),
            database::DatabaseError::Away(cause) => {
                tracing::warn!(cause = %cause, "the database cannot be reached for a request");
                Self::Unavailable("The database cannot be reached for the moment; try again")
            }
            error => Self::internal(error),
        }
    }
}

/// Answers every path that nothing stands at.
pub async fn no_such_path() -> ApiError {
    ApiError::NotFound("path")
}

/// Answers every method that a path does not have.
pub async fn no_such_method(method: Method) -> ApiError {
    ApiError::MethodNotAllowed(method)
}
