//! Where workers have written down what came of their requests: what those of a node hand in while a write is under way goes
//! with the next one, as one transaction. So a hundred endpoints cost few more commits than one.

use std::sync::Arc;

use database::{Database, DatabaseError, Statement, Value};
use tokio::sync::{mpsc, oneshot};

use super::cursor;

/// Entries of one transaction at most.
const GROUP: usize = 256;

/// What a worker has to have written: all of it or nothing. It can be written twice.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Without which nothing of it may happen.
    pub fence: Option<Statement>,
    /// What becomes of retries, resends and replays, in this order.
    pub statements: Vec<Statement>,
    /// Rows of attempts.
    pub attempts: Vec<Vec<Value>>,
    /// The row of the endpoint's cursor.
    pub cursor: Vec<Value>,
}

struct Waiting {
    entry: Entry,
    answer: oneshot::Sender<Result<(), DatabaseError>>,
}

/// A node's way to write; cheap to clone. Its task ends with the last clone.
#[derive(Clone)]
pub struct Clerk {
    // A worker has one entry in it at most.
    entries: mpsc::UnboundedSender<Waiting>,
}

impl Clerk {
    /// Starts the task that writes to `store`.
    pub fn start(store: Arc<dyn Database>) -> Self {
        let (entries, waiting) = mpsc::unbounded_channel();
        tokio::spawn(run(store, waiting));
        Self { entries }
    }

    /// Has the entry written; durable on return. A caller that stops waiting does not stop the write.
    pub async fn write(&self, entry: Entry) -> Result<(), DatabaseError> {
        let (answer, answered) = oneshot::channel();
        let handed_in = self.entries.send(Waiting { entry, answer });
        handed_in.map_err(|_| DatabaseError::Closed)?;
        answered.await.map_err(|_| DatabaseError::Closed)?
    }
}

async fn run(store: Arc<dyn Database>, mut waiting: mpsc::UnboundedReceiver<Waiting>) {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let (entries, answers): (Vec<_>, Vec<_>) = group.drain(..).map(|one| (one.entry, one.answer)).unzip();
        let outcomes = write(&*store, entries).await;
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A worker that has ended meanwhile has no use for it.
            let _ = answer.send(outcome);
        }
    }
}

/// Writes the entries; what came of each.
async fn write(store: &dyn Database, entries: Vec<Entry>) -> Vec<Result<(), DatabaseError>> {
    if entries.len() > 1 {
        match store.write(together(entries.clone())).await {
            Ok(_) => return entries.iter().map(|_| Ok(())).collect(),
            // One of them is at fault, such as one whose fence does not hold: each for itself.
            Err(DatabaseError::Stale | DatabaseError::Refused(_) | DatabaseError::Engine(_)) => {}
            Err(error) => return of_all(error, entries.len()),
        }
    }
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries {
        outcomes.push(store.write(together(vec![entry])).await.map(drop));
    }
    outcomes
}

/// What keeps all of them from being written, for each of so many.
fn of_all(error: DatabaseError, count: usize) -> Vec<Result<(), DatabaseError>> {
    let error = Arc::new(error);
    let share = |_| Err(DatabaseError::Engine(Box::new(error.clone())));
    (0..count).map(share).collect()
}

