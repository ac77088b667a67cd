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
pub struct Ledger {
    // A worker has one entry in it at most.
    entries: mpsc::UnboundedSender<Waiting>,
}

impl Ledger {
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
async fn write(store: &dyn Database, mut entries: Vec<Entry>) -> Vec<Result<(), DatabaseError>> {
    if entries.len() > 1 && store.write(together(entries.clone())).await.is_ok() {
        return entries.iter().map(|_| Ok(())).collect();
    }
    // Alone, or one of them is at fault, such as one whose fence does not hold: each for itself.
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        outcomes.push(store.write(together(vec![entry])).await.map(drop));
    }
    outcomes
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
