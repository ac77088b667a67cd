//! This process among the nodes of a database: its row, what it holds, and who else lives. Used by the leases alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use database::{Database, DatabaseError, Row, Statement};
use domain::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use super::{Report, SURE, TTL};
use crate::clock::Clock;
use crate::config::{Role, Roles};

/// Rows of nodes that have been dead for so long are removed when another node starts.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// Whether the lease is nobody's: given back, or its holder is not among the living. `$1` is its name, `$2` now.
const HOLDER_LIVES: &str = "SELECT epoch, holder, \
     (SELECT count(*) FROM node WHERE node.id = lease.holder AND node.expires_at > $2) \
     FROM lease WHERE name = $1";

const TAKE_OVER: &str = "UPDATE lease SET holder = $2, epoch = epoch + 1 WHERE name = $1 AND epoch = $3 \
     AND (holder IS NULL OR holder = $2 \
     OR NOT EXISTS (SELECT 1 FROM node WHERE node.id = lease.holder AND node.expires_at > $4))";

/// This process.
pub struct Node {
    store: Arc<dyn Database>,
    clock: Arc<dyn Clock>,
    id: String,
    roles: String,
    standing: watch::Sender<Standing>,
    /// Whether it has left; locked while its row is written.
    left: Mutex<bool>,
}

/// What the last beat told.
#[derive(Debug, Clone, Default)]
struct Standing {
    /// Until then nobody takes over what this node holds.
    safe_until: Timestamp,
    /// The epoch of each lease that this node holds.
    held: HashMap<String, u64>,
    /// The nodes that live, this one among them.
    living: Vec<Living>,
}

/// A node that lives.
#[derive(Debug, Clone)]
struct Living {
    id: String,
    roles: String,
}

impl Node {
    /// Enters this process among the nodes.
    pub async fn join(store: Arc<dyn Database>, clock: Arc<dyn Clock>, roles: &Roles) -> Result<Self, DatabaseError> {
        let node = Self {
            id: clock.ulid().to_string(),
            store,
            clock,
            roles: roles.words().join(","),
            standing: watch::Sender::default(),
            left: Mutex::new(false),
        };
        let long_ago = node.clock.now().micros() - micros(FORGET_AFTER);
        let forget = Statement::sql("DELETE FROM node WHERE expires_at < $1", vec![long_ago.into()]);
        node.store.write(vec![forget]).await?;
        node.beat().await?;
        tracing::info!(
            node = node.id,
            roles = node.roles,
            "is one of the nodes of the database"
        );
        Ok(node)
    }

    /// The name of this node.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it has left.
    pub fn has_left(&self) -> bool {
        self.left.try_lock().is_ok_and(|left| *left)
    }

    /// Says that this node lives, and finds out what it still holds and who else lives.
    pub async fn beat(&self) -> Result<(), DatabaseError> {
        let left = self.left.lock().await;
        if *left {
            return Ok(());
        }
        // Before the write: however long that takes, others count from this moment.
        let now = self.clock.now();
        let before = self.standing.borrow().held.clone();
        let alive = Statement::insert(
            "node (id, roles, expires_at)",
            "ON CONFLICT (id) DO UPDATE SET roles = excluded.roles, expires_at = excluded.expires_at",
            vec![
                self.id.as_str().into(),
                self.roles.as_str().into(),
                now.plus(TTL).micros().into(),
            ],
        );
        self.store.write(vec![alive]).await?;
        let mut snapshot = self.store.snapshot().await?;
        let living = "SELECT id, roles FROM node WHERE expires_at > $1 ORDER BY id";
        let living = snapshot.read(Statement::sql(living, vec![now.micros().into()])).await?;
        let held = "SELECT name, epoch FROM lease WHERE holder = $1";
        let held = snapshot
            .read(Statement::sql(held, vec![self.id.as_str().into()]))
            .await?;
        drop(snapshot);
        let living = living.iter().map(Living::load).collect::<Result<_, _>>()?;
        let confirmed: HashMap<String, u64> = held.iter().map(lease).collect::<Result<_, _>>()?;
        self.standing.send_modify(|standing| {
            standing.safe_until = now.plus(SURE);
            standing.living = living;
            // What was taken since the beat began is not among what it found, and no less held.
            standing.held.retain(|name, epoch| {
                let held = before.get(name) != Some(epoch) || confirmed.get(name) == Some(epoch);
                if !held {
                    tracing::warn!(lease = name, "another node took over what this one held");
                }
                held
            });
        });
        Ok(())
    }

