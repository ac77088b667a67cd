//! Keeps the read models up to the log: a task of `serve`, and of a command that runs without a server.

use std::sync::Arc;
use std::time::Duration;

use event_log::EventLog;
use projections::runner::Runner;
use tokio::sync::Mutex;

/// The log is looked at this often even if nothing hints at news.
const TICK: Duration = Duration::from_secs(1);

/// Applies what is appended, a stretch at a time, so that a rebuild can have the runner in between. Runs until it is
/// dropped or a read model cannot be written.
pub async fn run(runner: Arc<Mutex<Runner>>, log: Arc<dyn EventLog>) -> anyhow::Result<()> {
    loop {
        let (more, applied) = {
            let mut runner = runner.lock().await;
            (runner.step().await?, runner.freshness().applied())
        };
        if !more {
            log.wait(applied, TICK).await;
        }
    }
}
