//! The REST API: what leaves the house when a client asks. Used by `serve`, which gives it a listener.
//!
//! A request walks `envelope` (id, log line) → `auth` (key, plan, rate limit) → `etag` (what the client has already) →
//! the bounds → `settle` (what it wants to see) → `idempotency` (whether it was answered before) → a handler, one file a
//! resource.

mod accept;
mod account;
mod api_keys;
mod auth;
mod cors;
mod coverage;
mod cursor;
#[cfg(feature = "docs-page")]
mod docs_page;
mod draws;
mod envelope;
mod error;
mod etag;
mod event_body;
mod event_stream;
mod events;
mod explained;
mod github_webhook;
mod health;
mod idempotency;
mod json_body;
mod keyword_dry_run;
mod lead_body;
mod lead_update;
mod leads;
mod leads_export;
mod metrics;
mod openapi;
mod path_id;
mod patience;
mod people;
mod query;
mod rate_limit;
pub mod server;
mod settle;
mod sources;
mod tracked_keywords;
mod tracked_repos;
mod usage;
mod webhook_again;
mod webhook_body;
mod webhook_deliveries;
mod webhook_secret;
mod webhook_status;
mod webhook_trial;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_request, map_response};
use axum::routing::{any, get, post};
use database::Database;
use domain::Plans;
use http::HeaderValue;
use projections::freshness::Freshness;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::commands::Writer;
use crate::deliver::guard::Policy;
use crate::deliver::request::Sender;
use crate::serve::Shutdown;

pub use github_webhook::GithubWebhook;
pub use health::{NodeReport, TaskReport, Tasks};
pub use openapi::text as openapi_text;

/// What the API stands on.
pub struct Api {
    /// The only writer.
    pub writer: Arc<Writer>,
    /// The read models.
    pub views: Arc<dyn Database>,
    /// What polls know of their sources, and deliveries of theirs.
    pub store: Arc<dyn Database>,
    /// How far the read models are.
    pub freshness: Freshness,
    /// What each plan grants.
    pub plans: Arc<Plans>,
    /// Which URLs a webhook endpoint may have.
    pub endpoint_policy: Policy,
    /// Makes the requests that try an endpoint.
    pub sender: Sender,
    /// Where GitHub's own webhooks go; none: they are not configured.
    pub github_webhook: Option<GithubWebhook>,
    /// How the long-running tasks are.
    pub tasks: Tasks,
    /// What this process is among the nodes.
    pub node: NodeReport,
    /// Where nodes count the requests of accounts together; none: there is no other node.
    pub shared_limits: Option<Arc<dyn Database>>,
    /// The origins whose pages may ask from a browser.
    pub cors_origins: Vec<HeaderValue>,
    /// How long an answer may take in all.
    pub answer_within: Duration,
    /// Tells answers that would go on for ever that the process ends.
    pub shutdown: Shutdown,
}

impl Api {
    /// The bound on an answer when nobody says otherwise.
    pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
}

/// The API and what it remembers between requests.
struct Room {
    api: Api,
    cursors: cursor::Cursors,
    keys: auth::KnownKeys,
    windows: rate_limit::Windows,
    large_bodies: github_webhook::LargeBodies,
    open_streams: event_stream::OpenStreams,
    claims: idempotency::Claims,
}

impl Room {
    fn new(mut api: Api) -> Arc<Self> {
        let Writer { log, vault, clock } = &*api.writer;
        api.writer = Arc::new(Writer {
            log: log.clone(),
            vault: vault.clone(),
            clock: Arc::new(draws::RequestClock(clock.clone())),
        });
        Arc::new(Self {
            claims: idempotency::Claims::new(api.writer.vault.purpose_key("idempotent requests")),
            cursors: cursor::Cursors::new(&api.writer.vault.purpose_key("page cursors")),
            keys: auth::KnownKeys::default(),
            windows: rate_limit::Windows::new(api.shared_limits.clone()),
            large_bodies: github_webhook::LargeBodies::default(),
            open_streams: event_stream::OpenStreams::default(),
            api,
        })
    }
}

