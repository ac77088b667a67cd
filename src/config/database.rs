//! Where the log and the read models lie: files in the data directory, or a PostgreSQL server.

use database::postgres::Address;

use super::secret::Secret;
use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["database_url", "log_url", "allow_unsafe_postgres"];

/// Where the log and the read models lie.
#[derive(Debug, Clone)]
pub struct Database {
    /// The engine.
    pub engine: Engine,
    /// A KurrentDB server or cluster that keeps the log; none: the engine keeps it.
    pub log_url: Option<Secret>,
    /// Whether a PostgreSQL server may be used that can lose what it acknowledged.
    pub allow_unsafe_postgres: bool,
}

/// What keeps the data.
#[derive(Debug, Clone)]
pub enum Engine {
    /// SQLite files in the data directory, held by one process at a time.
    Embedded,
    /// A PostgreSQL database, shared by any number of processes.
    Postgres(Box<Address>),
}

/// The same as flags.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// `postgres://user:password@host/database`; other users of the machine can see a flag, so prefer the variable or the
    /// file for one with a password [default: sqlite: files in the data directory]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<Secret>,
    /// `kurrentdb://user:password@host:2113`: keep the event log on KurrentDB [default: with everything else]
    #[arg(long, global = true, value_name = "URL")]
    log_url: Option<Secret>,
    /// Use a PostgreSQL server whose settings let it lose what it acknowledged [default: false]
    #[arg(long, global = true, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_unsafe_postgres: Option<String>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 3] {
        let text = |url: &Option<Secret>| url.as_ref().map(|url| url.expose().to_owned());
        [
            ("database_url", text(&self.database_url)),
            ("log_url", text(&self.log_url)),
            ("allow_unsafe_postgres", self.allow_unsafe_postgres.clone()),
        ]
    }
}

impl Database {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            engine: sources.value("database_url", "sqlite:", engine)?,
            log_url: sources.find("log_url", log_url)?,
            allow_unsafe_postgres: sources.value("allow_unsafe_postgres", "false", |text| {
                text.parse().map_err(|_| "must be true or false".to_owned())
            })?,
        })
    }
}

/// What is wrong is told without the text, which may hold a password.
fn engine(text: &str) -> Result<Engine, String> {
    match text.split_once(':') {
        Some(("sqlite", "")) => Ok(Engine::Embedded),
        Some(("sqlite", _)) => Err("sqlite: takes no path; its files lie in the data directory (data_dir)".to_owned()),
        Some(("postgres" | "postgresql", _)) => text
            .parse()
            .map(|address| Engine::Postgres(Box::new(address)))
            .map_err(|fault: database::postgres::AddressError| fault.to_string()),
        _ => Err("must begin with postgres://, or be sqlite: for files in the data directory".to_owned()),
    }
}

fn log_url(text: &str) -> Result<Secret, String> {
    match text.split_once("://") {
        Some(("kurrentdb" | "kurrentdb+discover" | "esdb" | "esdb+discover", _)) => Ok(Secret::new(text)),
        _ => Err("must begin with kurrentdb:// or kurrentdb+discover://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_engine() {
        assert!(matches!(engine("sqlite:"), Ok(Engine::Embedded)));
        for url in [
            "postgres://ada:secret@127.0.0.1/leads",
            "postgresql://ada@a.example,b.example/leads",
        ] {
            assert!(matches!(engine(url), Ok(Engine::Postgres(_))), "{url}");
        }
    }

    #[test]
    fn a_log_of_its_own_is_on_kurrentdb() {
        assert!(log_url("kurrentdb://admin:secret@127.0.0.1:2113?tls=false").is_ok());
        let told = log_url("postgres://ada:secret@127.0.0.1/leads").unwrap_err();
        assert!(told.contains("kurrentdb://") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn a_fault_is_told_without_the_password() {
        for (url, part) in [
            ("mysql://ada:secret@h/leads", "must begin with postgres://"),
            ("", "must begin with postgres://"),
            ("sqlite:/var/lib/leads.db", "data_dir"),
            ("postgres://ada:secret@h/leads?sslmode=perhaps", "sslmode must be"),
            ("postgres://ada:secret@h:port/leads", "port"),
        ] {
            let told = engine(url).unwrap_err();
            assert!(told.contains(part) && !told.contains("secret"), "{url}: {told}");
        }
    }
}
