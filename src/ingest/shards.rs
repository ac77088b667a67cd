//! Which part of what GitHub is asked for is this node's: shards, each held by a lease, divided among the nodes that ingest.
//!
//! A subject (a repository, a keyword) lies in one shard with all of its sources. Whoever holds the shard's lease asks for it
//! and writes how far it was read, under that lease's fence. What an account's own token is asked for is one shard, and its
//! subjects bear the account's name, since other tokens may read the same things, and be shown others.

use std::collections::BTreeSet;
use std::sync::Arc;

use database::{Database, DatabaseError, Statement, Value};
use domain::AccountId;
use futures_util::future::{pending, select_all};
use sha2::{Digest as _, Sha256};

use super::source_cursor;
use crate::lease::{Lease, Leases, Role};

/// So many nodes can share what the host's token is asked for. With more, each would have too little for full queries.
const SHARDS: usize = 8;

/// Whom a token is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// All accounts but these, which have tokens of their own.
    Host(Arc<BTreeSet<AccountId>>),
    /// This account.
    Account(AccountId),
}

/// The shards of one token, and which of them this node holds.
pub struct Shards {
    leases: Leases,
    whose: Whose,
    names: Vec<String>,
    held: Vec<Option<Lease>>,
}

impl Shards {
    /// Those of the token that is used so; none is held yet.
    pub fn new(whose: Whose, leases: Leases) -> Self {
        let names: Vec<String> = match &whose {
            Whose::Host(_) => (0..SHARDS).map(|shard| format!("polls:{shard}")).collect(),
            Whose::Account(account) => vec![format!("polls:{account}")],
        };
        Self {
            leases,
            whose,
            held: vec![None; names.len()],
            names,
        }
    }

    /// Takes what is this node's by now and gives back what is not. Whether anything changed. To be called while nothing is
    /// under way.
    ///
    /// # Errors
    /// If storage fails; what was taken by then is held.
    pub async fn divide(&mut self) -> Result<bool, DatabaseError> {
        let share = self.leases.share(Role::Ingest);
        let mut is_changed = false;
        for (name, held) in self.names.iter().zip(&mut self.held) {
            let is_mine = share.has(name);
            if let Some(lease) = held {
                if is_mine && lease.is_held() {
                    continue;
                }
                lease.release().await;
                *held = None;
                is_changed = true;
            }
            if is_mine {
                *held = self.leases.try_acquire(name).await?;
                is_changed |= held.is_some();
            }
        }
        Ok(is_changed)
    }

    /// What is held now.
    pub fn part(&self) -> Part {
        Part {
            whose: self.whose.clone(),
            shards: self.held.as_slice().into(),
        }
    }

    /// Returns once some of what is held now is lost, or this node cannot be sure any more that it is not.
    pub fn lost(&self) -> impl Future<Output = ()> + use<> {
        let held: Vec<Lease> = self.held.iter().flatten().cloned().collect();
        async move {
            if held.is_empty() {
                return pending().await;
            }
            select_all(held.iter().map(|lease| Box::pin(lease.lost()))).await;
        }
    }
}

/// The shards that this node holds, for as long as it does: what is its to ask for, and what it writes under.
#[derive(Clone)]
pub struct Part {
    whose: Whose,
    shards: Arc<[Option<Lease>]>,
}

impl Part {
    /// All that the host's token is asked for, under one lease.
    #[cfg(test)]
    pub fn whole(lease: Lease) -> Self {
        Self {
            whose: Whose::Host(Arc::default()),
            shards: [Some(lease)].into(),
        }
    }

    /// The account whose token is used, if it is not the host's.
    pub const fn account(&self) -> Option<AccountId> {
        match self.whose {
            Whose::Host(_) => None,
            Whose::Account(account) => Some(account),
        }
    }

    /// Whether the token is used for the account.
    pub fn serves(&self, account: AccountId) -> bool {
        match &self.whose {
            Whose::Host(others) => !others.contains(&account),
            Whose::Account(own) => *own == account,
        }
    }

    /// What a repository or keyword of that name is called among the subjects of all tokens.
    pub fn key(&self, name: &str) -> String {
        source_cursor::key(self.account(), name)
    }

