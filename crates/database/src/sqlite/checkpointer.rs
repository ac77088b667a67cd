//! Moves the write-ahead log into the file, on a thread beside the writer: a commit would otherwise wait now and then
//! until megabytes are copied and synced.
//!
//! While somebody writes, the thread never reaches the log's end, and only what is copied to its end begins anew. So the
//! writer copies the rest itself, between two transactions: the little that came while the thread was at work.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode};

use super::{end_process, open_copying};
use crate::{DatabaseError, Durability};

/// Pages in the write-ahead log from which on it is worth copying: 16 MB.
pub(super) const PAGES: i32 = 4_000;

/// The thread, and what it and the writer tell each other.
pub(super) struct Checkpointer {
    /// The thread has copied what was there when it began.
    is_rest_left: Arc<AtomicBool>,
    durability: Durability,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread. It hears from every commit on `connection` how long the log is, and ends with the connection.
    pub(super) fn start(
        connection: &mut Connection,
        path: &Path,
        durability: Durability,
        pages: i32,
    ) -> Result<Self, DatabaseError> {
        let (nudge, nudges) = sync_channel(1);
        connection
            .wal_hook(Some(move |_: &mut Wal, length| {
                tell(&nudge, length >= pages);
                Ok(())
            }))
            .map_err(DatabaseError::engine)?;
        let beside = open_copying(path, durability).map_err(DatabaseError::engine)?;
        let is_rest_left = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_rest_left);
        let thread = thread::Builder::new()
            .name("sqlite-checkpointer".to_owned())
            .spawn(move || run(&beside, &nudges, &told, durability))
            .map_err(DatabaseError::engine)?;
        Ok(Self {
            is_rest_left,
            durability,
            thread,
        })
    }

    /// Copies what is left, if the thread has done the most of it.
    pub(super) fn copy_rest(&self, connection: &Connection) {
        if self.is_rest_left.swap(false, Ordering::AcqRel) {
            copy(connection, self.durability);
        }
    }

    /// Ends the thread. Before the writer's connection, so that the last one to close is one that has used the file, and
    /// removes the log.
    pub(super) fn finish(self, connection: &mut Connection) {
        // Takes back the sender of nudges.
        let silenced = connection.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>);
        if let Err(error) = silenced {
            tracing::error!(%error, "the thread that copies the write-ahead log cannot be told to end");
            return;
        }
        if self.thread.join().is_err() {
            tracing::error!("the thread that copies the write-ahead log panicked");
        }
    }
}

/// A nudge that waits already is enough.
fn tell(nudge: &SyncSender<()>, is_long: bool) {
    if is_long {
        let _ = nudge.try_send(());
    }
}

fn run(connection: &Connection, nudges: &Receiver<()>, is_rest_left: &AtomicBool, durability: Durability) {
    while nudges.recv().is_ok() {
        copy(connection, durability);
        is_rest_left.store(true, Ordering::Release);
    }
}

/// As much as readers allow; nobody waits for it.
fn copy(connection: &Connection, durability: Durability) {
    let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) else {
        return;
    };
    tracing::error!(%error, "the write-ahead log could not be copied into the database file");
    if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) && durability == Durability::Full {
        end_process();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::open_writing;

    /// How long the log is after a commit of one more row.
    fn length_after(connection: &Connection, lengths: &Receiver<i32>) -> i32 {
        connection.execute("INSERT INTO t VALUES (zeroblob(9000))", []).unwrap();
        lengths.try_iter().last().unwrap()
    }

    #[test]
    fn a_log_that_grew_is_copied_beside_the_writer_and_begins_anew_while_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let mut connection = open_writing(&path, Durability::Full).unwrap();
        connection.execute_batch("CREATE TABLE t (bytes BLOB)").unwrap();
        let (seen, nudges) = sync_channel(1);
        let (length, lengths) = std::sync::mpsc::channel();
        connection
            .wal_hook(Some(move |_: &mut Wal, pages| {
                tell(&seen, pages >= 50);
                length.send(pages).map_err(|_| rusqlite::Error::InvalidQuery)
            }))
            .unwrap();
        let beside = open_copying(&path, Durability::Full).unwrap();
        let is_rest_left = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_rest_left);
        let checkpointer = Checkpointer {
            is_rest_left,
            durability: Durability::Full,
            thread: thread::spawn(move || run(&beside, &nudges, &told, Durability::Full)),
        };
        let mut began_anew = 0;
        let mut longest = 0;
        let mut last = 0;
        for _ in 0..1_000_000 {
            if began_anew == 5 {
                break;
            }
            let length = length_after(&connection, &lengths);
            began_anew += u32::from(length < last);
            longest = longest.max(length);
            last = length;
            checkpointer.copy_rest(&connection);
        }
        assert!(began_anew == 5 && longest >= 50, "{began_anew} times, {longest}");
        let rows: i64 = connection
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert!(rows > 50);
        checkpointer.finish(&mut connection);
    }
}
