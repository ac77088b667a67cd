//! The same log gives the same tables, however the runner gets there: stretches, crashes, two runners, a deleted file.

use std::sync::Mutex;

use async_trait::async_trait;
use database::{Row, Snapshot, Statement};
use event_log::memory::MemoryLog;

use super::*;
use crate::tests::{Dump, History, dump, on_each_engine, open_views, read, sqlite, write};

type Shared = Arc<dyn Database>;

on_each_engine!(
    any_stretch_gives_the_same_tables,
    a_runner_that_is_dropped_between_stretches_is_taken_up_without_a_gap_or_a_repetition,
    two_runners_that_both_believe_all_to_be_theirs_apply_nothing_twice,
    a_runner_that_was_paused_goes_on_from_where_another_has_come,
    many_runners_that_start_at_once_make_the_tables_once,
    a_runner_moves_what_the_fence_says_and_observes_the_rest,
    a_claim_that_is_gone_stops_the_runner_before_it_writes,
    a_projection_that_is_defined_otherwise_begins_anew_and_joins_the_others,
    rows_beyond_the_end_of_a_restored_log_are_made_anew,
    freshness_says_how_far_the_rows_are_and_when_they_last_changed,
    a_commit_whose_answer_was_lost_is_not_applied_again,
    a_projection_that_cannot_go_on_does_not_stop_the_others,
    checkpoints_of_the_first_version_are_gone_on_with,
);

async fn open(log: &Arc<MemoryLog>, views: &Shared) -> Runner {
    Runner::open(log.clone(), views.clone(), crate::all()).await.unwrap()
}

/// What an uninterrupted run makes of the log.
async fn expected(history: &History) -> Dump {
    let (views, _keep) = sqlite();
    open(&history.log, &views).await.catch_up().await.unwrap();
    dump(&*views).await
}

async fn any_stretch_gives_the_same_tables(views: Shared) {
    let history = History::with_leads(700, 60).await;
    let expected = expected(&history).await;
    for stretch in [1, 7, 100] {
        let mut runner = open(&history.log, &views).await;
        runner.stretch = stretch;
        runner.catch_up().await.unwrap();
        assert!(dump(&*views).await == expected, "{stretch}");
        // From the start again, by the next runner.
        write(&*views, &["UPDATE projection_checkpoint SET definition = 'other'"]).await;
    }
}

async fn a_runner_that_is_dropped_between_stretches_is_taken_up_without_a_gap_or_a_repetition(views: Shared) {
    let history = History::with_leads(300, 40).await;
    let mut more = true;
    while more {
        let mut runner = open(&history.log, &views).await;
        runner.stretch = 37;
        more = runner.step().await.unwrap();
    }
    assert!(expected(&history).await == dump(&*views).await);
}

