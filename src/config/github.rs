//! How GitHub is reached, whose tokens ask it for what, and how its webhooks are told from forged ones.

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::AccountId;
use url::Url;

use super::secret::Secret;
use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &[
    "github_api_url",
    "github_token",
    "github_account_tokens",
    "github_app_id",
    "github_app_key_file",
    "github_webhook_secret",
];

/// What stands before the number of an installation where a token could stand.
const INSTALLATION: &str = "installation:";

/// How GitHub is reached, and how its webhooks are told from forged ones.
#[derive(Debug, Clone)]
pub struct GitHub {
    /// The REST API; ends with a slash, so that paths can be joined to it.
    pub api_url: Url,
    /// What requests carry for every account that has nothing of its own; without it GitHub grants 60 an hour.
    pub token: Option<Access>,
    /// What requests for one account carry.
    pub account_tokens: BTreeMap<AccountId, Access>,
    /// The secret of inbound webhooks; without one they are not accepted.
    pub webhook_secret: Option<Secret>,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A token.
    Token(Secret),
    /// Tokens of an hour each, which a GitHub App gets for one of its installations.
    Installation {
        /// The App.
        app: App,
        /// The number of the installation.
        installation: u64,
    },
}

/// A GitHub App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its number.
    pub id: u64,
    /// Its private key, PEM.
    pub key: Secret,
}

/// The same as flags; the webhook secret has none, since it is needed in no command that is typed.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// GitHub's REST API [default: GitHub itself]
    #[arg(long, global = true, value_name = "URL")]
    github_api_url: Option<String>,
    /// The token for GitHub's API, or installation:NUMBER; other users of the machine can see a flag, so prefer the variable or
    /// the file
    #[arg(long, global = true, value_name = "TOKEN")]
    github_token: Option<Secret>,
    /// Tokens that are used for one account each, with commas between; prefer the variable or the file here, too
    #[arg(long, global = true, value_name = "ACCOUNT=TOKEN")]
    github_account_tokens: Option<Secret>,
    /// The number of the GitHub App whose installations are named
    #[arg(long, global = true, value_name = "NUMBER")]
    github_app_id: Option<String>,
    /// The file with the App's private key, as GitHub gave it
    #[arg(long, global = true, value_name = "FILE")]
    github_app_key_file: Option<String>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 5] {
        let shown = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        [
            ("github_api_url", self.github_api_url.clone()),
            ("github_token", shown(&self.github_token)),
            ("github_account_tokens", shown(&self.github_account_tokens)),
            ("github_app_id", self.github_app_id.clone()),
            ("github_app_key_file", self.github_app_key_file.clone()),
        ]
    }
}

impl GitHub {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let app = app(sources)?;
        let access = |text: &str| access(text, app.as_ref());
        let accounts = sources.find("github_account_tokens", |text| account_tokens(text, &access))?;
        Ok(Self {
            api_url: sources.value("github_api_url", "https://api.github.com/", api_url)?,
            token: sources.find("github_token", access)?,
            account_tokens: accounts.unwrap_or_default(),
            webhook_secret: sources.find("github_webhook_secret", |text| Ok(Secret::new(text)))?,
        })
    }
}

/// Both of its settings, or none.
fn app(sources: &Sources<'_>) -> Result<Option<App>, ConfigError> {
    let key = sources.find("github_app_key_file", |text| {
        let path = PathBuf::from(text);
        let key = std::fs::read_to_string(&path).map_err(|error| format!("{text} cannot be read: {error}"))?;
        Ok(Secret::new(&key))
    })?;
    let without_key = key.is_none();
    let id = sources.find("github_app_id", |text| {
        let id = text
            .parse()
            .map_err(|_| "must be the number of a GitHub App".to_owned())?;
        if without_key {
            return Err("needs github_app_key_file beside it".to_owned());
        }
        Ok(id)
    })?;
    Ok(id.zip(key).map(|(id, key)| App { id, key }))
}

fn access(text: &str, app: Option<&App>) -> Result<Access, String> {
    let Some(installation) = text.strip_prefix(INSTALLATION) else {
        return Secret::header_value(text).map(Access::Token);
    };
    let installation = installation
        .parse()
        .map_err(|_| format!("{INSTALLATION} must be followed by the number of an installation"))?;
    let app = app.cloned();
    let app = app.ok_or("names an installation, which needs github_app_id and github_app_key_file")?;
    Ok(Access::Installation { app, installation })
}

/// Pairs `ACCOUNT=TOKEN`, with commas or white space between.
fn account_tokens(
    text: &str,
    access: &impl Fn(&str) -> Result<Access, String>,
) -> Result<BTreeMap<AccountId, Access>, String> {
    let mut tokens = BTreeMap::new();
    let pairs = text.split(|between: char| between == ',' || between.is_whitespace());
    for (index, pair) in pairs.filter(|pair| !pair.is_empty()).enumerate() {
        let place = index + 1;
        // What stands there may be a token, so it is not told.
        let (account, token) = pair
            .split_once('=')
            .ok_or_else(|| format!("entry {place} must be ACCOUNT=TOKEN"))?;
        let account: AccountId = account.parse().map_err(|_| {
            format!("entry {place} must begin with an account, such as acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1")
        })?;
        let token = access(token).map_err(|fault| format!("the token of {account} {fault}"))?;
        if tokens.insert(account, token).is_some() {
            return Err(format!("{account} has two tokens"));
        }
    }
    Ok(tokens)
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
