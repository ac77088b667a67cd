//! Moves the write-ahead log into the file, on a thread beside the writer: a commit would otherwise wait now and then
//! until megabytes are copied and synced.
//!
//! While somebody writes, the thread never reaches the log's end, and only what is copied to its end begins anew. So the
//! thread copies again and again, until little came while it was at work, and the writer copies that rest itself, between
//! two transactions.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode};

use super::{end_process, open_copying};
use crate::{DatabaseError, Durability};

/// Pages in the write-ahead log from which on it is worth copying: 16 MB.
pub(super) const PAGES: i32 = 4_000;

/// Pages that the writer may copy itself: it is done with so few within milliseconds.
const REST: i32 = 250;

/// Pages from which on the writer copies whatever there is: the disk does not keep up with it.
const TOO_LONG: i32 = 16 * PAGES;

/// How often the thread begins anew before it waits for the next nudge.
const ROUNDS: usize = 8;

/// The thread, and what it and the writer tell each other.
pub(super) struct Checkpointer {
    told: Arc<Told>,
    durability: Durability,
    thread: JoinHandle<()>,
}

/// What the thread and the writer tell each other.
#[derive(Default)]
struct Told {
    /// Pages in the log after the last commit.
    length: AtomicI32,
    /// The thread has copied all but a rest.
    is_rest_left: AtomicBool,
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
        let told = Arc::new(Told::default());
        let hears = Arc::clone(&told);
        connection
            .wal_hook(Some(move |_: &mut Wal, length| {
                hears.length.store(length, Ordering::Release);
                tell(&nudge, length >= pages);
                Ok(())
            }))
            .map_err(DatabaseError::engine)?;
        let beside = open_copying(path, durability).map_err(DatabaseError::engine)?;
        let tells = Arc::clone(&told);
        let thread = thread::Builder::new()
            .name("sqlite-checkpointer".to_owned())
            .spawn(move || run(&beside, &nudges, &tells, durability))
            .map_err(DatabaseError::engine)?;
        Ok(Self {
            told,
            durability,
            thread,
        })
    }

    /// Copies what is left, if the thread has done the most of it.
    pub(super) fn copy_rest(&self, connection: &Connection) {
        if self.told.is_rest_left.swap(false, Ordering::AcqRel) {
            let _ = copy(connection, self.durability);
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

fn run(connection: &Connection, nudges: &Receiver<()>, told: &Told, durability: Durability) {
    while nudges.recv().is_ok() {
        if copy_most(connection, told, durability) {
            told.is_rest_left.store(true, Ordering::Release);
        }
    }
}

/// Copies until little is left. False: more is, since a reader looks at an old state, or the writer is as quick and the
/// log not too long yet.
fn copy_most(connection: &Connection, told: &Told, durability: Durability) -> bool {
    let mut before = -1;
    for _ in 0..ROUNDS {
        let Some(copied) = copy(connection, durability) else {
            return false;
        };
        let length = told.length.load(Ordering::Acquire);
        if length - copied <= REST {
            return true;
        }
        // The writer would get no further either; and all at once as soon as the reader is gone, while others wait.
        if copied <= before {
            return false;
        }
        before = copied;
    }
    told.length.load(Ordering::Acquire) >= TOO_LONG
}

/// As much as readers allow; nobody waits for it. How many pages of the log are in the file now.
fn copy(connection: &Connection, durability: Durability) -> Option<i32> {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
    let error = match copied {
        Ok(copied) => return Some(copied),
        Err(error) => error,
    };
    tracing::error!(%error, "the write-ahead log could not be copied into the database file");
    if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) && durability == Durability::Full {
        end_process();
    }
    None
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
    fn what_a_reader_still_looks_at_is_left_to_the_next_nudge() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let writer = open_writing(&path, Durability::Full).unwrap();
        writer.execute_batch("CREATE TABLE t (bytes BLOB)").unwrap();
        let reader = open_writing(&path, Durability::Full).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        for _ in 0..REST {
            writer.execute("INSERT INTO t VALUES (zeroblob(9000))", []).unwrap();
        }
        let told = Told::default();
        told.length.store(3 * REST, Ordering::Release);
        let beside = open_copying(&path, Durability::Full).unwrap();
        assert!(!copy_most(&beside, &told, Durability::Full));
        told.length.store(TOO_LONG, Ordering::Release);
        assert!(!copy_most(&beside, &told, Durability::Full));
        reader.execute_batch("COMMIT").unwrap();
        told.length.store(3 * REST, Ordering::Release);
        assert!(copy_most(&beside, &told, Durability::Full));
    }

    #[test]
    fn a_log_that_grew_is_copied_beside_the_writer_and_begins_anew_while_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let mut connection = open_writing(&path, Durability::Full).unwrap();
        connection.execute_batch("CREATE TABLE t (bytes BLOB)").unwrap();
        let (seen, nudges) = sync_channel(1);
        let (length, lengths) = std::sync::mpsc::channel();
        let told = Arc::new(Told::default());
        let (hears, tells) = (Arc::clone(&told), Arc::clone(&told));
        connection
            .wal_hook(Some(move |_: &mut Wal, pages| {
                hears.length.store(pages, Ordering::Release);
                tell(&seen, pages >= 50);
                length.send(pages).map_err(|_| rusqlite::Error::InvalidQuery)
            }))
            .unwrap();
        let beside = open_copying(&path, Durability::Full).unwrap();
        let checkpointer = Checkpointer {
            told,
            durability: Durability::Full,
            thread: thread::spawn(move || run(&beside, &nudges, &tells, Durability::Full)),
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
