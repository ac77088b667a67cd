//! Where the server listens, where its data lies, and which pages of other sites may ask it.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderValue;
use url::Url;

use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["listen", "data_dir", "cors_origins"];

/// Where the server listens, where its data lies, and which pages of other sites may ask it.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address of the HTTP API; port 0: any that is free.
    pub listen: SocketAddr,
    /// The directory of everything GitLeads keeps.
    pub data_dir: PathBuf,
    /// The origins whose pages may ask the API from a browser; empty: none.
    pub cors_origins: Vec<HeaderValue>,
}

/// The same as flags.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Where the HTTP API listens [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The directory that holds all data [default: ./gitleads-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// The origins whose pages may ask the API from a browser, with commas [default: none]
    #[arg(long, global = true, value_name = "ORIGINS")]
    cors_origins: Option<String>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 3] {
        [
            ("listen", self.listen.clone()),
            ("data_dir", self.data_dir.clone()),
            ("cors_origins", self.cors_origins.clone()),
        ]
    }
}

impl Server {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: sources.value("listen", "127.0.0.1:8080", |text| {
                text.parse()
                    .map_err(|_| "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
            })?,
            data_dir: sources.value("data_dir", "./gitleads-data", |text| match text {
                "" => Err("must not be empty".to_owned()),
                path => Ok(PathBuf::from(path)),
            })?,
            cors_origins: sources.value("cors_origins", "", origins)?,
        })
    }
}

/// Origins as browsers write them: nothing else would ever be equal to what they send.
fn origins(text: &str) -> Result<Vec<HeaderValue>, String> {
    let origin = |text: &str| {
        let url = Url::parse(text).ok()?;
        let is_origin = matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
        HeaderValue::from_str(text).ok().filter(|_| is_origin)
    };
    let given = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    let origins = given.map(origin).collect::<Option<_>>();
    origins.ok_or_else(|| "must be origins with commas between, such as https://app.example.com".to_owned())
}
