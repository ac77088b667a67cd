//! Reads a whole log and says what is wrong with it: `gitleads log verify`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use domain::AccountId;
use event_log::{EventLog, Position, ReadError, Recorded, Scope, Version};

/// Events read at once.
const STRETCH: usize = 1_000;

/// Faults that are told one by one; further ones are counted.
const TOLD: usize = 20;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Positions are missing before this one.
    Gap {
        /// Where the log went on.
        position: Position,
        /// What stood before.
        after: Position,
    },
    /// The event does not continue its stream.
    Version {
        /// Where it stands.
        position: Position,
        /// The version it has.
        version: Version,
        /// The version it should have.
        expected: Version,
    },
    /// The event is older than the one before it.
    Time {
        /// Where it stands.
        position: Position,
    },
    /// The account's part of the log does not have all of the account's events, or too many.
    Account {
        /// Whose part.
        account: AccountId,
        /// Events of its streams.
        expected: u64,
        /// Events in its part.
        found: u64,
    },
    /// The event cannot be read.
    Unreadable {
        /// Where it stands.
        position: Position,
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { position, after } => write!(f, "position {position} follows {after}"),
            Self::Version {
                position,
                version,
                expected,
            } => write!(
                f,
                "position {position}: version {version} of its stream, where {expected} comes next"
            ),
            Self::Time { position } => write!(f, "position {position}: recorded before the event that precedes it"),
            Self::Account {
                account,
                expected,
                found,
            } => write!(
                f,
                "account {account}: its part of the log has {found} events, its streams have {expected}"
            ),
            Self::Unreadable { position, reason } => write!(f, "position {position}: {reason}"),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Events that were read.
    pub events: u64,
    /// Streams that they belong to.
    pub streams: usize,
    /// The first faults.
    pub faults: Vec<Fault>,
    /// All faults.
    pub fault_count: u64,
}

/// Reads all of the log. `is_gapless`: its positions have no gaps. `progress` hears how far it is, and of the end.
pub async fn verify(
    log: &dyn EventLog,
    is_gapless: bool,
    mut progress: impl FnMut(Position, Position) + Send,
) -> Result<Findings, ReadError> {
    let mut reading = Reading::new(is_gapless);
    let head = log.head().await?;
    while reading.at < head {
        match log.read(Scope::All, reading.at, STRETCH).await {
            Ok(page) => {
                page.events.iter().for_each(|recorded| reading.take(recorded));
                reading.at = page.looked_to.max(reading.at);
            }
            Err(ReadError::Decode {
                position,
                stream,
                source,
            }) => {
                reading.take_before(log, position).await?;
                reading.unreadable(position, &stream, &*source);
            }
            Err(error) => return Err(error),
        }
        progress(reading.at, head);
    }
    reading.look_at_accounts(log, head).await?;
    Ok(reading.findings())
}

/// How far it is read.
struct Reading {
    is_gapless: bool,
    at: Position,
    newest: Option<domain::Timestamp>,
    /// The version of each stream, under a hash of its name: a million streams are no reason to keep their names.
    versions: HashMap<u64, Version>,
    /// Events of each account, as the names of their streams have it.
    accounts: BTreeMap<AccountId, u64>,
    hasher: RandomState,
    found: Findings,
}

impl Reading {
    fn new(is_gapless: bool) -> Self {
        Self {
            is_gapless,
            at: Position::START,
            newest: None,
            versions: HashMap::new(),
            accounts: BTreeMap::new(),
            hasher: RandomState::new(),
            found: Findings::default(),
        }
    }

    fn take(&mut self, recorded: &Recorded) {
        let position = recorded.position;
        self.step_to(position);
        if self.newest.is_some_and(|newest| newest > recorded.recorded_at) {
            self.fault(Fault::Time { position });
        }
        self.newest = Some(recorded.recorded_at);
        *self.accounts.entry(recorded.account()).or_default() += 1;
        let stream = self.hasher.hash_one(recorded.stream.as_str());
        let before = self.versions.insert(stream, recorded.version).unwrap_or_default();
        if recorded.version != before + 1 {
            self.fault(Fault::Version {
                position,
                version: recorded.version,
                expected: before + 1,
            });
        }
    }

