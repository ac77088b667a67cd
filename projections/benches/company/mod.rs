//! Who works on the same data while a rebuild goes on: 500 leads a second are captured and projected, 64 readers page.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use database::Database;
use domain::SignalKind;
use event_log::EventLog;
use event_log::sqlite::SqliteLog;
use projections::leads::{self, LeadQuery};
use projections::{Freshness, Runner};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{AccountId, captured, ulid};

/// Between two captured leads.
const CAPTURE: Duration = Duration::from_millis(2);
const READERS: u32 = 64;
/// Between two pages of a reader.
const PAGE: Duration = Duration::from_millis(100);

/// Times of one kind of work since they were last asked for.
#[derive(Default, Clone)]
struct Times(Arc<Mutex<Vec<Duration>>>);

impl Times {
    fn note(&self, since: Instant) {
        self.0.lock().unwrap().push(since.elapsed());
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = std::mem::take(&mut *self.0.lock().unwrap());
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share / 1_000).min(times.len().saturating_sub(1)));
        let [median, p99, slowest] = [500, 990, 1_000].map(|share| at(share).copied().unwrap_or_default());
        write!(
            f,
            "{} (median {median:.1?}, p99 {p99:.1?}, slowest {slowest:.1?})",
            times.len()
        )
    }
}

/// The tasks, and how long each piece of their work took.
pub struct Company {
    tasks: JoinSet<()>,
    leave: watch::Sender<bool>,
    shown: Times,
    pages: Times,
}

impl Company {
    /// Starts them; leads are numbered from `next`.
    pub fn start(log: Arc<SqliteLog>, views: &Arc<dyn Database>, runner: Runner, next: u64) -> Self {
        let mut company = Self {
            tasks: JoinSet::new(),
            leave: watch::Sender::new(false),
            shown: Times::default(),
            pages: Times::default(),
        };
        let freshness = runner.freshness();
        company.spawn(project(runner));
        company.spawn(capture(log, freshness, next, company.shown.clone()));
        for reader in 0..READERS {
            company.spawn(read(views.clone(), PAGE * reader / READERS, company.pages.clone()));
        }
        company
    }

    /// What took how long since the last question.
    pub fn noticed(&self) -> String {
        format!("captured and shown {}; pages {}", self.shown, self.pages)
    }

    /// Ends them.
    pub async fn leave(mut self) {
        self.leave.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let mut leaving = self.leave.subscribe();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                _ = leaving.wait_for(|leaving| *leaving) => {}
            }
        });
    }
}

async fn project(mut runner: Runner) {
    loop {
        if !runner.step().await.unwrap() {
            runner.wait(Duration::from_secs(1)).await;
        }
    }
}

async fn capture(log: Arc<SqliteLog>, freshness: Freshness, next: u64, shown: Times) {
    let mut ticks = tokio::time::interval(CAPTURE);
    for number in next.. {
        ticks.tick().await;
        let (log, freshness, shown) = (log.clone(), freshness.clone(), shown.clone());
        tokio::spawn(async move {
            let position = log.append(vec![captured(number)]).await.remove(0).unwrap().position();
            // From here on: how long the log takes is not the read models' doing.
            let start = Instant::now();
            // False once the runner has left.
            if freshness.reached(position, Duration::from_mins(1)).await {
                shown.note(start);
            }
        });
    }
}

async fn read(views: Arc<dyn Database>, offset: Duration, pages: Times) {
    let query = LeadQuery {
        account: AccountId::new(ulid(7)),
        signal_type: Some(SignalKind::Stargazer),
        repo: None,
        since: None,
        before: None,
        limit: 20,
    };
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, PAGE);
    loop {
        ticks.tick().await;
        let start = Instant::now();
        let page = leads::page(&*views, &query).await.unwrap();
        assert_eq!(page.len(), 20, "a reader saw a half");
        pages.note(start);
    }
}
