//! Servers that crash in the middle of appends, and those that take over from them.

use std::sync::atomic::{AtomicUsize, Ordering};

use testbed::{Cluster, Replication};

use super::*;

/// Callers that append one event after the other, each to its own stream, until every one was taken.
struct Callers {
    tasks: JoinSet<Vec<Recorded>>,
    taken: Arc<AtomicUsize>,
}

impl Callers {
    const COUNT: u64 = 8;
    const EACH: u64 = 40;

    fn start(log: &Arc<PostgresLog>) -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for caller in 0..Self::COUNT {
            let (log, taken) = (Arc::clone(log), Arc::clone(&taken));
            tasks.spawn(async move {
                let mut events = Vec::new();
                for version in 0..Self::EACH {
                    let id = (version * Self::COUNT + caller + 1).into();
                    let append = append(lead(caller.into()), version, &[id], 0);
                    events.extend(log.append(vec![append]).await.remove(0).unwrap().events);
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                events
            });
        }
        Self { tasks, taken }
    }

    async fn have_appended(&self, count: usize) {
        while self.taken.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    }

    /// Every event was taken once, and is where its caller was told.
    async fn lost_nothing(self, log: &PostgresLog) {
        let mut told: Vec<Recorded> = self.tasks.join_all().await.into_iter().flatten().collect();
        told.sort_by_key(|recorded| recorded.position);
        assert_eq!(told.len() as u64, Self::EACH * Self::COUNT);
        assert_eq!(told, all(log).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_in_the_middle_of_appends_loses_none_that_was_acknowledged() {
    let cluster = Cluster::start();
    let log = process(&cluster.url("postgres")).await;
    let callers = Callers::start(&log);
    for count in [40, 120] {
        callers.have_appended(count).await;
        cluster.stop_immediate();
        cluster.start_again();
    }
    callers.lost_nothing(&log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_takes_over_with_all_that_was_acknowledged() {
    let primary = Cluster::start();
    let replica = primary.replica(Replication::Synchronous).await;
    let host = |cluster: &Cluster| cluster.url("x").split('@').next_back().unwrap().replace("/x", "");
    let url = format!("postgres://postgres@{},{}/postgres", host(&primary), host(&replica));
    let log = process(&url).await;
    let callers = Callers::start(&log);

    callers.have_appended(60).await;
    primary.stop_immediate();
    replica.promote();

    callers.lost_nothing(&log).await;
}

/// A server whose commits are on its disk, and wait for a replica that never comes.
async fn without_its_replica() -> Cluster {
    let cluster = Cluster::start();
    drop(process(&cluster.url("postgres")).await);
    let session = connect(&cluster.url("postgres")).await;
    session
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        .await
        .unwrap();
    cluster.stop_immediate();
    cluster.start_again();
    cluster
}

/// Waits until so many sessions have committed and wait for the replica.
async fn wait_for_commits(session: &Client, but: i32) -> i32 {
    let waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> $1";
    loop {
        if let Some(row) = session.query_opt(waiting, &[&but]).await.unwrap() {
            return row.get(0);
        }
    }
}

async fn give_up_the_replica(session: &Client) {
    session
        .batch_execute("ALTER SYSTEM RESET synchronous_standby_names")
        .await
        .unwrap();
    session.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_and_not_acknowledged_before_it_is_safe() {
    let cluster = without_its_replica().await;
    let log = process(&cluster.url("postgres")).await;
    let session = connect(&cluster.url("postgres")).await;
    let appended = appending(&log, append(lead(1), 0, &[1], 0));

    let committed = wait_for_commits(&session, 0).await;
    session
        .execute("SELECT pg_terminate_backend($1)", &[&committed])
        .await
        .unwrap();
    // The writer finds its event; that it could be lost with this server is not known to any reader of rows.
    wait_for_commits(&session, committed).await;
    assert_eq!(log.head().await.unwrap(), Position::new(1));
    assert!(!appended.is_finished());
    give_up_the_replica(&session).await;

    assert_eq!(appended.await.unwrap().unwrap().position(), Position::new(1));
    assert_eq!(ids(&all(&log).await), [1]);
}

/// A log that does not wait for a server that is away.
async fn impatient(cluster: &Cluster) -> Arc<PostgresLog> {
    let pace = Pace {
        patience: Duration::from_millis(1),
        ..UNHURRIED
    };
    let database = database_at(&cluster.url("postgres")).await;
    Arc::new(PostgresLog::open_with(database, pace).await.unwrap())
}

#[tokio::test]
async fn an_append_that_was_on_its_way_when_the_server_went_away_is_in_doubt() {
    let cluster = Cluster::start();
    let log = impatient(&cluster).await;
    appending(&log, append(lead(1), 0, &[1], 0)).await.unwrap().unwrap();
    let _holder = at_the_head_row(&cluster.url("postgres")).await;
    let appended = appending(&log, append(lead(2), 0, &[2], 0));
    let session = connect(&cluster.url("postgres")).await;
    let waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while session.query_opt(waiting, &[]).await.unwrap().is_none() {}

    cluster.stop_immediate();

    let told = appended.await.unwrap();
    assert!(matches!(told, Err(AppendError::Unknown(_))), "{told:?}");
}

#[tokio::test]
async fn what_stays_in_doubt_is_told_as_such_and_the_same_append_again_resolves_it() {
    let cluster = without_its_replica().await;
    let log = impatient(&cluster).await;
    let session = connect(&cluster.url("postgres")).await;
    let appended = appending(&log, append(lead(1), 0, &[1], 0));
    wait_for_commits(&session, 0).await;

    cluster.stop_immediate();
    let told = appended.await.unwrap();
    assert!(matches!(told, Err(AppendError::Unknown(_))), "{told:?}");
    let told = appending(&log, append(lead(2), 0, &[2], 0)).await.unwrap();
    assert!(matches!(told, Err(AppendError::Busy)), "{told:?}");

    cluster.start_again();
    give_up_the_replica(&connect(&cluster.url("postgres")).await).await;
    for id in [1, 2_u64] {
        let again = appending(&log, append(lead(id.into()), 0, &[id.into()], 0))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(again.position(), Position::new(id));
    }
    assert_eq!(ids(&all(&log).await), [1, 2]);
}
