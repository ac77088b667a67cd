//! Sets up what tells of the program's work: log lines on standard error, so that standard output belongs to what a command
//! prints, and traces of requests if a collector is configured.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};
use url::Url;

use crate::config::{LogFormat, Logs};

/// Crates whose lines are logged at the configured level; all others tell of warnings and errors only.
const OURS: [&str; 6] = ["gitleads", "projections", "event_log", "database", "vault", "domain"];

/// The target of spans that are meant for traces. No log line carries them.
pub const TRACE: &str = "trace";

/// How long the last spans may take on their way when the process ends.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// What was started. Spans that were not sent yet are sent when it is dropped.
#[must_use]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            // A collector that is away keeps nobody from ending.
            let _ = provider.shutdown_with_timeout(LAST_SPANS);
        }
    }
}

/// Starts logging, and traces to this collector. A second call changes nothing. Must not be called inside of a runtime: the
/// exporter has a thread of its own.
pub fn start(logs: Logs, collector: Option<&Url>) -> anyhow::Result<Telemetry> {
    let others = logs.level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(others)
        .with_targets(OURS.map(|name| (name, logs.level)))
        .with_target(TRACE, LevelFilter::OFF);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match logs.format {
        LogFormat::Text => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).boxed()
        }
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let provider = collector.map(provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let only_traces = Targets::new().with_target(TRACE, LevelFilter::TRACE);
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("gitleads"))
            .with_filter(only_traces)
    });
    // Only a second call fails, and the first one's logging goes on.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .with(spans)
        .try_init();
    Ok(Telemetry(provider))
}

fn provider(collector: &Url) -> anyhow::Result<SdkTracerProvider> {
    let tls = crate::tls::client_config().context("set up TLS for traces")?;
    let client = reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("set up the exporter of traces")?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(collector.as_str())
        .build()
        .context("set up the exporter of traces")?;
    let resource = Resource::builder_empty()
        .with_service_name("gitleads")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}
