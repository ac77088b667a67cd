//! `GET /docs`: a page to read the contract and try it, with nothing from outside the binary.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::json;

/// The page may load and ask nothing but this server.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

/// The page and the script behind it.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/docs", get(page))
        .route("/docs/scalar.js", get(script))
}

async fn page() -> Response {
    let settings = json!({
        "url": "/openapi.json",
        "withDefaultFonts": false,
        "telemetry": false,
        "agent": {"disabled": true},
        "mcp": {"disabled": true},
        "hideClientButton": true,
        "showDeveloperTools": "never",
    });
    let page = scalar_api_reference::scalar_html(&settings, Some("/docs/scalar.js"));
    let page = page.replacen("Scalar API Reference", "GitLeads API", 1);
    with_headers(
        page,
        &[
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, POLICY),
        ],
    )
}

async fn script() -> Response {
    let script = scalar_api_reference::get_asset("scalar.js").unwrap_or_default();
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    with_headers(script, &headers)
}

fn with_headers(body: impl IntoResponse, headers: &[(HeaderName, &'static str)]) -> Response {
    let mut response = body.into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
