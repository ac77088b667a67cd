//! Who does what only one node may do at a time: a lease is a row with an epoch, and whoever holds it works under a fence.
//!
//! The fence is a guard on holder and epoch that stands in every transaction of the work. A holder that was paused, and
//! that others took for dead, cannot commit anything more: the row has another epoch by then. So what is written is
//! right whatever the clocks say. Clocks only decide who may take over, and until when a holder does what no
//! transaction can take back, such as a request: it stops 3 s before others may begin, so that clocks which differ by less
//! than that let no two nodes do so at the same time.
//!
//! Leases are not renewed one by one: they last as long as their node says that it lives, once every `BEAT`. A node that
//! is silent for `TTL` counts as dead. Embedded there is one process, which the lock of the data directory sees to: it
//! holds every lease without asking, and there is no fence.

mod node;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{Database, DatabaseError, Statement};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use crate::clock::Clock;
use crate::config::Roles;
use crate::serve::Shutdown;
use node::Node;

pub use crate::config::Role;

/// How long after its last word a node counts as dead.
const TTL: Duration = Duration::from_secs(10);
/// How often a node says that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// How long after it a node is sure that it does not. By what lies between the clocks of two nodes may differ.
const SURE: Duration = Duration::from_secs(7);
/// How often a lease that another node holds is asked for again.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// This node's way to leases; cheap to clone.
#[derive(Clone)]
pub struct Leases(Option<Arc<Node>>);

impl Leases {
    /// The leases of a process that nobody shares its database with: all are held, at no cost.
    pub const fn sole() -> Self {
        Self(None)
    }

    /// Enters this process among the nodes of `store`, where it has to be kept alive.
    pub async fn join(store: Arc<dyn Database>, clock: Arc<dyn Clock>, roles: &Roles) -> Result<Self, DatabaseError> {
        let node = Node::join(store, clock, roles).await?;
        Ok(Self(Some(Arc::new(node))))
    }

    /// Takes the lease, if no living node has it. None: one has, or this node cannot tell now whether it lives itself.
    pub async fn try_acquire(&self, name: &str) -> Result<Option<Lease>, DatabaseError> {
        let Some(node) = self.0.clone() else {
            return Ok(Some(Lease(None)));
        };
        let name = name.to_owned();
        // On a task of its own: if the caller stops waiting, what was taken meanwhile is given back.
        let work = tokio::spawn(async move {
            let Some(epoch) = node.try_acquire(&name).await? else {
                return Ok(None);
            };
            Ok(Some(Lease(Some(Arc::new(Held { node, name, epoch })))))
        });
        work.await.map_err(|error| DatabaseError::Engine(Box::new(error)))?
    }

    /// Takes the lease as soon as no living node has it.
    pub async fn acquire(&self, name: &str) -> Result<Lease, DatabaseError> {
        loop {
            if let Some(lease) = self.try_acquire(name).await? {
                return Ok(lease);
            }
            sleep(TRY_EVERY).await;
        }
    }

    /// Works whenever this node holds the lease, until it is time to end. The work is dropped when the lease is lost,
    /// and begun anew once it is held again; the lease is given back when the work ends.
    pub async fn hold<F>(&self, name: &str, shutdown: &Shutdown, work: impl Fn(Lease) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        loop {
            let lease = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                acquired = self.acquire(name) => acquired.context("take a lease")?,
            };
            let outcome = under(&lease, shutdown, work(lease.clone())).await;
            lease.release().await;
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// Says that this node lives, and finds out what it still holds and who else lives.
    pub async fn beat(&self) -> Result<(), DatabaseError> {
        match &self.0 {
            None => Ok(()),
            Some(node) => node.beat().await,
        }
    }

    /// Says so again and again from now on, until this node leaves or nobody has a lease or a way to one any more.
    pub fn keep_alive(&self) {
        let Some(node) = self.0.as_ref().map(Arc::downgrade) else {
            return;
        };
        tokio::spawn(async move {
            loop {
                sleep(BEAT).await;
                let Some(node) = node.upgrade().filter(|node| !node.has_left()) else {
                    return;
                };
                if let Err(error) = node.beat().await {
                    tracing::warn!(%error, "this node could not say that it lives; without that others take over its work");
                }
            }
        });
    }

    /// Takes this node off the list and gives back all that it holds, so that others take over at once.
    pub async fn leave(&self) {
        if let Some(node) = &self.0
            && let Err(error) = node.leave().await
        {
            tracing::warn!(%error, "what this node held could not be given back; others take it over in {TTL:?}");
        }
    }

    /// What there is to know of this node.
    pub fn report(&self) -> Report {
        self.0.as_ref().map_or_else(Report::default, |node| node.report())
    }

    /// The part of this node in what is divided among the living nodes that have the role.
    pub fn share(&self, role: Role) -> Share {
        match &self.0 {
            None => Share {
                me: String::new(),
                nodes: vec![String::new()],
            },
            Some(node) => Share {
                me: node.id().to_owned(),
                nodes: node.living(role),
            },
        }
    }
}

/// What the work comes to; none: the lease was lost before.
async fn under(
    lease: &Lease,
    shutdown: &Shutdown,
    work: impl Future<Output = anyhow::Result<()>>,
) -> Option<anyhow::Result<()>> {
    tokio::select! {
        biased;
        () = lease.lost() => None,
        () = shutdown.requested() => Some(Ok(())),
        outcome = work => Some(outcome),
    }
}

/// What there is to know of a node that shares its database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Whether others take it for dead, or may soon.
    pub silent: bool,
    /// How many leases of each kind it holds; the kind is what stands before the colon in the name.
    pub held: BTreeMap<String, usize>,
}

