//! The short cousin of `examples/storm.rs`, with its blows at fixed places: processes end in the middle of their appends,
//! connections are cut, and a follower misses nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::runtime::{Builder, Runtime};

use super::*;

const PROCESSES: usize = 4;
const WRITERS: usize = 16;
const EACH: usize = 25;

/// What each writer was told, by position.
type Told = Arc<Vec<Mutex<BTreeMap<Position, Recorded>>>>;

/// A process with its share of the writers. Shut down, its sockets close as those of a killed process do.
fn start(number: usize, url: &str, told: &Told) -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (url, told) = (url.to_owned(), Arc::clone(told));
    runtime.spawn(async move {
        let log = Arc::new(opened(&url).await);
        for writer in (number..WRITERS).step_by(PROCESSES) {
            tokio::spawn(write(Arc::clone(&log), writer, Arc::clone(&told)));
        }
    });
    runtime
}

/// Connections are cut while a process starts, too.
async fn opened(url: &str) -> PostgresLog {
    loop {
        if let Ok(database) = Postgres::open(url.parse().unwrap(), false).await
            && let Ok(log) = PostgresLog::open(database).await
        {
            return log;
        }
    }
}

/// Goes on with the first event that nobody was told of, as a writer does that reads its stream again.
async fn write(log: Arc<PostgresLog>, writer: usize, told: Told) {
    loop {
        let version = told[writer].lock().unwrap().len();
        if version == EACH {
            return;
        }
        let id = (version * WRITERS + writer + 1) as u128;
        let append = append(lead(writer as u128), version as u64, &[id], 0);
        match log.append(vec![append]).await.remove(0) {
            Ok(appended) => {
                let event = appended.events.into_iter().next().unwrap();
                told[writer].lock().unwrap().insert(event.position, event);
            }
            Err(AppendError::Unknown(_) | AppendError::Storage(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_nothing_while_processes_are_killed_and_connections_cut() {
    let fresh = Server::fresh_database().await;
    // One who is killed tells nobody of its last append: then the poll does.
    let follower = PostgresLog::open(database_at(fresh.url()).await).await.unwrap();
    let told: Told = Arc::new((0..WRITERS).map(|_| Mutex::default()).collect());
    let mut processes: Vec<Runtime> = (0..PROCESSES).map(|number| start(number, fresh.url(), &told)).collect();

    let mut seen: Vec<Recorded> = Vec::new();
    let mut after = Position::START;
    for blow in 0.. {
        while seen.len() < (40 * (blow + 1)).min(WRITERS * EACH) {
            follower.wait(after, Duration::from_hours(1)).await;
            // The follower's connections are cut as well.
            if let Ok(page) = follower.read(Scope::All, after, 11).await {
                after = page.looked_to;
                seen.extend(page.events);
            }
        }
        if seen.len() == WRITERS * EACH {
            break;
        }
        end_sessions(&fresh, "true").await;
        let number = blow % PROCESSES;
        let killed = std::mem::replace(&mut processes[number], start(number, fresh.url(), &told));
        killed.shutdown_background();
    }

    assert_eq!(seen, all(&follower).await);
    while told.iter().any(|told| told.lock().unwrap().len() < EACH) {
        tokio::task::yield_now().await;
    }
    let mut told: Vec<Recorded> = told
        .iter()
        .flat_map(|told| told.lock().unwrap().values().cloned().collect::<Vec<_>>())
        .collect();
    told.sort_by_key(|recorded| recorded.position);
    assert_eq!(told, seen);
    for process in processes {
        process.shutdown_background();
    }
}
