//! Where the server listens and where its data lies.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["listen", "data_dir"];

/// Where the server listens and where its data lies.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address of the HTTP API; port 0: any that is free.
    pub listen: SocketAddr,
    /// The directory of everything GitLeads keeps.
    pub data_dir: PathBuf,
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
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 2] {
        [("listen", self.listen.clone()), ("data_dir", self.data_dir.clone())]
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
        })
    }
}
