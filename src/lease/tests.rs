//! Leases on both engines, with a clock that is set by hand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use database::Postgres;
use database::postgres::Address;
use domain::Timestamp;

use super::*;
use crate::engines::{Store, on_both_engines};

struct HandClock {
    micros: AtomicI64,
    drawn: AtomicU64,
}

impl HandClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            micros: AtomicI64::new(Timestamp::from_secs(1_777_026_660).micros()),
            drawn: AtomicU64::new(1),
        })
    }

    fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap();
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn entropy(&self) -> u128 {
        u128::from(self.drawn.fetch_add(1, Ordering::SeqCst))
    }
}

on_both_engines!(
    a_lease_has_one_holder_and_another_once_it_is_given_back,
    a_silent_node_loses_its_leases_and_can_write_nothing_more_under_them,
    a_holder_stops_before_others_may_begin,
    a_node_that_was_silent_keeps_what_nobody_took,
    a_node_that_leaves_hands_over_at_once,
    a_lease_that_is_dropped_is_given_back,
    a_lease_that_a_node_takes_anew_ends_the_work_under_the_old_one,
    two_nodes_that_take_a_lease_at_once_do_not_both_get_it,
    work_ends_with_the_lease_and_begins_anew_with_the_next,
    a_node_whose_clock_is_ahead_can_take_too_early_but_not_write_beside_the_holder,
    things_are_divided_among_the_nodes_of_a_role,
);

async fn node(store: &Store, clock: &Arc<HandClock>) -> Leases {
    Leases::join(store.clone(), clock.clone(), &Roles::default())
        .await
        .unwrap()
}

async fn beat(leases: &Leases) {
    leases.beat().await.unwrap();
}

async fn take(leases: &Leases, name: &str) -> Option<Lease> {
    leases.try_acquire(name).await.unwrap()
}

/// Some work under the lease; whether it happened.
async fn works(store: &Store, lease: &Lease) -> bool {
    let work = Statement::insert(
        "follower (name, position)",
        "ON CONFLICT (name) DO UPDATE SET position = follower.position + 1",
        vec!["work".into(), 1_u64.into()],
    );
    match store.write(lease.fenced(vec![work])).await {
        Ok(_) => true,
        Err(DatabaseError::Stale) => false,
        Err(error) => panic!("{error:?}"),
    }
}

async fn work_done(store: &Store) -> i64 {
    let query = Statement::sql("SELECT position FROM follower WHERE name = 'work'", vec![]);
    let rows = store.read(query).await.unwrap();
    rows.first().map_or(0, |row| row.int(0).unwrap())
}

async fn a_lease_has_one_holder_and_another_once_it_is_given_back(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let held = take(&a, "polls:0").await.unwrap();
    assert!(held.is_held() && take(&b, "polls:0").await.is_none());
    let other = take(&b, "releases").await;
    assert!(other.is_some(), "another lease is another matter");
    held.release().await;
    assert!(!held.is_held() && !works(&store, &held).await);
    let held = take(&b, "polls:0").await.unwrap();
    assert!(works(&store, &held).await && take(&a, "polls:0").await.is_none());
}

async fn a_silent_node_loses_its_leases_and_can_write_nothing_more_under_them(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let paused = take(&a, "projection:leads").await.unwrap();
    assert!(works(&store, &paused).await);
    clock.advance(TTL);
    beat(&b).await;
    let next = take(&b, "projection:leads").await.unwrap();
    assert!(works(&store, &next).await);
    // It wakes up in the middle of its work and knows of nothing.
    assert!(!works(&store, &paused).await);
    assert_eq!(work_done(&store).await, 2);
    beat(&a).await;
    assert!(!paused.is_held() && next.is_held());
    assert!(take(&a, "projection:leads").await.is_none());
}

