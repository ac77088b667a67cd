//! The configuration: every setting, checked once at the start, before anything is opened; read by the composition root.
//!
//! A setting comes from the first place that has it: a flag, a `GITLEADS_…` variable, the TOML file, the default. The
//! file is the one that `--config` or `GITLEADS_CONFIG` names, or else `gitleads.toml` in the data directory if it is
//! there. An empty variable counts as none.

pub mod database;
pub mod github;
pub mod logs;
pub mod plans;
pub mod roles;
pub mod secret;
pub mod server;
pub mod sources;
pub mod traces;
pub mod vault;
pub mod webhooks;

use std::ffi::OsString;
use std::path::PathBuf;

use domain::Plans;

pub use database::{Database, Engine};
pub use github::{Access, GitHub};
pub use logs::{LogFormat, Logs};
pub use roles::{Role, Roles};
pub use secret::Secret;
pub use server::Server;
pub use sources::{ConfigError, Origin};
pub use traces::Traces;
pub use vault::Vault;
pub use webhooks::Webhooks;

use sources::{File, Sources};

/// Every setting, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen and where data lies.
    pub server: Server,
    /// Where log and read models lie.
    pub database: Database,
    /// What this process does of all there is to do.
    pub roles: Roles,
    /// How GitHub is reached and believed.
    pub github: GitHub,
    /// Which webhook endpoints are allowed.
    pub webhooks: Webhooks,
    /// The key that all others are wrapped with.
    pub vault: Vault,
    /// The plans on offer.
    pub plans: Plans,
    /// What is logged, and how.
    pub logs: Logs,
    /// Where traces go.
    pub traces: Traces,
}

/// The settings as flags of the command line.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Settings (each also a GITLEADS_… variable and a key of the TOML file)")]
pub struct Flags {
    /// The TOML file with settings [default: gitleads.toml in the data directory, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    server: server::Flags,
    #[command(flatten)]
    database: database::Flags,
    #[command(flatten)]
    roles: roles::Flags,
    #[command(flatten)]
    github: github::Flags,
    #[command(flatten)]
    webhooks: webhooks::Flags,
    #[command(flatten)]
    logs: logs::Flags,
    #[command(flatten)]
    traces: traces::Flags,
}

impl Flags {
    /// What a flag gave for that key of the settings.
    pub fn find(&self, key: &str) -> Option<String> {
        self.given().find(|(given, _)| *given == key).map(|(_, value)| value)
    }

    /// The settings that were given as flags.
    fn given(&self) -> impl Iterator<Item = (&'static str, String)> {
        let groups = [
            self.server.given().to_vec(),
            self.database.given().to_vec(),
            self.roles.given().to_vec(),
            self.github.given().to_vec(),
            self.webhooks.given().to_vec(),
            self.logs.given().to_vec(),
            self.traces.given().to_vec(),
        ];
        groups
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key, value?)))
    }
}

impl Config {
    /// Every key that a TOML file may hold.
    const KEYS: &[&[&str]] = &[
        server::KEYS,
        database::KEYS,
        roles::KEYS,
        github::KEYS,
        webhooks::KEYS,
        vault::KEYS,
        plans::KEYS,
        logs::KEYS,
        traces::KEYS,
    ];

    /// Reads the configuration from the flags, this process's environment and the file.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::from_layers(flags, &|name| std::env::var_os(name))
    }

    /// As [`Config::load`], with the environment as an argument.
    pub fn from_layers(flags: &Flags, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut sources = Sources::new(flags.given(), variable);
        let named = flags
            .config
            .clone()
            .or_else(|| sources.variable("config").map(PathBuf::from));
        sources.file = match named {
            Some(path) => File::read(&path, Self::KEYS)?,
            None => Self::file_in_data_dir(&sources)?,
        };
        let database = Database::read(&sources)?;
        Ok(Self {
            server: Server::read(&sources)?,
            roles: Roles::read(&sources, &database.engine)?,
            database,
            github: GitHub::read(&sources)?,
            webhooks: Webhooks::read(&sources)?,
            vault: Vault::read(&sources)?,
            plans: plans::read(&sources)?,
            logs: Logs::read(&sources)?,
            traces: Traces::read(&sources)?,
        })
    }

    /// The file that lies in the data directory; it cannot say where the data directory is.
    fn file_in_data_dir(sources: &Sources<'_>) -> Result<File, ConfigError> {
        let path = Server::read(sources)?.data_dir.join("gitleads.toml");
        if !path.exists() {
            return Ok(File::default());
        }
        let file = File::read(&path, Self::KEYS)?;
        match file.find("data_dir") {
            None => Ok(file),
            Some(value) => Err(ConfigError::Invalid {
                key: "data_dir",
                origin: file.origin(value),
                fault: "a file found in the data directory cannot name another; use --config or --data-dir".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
