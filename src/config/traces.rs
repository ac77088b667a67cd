//! Where traces go, if anywhere.

use url::Url;

use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["otlp_endpoint"];

/// Where traces go.
#[derive(Debug, Clone)]
pub struct Traces {
    /// Where a collector takes spans (OTLP over HTTP, with `/v1/traces` at the end); none: nothing is traced.
    pub endpoint: Option<Url>,
}

/// The same as flags.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Send traces of requests to this OpenTelemetry collector (OTLP over HTTP, such as <http://127.0.0.1:4318>)
    #[arg(long, global = true, value_name = "URL")]
    otlp_endpoint: Option<String>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 1] {
        [("otlp_endpoint", self.otlp_endpoint.clone())]
    }
}

impl Traces {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoint: sources.find("otlp_endpoint", endpoint)?,
        })
    }
}

/// The path is fixed by the protocol ("OpenTelemetry Protocol Exporter", opentelemetry.io).
fn endpoint(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".into());
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}