async fn a_holder_stops_before_others_may_begin(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let held = take(&a, "webhook:a").await.unwrap();
    clock.advance(Duration::from_micros(6_999_999));
    assert!(held.is_held());
    clock.advance(Duration::from_micros(1));
    assert!(!held.is_held());
    assert!(
        tokio::time::timeout(Duration::from_secs(5), held.lost()).await.is_ok(),
        "whoever waits for it is told"
    );
    assert!(
        take(&a, "webhook:b").await.is_none(),
        "who may be dead takes nothing new"
    );
    clock.advance(Duration::from_micros(2_999_999));
    beat(&b).await;
    assert!(take(&b, "webhook:a").await.is_none());
    clock.advance(Duration::from_micros(1));
    assert!(take(&b, "webhook:a").await.is_some());
}

async fn a_node_that_was_silent_keeps_what_nobody_took(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let (taken, left) = (take(&a, "polls:0").await.unwrap(), take(&a, "releases").await.unwrap());
    clock.advance(TTL * 3);
    beat(&b).await;
    assert!(take(&b, "polls:0").await.is_some());
    beat(&a).await;
    assert!(left.is_held() && works(&store, &left).await);
    assert!(!taken.is_held() && !works(&store, &taken).await);
    assert!(take(&b, "releases").await.is_none());
}

async fn a_node_that_leaves_hands_over_at_once(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let held = take(&a, "enrichment").await.unwrap();
    let pruning = take(&a, "pruning").await;
    assert_eq!(
        a.report().held.into_iter().collect::<Vec<_>>(),
        [("enrichment".into(), 1), ("pruning".into(), 1)]
    );
    a.leave().await;
    assert!(!held.is_held() && take(&a, "other").await.is_none());
    assert!(take(&b, "enrichment").await.is_some() && take(&b, "pruning").await.is_some());
    assert!(pruning.is_some() && !works(&store, &held).await);
    beat(&a).await;
    assert!(a.report().silent && a.report().held.is_empty(), "it does not come back");
    beat(&b).await;
    assert_eq!(b.share(Role::Deliver).nodes.len(), 1);
}

async fn a_lease_that_is_dropped_is_given_back(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let held = take(&a, "polls:0").await.unwrap();
    let clone = held.clone();
    drop(held);
    assert!(clone.is_held() && take(&b, "polls:0").await.is_none());
    drop(clone);
    while take(&b, "polls:0").await.is_none() {
        tokio::task::yield_now().await;
    }
}

async fn a_lease_that_a_node_takes_anew_ends_the_work_under_the_old_one(store: Store) {
    let clock = HandClock::new();
    let a = node(&store, &clock).await;
    let first = take(&a, "releases").await.unwrap();
    let second = take(&a, "releases").await.unwrap();
    assert!(!first.is_held() && second.is_held());
    assert!(!works(&store, &first).await && works(&store, &second).await);
    // Too late: there is nothing of its own to give back.
    first.release().await;
    assert!(second.is_held() && works(&store, &second).await);
}

async fn two_nodes_that_take_a_lease_at_once_do_not_both_get_it(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    for round in 0..20 {
        let name = format!("webhook:{round}");
        // Once as nobody's ever, once given back.
        for _ in 0..2 {
            let (one, other) = tokio::join!(take(&a, &name), take(&b, &name));
            let ([Some(held), None] | [None, Some(held)]) = [one, other] else {
                panic!("held by both or by none");
            };
            held.release().await;
        }
    }
}

async fn work_ends_with_the_lease_and_begins_anew_with_the_next(store: Store) {
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let begun = Arc::new(Mutex::new(Vec::new()));
    let (stop, shutdown) = Shutdown::channel();
    let (holding, noted) = (a.clone(), begun.clone());
    let task = tokio::spawn(async move {
        let work = |lease| {
            noted.lock().unwrap().push(lease);
            std::future::pending()
        };
        holding.hold("polls:0", &shutdown, work).await
    });
    let nth = |count: usize| {
        let begun = begun.clone();
        async move {
            loop {
                if let Some(lease) = begun.lock().unwrap().get(count).cloned() {
                    return lease;
                }
                tokio::task::yield_now().await;
            }
        }
    };
    let first: Lease = nth(0).await;
    clock.advance(TTL);
    beat(&b).await;
    let taken = take(&b, "polls:0").await.unwrap();
    assert!(!works(&store, &first).await && works(&store, &taken).await);
    beat(&a).await;
    taken.release().await;
    let second = nth(1).await;
    assert!(second.is_held() && !first.is_held());
    stop.send_replace(true);
    task.await.unwrap().unwrap();
    assert!(take(&b, "polls:0").await.is_some(), "given back at the end");
}

