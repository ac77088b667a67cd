//! One PostgreSQL database behind the same two calls as a SQLite file; any number of processes may have it open.
//!
//! Survives a restart of the server, a failover to another of the named hosts, and a pooler in transaction mode: no
//! state of a session is relied on between two transactions.

mod address;
mod checks;
mod dedicated;
mod insert;
mod session;
mod snapshot;
mod tls;
mod transaction;
mod values;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Database, DatabaseError, Durability, Row, Snapshot, Statement};

pub use address::{Address, AddressError};
pub use checks::Unsafe;
pub use dedicated::Dedicated;

/// Connections of one process: enough to keep two cores of a server busy, few enough for many processes.
const CONNECTIONS: usize = 16;

/// How long a caller waits for a connection to be free, or to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a write is tried that the server gave up for the sake of another one (deadlock, lock not to be had).
const TRIES: u32 = 50;

/// The pause before such a write is tried again grows by this with every try, up to ten times this.
const PAUSE: Duration = Duration::from_millis(10);

/// How often something is tried while the server is away: a restart or a lost connection is no reason to fail.
const AWAY_TRIES: u32 = 4;

/// The pause before the second try doubles with every further one.
const AWAY_PAUSE: Duration = Duration::from_millis(50);

/// Why a database is not used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The TLS settings cannot be used.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The server cannot be reached, or does not let us in.
    #[error("{target} cannot be used")]
    Unreachable {
        /// Hosts and database.
        target: String,
        /// Why not.
        #[source]
        source: DatabaseError,
    },
    /// The server may lose what it acknowledged, or is too old.
    #[error("{target} is not safe to use: {fault}")]
    Refused {
        /// Hosts and database.
        target: String,
        /// What is wrong with it, and the way out.
        fault: Unsafe,
    },
}

/// A handle to one database; cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    address: Arc<Address>,
    tls: MakeRustlsConnect,
    durability: Durability,
}

impl Postgres {
    /// Connects, and refuses a server that may lose what it acknowledged, unless `allow_unsafe`.
    pub async fn open(address: Address, allow_unsafe: bool) -> Result<Self, OpenError> {
        let tls = tls::connector(address.root_certificates.as_deref()).map_err(OpenError::Tls)?;
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(address.config.clone(), tls.clone(), ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| OpenError::Tls(error.to_string()))?;
        let database = Self {
            pool,
            address: Arc::new(address),
            tls,
            durability: Durability::Full,
        };
        database.check(allow_unsafe).await?;
        Ok(database)
    }

    /// The same database for what can be made again: a commit does not wait for the disk. A crash of the server takes
    /// the newest such commits back, whole ones and the newest only.
    #[must_use]
    pub fn disposable(&self) -> Self {
        Self {
            durability: Durability::Disposable,
            ..self.clone()
        }
    }

    /// A connection of the pool.
    pub async fn connection(&self) -> Result<Object, DatabaseError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => DatabaseError::Busy,
            PoolError::Closed => DatabaseError::Closed,
            error @ PoolError::Timeout(_) => DatabaseError::Away(error.into()),
            PoolError::Backend(error) => error.into(),
            error => DatabaseError::engine(error),
        })
    }

    /// A connection outside of the pool, for a task that needs one to itself.
    pub async fn dedicated(&self) -> Result<Dedicated, DatabaseError> {
        let connecting = self.address.config.connect(self.tls.clone());
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        let (client, connection) = connected.map_err(|late| DatabaseError::Away(late.into()))??;
        Ok(Dedicated::drive(client, connection))
    }

    /// Whether a pooler in transaction mode stands between: no statement may then be prepared, and nobody listens.
    pub fn is_pooled(&self) -> bool {
        self.address.is_pooled
    }

    /// Hosts and database, for people to read.
    pub fn target(&self) -> String {
        self.address.target()
    }

    async fn check(&self, allow_unsafe: bool) -> Result<(), OpenError> {
        let target = self.target();
        let fault = match self.connection().await {
            Ok(connection) => checks::fault(&connection, self.is_pooled()).await,
            Err(error) => Err(error),
        };
        match fault {
            Err(source) => Err(OpenError::Unreachable { target, source }),
            Ok(Some(fault)) if fault.is_fatal() || !allow_unsafe => Err(OpenError::Refused { target, fault }),
            Ok(Some(fault)) => {
                tracing::warn!(%fault, "the database may lose what it acknowledged");
                Ok(())
            }
            Ok(None) => Ok(()),
        }
    }
}

#[async_trait]
impl Database for Postgres {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
        // On a task of its own: a caller that stops waiting does not stop the work half-way.
        let database = self.clone();
        let work = tokio::spawn(async move { database.write_patiently(&statements).await });
        work.await.map_err(DatabaseError::engine)?
    }

    async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
        let mut pause = AWAY_PAUSE;
        for _ in 1..AWAY_TRIES {
            match self.read_once(&query).await {
                // The server was restarted, and the pool still had connections from before; or it is not up again yet.
                Err(DatabaseError::Away(_)) => tokio::time::sleep(pause).await,
                answer => return answer,
            }
            pause *= 2;
        }
        self.read_once(&query).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
        let opened = snapshot::PostgresSnapshot::open(self.connection().await?, self.is_pooled()).await;
        Ok(Box::new(opened?))
    }
}

impl Postgres {
    async fn read_once(&self, query: &Statement) -> Result<Vec<Row>, DatabaseError> {
        let connection = self.connection().await?;
        let answer = session::query(&connection, self.is_pooled(), query).await;
        if matches!(answer, Err(DatabaseError::Away(_))) {
            // The next one on it would only find out that it is closed.
            drop(Object::take(connection));
        }
        answer
    }

    async fn write_patiently(&self, statements: &[Statement]) -> Result<Vec<u64>, DatabaseError> {
        let mut tries = 1;
        loop {
            let connection = self.connection().await?;
            let written = transaction::write(connection, self.is_pooled(), self.durability, statements).await;
            match written {
                Err(DatabaseError::Engine(error)) if tries < TRIES && session::gave_way(&*error) => {
                    tokio::time::sleep(PAUSE * tries.min(10)).await;
                    tries += 1;
                }
                Err(DatabaseError::Away(_)) if tries < AWAY_TRIES => {
                    tokio::time::sleep(AWAY_PAUSE * 2_u32.pow(tries - 1)).await;
                    tries += 1;
                }
                written => return written,
            }
        }
    }
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        if session::is_refusal(&error) {
            return Self::Refused(error.into());
        }
        if session::is_away(&error) {
            return Self::Away(error.into());
        }
        Self::engine(error)
    }
}

#[cfg(test)]
mod tests;
