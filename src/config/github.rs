//! How GitHub is reached, and how its webhooks are told from forged ones.

use url::Url;

use super::secret::Secret;
use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["github_api_url", "github_token", "github_webhook_secret"];

/// How GitHub is reached, and how its webhooks are told from forged ones.
#[derive(Debug, Clone)]
pub struct GitHub {
    /// The REST API; ends with a slash, so that paths can be joined to it.
    pub api_url: Url,
    /// The token that requests carry; without one GitHub grants 60 an hour.
    pub token: Option<Secret>,
    /// The secret of inbound webhooks; without one they are not accepted.
    pub webhook_secret: Option<Secret>,
}

/// The same as flags; the webhook secret has none, since it is needed in no command that is typed.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// GitHub's REST API [default: GitHub itself]
    #[arg(long, global = true, value_name = "URL")]
    github_api_url: Option<String>,
    /// The token for GitHub's API; other users of the machine can see a flag, so prefer the variable or the file
    #[arg(long, global = true, value_name = "TOKEN")]
    github_token: Option<Secret>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 2] {
        let token = self.github_token.as_ref().map(|token| token.expose().to_owned());
        [("github_api_url", self.github_api_url.clone()), ("github_token", token)]
    }
}

impl GitHub {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            api_url: sources.value("github_api_url", "https://api.github.com/", api_url)?,
            token: sources.find("github_token", Secret::header_value)?,
            webhook_secret: sources.find("github_webhook_secret", |text| Ok(Secret::new(text)))?,
        })
    }
}

fn api_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password; the token has its own key, github_token".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment".into());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}