async fn a_node_whose_clock_is_ahead_can_take_too_early_but_not_write_beside_the_holder(store: Store) {
    let (right, ahead) = (HandClock::new(), HandClock::new());
    ahead.advance(TTL * 2);
    let (a, b) = (node(&store, &right).await, node(&store, &ahead).await);
    let held = take(&a, "projection:leads").await.unwrap();
    let taken = take(&b, "projection:leads").await.unwrap();
    assert!(held.is_held() && taken.is_held(), "both believe it");
    assert!(works(&store, &taken).await && !works(&store, &held).await);
    assert_eq!(work_done(&store).await, 1);
}

async fn things_are_divided_among_the_nodes_of_a_role(store: Store) {
    let clock = HandClock::new();
    let names: Vec<String> = (0..300).map(|number| format!("webhook:{number}")).collect();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let other = "api,project".parse().unwrap();
    let other = Leases::join(store.clone(), clock.clone(), &other).await.unwrap();
    beat(&a).await;
    let owned = |leases: &Leases| -> Vec<&String> {
        let share = leases.share(Role::Deliver);
        names.iter().filter(|name| share.has(name)).collect()
    };
    let (of_a, of_b) = (owned(&a), owned(&b));
    assert_eq!(of_a.len() + of_b.len(), names.len());
    assert!(of_a.iter().all(|name| !of_b.contains(name)));
    assert!(of_a.len() > 90 && of_b.len() > 90, "{} {}", of_a.len(), of_b.len());
    assert!(a.share(Role::Deliver).is_divided());
    assert!(owned(&other).is_empty());

    let c = node(&store, &clock).await;
    beat(&a).await;
    let of_c = owned(&c);
    let kept = owned(&a);
    assert!(kept.iter().all(|name| of_a.contains(name)), "a newcomer only takes");
    assert!(of_a.iter().all(|name| kept.contains(name) || of_c.contains(name)));
}

#[tokio::test]
async fn a_node_that_takes_over_waits_for_the_work_that_is_being_committed() {
    let (store, fresh) = crate::engines::postgres().await;
    let clock = HandClock::new();
    let (a, b) = (node(&store, &clock).await, node(&store, &clock).await);
    let _held = take(&a, "projection:leads").await.unwrap();
    clock.advance(TTL);
    beat(&b).await;
    let address: Address = fresh.url().parse().unwrap();
    let paused = Postgres::open(address, false).await.unwrap().dedicated().await.unwrap();
    // The holder's transaction has passed the fence and is not at its end.
    let fence = "BEGIN; UPDATE lease SET epoch = epoch WHERE name = 'projection:leads' AND epoch = 1";
    paused.client.batch_execute(fence).await.unwrap();
    let taking = tokio::spawn(async move { take(&b, "projection:leads").await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while fresh.number(waiting).await == 0 {
        assert!(!taking.is_finished());
    }
    paused.client.batch_execute("COMMIT").await.unwrap();
    assert!(taking.await.unwrap().is_some());
}

#[tokio::test]
async fn a_process_that_is_alone_holds_everything_and_writes_nothing_for_it() {
    let leases = Leases::sole();
    let lease = take(&leases, "projection:leads").await.unwrap();
    assert!(lease.is_held() && lease.fence().is_none());
    let work = vec![Statement::sql("SELECT 1", vec![])];
    assert_eq!(lease.fenced(work.clone()), work);
    assert!(leases.share(Role::Deliver).has("webhook:a"));
    lease.release().await;
    leases.leave().await;
    assert!(lease.is_held());
}
