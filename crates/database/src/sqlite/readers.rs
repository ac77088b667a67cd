//! The threads that read: each has a read-only connection and runs one query of the queue after the other.
//!
//! A connection belongs to its thread and is never handed to a future: one that is not polled would keep it from all others.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::open_reading;
use crate::DatabaseError;

/// Connections; more of them only share the same two or four cores.
pub(super) const CONNECTIONS: usize = 4;

/// A query on its way: runs and answers.
type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    queue: Arc<Queue>,
    /// Empty once the readers are closed.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        // From the start, so that a failure on the way ends the threads there are.
        let readers = Self {
            queue: Arc::default(),
            threads: Mutex::default(),
        };
        for _ in 0..CONNECTIONS {
            let connection = open_reading(path)?;
            let queue = Arc::clone(&readers.queue);
            let thread = thread::Builder::new()
                .name("sqlite-reader".to_owned())
                .spawn(move || run(&connection, &queue))
                .map_err(DatabaseError::engine)?;
            readers.threads().push(thread);
        }
        Ok(readers)
    }

    /// Runs `work` on one of the threads, unless nobody waits any more by the time its turn comes.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Box::new(move |connection| {
            if !answer.is_closed() {
                // A caller that left meanwhile has no use for the answer.
                let _ = answer.send(work(connection));
            }
        }))?;
        // What is queued is run before the threads end, so only a panic leaves no answer.
        answered.await.map_err(|_| DatabaseError::engine(Panicked))
    }

    /// Refuses what comes from now on, waits until what is queued has its answer, and closes the connections.
    pub(super) fn finish(&self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that reads the database panicked");
            }
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The work of a query panicked.
#[derive(Debug, thiserror::Error)]
#[error("a query panicked")]
struct Panicked;

fn run(connection: &Connection, queue: &Queue) {
    while let Some(job) = queue.next() {
        // The panic has told of itself, and whoever waits hears that there is no answer.
        let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
    }
}

/// What waits for a thread, first come, first served.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<(), DatabaseError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(DatabaseError::Closed);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.news.notify_one();
        Ok(())
    }

    /// Waits for the next job; none once the queue is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut waiting = self
            .news
            .wait_while(self.lock(), |waiting| waiting.jobs.is_empty() && !waiting.closed)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.jobs.pop_front()
    }

    fn close(&self) {
        self.lock().closed = true;
        self.news.notify_all();
    }
}