    /// Whether the subject is in it.
    pub fn has(&self, subject: &str) -> bool {
        let (_, key) = subject.split_once(':').unwrap_or_default();
        let is_of_token = key.is_empty() || source_cursor::account_of(key) == self.account();
        is_of_token && self.shards.get(self.shard(subject)).is_some_and(Option::is_some)
    }

    /// A condition on a column of accounts, for those that the token is used for, with `$n` from `next` on.
    pub fn accounts_in_sql(&self, column: &str, next: usize) -> (String, Vec<Value>) {
        let value = |account: &AccountId| Value::Blob(account.ulid().to_bytes().to_vec());
        match &self.whose {
            Whose::Host(others) if others.is_empty() => (String::new(), Vec::new()),
            Whose::Host(others) => {
                let places: Vec<String> = (next..next + others.len()).map(|place| format!("${place}")).collect();
                let condition = format!(" AND {column} NOT IN ({})", places.join(", "));
                (condition, others.iter().map(value).collect())
            }
            Whose::Account(account) => (format!(" AND {column} = ${next}"), vec![value(account)]),
        }
    }

    /// Writes the statements, which are about these subjects, in one transaction under the fences of their shards.
    ///
    /// # Errors
    /// [`DatabaseError::Stale`] if another node has one of the shards by now: nothing of it happened.
    pub async fn write<'a>(
        &self,
        store: &dyn Database,
        subjects: impl IntoIterator<Item = &'a str>,
        statements: Vec<Statement>,
    ) -> Result<(), DatabaseError> {
        // In their order, so that two transactions cannot wait for each other.
        let shards: BTreeSet<usize> = subjects.into_iter().map(|subject| self.shard(subject)).collect();
        let mut all = Vec::with_capacity(shards.len() + statements.len());
        for shard in shards {
            let lease = self.shards.get(shard).and_then(Option::as_ref);
            all.extend(lease.ok_or(DatabaseError::Stale)?.fence());
        }
        all.extend(statements);
        store.write(all).await.map(drop)
    }

    /// The same on every node and in every version of the program.
    fn shard(&self, subject: &str) -> usize {
        let [first, second, ..]: [u8; 32] = Sha256::digest(subject).into();
        usize::from(u16::from_be_bytes([first, second])) % self.shards.len().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn part(whose: Whose) -> Part {
        let mut shards = Shards::new(whose, Leases::sole());
        assert!(!shards.part().has("repo:acme/sdk"));
        assert!(shards.divide().await.unwrap() && !shards.divide().await.unwrap());
        shards.part()
    }

    #[tokio::test]
    async fn who_is_alone_has_everything_and_each_subject_has_one_shard() {
        let part = part(Whose::Host(Arc::default())).await;
        let mut counts = [0; SHARDS];
        for number in 0..800 {
            let subject = format!("repo:acme/tool-{number}");
            assert!(part.has(&subject));
            counts[part.shard(&subject)] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }

    #[tokio::test]
    async fn what_an_account_reads_with_its_own_token_is_nobody_elses() {
        let account: AccountId = "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1".parse().unwrap();
        let other: AccountId = "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N2".parse().unwrap();
        let host = part(Whose::Host(Arc::new([account].into()))).await;
        let own = part(Whose::Account(account)).await;
        assert!(host.serves(other) && !host.serves(account));
        assert!(own.serves(account) && !own.serves(other));
        assert_eq!(
            (host.key("acme/sdk"), own.key("acme/sdk")),
            ("acme/sdk".into(), format!("{account}:acme/sdk"))
        );
        for (subject, of_host, of_own) in [
            ("repo:acme/sdk".to_owned(), true, false),
            (format!("repo:{account}:acme/sdk"), false, true),
            (format!("repo:{other}:acme/sdk"), false, false),
            ("keyword:a: b".to_owned(), true, false),
            (format!("keyword:{account}:a: b"), false, true),
            // As a customer's own phrase it is folded.
            (format!("keyword:{}:x", account.to_string().to_lowercase()), true, false),
            ("pulls".to_owned(), true, true),
        ] {
            assert_eq!((host.has(&subject), own.has(&subject)), (of_host, of_own), "{subject}");
        }
    }
}
