//! The figures that a process keeps of itself: their names, what they mean, and their text for Prometheus.
//!
//! Counted where things happen, by the facade of the crate `metrics`; no label holds a name of a person, a repository or an
//! account. Kept from [`start`] on, which `serve` calls; before that, and in commands, counting costs next to nothing.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $kind:ident $unit:ident;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)+

        /// Every name.
        pub const NAMES: &[&str] = &[$($text),+];

        fn describe() {
            $(names!(@$kind $text, $unit, [$($doc.trim()),+].join(" "));)+
        }
    };
    (@counter $text:literal, $unit:ident, $doc:expr) => { describe_counter!($text, Unit::$unit, $doc) };
    (@gauge $text:literal, $unit:ident, $doc:expr) => { describe_gauge!($text, Unit::$unit, $doc) };
    (@histogram $text:literal, $unit:ident, $doc:expr) => { describe_histogram!($text, Unit::$unit, $doc) };
}

names! {
    /// Requests answered, by method, route and status.
    HTTP_REQUESTS = "gitleads_http_requests_total", counter Count;
    /// How long answers took, by route.
    HTTP_SECONDS = "gitleads_http_request_duration_seconds", histogram Seconds;
    /// Signals brought by sources, by what became of them: captured, withheld, joined, known, erased,
    /// unattributed (a file in code that is nobody's).
    SIGNALS = "gitleads_signals_total", counter Count;
    /// Sightings of recorded signals by another source than the one that brought them, by source; the same one may be seen
    /// again and again.
    SIGHTINGS = "gitleads_further_sightings_total", counter Count;
    /// Items in GitHub's answers that could not be read and were passed over, by source; the same one may be shown again and
    /// again.
    UNREADABLE = "gitleads_github_unreadable_total", counter Count;
    /// Events that commands appended.
    EVENTS = "gitleads_events_appended_total", counter Count;
    /// How long appends took until they were durable.
    APPEND_SECONDS = "gitleads_append_duration_seconds", histogram Seconds;
    /// Attempts of webhook deliveries, by outcome: delivered, or the word for the failure.
    WEBHOOK_ATTEMPTS = "gitleads_webhook_attempts_total", counter Count;
    /// How long attempts of webhook deliveries took.
    WEBHOOK_SECONDS = "gitleads_webhook_attempt_duration_seconds", histogram Seconds;
    /// Requests of webhook deliveries that are under way.
    WEBHOOK_IN_FLIGHT = "gitleads_webhook_in_flight", gauge Count;
    /// Webhook endpoints that are left alone since they fail, until one message shows that they are well again.
    WEBHOOK_BREAKERS = "gitleads_webhook_breakers_open", gauge Count;
    /// Events that the webhook endpoint which is furthest behind has still to be told for the first time, up to 1,000.
    WEBHOOK_LAG_EVENTS = "gitleads_webhook_lag_events", gauge Count;
    /// Age of the oldest event that a webhook endpoint has still to be told for the first time.
    WEBHOOK_LAG = "gitleads_webhook_lag_seconds", gauge Seconds;
    /// Times that a webhook endpoint began to be left alone since it failed.
    WEBHOOK_OPENINGS = "gitleads_webhook_breaker_openings_total", counter Count;
    /// Webhook endpoints that were disabled, by reason: gone, failing.
    WEBHOOK_STOPS = "gitleads_webhook_stops_total", counter Count;
    /// Requests to GitHub, by what the answer was.
    GITHUB_REQUESTS = "gitleads_github_requests_total", counter Count;
    /// Requests, or points of GraphQL, that GitHub grants until the window ends, by resource.
    GITHUB_REMAINING = "gitleads_github_budget_remaining", gauge Count;
    /// Position at which the log ends.
    LOG_HEAD = "gitleads_log_head_position", gauge Count;
    /// Position up to which each read model has come.
    PROJECTION_POSITION = "gitleads_projection_position", gauge Count;
    /// Age of the oldest event that the read models do not show.
    PROJECTION_LAG = "gitleads_projection_lag_seconds", gauge Seconds;
    /// Streams that a read model leaves out until somebody looks after them.
    PARKED_STREAMS = "gitleads_projection_parked_streams", gauge Count;
    /// Position up to which a rebuild has come; only while there is one.
    REBUILD_POSITION = "gitleads_projection_rebuild_position", gauge Count;
    /// Webhook endpoints, by status.
    WEBHOOK_ENDPOINTS = "gitleads_webhook_endpoints", gauge Count;
    /// Whether a long-running task does its work.
    TASK_UP = "gitleads_task_up", gauge Count;
    /// Leases that this node holds, by kind.
    LEASES_HELD = "gitleads_leases_held", gauge Count;
}

/// Upper ends of the buckets of a duration, in seconds: from what memory takes to what a request may take at most.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0,
];

static KEPT: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to keep the figures. A second call changes nothing.
pub fn start() {
    KEPT.get_or_init(|| {
        let durations = Matcher::Suffix("_seconds".to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(durations, &SECONDS)
            .ok()?;
        let recorder = recorder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        describe();
        Some(handle)
    });
}

/// What was kept, as Prometheus reads it; empty before [`start`].
pub fn render() -> String {
    kept().map(PrometheusHandle::render).unwrap_or_default()
}

/// Folds what was measured since into its buckets. Has to be called now and then, also if nobody reads.
pub fn fold() {
    if let Some(kept) = kept() {
        kept.run_upkeep();
    }
}

/// How often [`fold`] should be called.
pub const FOLD_EVERY: Duration = Duration::from_secs(5);

fn kept() -> Option<&'static PrometheusHandle> {
    KEPT.get().and_then(Option::as_ref)
}
