//! A rebuild gives the rows that the log says, beside live rows that go on, whenever it is killed and whoever else does so.

use event_log::memory::MemoryLog;

use super::*;
use crate::Runner;
use crate::generations::{drop_old, forget_unfinished, revert, standings};
use crate::leads::{self, LeadQuery, Leads};
use crate::monthly_usage::MonthlyUsage;
use crate::tests::{Dump, History, account, account_events, dump, exists, on_each_engine, read, sqlite, ulid, write};

type Shared = Arc<dyn Database>;

on_each_engine!(
    a_rebuild_equals_the_live_rows_at_any_stretch,
    the_live_rows_go_on_while_a_rebuild_goes_on,
    the_exchange_waits_for_no_live_rows_that_run_ahead,
    a_rebuild_makes_damaged_rows_good_again,
    a_rebuild_that_is_killed_at_any_write_leaves_the_live_rows_and_is_begun_anew,
    of_two_rebuilds_the_later_takes_over_and_the_earlier_can_write_nothing,
    what_a_killed_rebuild_left_is_forgotten,
    the_generation_before_is_kept_until_told_and_can_be_put_back,
    rebuilds_follow_each_other,
    equal_rows_compare_equal_and_a_difference_is_told_by_its_key,
    rows_are_compared_while_the_live_ones_move,
    readers_see_whole_lists_throughout_rebuilds,
    rows_of_another_version_are_not_replaced,
    events_of_the_first_version_give_the_same_rows_live_and_rebuilt,
);

async fn open(log: &Arc<MemoryLog>, views: &Shared) -> Runner {
    Runner::open(log.clone(), views.clone(), crate::all()).await.unwrap()
}

fn only(name: &str) -> Vec<Box<dyn Projection>> {
    crate::all().into_iter().filter(|one| one.name() == name).collect()
}

async fn begin_of(history: &History, views: &Shared, of: Vec<Box<dyn Projection>>, token: u32) -> Rebuild {
    let mut rebuild = Rebuild::begin(history.log.clone(), views.clone(), of, token)
        .await
        .unwrap();
    rebuild.stretch = 50;
    rebuild
}

async fn rebuild(history: &History, views: &Shared, of: Vec<Box<dyn Projection>>, token: u32) {
    let mut rebuild = begin_of(history, views, of, token).await;
    rebuild.fill(|_| ()).await.unwrap();
    rebuild.exchange().await.unwrap();
}

async fn expected(history: &History) -> Dump {
    let (views, _keep) = sqlite();
    open(&history.log, &views).await.catch_up().await.unwrap();
    dump(&*views).await
}

async fn a_rebuild_equals_the_live_rows_at_any_stretch(views: Shared) {
    let history = History::with_leads(500, 60).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    let expected = expected(&history).await;
    let head = history.log.head().await.unwrap();
    let chosen = [only("leads"), only("monthly_usage"), crate::all(), crate::all()];
    for ((of, stretch), token) in chosen.into_iter().zip([1, 7, 100, 1_000]).zip(1..) {
        let mut rebuild = Rebuild::begin(history.log.clone(), views.clone(), of, token)
            .await
            .unwrap();
        rebuild.stretch = stretch;
        let mut reached = Vec::new();
        rebuild.fill(|progress| reached.push(progress)).await.unwrap();
        assert_eq!(reached.last(), Some(&Progress { position: head, head }));
        assert!(reached.is_sorted_by_key(|progress| progress.position), "{reached:?}");
        rebuild.exchange().await.unwrap();
        assert!(dump(&*views).await == expected, "{stretch}");
    }
}

