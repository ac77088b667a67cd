//! Keeps the long-running tasks running: restarts one that fails, shows the state of each, and ends all of them in time.
//!
//! The composition root says which tasks there are; `/readyz` reads their states.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

/// The pause before the first restart; every further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A task that ran so long is taken to be well again: its next failure counts as the first.
const STEADY: Duration = Duration::from_mins(1);

/// Told to every task: whether it is time to end.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A pair: what tells, and what is told.
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (tell, told) = watch::channel(false);
        (tell, Self(told))
    }

    /// Returns once it is time to end.
    pub async fn requested(&self) {
        // An error means that nobody is left who could ask for it, which is the end as well.
        let _ = self.0.clone().wait_for(|ending| *ending).await;
    }

    /// Does `work` until it is time to end, and drops it then: for work that may be broken off at any moment.
    pub async fn cut_off(&self, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        tokio::select! {
            outcome = work => outcome,
            () = self.requested() => Ok(()),
        }
    }

    /// Whether it is time to end.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// How a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It runs.
    Running,
    /// It failed and waits for its restart.
    Failed {
        /// How often in a row.
        times: u32,
    },
    /// It was asked to end and did.
    Ended,
}

impl TaskState {
    /// The word that `/readyz` shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Failed { .. } => "failed",
            Self::Ended => "ended",
        }
    }
}

/// The states of all tasks, to be read from anywhere.
#[derive(Debug, Clone, Default)]
pub struct TaskStates(Arc<Mutex<BTreeMap<&'static str, TaskState>>>);

impl TaskStates {
    /// Every task and how it is, by name.
    pub fn all(&self) -> Vec<(&'static str, TaskState)> {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.iter().map(|(name, state)| (*name, *state)).collect()
    }

    fn set(&self, name: &'static str, state: TaskState) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(name, state);
    }
}

/// The running tasks.
pub struct Tasks {
    end: watch::Sender<bool>,
    shutdown: Shutdown,
    states: TaskStates,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// None yet.
    pub fn new() -> Self {
        let (end, shutdown) = Shutdown::channel();
        Self {
            end,
            shutdown,
            states: TaskStates::default(),
            running: Vec::new(),
        }
    }

    /// Starts a task. It runs until it is told to end; when it fails, panics or ends on its own, `make` makes it anew
    /// after a pause that doubles with every failure in a row.
    pub fn spawn<F>(&mut self, name: &'static str, make: impl Fn(Shutdown) -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.states.set(name, TaskState::Running);
        let keep = keep_running(name, make, self.shutdown.clone(), self.states.clone());
        self.running.push((name, tokio::spawn(keep)));
    }

    /// The states of all tasks.
    pub fn states(&self) -> TaskStates {
        self.states.clone()
    }

    /// What the tasks are told, for those who end with them.
    pub fn told(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Tells every task to end and waits for them, at most so long together; the names of those that had to be cut
    /// off are the answer. A task must be written so that being cut off loses no more than a crash would: nothing.
    pub async fn shutdown(self, at_most: Duration) -> Vec<&'static str> {
        let deadline = Instant::now() + at_most;
        self.end.send_replace(true);
        let mut cut_off = Vec::new();
        for (name, mut task) in self.running {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                // It answers that it was cut off, which is known.
                let _ = task.await;
                cut_off.push(name);
            }
        }
        cut_off
    }
}

async fn keep_running<F>(
    name: &'static str,
    make: impl Fn(Shutdown) -> F + Send,
    shutdown: Shutdown,
    states: TaskStates,
) where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut times = 0_u32;
    loop {
        states.set(name, TaskState::Running);
        let started = Instant::now();
        let fault = run_once(make(shutdown.clone())).await;
        if shutdown.is_requested() {
            if let Some(fault) = fault {
                tracing::warn!(task = name, fault, "a task failed while ending");
            }
            break;
        }
        times = if started.elapsed() >= STEADY {
            1
        } else {
            times.saturating_add(1)
        };
        let pause = pause_before_restart(times);
        let fault = fault.unwrap_or_else(|| "it ended on its own".to_owned());
        tracing::error!(
            task = name,
            times,
            ?pause,
            fault,
            "a task failed and is restarted after a pause"
        );
        states.set(name, TaskState::Failed { times });
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.requested() => break,
        }
    }
    states.set(name, TaskState::Ended);
}

