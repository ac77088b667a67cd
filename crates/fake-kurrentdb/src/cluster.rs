//! What the nodes of a cluster share: the log, who leads, and who listens.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::log::Log;

pub struct Cluster {
    log: Mutex<Log>,
    members: Mutex<Members>,
    /// Where the log ends: tells subscriptions that there is something new.
    pub end: watch::Sender<u64>,
    /// How many subscriptions are open.
    pub subscriptions: watch::Sender<usize>,
    /// Raised to end all of them.
    pub dropped: watch::Sender<u64>,
}

/// The nodes by address; the leader is one of them.
pub struct Members {
    pub leader: SocketAddr,
    pub all: Vec<SocketAddr>,
}

impl Cluster {
    pub fn new(first: SocketAddr) -> Self {
        let log = Log::new();
        Self {
            end: watch::Sender::new(log.end()),
            log: Mutex::new(log),
            members: Mutex::new(Members {
                leader: first,
                all: vec![first],
            }),
            subscriptions: watch::Sender::new(0),
            dropped: watch::Sender::new(0),
        }
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the log, and tells the subscriptions.
    pub fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let mut log = self.log();
        let outcome = change(&mut log);
        self.end.send_replace(log.end());
        outcome
    }
}
