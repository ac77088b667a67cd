//! Keeps the read models up to the log: a task of `serve`, and of a command that runs without a server. Among nodes each
//! read model is moved by the one that holds its lease, and the others look how far it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use database::{DatabaseError, Statement};
use projections::Fence;
use projections::runner::Runner;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::lease::{Lease, Leases};

/// The log is looked at, and what nobody moves is claimed, this often even if nothing hints at news.
const TICK: Duration = Duration::from_secs(1);

/// The read models that this node moves.
pub struct Claims {
    leases: Leases,
    /// Those that it may move.
    names: Vec<&'static str>,
    held: StdMutex<BTreeMap<&'static str, Lease>>,
}

impl Claims {
    /// None yet, of these read models.
    pub const fn new(leases: Leases, names: Vec<&'static str>) -> Self {
        Self {
            leases,
            names,
            held: StdMutex::new(BTreeMap::new()),
        }
    }

    /// Takes what no living node has.
    pub async fn claim(&self) -> Result<(), DatabaseError> {
        for name in self.names.iter().copied() {
            if self.guards(name).is_none()
                && let Some(lease) = self.leases.try_acquire(&format!("projection:{name}")).await?
            {
                self.held().insert(name, lease);
            }
        }
        Ok(())
    }

    /// Leaves all of them to other nodes.
    pub fn let_go(&self) {
        self.held().clear();
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fence for Claims {
    fn guards(&self, projection: &str) -> Option<Vec<Statement>> {
        let held = self.held();
        let lease = held.get(projection).filter(|lease| lease.is_held())?;
        Some(lease.fence().into_iter().collect())
    }
}

/// Applies what is appended, a stretch at a time. Runs until it is dropped or a read model cannot be written; then another
/// node may try.
pub async fn run(runner: Arc<Mutex<Runner>>, claims: Arc<Claims>) -> anyhow::Result<()> {
    let ended = follow(&runner, &claims).await;
    claims.let_go();
    ended
}

async fn follow(runner: &Mutex<Runner>, claims: &Claims) -> anyhow::Result<()> {
    let mut claimed_at: Option<Instant> = None;
    loop {
        if claimed_at.is_none_or(|at| at.elapsed() >= TICK) {
            claims.claim().await?;
            claimed_at = Some(Instant::now());
        }
        let (more, news) = {
            let mut runner = runner.lock().await;
            (runner.step().await?, runner.wait(TICK))
        };
        if !more {
            news.await;
        }
    }
}
