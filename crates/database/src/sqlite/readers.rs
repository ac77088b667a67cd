//! The read-only connections: each query borrows one and runs off the async threads.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::open_reading;
use crate::DatabaseError;

/// Connections; more of them only share the same two or four cores.
const CONNECTIONS: usize = 4;

pub(super) struct Readers {
    idle: Arc<Idle>,
    /// One permit for each idle connection.
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Idle(Mutex<Vec<Connection>>);

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let connections: Vec<Connection> = (0..CONNECTIONS)
            .map(|_| open_reading(path))
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            idle: Arc::new(Idle(Mutex::new(connections))),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| DatabaseError::Closed)?;
        let borrowed = self.idle.borrow().ok_or(DatabaseError::Closed)?;
        let done = spawn_blocking(move || {
            let outcome = borrowed.connection.as_ref().map(work);
            // The connection goes back before the permit does.
            drop(borrowed);
            drop(permit);
            outcome
        });
        done.await.map_err(DatabaseError::engine)?.ok_or(DatabaseError::Closed)
    }

    /// Waits for the running queries and closes the connections.
    pub(super) async fn close(&self) {
        let all = self
            .permits
            .acquire_many(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX))
            .await;
        self.permits.close();
        drop(all);
        self.idle.lock().clear();
    }
}

impl Idle {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn borrow(self: &Arc<Self>) -> Option<Borrowed> {
        let connection = self.lock().pop()?;
        Some(Borrowed {
            connection: Some(connection),
            idle: Arc::clone(self),
        })
    }
}

/// A connection that goes back when it is dropped, after a panic too.
struct Borrowed {
    connection: Option<Connection>,
    idle: Arc<Idle>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().push(connection);
        }
    }
}