/// Runs a task to its end; what went wrong is the answer. As a task of its own, so that a panic ends it alone; in a
/// set, so that it ends with whoever waits for it.
async fn run_once(task: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> Option<String> {
    let mut alone = JoinSet::new();
    alone.spawn(task);
    match alone.join_next().await {
        None | Some(Ok(Ok(()))) => None,
        Some(Ok(Err(error))) => Some(format!("{error:#}")),
        Some(Err(error)) => Some(error.to_string()),
    }
}

fn pause_before_restart(times: u32) -> Duration {
    let doublings = times.saturating_sub(1).min(16);
    LONGEST_PAUSE.min(FIRST_PAUSE.saturating_mul(1 << doublings))
}

/// Returns when the process is asked to end: SIGTERM, or SIGINT as Ctrl-C sends it.
pub async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts the starts of a task that fails each time.
    fn failing(tasks: &mut Tasks) -> watch::Receiver<u32> {
        let (starts, seen) = watch::channel(0);
        tasks.spawn("failing", move |_| {
            starts.send_modify(|count| *count += 1);
            async { anyhow::bail!("as always") }
        });
        seen
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_is_started_again_and_its_state_shows_it() {
        let mut tasks = Tasks::new();
        let mut starts = failing(&mut tasks);
        starts.wait_for(|count| *count == 3).await.unwrap();
        tokio::task::yield_now().await;
        assert!(matches!(
            tasks.states().all().as_slice(),
            [("failing", TaskState::Failed { .. } | TaskState::Running)]
        ));
        assert!(tasks.shutdown(Duration::from_secs(1)).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_ends_on_its_own_is_started_again() {
        let starts = Arc::new(AtomicU32::new(0));
        let (done, seen) = watch::channel(false);
        let mut tasks = Tasks::new();
        tasks.spawn("shaky", move |shutdown| {
            let (starts, done) = (Arc::clone(&starts), done.clone());
            async move {
                match starts.fetch_add(1, Ordering::SeqCst) {
                    0 => panic!("the first time"),
                    1 => return Ok(()),
                    _ => done.send_replace(true),
                };
                shutdown.requested().await;
                Ok(())
            }
        });
        seen.clone().wait_for(|done| *done).await.unwrap();
        let states = tasks.states();
        assert_eq!(states.all(), [("shaky", TaskState::Running)]);
        assert!(tasks.shutdown(Duration::from_secs(1)).await.is_empty());
        assert_eq!(states.all(), [("shaky", TaskState::Ended)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_shutdown_does_not_wait_for_a_pause() {
        let mut tasks = Tasks::new();
        let mut starts = failing(&mut tasks);
        starts.wait_for(|count| *count == 8).await.unwrap();
        let before = Instant::now();
        assert!(tasks.shutdown(Duration::from_secs(10)).await.is_empty());
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_in_time_is_cut_off_and_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("deaf", |_| std::future::pending());
        tasks.spawn("polite", |shutdown| async move {
            shutdown.requested().await;
            Ok(())
        });
        let before = Instant::now();
        assert_eq!(tasks.shutdown(Duration::from_secs(8)).await, ["deaf"]);
        assert_eq!(before.elapsed(), Duration::from_secs(8));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = [1, 2, 3, 7, 8, u32::MAX].map(|times| pause_before_restart(times).as_millis());
        assert_eq!(pauses, [250, 500, 1_000, 5_000, 5_000, 5_000]);
    }
}
