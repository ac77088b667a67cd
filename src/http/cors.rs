//! Which pages of other sites may ask the API from a browser (CORS): those of the origins that the configuration names.
//!
//! A browser asks first, without a key (the preflight), and shows a page only the headers that are named here. Cookies play no
//! part: a page sends its key itself.

use std::time::Duration;

use http::Method;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use tower_http::cors::CorsLayer;

use super::envelope::X_REQUEST_ID;
use super::settle::POSITION;

/// How long a browser need not ask again.
const MAX_AGE: Duration = Duration::from_hours(1);

/// The layer.
pub fn layer(origins: Vec<HeaderValue>) -> CorsLayer {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE];
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(methods)
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            POSITION,
            name("idempotency-key"),
            name("last-event-id"),
        ])
        .expose_headers([
            CONTENT_DISPOSITION,
            ETAG,
            RETRY_AFTER,
            POSITION,
            X_REQUEST_ID,
            name("idempotent-replayed"),
            name("x-ratelimit-limit"),
            name("x-ratelimit-remaining"),
            name("x-ratelimit-reset"),
        ])
        .max_age(MAX_AGE)
}
