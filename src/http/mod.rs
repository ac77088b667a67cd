//! The REST API: what leaves the house when a client asks. Used by `serve`, which gives it a listener.
//!
//! A request walks `envelope` (id, log line) → `auth` (key, plan, rate limit) → `etag` (what the client has already) →
//! the bounds → `settle` (what it wants to see) → a handler, one file a resource.

mod accept;
mod account;
mod api_keys;
mod auth;
mod cursor;
mod envelope;
mod error;
mod etag;
mod event_body;
mod event_stream;
mod events;
mod github_webhook;
mod health;
mod json_body;
mod keyword_dry_run;
mod lead_body;
mod leads;
mod leads_export;
mod path_id;
mod patience;
mod query;
mod rate_limit;
pub mod server;
mod settle;
mod sources;
mod tracked_keywords;
mod tracked_repos;
mod usage;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{any, delete, get, post};
use database::Database;
use domain::Plans;
use projections::freshness::Freshness;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::commands::Writer;
use crate::deliver::guard::Policy;
use crate::serve::Shutdown;

pub use github_webhook::GithubWebhook;
pub use health::{NodeReport, TaskReport, Tasks};

/// What the API stands on.
pub struct Api {
    /// The only writer.
    pub writer: Arc<Writer>,
    /// The read models.
    pub views: Arc<dyn Database>,
    /// What polls know of their sources.
    pub store: Arc<dyn Database>,
    /// How far the read models are.
    pub freshness: Freshness,
    /// What each plan grants.
    pub plans: Arc<Plans>,
    /// Which URLs a webhook endpoint may have.
    pub endpoint_policy: Policy,
    /// Where GitHub's own webhooks go; none: they are not configured.
    pub github_webhook: Option<GithubWebhook>,
    /// How the long-running tasks are.
    pub tasks: Tasks,
    /// What this process is among the nodes.
    pub node: NodeReport,
    /// Where nodes count the requests of accounts together; none: there is no other node.
    pub shared_limits: Option<Arc<dyn Database>>,
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
}

impl Room {
    fn new(api: Api) -> Arc<Self> {
        Arc::new(Self {
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
    let github = Router::new().route("/github/webhooks", post(github_webhook::receive));
    let routes = v1(&room).merge(bounded(&room, github));
    supervised(room, routes)
}

/// The routes of a node that serves no clients: those of its supervisors.
pub fn supervisors_router(api: Api) -> Router {
    supervised(Room::new(api), Router::new())
}

/// What a key opens.
fn v1(room: &Arc<Room>) -> Router<Arc<Room>> {
    let v1 = Router::new()
        .route("/leads", get(leads::list))
        .route("/leads/export", get(leads_export::export))
        .route("/leads/{id}", get(leads::show))
        .route("/tracked-repos", get(tracked_repos::list).post(tracked_repos::track))
        .route(
            "/tracked-repos/{id}",
            get(tracked_repos::show).delete(tracked_repos::untrack),
        )
        .route(
            "/tracked-keywords",
            get(tracked_keywords::list).post(tracked_keywords::track),
        )
        .route("/tracked-keywords/dry-run", post(keyword_dry_run::dry_run))
        .route(
            "/tracked-keywords/{id}",
            get(tracked_keywords::show).delete(tracked_keywords::untrack),
        )
        .route("/webhooks", get(webhooks::list).post(webhooks::add))
        .route("/webhooks/{id}", get(webhooks::show).delete(webhooks::remove))
        .route("/events", get(events::list))
        .route("/account", get(account::show))
        .route("/usage", get(usage::show))
        .route("/api-keys", get(api_keys::list).post(api_keys::issue))
        .route("/api-keys/{id}", delete(api_keys::revoke))
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
    let health = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    let clock = room.api.writer.clock.clone();
    routes
        .merge(bounded(&room, health))
        .fallback(error::no_such_path)
        .layer(from_fn_with_state(clock, envelope::envelope))
        .layer(compression())
        .with_state(room)
}

#[cfg(test)]
mod tests;
