//! `gitleads log`: copies the log to another database, and proves that a log is whole.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use database::postgres::Address;

use super::run::{Asked, Ended, show};
use crate::app::App;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::control::{self, Command, Output, Unit};
use crate::storage::Store;
use crate::transfer;
use crate::verify;

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Copy log, keys and progress to another database: the same positions, ids and keys. Nothing else may be at work on
    /// either meanwhile. Broken off, the same command goes on where it was
    Copy {
        /// Where from: a data directory as `sqlite:DIRECTORY`, or a database as `postgres://user:password@host/name`
        #[arg(value_name = "FROM_URL")]
        from: String,
        /// Where to; nothing may be there yet but an earlier copy from the same place
        #[arg(value_name = "TO_URL")]
        to: String,
    },
    /// Read all of the log: no gap in positions or versions, and every event can be read
    Verify,
}

/// A database to copy from or to. Not parsed with the other arguments, which would be quoted with their passwords.
#[derive(Debug, Clone)]
pub enum Place {
    /// The files of a data directory.
    Files(PathBuf),
    /// A PostgreSQL database.
    Server(Box<Address>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", "")) => Err("must name the data directory: sqlite:DIRECTORY".to_owned()),
            Some(("sqlite", folder)) => Ok(Self::Files(PathBuf::from(folder))),
            Some(("postgres" | "postgresql", _)) => {
                let address = text.parse();
                address
                    .map(|address| Self::Server(Box::new(address)))
                    .map_err(|fault: database::postgres::AddressError| fault.to_string())
            }
            Some(("kurrentdb" | "kurrentdb+discover" | "esdb", _)) => {
                Err("KurrentDB gives positions of its own, so a log cannot be copied to or from it as it is".to_owned())
            }
            _ => Err("must begin with sqlite: or postgres://".to_owned()),
        }
    }
}

/// Copies in this process, which has both databases open.
pub(super) async fn copy(config: &Config, from: &str, to: &str) -> anyhow::Result<Ended> {
    let place = |name, text: &str| {
        text.parse::<Place>()
            .map_err(|fault| anyhow::anyhow!("{name}: {fault}"))
    };
    let (from, to) = (place("FROM_URL", from)?, place("TO_URL", to)?);
    let allow_unsafe = config.database.allow_unsafe_postgres;
    let frames = control::run(move |output| async move {
        let from = open(from, allow_unsafe, true).await?;
        let to = open(to, allow_unsafe, false).await?;
        let told = output.clone();
        let (source, target) = (from.database(), to.database());
        let copied = transfer::copy(&*source, &*target, |done, all| {
            told.progress(done, Some(all), Unit::Log);
        });
        let copied = copied.await?;
        from.close().await;
        to.close().await;
        output.line(format!("Copied {} events.", copied.events)).await?;
        output.line(format!("Both hold {}.", copied.digest)).await?;
        Ok(())
    });
    Ok(show(frames).await?.unwrap_or(Ended::Done))
}

async fn open(place: Place, allow_unsafe: bool, is_source: bool) -> anyhow::Result<Store> {
    let store = match place {
        Place::Files(folder) if is_source && !folder.join("gitleads.db").exists() => {
            bail!("there is no GitLeads data in {}", folder.display())
        }
        Place::Files(folder) => Store::open_files(&folder).await?.with_context(|| {
            let folder = folder.display();
            format!("{folder} is in use by a server or another command; end it first")
        })?,
        Place::Server(address) => Store::open_server(*address, allow_unsafe).await?,
    };
    if transfer::is_at_work(&*store.database(), SystemClock.now()).await? {
        bail!(
            "a node is at work on {}; end it first (one that was killed counts for some seconds)",
            store.name()
        );
    }
    if is_source && transfer::is_unfinished(&*store.database()).await? {
        bail!(
            "{} is itself a copy that was broken off; finish that one first",
            store.name()
        );
    }
    Ok(store)
}

impl Task {
    /// The command that any process runs, for all but the copy.
    pub(super) fn verify() -> Asked {
        Asked::from(Command::VerifyLog)
    }
}

/// Reads the whole log and says what is wrong with it.
pub(super) async fn verify_log(app: &App, output: &Output) -> anyhow::Result<()> {
    let told = output.clone();
    let found = verify::verify(&*app.writer.log, app.storage.is_gapless, |position, head| {
        told.progress(position.get(), Some(head.get()), Unit::Log);
    });
    let found = found.await?;
    for fault in &found.faults {
        output.line(fault.to_string()).await?;
    }
    if found.fault_count > 0 {
        bail!(
            "the log is not whole: {} {} in {} events",
            found.fault_count,
            if found.fault_count == 1 { "fault" } else { "faults" },
            found.events
        );
    }
    let summary = format!("{} events in {} streams: whole.", found.events, found.streams);
    Ok(output.line(summary).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_a_database() {
        assert!(matches!("sqlite:./data".parse(), Ok(Place::Files(path)) if path.to_str() == Some("./data")));
        assert!(matches!("postgres://ada@127.0.0.1/leads".parse(), Ok(Place::Server(_))));
        for (text, part) in [
            ("sqlite:", "data directory"),
            ("./data", "must begin with"),
            ("kurrentdb://127.0.0.1:2113", "positions of its own"),
            ("postgres://ada:secret@127.0.0.1/leads?sslmode=x", "sslmode"),
        ] {
            let told = text.parse::<Place>().unwrap_err();
            assert!(told.contains(part) && !told.contains("secret"), "{text}: {told}");
        }
    }
}