/// Every route.
pub fn router(api: Api) -> Router {
    let room = Room::new(api);
    let open = Router::new()
        .route("/github/webhooks", post(github_webhook::receive))
        .route("/openapi.json", get(openapi::serve))
        .route("/llms.txt", get(|| async { include_str!("../../docs/llms.txt") }));
    #[cfg(feature = "docs-page")]
    let open = open.merge(docs_page::routes());
    let open = bounded(&room, open).layer(from_fn(etag::tagged_openly));
    let mut routes = v1(&room).merge(open);
    if !room.api.cors_origins.is_empty() {
        routes = routes.layer(cors::layer(room.api.cors_origins.clone()));
    }
    supervised(room, routes)
}

/// The routes of a node that serves no clients: those of its supervisors.
pub fn supervisors_router(api: Api) -> Router {
    supervised(Room::new(api), Router::new())
}

/// What a key opens, as handlers and as the contract describes it.
fn v1_operations() -> OpenApiRouter<Arc<Room>> {
    OpenApiRouter::default()
        .routes(routes!(leads::list))
        .routes(routes!(leads_export::export))
        .routes(routes!(leads::show, lead_update::update))
        .routes(routes!(people::show, people::erase))
        .routes(routes!(tracked_repos::list, tracked_repos::track))
        .routes(routes!(tracked_repos::show, tracked_repos::untrack))
        .routes(routes!(tracked_keywords::list, tracked_keywords::track))
        .routes(routes!(keyword_dry_run::dry_run))
        .routes(routes!(tracked_keywords::show, tracked_keywords::untrack))
        .routes(routes!(webhooks::list, webhooks::add))
        .routes(routes!(webhooks::show, webhooks::change, webhooks::remove))
        .routes(routes!(webhook_secret::show))
        .routes(routes!(webhook_secret::rotate))
        .routes(routes!(webhook_status::pause))
        .routes(routes!(webhook_status::resume))
        .routes(routes!(webhook_trial::test))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_again::resend))
        .routes(routes!(webhook_again::replay))
        .routes(routes!(webhook_again::replays))
        .routes(routes!(events::list))
        .routes(routes!(account::show))
        .routes(routes!(usage::show))
        .routes(routes!(api_keys::list, api_keys::issue))
        .routes(routes!(api_keys::revoke))
}

/// What supervisors ask.
fn supervision() -> OpenApiRouter<Arc<Room>> {
    OpenApiRouter::default()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

/// What a key opens.
fn v1(room: &Arc<Room>) -> Router<Arc<Room>> {
    let v1 = Router::from(v1_operations())
        .route_layer(from_fn_with_state(room.clone(), idempotency::once))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method);
    // The slash alone is no path below `/v1` to the router, but it is to clients.
    Router::new()
        .nest("/v1", v1)
        .route("/v1/", any(error::no_such_path))
        .layer(from_fn_with_state(room.clone(), settle::after_position))
        .layer(from_fn_with_state(room.api.answer_within, envelope::bounded))
        .layer(from_fn(etag::tagged))
        .layer(from_fn_with_state(room.clone(), auth::admit))
        .layer(map_response(envelope::not_stored))
}

/// Answers as small as the client can read them, if they are worth it. What follows the log is sent as it comes.
fn compression() -> CompressionLayer<impl Predicate> {
    let worth_it = SizeAbove::new(1024).and(NotForContentType::SSE);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(worth_it)
}

fn bounded(room: &Room, routes: Router<Arc<Room>>) -> Router<Arc<Room>> {
    routes
        .method_not_allowed_fallback(error::no_such_method)
        .layer(from_fn_with_state(room.api.answer_within, envelope::bounded))
}

/// The routes and what every node answers besides, in the envelope of all answers.
fn supervised(room: Arc<Room>, routes: Router<Arc<Room>>) -> Router {
    let clock = room.api.writer.clock.clone();
    routes
        .merge(bounded(
            &room,
            Router::from(supervision()).route("/metrics", get(metrics::scrape)),
        ))
        .fallback(error::no_such_path)
        .layer(from_fn_with_state(clock, envelope::envelope))
        .layer(compression())
        .layer(map_request(envelope::plain_at_worst))
        .with_state(room)
}

#[cfg(test)]
mod tests;
