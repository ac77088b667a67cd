//! What a server must promise before it is trusted with a log: asked once, at the start.

use deadpool_postgres::Object;

use super::session;
use crate::{DatabaseError, Statement, Value};

/// The oldest version that is used.
const OLDEST: i64 = 13;

/// Why a server is not safe to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// Its version.
    #[error("it runs PostgreSQL {0}; {OLDEST} or later is needed")]
    TooOld(i64),
    /// Its encoding cannot hold every text.
    #[error("its encoding is {0}; make the database with ENCODING 'UTF8'")]
    Encoding(String),
    /// A setting with which acknowledged events can be lost.
    #[error(
        "its setting {0} is off, so that a crash loses what was acknowledged; turn it on, or say --allow-unsafe-postgres"
    )]
    Setting(&'static str),
}

impl Unsafe {
    /// Whether nobody can allow it.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::TooOld(_) | Self::Encoding(_))
    }
}

/// What is wrong with the server, if anything.
pub(super) async fn fault(connection: &Object, is_pooled: bool) -> Result<Option<Unsafe>, DatabaseError> {
    let query = Statement::sql(
        "SELECT current_setting('server_version_num'), current_setting('server_encoding'), current_setting('fsync'),
         current_setting('full_page_writes'), current_setting('synchronous_commit')",
        Vec::new(),
    );
    let rows = session::query(connection, is_pooled, &query).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    Ok(judge(row.text(0)?, row.text(1)?, &row.0))
}

fn judge(version: &str, encoding: &str, settings: &[Value]) -> Option<Unsafe> {
    let version = version.parse::<i64>().unwrap_or_default() / 10_000;
    if version < OLDEST {
        return Some(Unsafe::TooOld(version));
    }
    if encoding != "UTF8" {
        return Some(Unsafe::Encoding(encoding.to_owned()));
    }
    let names = ["fsync", "full_page_writes", "synchronous_commit"];
    let mut settings = names.into_iter().zip(settings.iter().skip(2));
    settings
        .find(|(_, value)| **value == Value::Text("off".into()))
        .map(|(name, _)| Unsafe::Setting(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(version: &str, encoding: &str, settings: [&str; 3]) -> Option<Unsafe> {
        let row = [version, encoding, settings[0], settings[1], settings[2]].map(Value::from);
        judge(version, encoding, &row)
    }

    #[test]
    fn a_server_is_trusted_with_every_setting_that_keeps_what_it_acknowledged() {
        for synchronous in ["on", "local", "remote_write", "remote_apply"] {
            assert_eq!(judged("130000", "UTF8", ["on", "on", synchronous]), None);
        }
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(judged("120022", "UTF8", ["on", "on", "on"]), Some(Unsafe::TooOld(12)));
        let latin = judged("150018", "LATIN1", ["on", "on", "on"]);
        assert_eq!(latin, Some(Unsafe::Encoding("LATIN1".into())));
        for (settings, name) in [
            (["off", "on", "on"], "fsync"),
            (["on", "off", "on"], "full_page_writes"),
            (["on", "on", "off"], "synchronous_commit"),
        ] {
            let fault = judged("150018", "UTF8", settings).unwrap();
            assert_eq!(fault, Unsafe::Setting(name));
            assert!(!fault.is_fatal());
        }
    }
}
