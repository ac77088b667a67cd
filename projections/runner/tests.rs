//! The same log gives the same tables, however the runner gets there: stretches, crashes, replays, a deleted file.

use std::sync::Mutex;

use async_trait::async_trait;
use database::{Row, Snapshot, Sqlite};
use event_log::memory::MemoryLog;

use super::*;
use crate::leads::{self, LeadQuery};
use crate::rebuild::Progress;
use crate::tests::{Dump, History, dump, open_views};

async fn open(log: &Arc<MemoryLog>, views: &Arc<Sqlite>) -> Runner {
    Runner::open(log.clone(), views.clone(), crate::all()).await.unwrap()
}

/// What an uninterrupted run makes of the log.
async fn expected(history: &History) -> Dump {
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    open(&history.log, &views).await.catch_up().await.unwrap();
    dump(&*views).await
}

fn names() -> Vec<&'static str> {
    crate::all().iter().map(|projection| projection.name()).collect()
}

#[tokio::test]
async fn any_stretch_gives_the_same_tables() {
    let history = History::with_leads(700, 60).await;
    let mut dumps = Vec::new();
    for stretch in [1, 7, 1_000] {
        let folder = tempfile::tempdir().unwrap();
        let views = open_views(folder.path());
        let mut runner = open(&history.log, &views).await;
        runner.stretch = stretch;
        runner.catch_up().await.unwrap();
        dumps.push(dump(&*views).await);
    }
    assert_eq!(dumps[0], dumps[1]);
    assert_eq!(dumps[0], dumps[2]);
}

#[tokio::test]
async fn a_runner_that_is_dropped_between_stretches_is_taken_up_without_a_gap_or_a_repetition() {
    let history = History::with_leads(300, 40).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    let mut more = true;
    while more {
        let mut runner = open(&history.log, &views).await;
        runner.stretch = 37;
        more = runner.step().await.unwrap();
    }
    assert!(expected(&history).await == dump(&*views).await);
}

#[tokio::test]
async fn a_deleted_database_comes_back_identical() {
    let history = History::with_leads(700, 60).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    open(&history.log, &views).await.catch_up().await.unwrap();
    let before = dump(&*views).await;
    views.close().await;
    std::fs::remove_file(folder.path().join("views.db")).unwrap();
    let views = open_views(folder.path());
    open(&history.log, &views).await.catch_up().await.unwrap();
    assert_eq!(dump(&*views).await, before);
}

#[tokio::test]
async fn a_rebuild_equals_the_live_rows_and_follows_the_log_meanwhile() {
    for chosen in [vec!["leads"], vec!["monthly_usage"], names()] {
        let mut history = History::with_leads(500, 60).await;
        let folder = tempfile::tempdir().unwrap();
        let views = open_views(folder.path());
        let mut runner = open(&history.log, &views).await;
        runner.stretch = 100;
        runner.catch_up().await.unwrap();
        for _ in 0..250 {
            history.lead_event(60).await;
        }
        let mut reached = Vec::new();
        runner
            .rebuild(&chosen, |progress| reached.push(progress))
            .await
            .unwrap();
        let head = history.log.head().await.unwrap();
        assert_eq!(reached.last(), Some(&Progress { position: head, head }));
        assert!(reached.is_sorted_by_key(|progress| progress.position), "{reached:?}");
        runner.catch_up().await.unwrap();
        assert!(expected(&history).await == dump(&*views).await, "{chosen:?}");
        assert_eq!(runner.freshness().applied(), head);
    }
}

#[tokio::test]
async fn a_rebuild_makes_damaged_rows_good_again() {
    let history = History::with_leads(500, 60).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    let damage = ["DELETE FROM lead_facets WHERE facet = ''", "DROP TABLE monthly_usage"];
    let damage = damage.map(|text| Statement::sql(text, Vec::new()));
    views.write(damage.into()).await.unwrap();
    runner.rebuild(&["leads", "monthly_usage"], |_| ()).await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

#[tokio::test]
async fn a_rebuild_that_is_killed_leaves_the_live_rows_and_is_begun_anew() {
    let history = History::with_leads(500, 60).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    runner.stretch = 50;
    let killed = tokio::spawn(async move {
        let mut stretches = 0;
        let rebuilt = runner.rebuild(&["leads"], |_| {
            stretches += 1;
            assert!(stretches < 4, "killed here");
        });
        rebuilt.await.unwrap();
    });
    killed.await.unwrap_err();
    assert!(dump(&*views).await.contains_key("leads__next"));
    let mut runner = open(&history.log, &views).await;
    assert!(expected(&history).await == dump(&*views).await);
    runner.rebuild(&["leads"], |_| ()).await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_lists_throughout_a_rebuild() {
    let history = History::with_leads(900, 300).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    runner.stretch = 20;
    let query = LeadQuery {
        account: crate::tests::account(1),
        signal_type: None,
        repo: None,
        since: None,
        before: None,
        limit: 1_000,
    };
    let before = leads::page(&*views, &query).await.unwrap();
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let reader = tokio::spawn({
        let (views, before) = (views.clone(), before.clone());
        async move {
            let mut read = 0;
            while is_done.try_recv().is_err() {
                assert!(leads::page(&*views, &query).await.unwrap() == before);
                read += 1;
            }
            read
        }
    });
    for _ in 0..5 {
        runner.rebuild(&["leads"], |_| ()).await.unwrap();
    }
    done.send(()).unwrap();
    assert!(reader.await.unwrap() > 5);
}

#[tokio::test]
async fn an_unknown_projection_is_refused_before_anything_is_touched() {
    let history = History::new();
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    let mut runner = open(&history.log, &views).await;
    let refused = runner.rebuild(&["leads", "pets"], |_| ()).await;
    assert!(matches!(refused, Err(RunnerError::UnknownProjection(name)) if name == "pets"));
}

#[tokio::test]
async fn a_projection_that_is_defined_otherwise_begins_anew_and_joins_the_others() {
    let history = History::with_leads(500, 60).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    open(&history.log, &views).await.catch_up().await.unwrap();
    let other = "UPDATE projection_checkpoint SET definition = 'CREATE TABLE leads (x BIGINT)' WHERE name = 'leads'";
    views.write(vec![Statement::sql(other, Vec::new())]).await.unwrap();
    let mut runner = open(&history.log, &views).await;
    runner.stretch = 90;
    let freshness = runner.freshness();
    assert_eq!(freshness.applied(), Position::START);
    runner.catch_up().await.unwrap();
    assert_eq!(freshness.applied(), history.log.head().await.unwrap());
    assert!(expected(&history).await == dump(&*views).await);
}

#[tokio::test]
async fn rows_beyond_the_end_of_a_restored_log_are_made_anew() {
    let longer = History::with_leads(500, 60).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    open(&longer.log, &views).await.catch_up().await.unwrap();
    let restored = History::with_leads(300, 60).await;
    open(&restored.log, &views).await.catch_up().await.unwrap();
    assert!(expected(&restored).await == dump(&*views).await);
}

#[tokio::test]
async fn freshness_says_how_far_the_rows_are_and_when_they_last_changed() {
    let mut history = History::new();
    history.accounts().await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
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
    views: Arc<Sqlite>,
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

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_applied_again() {
    let history = History::with_leads(300, 40).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
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