    /// Each account's own part, which the log keeps by another column than the stream. An account with an event that cannot
    /// be read has its fault already.
    async fn look_at_accounts(&mut self, log: &dyn EventLog, head: Position) -> Result<(), ReadError> {
        for (account, expected) in std::mem::take(&mut self.accounts) {
            let (mut at, mut found) = (Position::START, 0);
            while at < head {
                match log.read(Scope::Account(account), at, STRETCH).await {
                    Ok(page) => {
                        found += page.events.iter().filter(|event| event.position <= head).count() as u64;
                        at = page.looked_to.max(at);
                    }
                    Err(ReadError::Decode { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
            if at >= head && found != expected {
                self.fault(Fault::Account {
                    account,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// What stands between here and an event that cannot be read, one by one.
    async fn take_before(&mut self, log: &dyn EventLog, position: Position) -> Result<(), ReadError> {
        loop {
            match log.read(Scope::All, self.at, 1).await {
                Ok(page) => match page.events.first() {
                    Some(recorded) if recorded.position < position => self.take(recorded),
                    _ => return Ok(()),
                },
                Err(ReadError::Decode { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn unreadable(&mut self, position: Position, stream: &str, source: &(dyn std::error::Error + Send + Sync)) {
        self.step_to(position);
        // Its version is one of what cannot be read; that of the next event tells whether it fits.
        *self.versions.entry(self.hasher.hash_one(stream)).or_default() += 1;
        let cause = source.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        self.fault(Fault::Unreadable {
            position,
            reason: format!("{source}{cause}"),
        });
    }

    fn step_to(&mut self, position: Position) {
        if self.is_gapless && position.get() != self.at.get() + 1 {
            let after = self.at;
            self.fault(Fault::Gap { position, after });
        }
        self.at = position;
        self.found.events += 1;
    }

    fn fault(&mut self, fault: Fault) {
        self.found.fault_count += 1;
        if self.found.faults.len() < TOLD {
            self.found.faults.push(fault);
        }
    }

    fn findings(self) -> Findings {
        Findings {
            streams: self.versions.len(),
            ..self.found
        }
    }
}

#[cfg(test)]
mod tests {
    use database::{Database as _, Durability, MIGRATIONS, Sqlite, Statement, migrate};
    use event_log::SqliteLog;

    use super::*;

    async fn verified(rows: &'static str) -> Findings {
        let folder = tempfile::tempdir().unwrap();
        let database = Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap();
        migrate(&database, MIGRATIONS).await.unwrap();
        let text = format!(
            "INSERT INTO events (position, id, stream, version, account, type, schema, recorded_at, data) VALUES {rows}"
        );
        database.write(vec![Statement::sql(text, Vec::new())]).await.unwrap();
        let log = SqliteLog::open(database).await.unwrap();
        verify(&log, true, |_, _| {}).await.unwrap()
    }

    fn told(found: &Findings) -> Vec<String> {
        found.faults.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_log_without_a_fault_is_whole() {
        let found = verified(
            "(1, x'01000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1', 1, x'01923f72547447b67d1b25c12e3b0aa1', 'PlanChanged', 1, 5, '{\"plan\":\"pro\"}'),
             (2, x'02000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N2', 1, x'01923f72547447b67d1b25c12e3b0aa2', 'PlanChanged', 1, 5, '{\"plan\":\"pro\"}'),
             (3, x'03000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1', 2, x'01923f72547447b67d1b25c12e3b0aa1', 'PlanChanged', 1, 6, '{\"plan\":\"pro\"}')",
        )
        .await;
        assert_eq!((found.events, found.streams, found.fault_count), (3, 2, 0));
    }

    #[tokio::test]
    async fn an_event_that_its_accounts_part_does_not_have_is_a_fault() {
        let found = verified(
            "(1, x'01000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1', 1, x'00', 'PlanChanged', 1, 5, '{\"plan\":\"pro\"}')",
        )
        .await;
        assert_eq!(
            told(&found),
            ["account acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1: its part of the log has 0 events, its streams have 1"]
        );
    }

    #[tokio::test]
    async fn each_fault_is_told_with_its_place() {
        let found = verified(
            "(1, x'01000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1', 1, x'01923f72547447b67d1b25c12e3b0aa1', 'PlanChanged', 1, 5, '{\"plan\":\"pro\"}'),
             (3, x'02000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N2', 1, x'01923f72547447b67d1b25c12e3b0aa2', 'PlanChanged', 1, 4, '{\"plan\":\"pro\"}'),
             (4, x'03000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1', 3, x'01923f72547447b67d1b25c12e3b0aa1', 'PlanChanged', 1, 6, '{\"plan\":\"pro\"}'),
             (5, x'04000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N3', 1, x'01923f72547447b67d1b25c12e3b0aa3', 'NeverHeardOf', 1, 6, '{}'),
             (6, x'05000000000000000000000000000000', 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N3', 2, x'01923f72547447b67d1b25c12e3b0aa3', 'PlanChanged', 1, 7, '{\"plan\":\"pro\"}')",
        )
        .await;
        assert_eq!(found.events, 5);
        assert_eq!(
            told(&found),
            [
                "position 3 follows 1",
                "position 3: recorded before the event that precedes it",
                "position 4: version 3 of its stream, where 2 comes next",
                "position 5: unknown event type NeverHeardOf",
            ]
        );
    }
}