async fn two_runners_that_both_believe_all_to_be_theirs_apply_nothing_twice(views: Shared) {
    let mut history = History::with_leads(600, 40).await;
    let (mut one, mut other) = (open(&history.log, &views).await, open(&history.log, &views).await);
    (one.stretch, other.stretch) = (7, 11);
    for _ in 0..2 {
        let (first, second) = tokio::join!(one.catch_up(), other.catch_up());
        first.unwrap();
        second.unwrap();
        for _ in 0..300 {
            history.lead_event(40).await;
        }
    }
    one.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_runner_that_was_paused_goes_on_from_where_another_has_come(views: Shared) {
    let mut history = History::with_leads(300, 40).await;
    let (mut paused, mut other) = (open(&history.log, &views).await, open(&history.log, &views).await);
    paused.stretch = 50;
    paused.step().await.unwrap();
    other.catch_up().await.unwrap();
    for _ in 0..100 {
        history.lead_event(40).await;
    }
    // What it remembers is long gone, and so its write is refused; then it reads where things stand.
    assert!(paused.step().await.unwrap());
    assert_eq!(paused.freshness().applied(), other.freshness().applied());
    paused.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn many_runners_that_start_at_once_make_the_tables_once(views: Shared) {
    let history = History::with_leads(300, 40).await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (log, views) = (history.log.clone(), views.clone());
        starts.spawn(async move { open(&log, &views).await.catch_up().await.unwrap() });
    }
    starts.join_all().await;
    assert!(expected(&history).await == dump(&*views).await);
}

/// Holds those projections, and a claim that may be gone without its knowing.
struct Claim(Mutex<Vec<&'static str>>);

impl Fence for Claim {
    fn guards(&self, projection: &str) -> Option<Vec<Statement>> {
        let held = self.0.lock().unwrap();
        let guard = "UPDATE claim SET holder = holder WHERE holder = 'here'";
        held.contains(&projection)
            .then(|| vec![Statement::guard(guard, Vec::new())])
    }
}

async fn claim(views: &Shared, held: Vec<&'static str>) -> Arc<Claim> {
    write(
        &**views,
        &[
            "CREATE TABLE claim (holder TEXT NOT NULL PRIMARY KEY)",
            "INSERT INTO claim (holder) VALUES ('here')",
        ],
    )
    .await;
    Arc::new(Claim(Mutex::new(held)))
}

async fn a_runner_moves_what_the_fence_says_and_observes_the_rest(views: Shared) {
    let history = History::with_leads(300, 40).await;
    let head = history.log.head().await.unwrap();
    let claim = claim(&views, vec!["leads", "accounts"]).await;
    let mut node = open(&history.log, &views).await.fenced(claim.clone());
    assert!(!node.step().await.unwrap());
    let moved = |runner: &Runner| -> Vec<&str> {
        let state = runner.freshness().state().into_iter();
        state
            .filter(|(_, position)| *position == head)
            .map(|(name, _)| name)
            .collect()
    };
    assert_eq!(moved(&node), ["accounts", "leads"]);
    assert_eq!(node.freshness().applied(), Position::START);
    // Somebody else moves the rest, and read-your-own-writes follows.
    open(&history.log, &views).await.catch_up().await.unwrap();
    assert!(!node.step().await.unwrap());
    assert_eq!(node.freshness().applied(), head);
    // What it takes hold of later it goes on with from there.
    claim.0.lock().unwrap().push("monthly_usage");
    node.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_claim_that_is_gone_stops_the_runner_before_it_writes(views: Shared) {
    let history = History::with_leads(300, 40).await;
    let claim = claim(&views, vec!["leads"]).await;
    let mut node = open(&history.log, &views).await.fenced(claim);
    write(&*views, &["UPDATE claim SET holder = 'there'"]).await;
    assert!(!node.step().await.unwrap());
    assert_eq!(read(&*views, "SELECT lead_id FROM leads").await, []);
    write(&*views, &["UPDATE claim SET holder = 'here'"]).await;
    node.catch_up().await.unwrap();
    assert_eq!(dump(&*views).await["leads"], expected(&history).await["leads"]);
}

#[tokio::test]
async fn a_deleted_database_comes_back_identical() {
    let history = History::with_leads(700, 60).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    let shared: Shared = views.clone();
    open(&history.log, &shared).await.catch_up().await.unwrap();
    let before = dump(&*views).await;
    views.close().await;
    std::fs::remove_file(folder.path().join("views.db")).unwrap();
    let views: Shared = open_views(folder.path());
    open(&history.log, &views).await.catch_up().await.unwrap();
    assert_eq!(dump(&*views).await, before);
}

async fn a_projection_that_is_defined_otherwise_begins_anew_and_joins_the_others(views: Shared) {
    let history = History::with_leads(500, 60).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    let other = "UPDATE projection_checkpoint SET definition = 'CREATE TABLE leads (x BIGINT)' WHERE name = 'leads'";
    write(&*views, &[other]).await;
    let mut runner = open(&history.log, &views).await;
    runner.stretch = 90;
    let freshness = runner.freshness();
    runner.step().await.unwrap();
    assert_eq!(freshness.applied().get(), 90);
    runner.catch_up().await.unwrap();
    assert_eq!(freshness.applied(), history.log.head().await.unwrap());
    assert!(expected(&history).await == dump(&*views).await);
}

async fn rows_beyond_the_end_of_a_restored_log_are_made_anew(views: Shared) {
    let longer = History::with_leads(500, 60).await;
    open(&longer.log, &views).await.catch_up().await.unwrap();
    let restored = History::with_leads(300, 60).await;
    open(&restored.log, &views).await.catch_up().await.unwrap();
    assert!(expected(&restored).await == dump(&*views).await);
}

async fn freshness_says_how_far_the_rows_are_and_when_they_last_changed(views: Shared) {
    let mut history = History::new();
    history.accounts().await;
    let mut runner = open(&history.log, &views).await;
    let freshness = runner.freshness();
    let head = history.log.head().await.unwrap();
    let (caught_up, reached) = tokio::join!(runner.catch_up(), freshness.reached(head, Duration::from_mins(1)));
    assert_eq!((caught_up.unwrap(), reached), (head, true));
    assert_eq!(freshness.changed_at("leads"), Position::START);
    assert_eq!(freshness.changed_at("webhook_endpoints"), head);
    assert!(freshness.state().iter().all(|(_, position)| *position == head));
}

/// A database whose writes fail at the commit, though they happened, as often as `lost` says.
struct Unreliable {
    views: Shared,
    lost: Mutex<u32>,
}

#[async_trait]
impl Database for Unreliable {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
        let written = self.views.write(statements).await?;
        let mut lost = self.lost.lock().unwrap();
        if *lost == 0 {
            return Ok(written);
        }
        *lost -= 1;
        Err(DatabaseError::Commit("the answer was lost".into()))
    }

    async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
        self.views.read(query).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
        self.views.snapshot().await
    }
}

async fn a_commit_whose_answer_was_lost_is_not_applied_again(views: Shared) {
    let history = History::with_leads(300, 40).await;
    let unreliable = Arc::new(Unreliable {
        views: views.clone(),
        lost: Mutex::new(0),
    });
    let mut runner = Runner::open(history.log.clone(), unreliable.clone(), crate::all())
        .await
        .unwrap();
    runner.stretch = 50;
    loop {
        *unreliable.lost.lock().unwrap() = 1;
        assert!(matches!(
            runner.step().await,
            Err(RunnerError::Views(DatabaseError::Commit(_)))
        ));
        if !runner.step().await.unwrap() {
            break;
        }
    }
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_projection_that_cannot_go_on_does_not_stop_the_others(views: Shared) {
    let history = History::with_leads(300, 40).await;
    let mut runner = open(&history.log, &views).await;
    write(&*views, &["DROP TABLE monthly_usage"]).await;
    runner.catch_up().await.unwrap();
    let head = history.log.head().await.unwrap();
    let behind: Vec<_> = runner.freshness().state();
    let behind: Vec<_> = behind.iter().filter(|(_, position)| *position < head).collect();
    assert_eq!(behind, [&("monthly_usage", Position::START)]);
    // A table that is not there is no fault of any event.
    assert_eq!(read(&*views, "SELECT stream FROM projection_parked").await, []);
    assert!(!runner.step().await.unwrap(), "it is left alone for a while");
    // Alone it says so.
    let all = crate::all().into_iter().filter(|one| one.name() == "monthly_usage");
    let mut alone = Runner::open(history.log.clone(), views.clone(), all.collect())
        .await
        .unwrap();
    let told = alone.step().await.unwrap_err().to_string();
    assert!(
        told.starts_with("the projection monthly_usage cannot go on: "),
        "{told}"
    );
}

async fn checkpoints_of_the_first_version_are_gone_on_with(views: Shared) {
    let mut history = History::with_leads(200, 40).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    write(
        &*views,
        &[
            "ALTER TABLE projection_checkpoint DROP COLUMN generation",
            "ALTER TABLE projection_checkpoint DROP COLUMN revision",
        ],
    )
    .await;
    for _ in 0..100 {
        history.lead_event(40).await;
    }
    open(&history.log, &views).await.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}