/// The right to do something that only one node may do at a time; cheap to clone, and given back with the last clone.
/// None: there is nobody else.
#[derive(Clone)]
pub struct Lease(Option<Arc<Held>>);

struct Held {
    node: Arc<Node>,
    name: String,
    epoch: u64,
}

impl Lease {
    /// The guard without which nothing of a transaction may happen; none if there is nobody to guard against.
    pub fn fence(&self) -> Option<Statement> {
        let Held { node, name, epoch } = &**self.0.as_ref()?;
        Some(node.fence(name, *epoch))
    }

    /// The statements under the fence. Written when the lease has been lost, they change nothing and the answer is
    /// [`DatabaseError::Stale`].
    #[must_use]
    pub fn fenced(&self, statements: Vec<Statement>) -> Vec<Statement> {
        self.fence().into_iter().chain(statements).collect()
    }

    /// Writes the statements in one transaction under the fence.
    pub async fn write(&self, store: &dyn Database, statements: Vec<Statement>) -> Result<(), DatabaseError> {
        store.write(self.fenced(statements)).await.map(drop)
    }

    /// Whether this node may still do what no transaction can take back. To be asked right before.
    pub fn is_held(&self) -> bool {
        let held = self.0.as_ref();
        held.is_none_or(|held| held.node.holds(&held.name, held.epoch))
    }

    /// Returns once the lease is lost, or this node cannot be sure any more that it is not.
    pub async fn lost(&self) {
        match &self.0 {
            None => std::future::pending().await,
            Some(held) => held.node.loses(&held.name, held.epoch).await,
        }
    }

    /// Gives the lease back now, whoever else has a clone of it.
    pub async fn release(&self) {
        if let Some(held) = &self.0
            && held.node.drops(&held.name, held.epoch)
        {
            held.node.give_back(&held.name, held.epoch).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and gives back all at once.
        if self.node.drops(&self.name, self.epoch)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (node, name, epoch) = (self.node.clone(), std::mem::take(&mut self.name), self.epoch);
            runtime.spawn(async move { node.give_back(&name, epoch).await });
        }
    }
}

/// How things are divided among nodes: each belongs to the node that, hashed together with the thing's name, comes first.
/// A node that comes takes its part from all others, and what a node had that goes is divided among all others; nothing
/// else changes hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    me: String,
    nodes: Vec<String>,
}

impl Share {
    /// Whether the thing of this name belongs to this node.
    pub fn has(&self, name: &str) -> bool {
        let first = self.nodes.iter().max_by_key(|node| weight(node, name));
        first.is_some_and(|node| *node == self.me)
    }

    /// Whether there are others to share with.
    pub const fn is_divided(&self) -> bool {
        self.nodes.len() > 1
    }
}

/// The same on every node and in every version of the program.
fn weight(node: &str, name: &str) -> [u8; 32] {
    let both = Sha256::new().chain_update(node).chain_update([0]).chain_update(name);
    both.finalize().into()
}

#[cfg(test)]
mod tests;
