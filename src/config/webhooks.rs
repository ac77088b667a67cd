//! Which webhook endpoints customers may name: by default only `https` ones on the public internet.

use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["allow_private_webhooks", "allow_http_webhooks"];

/// Which webhook endpoints are allowed besides `https` ones on the public internet.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks {
    /// Addresses of private, loopback and link-local networks too.
    pub allow_private: bool,
    /// `http` URLs too.
    pub allow_http: bool,
}

/// The same as flags.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Deliver webhooks to private and loopback addresses too [default: false]
    #[arg(long, global = true, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private_webhooks: Option<String>,
    /// Deliver webhooks to http:// URLs too [default: false]
    #[arg(long, global = true, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_http_webhooks: Option<String>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 2] {
        [
            ("allow_private_webhooks", self.allow_private_webhooks.clone()),
            ("allow_http_webhooks", self.allow_http_webhooks.clone()),
        ]
    }
}

impl Webhooks {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            allow_private: sources.value("allow_private_webhooks", "false", switch)?,
            allow_http: sources.value("allow_http_webhooks", "false", switch)?,
        })
    }
}

fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}