/// The entries as one transaction. Endpoints have no row in common, so that only the order within an entry counts; attempts and
/// cursors stand in tables that nothing else of an entry touches.
fn together(entries: Vec<Entry>) -> Vec<Statement> {
    let (mut fences, mut others, mut attempts, mut cursors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        fences.extend(entry.fence);
        others.extend(entry.statements);
        attempts.extend(entry.attempts);
        cursors.push(entry.cursor);
    }
    let mut statements = fences;
    statements.append(&mut others);
    if !attempts.is_empty() {
        statements.push(cursor::attempts(attempts));
    }
    statements.push(cursor::cursors(cursors));
    statements
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use database::{Durability, MIGRATIONS, Row, Snapshot, Sqlite, migrate};
    use domain::{AccountId, EventId, PersonRef, StreamId, Timestamp, WebhookEndpointId, WebhookEventType};
    use event_log::Position;
    use tokio::sync::Semaphore;
    use ulid::Ulid;

    use super::*;
    use crate::deliver::cursor::{Attempted, Cursor};

    /// A database that counts writes, each of which waits for a permit.
    struct Gated {
        store: Sqlite,
        asked: AtomicUsize,
        permits: Semaphore,
    }

    #[async_trait]
    impl Database for Gated {
        async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.permits.acquire().await.unwrap().forget();
            self.store.write(statements).await
        }

        async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
            self.store.read(query).await
        }

        async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
            self.store.snapshot().await
        }
    }

    async fn gated(folder: &tempfile::TempDir) -> Arc<Gated> {
        let store = Sqlite::open(&folder.path().join("test.db"), Durability::Disposable).unwrap();
        migrate(&store, MIGRATIONS).await.unwrap();
        Arc::new(Gated {
            store,
            asked: AtomicUsize::new(0),
            permits: Semaphore::new(0),
        })
    }

    /// What the worker of an endpoint of that number hands in: an attempt and the cursor behind it.
    fn entry(number: u128, fence: Option<Statement>) -> Entry {
        let (account, endpoint) = (AccountId::default(), WebhookEndpointId::new(Ulid::from(number)));
        let attempted = Attempted {
            delivery: Ulid::from(number),
            event_id: EventId::default(),
            event_type: WebhookEventType::LeadCreated,
            stream: StreamId::lead(account, PersonRef::new([1; 16])),
            position: Position::new(7),
            number: 1,
            at: Timestamp::default(),
        };
        Entry {
            fence,
            statements: Vec::new(),
            attempts: vec![attempted.erased(endpoint)],
            cursor: Cursor::new(Position::new(7), Position::new(1)).row(account, endpoint),
        }
    }

    fn fence(name: &str) -> Statement {
        let text = "UPDATE lease SET epoch = epoch WHERE name = $1";
        Statement::guard(text, vec![name.into()])
    }

    async fn count(store: &Gated, table: &str) -> i64 {
        let query = Statement::sql(format!("SELECT COUNT(*) FROM {table}"), Vec::new());
        store.read(query).await.unwrap()[0].int(0).unwrap()
    }

    /// Hands in the entries, the first alone and the others while it is being written.
    async fn hand_in(store: &Arc<Gated>, entries: Vec<Entry>) -> Vec<Result<(), DatabaseError>> {
        let clerk = Clerk::start(store.clone());
        let mut writes = Vec::new();
        for entry in entries {
            let clerk = clerk.clone();
            writes.push(tokio::spawn(async move { clerk.write(entry).await }));
            while store.asked.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        }
        // All have come to the queue: each ran to where it waits.
        tokio::task::yield_now().await;
        store.permits.add_permits(100);
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(write.await.unwrap());
        }
        outcomes
    }

    #[tokio::test]
    async fn what_is_handed_in_during_a_write_goes_with_the_next_one_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = gated(&folder).await;
        let outcomes = hand_in(&store, (1..=6).map(|number| entry(number, None)).collect()).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(store.asked.load(Ordering::SeqCst), 2);
        let rows = (
            count(&store, "webhook_attempt").await,
            count(&store, "webhook_cursor").await,
        );
        assert_eq!(rows, (6, 6));
    }

    #[tokio::test]
    async fn an_entry_whose_fence_does_not_hold_is_not_written_and_undoes_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = gated(&folder).await;
        let lease = Statement::insert(
            "lease (name, holder, epoch)",
            "",
            vec!["ours".into(), "me".into(), 1_u64.into()],
        );
        store.store.write(vec![lease]).await.unwrap();
        let entries = vec![
            entry(1, None),
            entry(2, Some(fence("ours"))),
            entry(3, Some(fence("another's"))),
            entry(4, Some(fence("ours"))),
        ];
        let outcomes = hand_in(&store, entries).await;
        let stale = |outcome: &Result<(), DatabaseError>| matches!(outcome, Err(DatabaseError::Stale));
        assert_eq!(
            outcomes.iter().map(stale).collect::<Vec<_>>(),
            [false, false, true, false]
        );
        let text = "SELECT endpoint FROM webhook_cursor ORDER BY endpoint";
        let found = store.read(Statement::sql(text, Vec::new())).await.unwrap();
        let of = |number: u128| WebhookEndpointId::new(Ulid::from(number)).to_string();
        let found: Vec<&str> = found.iter().map(|row| row.text(0).unwrap()).collect();
        assert_eq!(found, [of(1), of(2), of(4)]);
        assert_eq!(count(&store, "webhook_attempt").await, 3);
    }
}