    /// Takes the lease, if no living node has it; its epoch.
    pub async fn try_acquire(&self, name: &str) -> Result<Option<u64>, DatabaseError> {
        let now = self.clock.now();
        if now >= self.standing.borrow().safe_until {
            return Ok(None);
        }
        let query = Statement::sql(HOLDER_LIVES, vec![name.into(), now.micros().into()]);
        let found = self.store.read(query).await?;
        let (epoch, take) = match found.first() {
            None => (1, self.first(name)),
            Some(row) => {
                let epoch = epoch(row, 0)?;
                let other = row.find_text(1)?.filter(|holder| *holder != self.id);
                if row.int(2)? > 0 && other.is_some() {
                    return Ok(None);
                }
                if let Some(other) = other {
                    tracing::info!(
                        lease = name,
                        node = other,
                        "takes over from a node that ended without a word"
                    );
                }
                (epoch + 1, self.take_over(name, epoch, now))
            }
        };
        let taken = self.store.write(vec![take]).await;
        if matches!(taken, Err(DatabaseError::Commit(_))) {
            // It may be this node's now, and nobody here would know.
            self.give_back(name, epoch).await;
        }
        if taken?.first() != Some(&1) {
            return Ok(None);
        }
        self.standing.send_modify(|standing| {
            standing.held.insert(name.to_owned(), epoch);
        });
        tracing::debug!(lease = name, epoch, "took a lease");
        Ok(Some(epoch))
    }

    fn first(&self, name: &str) -> Statement {
        Statement::insert(
            "lease (name, holder, epoch)",
            "ON CONFLICT DO NOTHING",
            vec![name.into(), self.id.as_str().into(), 1_u64.into()],
        )
    }

    fn take_over(&self, name: &str, epoch: u64, now: Timestamp) -> Statement {
        let params = vec![name.into(), self.id.as_str().into(), epoch.into(), now.micros().into()];
        Statement::sql(TAKE_OVER, params)
    }

    /// Counts the lease as not held from now on. Whether it was.
    pub fn drops(&self, name: &str, epoch: u64) -> bool {
        self.standing.send_if_modified(|standing| {
            let held = standing.held.get(name) == Some(&epoch);
            held && standing.held.remove(name).is_some()
        })
    }

    /// Leaves the lease to others. If that fails, they get it when this node has ended.
    pub async fn give_back(&self, name: &str, epoch: u64) {
        let release = Statement::sql(
            "UPDATE lease SET holder = NULL WHERE name = $1 AND holder = $2 AND epoch = $3",
            vec![name.into(), self.id.as_str().into(), epoch.into()],
        );
        if let Err(error) = self.store.write(vec![release]).await {
            tracing::warn!(lease = name, %error, "a lease could not be given back");
        }
    }

    /// Takes this node off the list and gives back all that it holds.
    pub async fn leave(&self) -> Result<(), DatabaseError> {
        let mut left = self.left.lock().await;
        *left = true;
        self.standing.send_replace(Standing::default());
        let id = || vec![self.id.as_str().into()];
        let leave = vec![
            Statement::sql("UPDATE lease SET holder = NULL WHERE holder = $1", id()),
            Statement::sql("DELETE FROM node WHERE id = $1", id()),
        ];
        self.store.write(leave).await.map(drop)
    }

    /// Changes nothing, but only if the lease is as this node got it. On PostgreSQL it also keeps others from taking
    /// the lease over before the transaction ends.
    pub fn fence(&self, name: &str, epoch: u64) -> Statement {
        Statement::guard(
            "UPDATE lease SET epoch = epoch WHERE name = $1 AND holder = $2 AND epoch = $3",
            vec![name.into(), self.id.as_str().into(), epoch.into()],
        )
    }

    /// Whether it is certain that no other node has the lease.
    pub fn holds(&self, name: &str, epoch: u64) -> bool {
        let standing = self.standing.borrow();
        self.clock.now() < standing.safe_until && standing.held.get(name) == Some(&epoch)
    }

    /// Returns once that is not certain any more.
    pub async fn loses(&self, name: &str, epoch: u64) {
        let mut changes = self.standing.subscribe();
        while self.holds(name, epoch) {
            let safe_for = changes.borrow_and_update().safe_until.since(self.clock.now());
            tokio::select! {
                // The sender is this node's and lives as long as it.
                _ = changes.changed() => {}
                () = sleep(safe_for.max(Duration::from_millis(1))) => {}
            }
        }
    }

    /// What there is to know of this node.
    pub fn report(&self) -> Report {
        let standing = self.standing.borrow();
        let mut held = BTreeMap::new();
        for name in standing.held.keys() {
            let kind = name.split(':').next().unwrap_or_default();
            *held.entry(kind.to_owned()).or_default() += 1;
        }
        Report {
            silent: self.clock.now() >= standing.safe_until,
            held,
        }
    }

    /// The nodes that live and have the role.
    pub fn living(&self, role: Role) -> Vec<String> {
        let standing = self.standing.borrow();
        let with_role = |node: &&Living| node.roles.split(',').any(|word| word == role.as_str());
        standing
            .living
            .iter()
            .filter(with_role)
            .map(|node| node.id.clone())
            .collect()
    }
}

impl Living {
    fn load(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.text(0)?.to_owned(),
            roles: row.text(1)?.to_owned(),
        })
    }
}

fn lease(row: &Row) -> Result<(String, u64), DatabaseError> {
    Ok((row.text(0)?.to_owned(), epoch(row, 1)?))
}

fn epoch(row: &Row, index: usize) -> Result<u64, DatabaseError> {
    Ok(u64::try_from(row.int(index)?).unwrap_or_default())
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
