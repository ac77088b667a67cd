//! Keeps the read models up to the log: a task of `serve`, and of a command that runs without a server.

use std::sync::Arc;
use std::time::Duration;

use projections::runner::Runner;
use tokio::sync::Mutex;

/// The log is looked at this often even if nothing hints at news.
const TICK: Duration = Duration::from_secs(1);

/// Applies what is appended, a stretch at a time, so that others can have the runner in between. Runs until it is dropped
/// or nothing can be applied any more.
pub async fn run(runner: Arc<Mutex<Runner>>) -> anyhow::Result<()> {
    loop {
        let idle = {
            let mut runner = runner.lock().await;
            let more = runner.step().await?;
            (!more).then(|| runner.wait(TICK))
        };
        if let Some(idle) = idle {
            idle.await;
        }
    }
}
