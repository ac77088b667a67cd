//! Several nodes that deliver from one database.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::receiver::{Receiver, status};
use super::sandbox::{BOTH, Sandbox};
use super::worker::Ended;
use crate::config::Roles;
use crate::lease::{Lease, Leases};

const ATTEMPTS: &str = "SELECT COUNT(*) FROM webhook_attempt";
const WEBHOOK: &str = "webhook:under test";

async fn node(sandbox: &Sandbox) -> Leases {
    Leases::join(sandbox.store.clone(), sandbox.clock.clone(), &Roles::default())
        .await
        .unwrap()
}

async fn held(leases: &Leases) -> Lease {
    leases.try_acquire(WEBHOOK).await.unwrap().unwrap()
}

/// The first node is silent for so long that the other takes over.
async fn take_over(sandbox: &Sandbox, other: &Leases) -> Lease {
    sandbox.clock.advance(Duration::from_secs(10));
    other.beat().await.unwrap();
    held(other).await
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_sends_nothing_more() {
    let sandbox = Sandbox::new().await;
    let receiver = Receiver::start(|_| status(200)).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let (a, b) = (node(&sandbox).await, node(&sandbox).await);
    sandbox.star(1).await;
    let job = sandbox.work_under(held(&a).await, &endpoint).await;
    sandbox.comes_to(ATTEMPTS, 1).await;

    let lease = take_over(&sandbox, &b).await;
    sandbox.star(2).await;
    job.nudge.notify_one();

    assert_eq!(job.task.await.unwrap().unwrap(), Ended::Lost);
    assert_eq!(receiver.heard().len(), 1);
    let job = sandbox.work_under(lease, &endpoint).await;
    sandbox.comes_to(ATTEMPTS, 2).await;
    assert_eq!(job.stop().await, Ended::Stopped);
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test]
async fn what_was_in_flight_when_the_lease_was_lost_is_recorded_by_the_next_holder_alone() {
    let sandbox = Sandbox::new().await;
    let first = AtomicBool::new(true);
    let receiver = Receiver::start(move |_| {
        if first.swap(false, Ordering::SeqCst) {
            None
        } else {
            status(200)
        }
    })
    .await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let (a, b) = (node(&sandbox).await, node(&sandbox).await);
    sandbox.star(1).await;
    let old = sandbox.work_under(held(&a).await, &endpoint).await;
    receiver.hears(1).await;

    let lease = take_over(&sandbox, &b).await;
    let new = sandbox.work_under(lease, &endpoint).await;
    sandbox.comes_to(ATTEMPTS, 1).await;
    receiver.let_go();

    assert_eq!(old.task.await.unwrap().unwrap(), Ended::Lost);
    assert_eq!(sandbox.number(ATTEMPTS).await, 1);
    assert_eq!(new.stop().await, Ended::Stopped);
}

#[tokio::test]
async fn a_write_under_a_lost_lease_ends_the_worker_that_did_not_notice() {
    let sandbox = Sandbox::new().await;
    let taken = Arc::new(Mutex::new(None));
    let receiver = Receiver::start(|_| status(200)).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let a = node(&sandbox).await;
    // A clock that is far ahead: the holder has no reason to doubt.
    let ahead = Sandbox::new().await;
    ahead.clock.advance(Duration::from_mins(1));
    let b = Leases::join(sandbox.store.clone(), ahead.clock.clone(), &Roles::default())
        .await
        .unwrap();
    let job = sandbox.work_under(held(&a).await, &endpoint).await;
    sandbox.comes_to("SELECT COUNT(*) FROM webhook_cursor", 1).await;
    *taken.lock().unwrap() = Some(held(&b).await);

    sandbox.star(1).await;
    job.nudge.notify_one();

    assert_eq!(job.task.await.unwrap().unwrap(), Ended::Lost);
    assert_eq!(sandbox.number(ATTEMPTS).await, 0);
}

#[tokio::test]
async fn nodes_share_the_endpoints_and_nothing_is_delivered_twice_while_they_come_and_go() {
    let sandbox = Sandbox::new().await;
    let receiver = Receiver::start(|_| status(200)).await;
    for number in 0..8 {
        let url = format!("{}/{number}", receiver.url());
        sandbox.add_endpoint(&url, BOTH).await;
    }
    let mut people = 0;
    let mut tell = async |count: u64| {
        for user_id in people + 1..=people + count {
            sandbox.star(user_id).await;
        }
        people += count;
        8 * usize::try_from(people).unwrap()
    };
    let a = node(&sandbox).await;
    let (_stop_a, _task_a) = sandbox.dispatch_as(a.clone()).await;
    receiver.hears(tell(5).await).await;

    let b = node(&sandbox).await;
    a.beat().await.unwrap();
    let (stop_b, task_b) = sandbox.dispatch_as(b.clone()).await;
    receiver.hears(tell(20).await).await;
    while sandbox
        .number("SELECT COUNT(DISTINCT holder) FROM lease WHERE name LIKE 'webhook:%'")
        .await
        < 2
    {
        tokio::task::yield_now().await;
    }
    receiver.hears(tell(20).await).await;

    stop_b.send_replace(true);
    task_b.await.unwrap().unwrap();
    b.leave().await;
    a.beat().await.unwrap();
    let all = tell(20).await;
    receiver.hears(all).await;

    sandbox.comes_to(ATTEMPTS, i64::try_from(all).unwrap()).await;
    let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
    for request in receiver.heard() {
        let delivery = (request.path.clone(), request.header("webhook-id").to_owned());
        *times.entry(delivery).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1));
    assert_eq!(times.len(), all);
}

#[tokio::test]
async fn an_endpoint_changes_hands_only_when_its_requests_under_way_have_come_to_their_end() {
    let sandbox = Sandbox::new().await;
    let receiver = Receiver::start(|_| None).await;
    for number in 0..8 {
        sandbox
            .add_endpoint(&format!("{}/{number}", receiver.url()), BOTH)
            .await;
    }
    let a = node(&sandbox).await;
    let (_stop_a, _task_a) = sandbox.dispatch_as(a.clone()).await;
    sandbox.star(1).await;
    receiver.hears(8).await;

    // A second node comes, and the first one learns of it.
    let b = node(&sandbox).await;
    a.beat().await.unwrap();
    let (_stop_b, _task_b) = sandbox.dispatch_as(b.clone()).await;
    let of_b = "SELECT COUNT(*) FROM lease WHERE name LIKE 'webhook:%' AND holder <> (SELECT MIN(id) FROM node)";
    for _ in 0..1_000 {
        sandbox.nudge.notify_waiters();
        tokio::task::yield_now().await;
        assert_eq!(sandbox.number(of_b).await, 0);
    }
    receiver.let_go();
    while sandbox.number(of_b).await == 0 {
        tokio::task::yield_now().await;
    }

    sandbox.star(2).await;
    receiver.hears(16).await;
    sandbox.comes_to(ATTEMPTS, 16).await;
    assert_eq!(receiver.heard().len(), 16);
}
