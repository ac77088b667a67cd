//! The contract as an OpenAPI 3.1 document: the operations as their handlers describe them, and what all of them share.

pub(super) mod forms;
mod headers;
mod shared;
pub mod words;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

/// What the document says of the API as a whole.
const DESCRIPTION: &str = "Leads from public interest on GitHub. All bodies are JSON, but for exports and streams; all times ISO 8601 in UTC with a \
    trailing `Z`. Unknown query parameters and body fields are refused by name. The answer to a write carries \
    `GitLeads-Position`; a later request with the same header is answered once the read models have come so far.";

/// The name of the one security scheme.
pub(super) const KEY: &str = "api_key";

/// The document as it is served and committed.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = document().to_pretty_json();
    // Its parts are maps of texts, which all have a JSON form.
    text.unwrap_or_default() + "\n"
});

/// The document.
pub fn document() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build();
    let info = InfoBuilder::new()
        .title("GitLeads")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let tags = TAGS.map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build());
    let mut document = OpenApiBuilder::new()
        .info(info)
        .components(Some(ComponentsBuilder::new().security_scheme(KEY, key).build()))
        .tags(Some(tags))
        .build()
        .nest("/v1", super::v1_operations().into_openapi());
    document.merge(super::supervision().into_openapi());
    shared::complete(&mut document);
    document
}

const TAGS: [(&str, &str); 5] = [
    ("leads", "People who gave a signal"),
    ("tracking", "Repositories and keywords that are listened to"),
    ("webhooks", "URLs that hear of leads"),
    ("account", "The account, its keys and its log"),
    ("supervision", "How the process is"),
];

/// The document's text.
pub fn text() -> &'static str {
    &TEXT
}

/// `GET /openapi.json`
pub(super) async fn serve() -> Response {
    let mut response = text().into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