async fn the_live_rows_go_on_while_a_rebuild_goes_on(views: Shared) {
    let mut history = History::with_leads(500, 60).await;
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    let mut rebuild = begin_of(&history, &views, only("leads"), 1).await;
    rebuild.fill(|_| ()).await.unwrap();
    for _ in 0..100 {
        history.lead_event(60).await;
    }
    runner.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
    for _ in 0..100 {
        history.lead_event(60).await;
    }
    rebuild.exchange().await.unwrap();
    // The runner remembers the generation before: its next write is refused, and it goes on from the new one.
    for _ in 0..100 {
        history.lead_event(60).await;
    }
    runner.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn the_exchange_waits_for_no_live_rows_that_run_ahead(views: Shared) {
    let mut history = History::with_leads(300, 60).await;
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    let mut rebuild = begin_of(&history, &views, only("leads"), 1).await;
    rebuild.fill(|_| ()).await.unwrap();
    for _ in 0..100 {
        history.lead_event(60).await;
    }
    runner.catch_up().await.unwrap();
    assert!(!rebuild.exchange_first().await.unwrap(), "the live rows are ahead");
    rebuild.exchange().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_rebuild_makes_damaged_rows_good_again(views: Shared) {
    let history = History::with_leads(500, 60).await;
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    write(
        &*views,
        &["DELETE FROM lead_facets WHERE facet = ''", "DROP TABLE monthly_usage"],
    )
    .await;
    for (name, token) in [("leads", 1), ("monthly_usage", 2)] {
        rebuild(&history, &views, only(name), token).await;
    }
    runner.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_rebuild_that_is_killed_at_any_write_leaves_the_live_rows_and_is_begun_anew(views: Shared) {
    let history = History::with_leads(300, 60).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    let expected = expected(&history).await;
    for writes in 0.. {
        let killed = Arc::new(Killed::after(views.clone(), writes));
        let attempt = async {
            let mut rebuild = Rebuild::begin(history.log.clone(), killed, only("leads"), writes).await?;
            rebuild.stretch = 50;
            rebuild.fill(|_| ()).await?;
            rebuild.exchange().await
        };
        let ended = attempt.await;
        assert!(dump(&*views).await == expected, "killed after {writes} writes");
        if ended.is_ok() {
            assert!(writes > 8, "{writes}");
            break;
        }
    }
    assert!(!exists(&*views, "leads__next").await);
}

/// A database that takes so many writes and then no more, as if the process had been killed.
struct Killed {
    views: Shared,
    left: std::sync::Mutex<u32>,
}

impl Killed {
    fn after(views: Shared, writes: u32) -> Self {
        let left = std::sync::Mutex::new(writes);
        Self { views, left }
    }
}

#[async_trait::async_trait]
impl Database for Killed {
    async fn write(&self, statements: Vec<database::Statement>) -> Result<Vec<u64>, DatabaseError> {
        {
            let mut left = self.left.lock().unwrap();
            *left = left.checked_sub(1).ok_or(DatabaseError::Closed)?;
        }
        self.views.write(statements).await
    }

    async fn read(&self, query: database::Statement) -> Result<Vec<database::Row>, DatabaseError> {
        self.views.read(query).await
    }

    fn has_one_writer(&self) -> bool {
        self.views.has_one_writer()
    }

    async fn snapshot(&self) -> Result<Box<dyn database::Snapshot>, DatabaseError> {
        self.views.snapshot().await
    }
}

async fn of_two_rebuilds_the_later_takes_over_and_the_earlier_can_write_nothing(views: Shared) {
    let mut history = History::with_leads(300, 60).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    let mut earlier = begin_of(&history, &views, only("leads"), 1).await;
    earlier.fill(|_| ()).await.unwrap();
    let mut later = begin_of(&history, &views, only("leads"), 2).await;
    assert!(matches!(
        earlier.exchange().await,
        Err(RebuildError::TakenOver("leads"))
    ));
    later.fill(|_| ()).await.unwrap();
    history.lead_event(60).await;
    assert!(matches!(
        earlier.fill(|_| ()).await,
        Err(RebuildError::TakenOver("leads"))
    ));
    later.exchange().await.unwrap();
    assert!(matches!(
        earlier.exchange().await,
        Err(RebuildError::TakenOver("leads"))
    ));
    open(&history.log, &views).await.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn what_a_killed_rebuild_left_is_forgotten(views: Shared) {
    let history = History::with_leads(300, 60).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    let rebuild = begin_of(&history, &views, only("leads"), 1).await;
    drop(rebuild);
    let begun = || async { standings(&*views).await.unwrap()[2].rebuilt_to };
    assert_eq!(begun().await, Some(Position::START));
    assert!(forget_unfinished(&*views, &Leads).await.unwrap());
    assert_eq!(begun().await, None);
    assert!(!forget_unfinished(&*views, &Leads).await.unwrap());
    rebuild_and_sweep(&history, &views).await;
}

async fn rebuild_and_sweep(history: &History, views: &Shared) {
    rebuild(history, views, only("leads"), 7).await;
    sweep(&**views, &Leads).await.unwrap();
    assert!(expected(history).await == dump(&**views).await);
    for table in ["lead_facets__next", "lead_facets__gone"] {
        assert!(!exists(&**views, table).await, "{table}");
    }
}

async fn the_generation_before_is_kept_until_told_and_can_be_put_back(views: Shared) {
    let mut history = History::with_leads(300, 60).await;
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    write(&*views, &["UPDATE leads SET status = 'as before'"]).await;
    rebuild(&history, &views, only("leads"), 1).await;
    let leads = || async { standings(&*views).await.unwrap().remove(2) };
    assert_eq!((leads().await.generation, leads().await.old), (2, Some(1)));
    for _ in 0..100 {
        history.lead_event(60).await;
    }
    runner.catch_up().await.unwrap();
    let back = revert(&*history.log, &*views, &Leads).await.unwrap();
    assert_eq!((leads().await.generation, leads().await.old), (1, Some(2)));
    assert_eq!(leads().await.position, back.position);
    let kept = "SELECT count(*) FROM leads WHERE status = 'as before'";
    assert!(read(&*views, kept).await[0].int(0).unwrap() > 0);
    runner.catch_up().await.unwrap();
    assert_eq!(leads().await.position, history.log.head().await.unwrap());
    // And forth again, which makes nothing twice either.
    revert(&*history.log, &*views, &Leads).await.unwrap();
    runner.catch_up().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
    assert!(drop_old(&*views, &Leads).await.unwrap());
    assert!(!exists(&*views, "leads__old").await && !exists(&*views, "leads__gone").await);
    assert_eq!(leads().await.old, None);
    assert!(!drop_old(&*views, &Leads).await.unwrap());
    let refused = revert(&*history.log, &*views, &Leads).await.unwrap_err();
    assert_eq!(refused.to_string(), "no generation of leads from before is kept");
}

async fn rebuilds_follow_each_other(views: Shared) {
    let history = History::with_leads(300, 60).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    for token in 1..4 {
        rebuild(&history, &views, crate::all(), token).await;
    }
    assert!(expected(&history).await == dump(&*views).await);
    let standings = standings(&*views).await.unwrap();
    assert!(
        standings.iter().all(|one| (one.generation, one.old) == (4, Some(3))),
        "{standings:?}"
    );
}

async fn equal_rows_compare_equal_and_a_difference_is_told_by_its_key(views: Shared) {
    let history = History::with_leads(900, 700).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    let mut rebuild = begin_of(&history, &views, crate::all(), 1).await;
    rebuild.fill(|_| ()).await.unwrap();
    rebuild.look = 1;
    let mut seen = Vec::new();
    let compared = rebuild.verify(|done, total| seen.push((done, total))).await.unwrap();
    assert!(compared.iter().all(|one| one.differences == 0), "{compared:?}");
    assert_eq!(compared.len(), crate::all().len());
    assert!(compared[2].rows > 2_000 && seen.contains(&(compared[2].rows, compared[2].rows)));

    let first = read(&*views, "SELECT lead_id FROM leads ORDER BY lead_id LIMIT 3").await;
    let params = |index: usize| vec![first[index].0[0].clone()];
    views
        .write(vec![
            database::Statement::sql("UPDATE leads SET status = 'other' WHERE lead_id = $1", params(0)),
            database::Statement::sql("DELETE FROM leads WHERE lead_id = $1", params(1)),
            database::Statement::sql("DELETE FROM leads__next WHERE lead_id = $1", params(2)),
        ])
        .await
        .unwrap();
    let compared = rebuild.verify(|_, _| ()).await.unwrap().remove(2);
    assert_eq!((compared.projection, compared.differences), ("leads", 3));
    let mut keys: Vec<_> = compared.first.iter().map(|one| one.key.clone()).collect();
    keys.sort_by_key(|key| match &key[0] {
        database::Value::Blob(id) => id.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(keys, [params(0), params(1), params(2)]);
    let told = compared.first[0].to_string();
    assert!(
        told.starts_with("leads (") && told.len() == "leads ()".len() + 32,
        "{told}"
    );
    rebuild.give_up().await.unwrap();
    assert!(!exists(&*views, "leads__next").await && !exists(&*views, "leads__gone").await);
}

async fn rows_are_compared_while_the_live_ones_move(views: Shared) {
    let mut history = History::with_leads(500, 400).await;
    let mut runner = open(&history.log, &views).await;
    runner.catch_up().await.unwrap();
    let mut rebuild = begin_of(&history, &views, only("leads"), 1).await;
    rebuild.fill(|_| ()).await.unwrap();
    // The rebuild is ahead at first.
    for _ in 0..50 {
        history.lead_event(60).await;
    }
    rebuild.fill(|_| ()).await.unwrap();
    rebuild.look = 1;
    let moving = async {
        for _ in 0..300 {
            history.lead_event(60).await;
            runner.catch_up().await.unwrap();
        }
    };
    let (compared, ()) = tokio::join!(rebuild.verify(|_, _| ()), moving);
    assert_eq!(compared.unwrap()[0].differences, 0);
    rebuild.exchange().await.unwrap();
    assert!(expected(&history).await == dump(&*views).await);
}

async fn readers_see_whole_lists_throughout_rebuilds(views: Shared) {
    let history = History::with_leads(900, 300).await;
    open(&history.log, &views).await.catch_up().await.unwrap();
    let query = LeadQuery {
        account: account(1),
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
    for token in 0..5 {
        rebuild(&history, &views, only("leads"), token).await;
    }
    done.send(()).unwrap();
    assert!(reader.await.unwrap() > 5);
}

async fn rows_of_another_version_are_not_replaced(views: Shared) {
    let history = History::with_leads(10, 10).await;
    open(&history.log, &views).await;
    write(
        &*views,
        &["UPDATE projection_checkpoint SET definition = 'newer' WHERE name = 'monthly_usage'"],
    )
    .await;
    let refused = Rebuild::begin(history.log.clone(), views, vec![Box::new(MonthlyUsage)], 1).await;
    assert!(matches!(refused, Err(RebuildError::OtherVersion("monthly_usage"))));
}

/// A log in a file whose endpoint of the first account was disabled when events were of their first version.
async fn log_of_the_first_version() -> (Arc<dyn EventLog>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = database::Sqlite::open(&folder.path().join("log.db"), database::Durability::Disposable).unwrap();
    database::migrate(&file, database::MIGRATIONS).await.unwrap();
    let log = event_log::SqliteLog::open(file.clone()).await.unwrap();
    let mut versions = std::collections::HashMap::new();
    for ((stream, event), number) in account_events(1).into_iter().zip(1..) {
        let expected = versions.entry(stream.clone()).or_insert(0);
        let append = event_log::StreamAppend {
            stream,
            expected: *expected,
            recorded_at: domain::Timestamp::from_secs(1),
            events: vec![event_log::NewEvent {
                id: domain::EventId::new(ulid(number)),
                event,
            }],
        };
        *expected += 1;
        log.append(vec![append]).await.remove(0).unwrap();
    }
    let first_version = "UPDATE events SET schema = 1, data = replace(data, ',\"last_failure\":\"status\"', '') \
                         WHERE type = 'WebhookEndpointDisabled'";
    write(&file, &[first_version]).await;
    let stored = read(&file, "SELECT data FROM events WHERE type = 'WebhookEndpointDisabled'").await;
    assert!(!stored[0].text(0).unwrap().contains("last_failure"));
    (Arc::new(log), folder)
}

async fn events_of_the_first_version_give_the_same_rows_live_and_rebuilt(views: Shared) {
    let (log, _keep) = log_of_the_first_version().await;
    let mut runner = Runner::open(log.clone(), views.clone(), crate::all()).await.unwrap();
    runner.catch_up().await.unwrap();
    let live = dump(&*views).await;
    let found = read(&*views, "SELECT disabled_reason, last_failure FROM webhook_endpoints").await;
    assert_eq!(found, [database::Row(vec!["gone".into(), database::Value::Null])]);
    let mut rebuild = Rebuild::begin(log, views.clone(), crate::all(), 1).await.unwrap();
    rebuild.fill(|_| ()).await.unwrap();
    assert!(
        rebuild
            .verify(|_, _| ())
            .await
            .unwrap()
            .iter()
            .all(|one| one.differences == 0)
    );
    rebuild.exchange().await.unwrap();
    assert!(dump(&*views).await == live);
}
