//! Sets up logging to standard error, so that standard output belongs to what a command prints; called once at the start.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{LogFormat, Logs};

/// Crates whose lines are logged at the configured level; all others tell of warnings and errors only.
const OURS: [&str; 6] = ["gitleads", "projections", "event_log", "database", "vault", "domain"];

/// Starts logging. A second call changes nothing.
pub fn start(logs: Logs) {
    let others = logs.level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(others)
        .with_targets(OURS.map(|name| (name, logs.level)));
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
    // Only a second call fails, and the first one's logging goes on.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .try_init();
}
