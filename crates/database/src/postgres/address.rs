//! `postgres://…` URLs: the settings of libpq that we take, and two of our own.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long connecting to one host may take before the next is tried.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a database is and how it is reached.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    /// A file of certificates to trust instead of the system's.
    pub(super) root_certificates: Option<PathBuf>,
    /// A pooler in transaction mode stands between.
    pub(super) is_pooled: bool,
}

/// Why a text is no address. Never repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `postgres://user:password@host[:port][,host…]/database?setting=value…`: libpq's settings as tokio-postgres
    /// knows them, `sslrootcert=FILE`, and `pooler=transaction`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut root_certificates = None;
        let mut is_pooled = false;
        let mut states_tls = false;
        let mut passed_on = Vec::new();
        for setting in query.split('&').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            match (name, value) {
                ("sslrootcert", "") => return Err(fault("sslrootcert must name a file")),
                ("sslrootcert", file) => root_certificates = Some(PathBuf::from(unescaped(file)?)),
                ("pooler", "transaction") => is_pooled = true,
                ("pooler", _) => return Err(fault("pooler must be transaction, or be left out")),
                ("sslmode", mode) => {
                    states_tls = true;
                    passed_on.push(format!("sslmode={}", tls_mode(mode)?));
                }
                _ => passed_on.push(setting.to_owned()),
            }
        }
        let url = format!("{base}?{}", passed_on.join("&"));
        let mut config = Config::from_str(&url).map_err(|error| fault(&reason(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(fault("no host is named"));
        }
        if config.get_dbname().is_none() {
            return Err(fault("no database is named"));
        }
        let has_at = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
        if config.get_hosts().iter().any(has_at) {
            return Err(fault(
                "an @ in the user's name or the password must be written %40, and other special characters likewise",
            ));
        }
        if !states_tls {
            config.ssl_mode(default_tls(&config));
        }
        if config.get_application_name().is_none() {
            config.application_name("gitleads");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        // Of several hosts the one that takes writes, so that a failover is followed.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.keepalives_idle(Duration::from_secs(30));
        Ok(Self {
            config,
            root_certificates,
            is_pooled,
        })
    }
}

const DEFAULT_PORT: u16 = 5432;

impl Address {
    /// Hosts and database, without user and password.
    pub fn target(&self) -> String {
        let ports = self.config.get_ports();
        // One port is that of all hosts.
        let port = |index: usize| ports.get(index).or_else(|| ports.first()).unwrap_or(&DEFAULT_PORT);
        let hosts = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(index, host)| match host {
                Host::Tcp(name) => format!("{name}:{}", port(index)),
                Host::Unix(path) => path.display().to_string(),
            });
        let hosts: Vec<String> = hosts.collect();
        format!(
            "the database {} on {}",
            self.config.get_dbname().unwrap_or_default(),
            hosts.join(", ")
        )
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.target())
    }
}

/// What is encrypted is also verified here, so that the modes that verify need no names of their own.
fn tls_mode(mode: &str) -> Result<&'static str, AddressError> {
    match mode {
        "disable" => Ok("disable"),
        "prefer" => Ok("prefer"),
        "require" | "verify-ca" | "verify-full" => Ok("require"),
        _ => Err(fault(
            "sslmode must be disable, prefer, require, verify-ca or verify-full",
        )),
    }
}

/// Nobody listens in on this machine; anywhere else somebody may.
fn default_tls(config: &Config) -> SslMode {
    let is_here = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    };
    if config.get_hosts().iter().all(is_here) {
        SslMode::Disable
    } else {
        SslMode::Require
    }
}

fn unescaped(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(fault("sslrootcert is not escaped as a URL is"));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| fault("sslrootcert is not UTF-8"))
}

/// The causes too: the outermost says no more than that something is invalid.
fn reason(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn fault(text: &str) -> AddressError {
    AddressError(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn a_url_may_name_several_hosts_and_writes_go_to_the_one_that_takes_them() {
        let address = address("postgres://ada:secret@a.example:5433,b.example/leads?connect_timeout=2");
        assert_eq!(address.config.get_hosts().len(), 2);
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(address.config.get_connect_timeout(), Some(&Duration::from_secs(2)));
        assert_eq!(address.target(), "the database leads on a.example:5433, b.example:5432");
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn what_leaves_this_machine_is_encrypted_unless_the_url_says_otherwise() {
        let mode = |text| address(text).config.get_ssl_mode();
        assert_eq!(mode("postgres://ada@db.example/leads"), SslMode::Require);
        assert_eq!(mode("postgres://ada@127.0.0.1,db.example/leads"), SslMode::Require);
        assert_eq!(mode("postgres://ada@127.0.0.1/leads"), SslMode::Disable);
        assert_eq!(mode("postgres://ada@localhost/leads"), SslMode::Disable);
        assert_eq!(mode("postgres:///leads?host=/run/postgresql"), SslMode::Disable);
        assert_eq!(
            mode("postgres://ada@db.example/leads?sslmode=disable"),
            SslMode::Disable
        );
        assert_eq!(
            mode("postgres://ada@localhost/leads?sslmode=verify-full"),
            SslMode::Require
        );
    }

    #[test]
    fn our_own_settings_are_read_and_taken_out() {
        let address = address("postgres://ada@h/leads?pooler=transaction&sslrootcert=/etc/a%20b.pem");
        assert!(address.is_pooled);
        assert_eq!(address.root_certificates, Some(PathBuf::from("/etc/a b.pem")));
    }

    #[test]
    fn a_fault_is_told_without_the_text_that_may_hold_a_password() {
        for (text, part) in [
            ("postgres://ada:secret@h/leads?sslmode=maybe", "sslmode must be"),
            ("postgres://ada:not@secret@h/leads", "must be written %40"),
            ("postgres://ada:secret@h/leads?pooler=session", "pooler must be"),
            ("postgres://ada:secret@h/leads?sslrootcert=", "sslrootcert must name"),
            ("postgres://ada:secret@h/leads?colour=red", "colour"),
            ("postgres://ada:secret@h", "no database"),
            ("postgres:///leads", "no host"),
        ] {
            let told = refusal(text);
            assert!(told.contains(part), "{text}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
