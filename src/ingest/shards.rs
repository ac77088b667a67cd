//! Which part of what GitHub is asked for is this node's: shards, each held by a lease, divided among the nodes that ingest.
//!
//! A subject (a repository, a keyword) lies in one shard with all of its sources. Whoever holds the shard's lease asks for it
//! and writes how far it was read, under that lease's fence.

use std::collections::BTreeSet;
use std::sync::Arc;

use database::{Database, DatabaseError, Statement};
use futures_util::future::{pending, select_all};
use sha2::{Digest as _, Sha256};

use crate::lease::{Lease, Leases, Role};

/// So many nodes can share what the host's token is asked for. With more, each would have too little for full queries.
const SHARDS: usize = 8;

/// The shards of one token, and which of them this node holds.
pub struct Shards {
    leases: Leases,
    names: Vec<String>,
    held: Vec<Option<Lease>>,
}

impl Shards {
    /// Those of the host's token; none is held yet.
    pub fn of_host(leases: Leases) -> Self {
        let names: Vec<String> = (0..SHARDS).map(|shard| format!("polls:{shard}")).collect();
        Self {
            leases,
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
        Part(self.held.as_slice().into())
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
pub struct Part(Arc<[Option<Lease>]>);

impl Part {
    /// All there is, under one lease.
    #[cfg(test)]
    pub fn whole(lease: Lease) -> Self {
        Self([Some(lease)].into())
    }

    /// Whether the subject is in it.
    pub fn has(&self, subject: &str) -> bool {
        self.0.get(self.shard(subject)).is_some_and(Option::is_some)
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
            let lease = self.0.get(shard).and_then(Option::as_ref);
            all.extend(lease.ok_or(DatabaseError::Stale)?.fence());
        }
        all.extend(statements);
        store.write(all).await.map(drop)
    }

    /// The same on every node and in every version of the program.
    fn shard(&self, subject: &str) -> usize {
        let [first, second, ..]: [u8; 32] = Sha256::digest(subject).into();
        usize::from(u16::from_be_bytes([first, second])) % self.0.len().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_alone_has_everything_and_each_subject_has_one_shard() {
        let mut shards = Shards::of_host(Leases::sole());
        assert!(!shards.part().has("repo:acme/sdk"));
        assert!(shards.divide().await.unwrap() && !shards.divide().await.unwrap());
        let part = shards.part();
        let mut counts = [0; SHARDS];
        for number in 0..800 {
            let subject = format!("repo:acme/tool-{number}");
            assert!(part.has(&subject));
            counts[part.shard(&subject)] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
