//! What keeps endpoints from harming each other and themselves, and the second cursor: replays, resends, beginnings in the past.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Response;
use domain::{DisabledReason, StartFrom, StreamId, Timestamp, WebhookEventType, WebhookKind};
use event_log::{AppendError, Appended, EventLog, Page, Position, ReadError, Recorded, Scope, StreamAppend};
use projections::webhook_endpoints::EndpointStatus;

use super::journal;
use super::receiver::{Heard, Receiver, status};
use super::sandbox::{BOTH, Job, Sandbox, account};
use super::worker::Ended;
use crate::clock::Clock as _;
use crate::commands::{self, NewEndpoint};

const ATTEMPTS: &str = "SELECT COUNT(*) FROM webhook_attempt";
const DELIVERED: &str = "SELECT COUNT(*) FROM webhook_attempt WHERE outcome = 'delivered'";
const OPENINGS: &str = "SELECT openings FROM webhook_cursor";
const RETRIES: &str = "SELECT COUNT(*) FROM webhook_retry";
const REPLAYS: &str = "SELECT COUNT(*) FROM webhook_replay";

/// A receiver that answers 500 until it is told to be well.
async fn ill() -> (Receiver, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let asked = well.clone();
    let receiver = Receiver::start(move |_| status(if asked.load(Ordering::SeqCst) { 200 } else { 500 })).await;
    (receiver, well)
}

async fn healthy() -> Receiver {
    Receiver::start(|_| status(200)).await
}

fn ids(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|request| request.header("webhook-id")).collect()
}

fn later(sandbox: &Sandbox, job: &Job, span: Duration) {
    sandbox.clock.advance(span);
    job.nudge.notify_one();
}

#[tokio::test]
async fn an_endpoint_that_fails_is_left_alone_and_one_message_shows_that_it_is_well_again() {
    let sandbox = Sandbox::new().await;
    let (receiver, well) = ill().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    for user_id in 1..=30 {
        sandbox.star(user_id).await;
    }
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(ATTEMPTS, 10).await;
    sandbox.comes_to(OPENINGS, 1).await;
    later(&sandbox, &job, Duration::from_secs(29));
    assert_eq!(job.stop().await, Ended::Stopped);
    // Whoever comes next knows of it; then one message goes, and nothing more.
    let job = sandbox.work(&endpoint).await;
    later(&sandbox, &job, Duration::from_secs(7));
    sandbox.comes_to(OPENINGS, 2).await;
    assert_eq!(receiver.heard().len(), 11);
    let used_up = "SELECT SUM(attempts) FROM webhook_retry";
    assert_eq!(sandbox.number(used_up).await, 11);
    well.store(true, Ordering::SeqCst);
    while sandbox.number(DELIVERED).await < 30 {
        later(&sandbox, &job, Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    sandbox.comes_to(OPENINGS, 0).await;
    sandbox.comes_to(RETRIES, 0).await;
    assert_eq!(receiver.heard().len(), 41);
    job.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_left_alone_still_comes_to_be_disabled_after_five_days() {
    let sandbox = Sandbox::new().await;
    let (receiver, _) = ill().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    for user_id in 1..=40 {
        sandbox.star(user_id).await;
    }
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(ATTEMPTS, 10).await;
    for probes in 1..=10 {
        later(&sandbox, &job, Duration::from_hours(12));
        sandbox.comes_to(ATTEMPTS, 10 + probes).await;
    }
    assert!(matches!(job.task.await.unwrap().unwrap(), Ended::Disabled(_)));
    let row = sandbox.endpoint(endpoint.endpoint_id).await.unwrap();
    assert_eq!(row.status, EndpointStatus::Disabled(DisabledReason::Failing));
    // It begins with a clean record once somebody resumes it.
    assert_eq!(sandbox.number(OPENINGS).await, 0);
}

#[tokio::test]
async fn a_wish_to_be_left_alone_can_be_a_date_and_a_pace_follows_a_429() {
    let sandbox = Sandbox::new().await;
    let (until, left) = (sandbox.clock.now().plus(Duration::from_mins(10)), AtomicUsize::new(1));
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(until.secs().unsigned_abs()));
    let receiver = Receiver::start(move |_| {
        if left.swap(0, Ordering::SeqCst) == 0 {
            return status(200);
        }
        let busy = Response::builder().status(429).header("retry-after", &date);
        Some(busy.body(Body::empty()).unwrap())
    })
    .await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    for user_id in 1..=20 {
        sandbox.star(user_id).await;
    }
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(ATTEMPTS, 1).await;
    later(&sandbox, &job, Duration::from_secs(599));
    job.stop().await;
    assert_eq!(receiver.heard().len(), 1);
    let job = sandbox.work(&endpoint).await;
    later(&sandbox, &job, Duration::from_secs(1));
    while sandbox.number(DELIVERED).await < 20 {
        later(&sandbox, &job, Duration::from_millis(500));
        tokio::task::yield_now().await;
    }
    job.stop().await;
}

#[tokio::test]
async fn a_channel_gets_what_waits_as_few_messages() {
    let sandbox = Sandbox::new().await;
    let receiver = healthy().await;
    let new = NewEndpoint {
        kind: WebhookKind::Slack,
        ..Sandbox::new_endpoint(receiver.url(), BOTH)
    };
    let endpoint = sandbox.add(new).await;
    for user_id in 1..=25 {
        sandbox.star(user_id).await;
    }
    sandbox.enrich(1, "Staff engineer").await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 26).await;
    job.stop().await;
    let heard = receiver.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard[0].body.contains("ada-example-1 ") || heard[0].body.contains("ada-example-1|"));
    let rows = sandbox.rows("SELECT COUNT(DISTINCT id) FROM webhook_attempt").await;
    assert_eq!(rows[0].int(0).unwrap(), 26);
}

#[tokio::test]
async fn an_answer_to_a_message_of_several_people_is_not_kept() {
    const ANSWERS: &str = "SELECT COUNT(answer) FROM webhook_attempt";
    let sandbox = Sandbox::new().await;
    let receiver = Receiver::start(|heard| Some(Response::new(Body::from(heard.body.clone())))).await;
    let new = NewEndpoint {
        kind: WebhookKind::Discord,
        ..Sandbox::new_endpoint(receiver.url(), BOTH)
    };
    let endpoint = sandbox.add(new).await;
    for user_id in 1..=3 {
        sandbox.star(user_id).await;
    }
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 3).await;
    assert_eq!((receiver.heard().len(), sandbox.number(ANSWERS).await), (1, 0));
    sandbox.star(4).await;
    job.nudge.notify_one();
    sandbox.comes_to(DELIVERED, 4).await;
    assert_eq!((receiver.heard().len(), sandbox.number(ANSWERS).await), (2, 1));
    job.stop().await;
}

#[tokio::test]
async fn a_new_endpoint_is_fed_from_the_beginning_and_goes_on_live_without_a_gap() {
    let sandbox = Sandbox::new().await;
    let receiver = healthy().await;
    for user_id in 1..=200 {
        sandbox.star(user_id).await;
        sandbox.enrich(user_id, "Staff engineer").await;
    }
    let (_stop, _task) = sandbox.dispatch().await;
    let new = NewEndpoint {
        start_from: StartFrom::Beginning,
        ..Sandbox::new_endpoint(receiver.url(), BOTH)
    };
    sandbox.add(new).await;
    for user_id in 201..=260 {
        sandbox.star(user_id).await;
        sandbox.enrich(user_id, "Staff engineer").await;
    }
    let heard = receiver.hears(520).await;
    sandbox.comes_to(DELIVERED, 520).await;
    assert_eq!(receiver.heard().len(), 520);
    assert_eq!(ids(&heard).into_iter().collect::<BTreeSet<_>>().len(), 520);
    let mut created = BTreeSet::new();
    for request in &heard {
        if request.header("x-gitleads-event") == "lead.created" {
            created.insert(request.lead());
        } else {
            assert!(created.contains(&request.lead()), "enriched before it was created");
        }
    }
}

#[tokio::test]
async fn a_new_endpoint_can_begin_at_a_time() {
    let sandbox = Sandbox::new().await;
    let receiver = healthy().await;
    sandbox.star(1).await;
    sandbox.clock.advance(Duration::from_secs(10));
    let time = sandbox.clock.now();
    sandbox.star(2).await;
    let add = async |start_from| {
        let new = Sandbox::new_endpoint(receiver.url(), BOTH);
        sandbox.add(NewEndpoint { start_from, ..new }).await
    };
    let past = add(StartFrom::Time(time)).await;
    let future = add(StartFrom::Time(time.plus(Duration::from_secs(20)))).await;
    sandbox.clock.advance(Duration::from_secs(10));
    sandbox.star(3).await;
    sandbox.clock.advance(Duration::from_secs(10));
    sandbox.star(4).await;
    let mut told = Vec::new();
    for (endpoint, expected) in [(past, 3), (future, 1)] {
        let before = receiver.heard().len();
        let job = sandbox.work(&endpoint).await;
        receiver.hears(before + expected).await;
        job.stop().await;
        let people = receiver.heard()[before..].to_vec();
        told.push(
            people
                .iter()
                .filter(|heard| heard.body.contains("ada-example-4"))
                .count(),
        );
        assert_eq!(people.len(), expected);
    }
    assert_eq!(told, [1, 1]);
}

async fn replay(sandbox: &Sandbox, job: &Job, endpoint: domain::WebhookEndpointId, since: Timestamp, until: Timestamp) {
    commands::request_webhook_replay(&sandbox.writer, account(), endpoint, since, until)
        .await
        .unwrap();
    job.nudge.notify_one();
}

#[tokio::test]
async fn a_replay_tells_its_span_once_more_with_the_same_ids_and_live_goes_on() {
    let sandbox = Sandbox::new().await;
    let receiver = healthy().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let began = sandbox.clock.now();
    let mut edges = Vec::new();
    for span in 0..3 {
        edges.push(sandbox.clock.now());
        for user_id in 1..=300 {
            sandbox.star(span * 300 + user_id).await;
        }
        sandbox.clock.advance(Duration::from_secs(10));
    }
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 900).await;
    let first = receiver.heard();
    replay(&sandbox, &job, endpoint.endpoint_id, edges[1], edges[2]).await;
    sandbox.star(1_000).await;
    job.nudge.notify_one();
    sandbox.comes_to(DELIVERED, 1_201).await;
    let heard = receiver.heard();
    let again: BTreeSet<&str> = ids(&heard[900..])
        .into_iter()
        .filter(|id| ids(&first).contains(id))
        .collect();
    assert_eq!(again, ids(&first[300..600]).into_iter().collect());
    let replayed = heard[900..]
        .iter()
        .find(|request| ids(&first[300..600]).contains(&request.header("webhook-id")));
    let replayed = replayed.unwrap();
    let original = first
        .iter()
        .find(|request| request.header("webhook-id") == replayed.header("webhook-id"));
    assert_eq!(replayed.body, original.unwrap().body);
    sandbox.comes_to(REPLAYS, 0).await;
    // One after the other, whatever they cover; one that covers nothing is at its end at once.
    replay(&sandbox, &job, endpoint.endpoint_id, began, edges[1]).await;
    replay(
        &sandbox,
        &job,
        endpoint.endpoint_id,
        began,
        began.plus(Duration::from_millis(1)),
    )
    .await;
    replay(
        &sandbox,
        &job,
        endpoint.endpoint_id,
        Timestamp::from_secs(0),
        Timestamp::from_secs(1),
    )
    .await;
    sandbox.comes_to(DELIVERED, 1_201 + 300 + 300).await;
    sandbox.comes_to(REPLAYS, 0).await;
    assert_eq!(receiver.heard().len(), 1_801);
    job.stop().await;
}

#[tokio::test]
async fn a_replay_goes_on_after_a_crash() {
    let sandbox = Sandbox::new().await;
    let receiver = healthy().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let began = sandbox.clock.now();
    for user_id in 1..=400 {
        sandbox.star(user_id).await;
    }
    sandbox.clock.advance(Duration::from_secs(10));
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 400).await;
    replay(&sandbox, &job, endpoint.endpoint_id, began, sandbox.clock.now()).await;
    receiver.hears(500).await;
    job.kill().await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(REPLAYS, 0).await;
    job.stop().await;
    let heard = receiver.heard();
    let again: BTreeSet<&str> = ids(&heard[400..]).into_iter().collect();
    assert_eq!(again.len(), 400);
}

#[tokio::test]
async fn a_delivery_that_failed_for_good_is_sent_again_when_it_is_asked_for() {
    let sandbox = Sandbox::new().await;
    let (receiver, well) = ill().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    for attempts in 1..=11 {
        sandbox.next_retry(attempts, &job.nudge).await;
    }
    let failed = "SELECT COUNT(*) FROM webhook_retry WHERE state = 'failed'";
    sandbox.comes_to(failed, 1).await;
    well.store(true, Ordering::SeqCst);
    let event = receiver.heard()[0].header("webhook-id").parse().unwrap();
    let asked = journal::resend(&sandbox.writer, &*sandbox.store, &endpoint, event).await;
    assert_eq!(asked.unwrap(), Ok(()));
    job.resend.notify_one();
    sandbox.comes_to("SELECT COUNT(*) FROM webhook_resend", 0).await;
    later(&sandbox, &job, Duration::from_mins(20));
    sandbox.comes_to(DELIVERED, 1).await;
    sandbox.comes_to(RETRIES, 0).await;
    assert_eq!(receiver.heard().len(), 13);
    assert_eq!(ids(&receiver.heard()).into_iter().collect::<BTreeSet<_>>().len(), 1);
    job.stop().await;
}

#[tokio::test]
async fn the_dispatcher_hears_of_what_is_to_be_sent_again() {
    let sandbox = Sandbox::new().await;
    let receiver = healthy().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let (_stop, _task) = sandbox.dispatch().await;
    sandbox.star(1).await;
    sandbox.comes_to(DELIVERED, 1).await;
    let event = receiver.heard()[0].header("webhook-id").parse().unwrap();
    let asked = journal::resend(&sandbox.writer, &*sandbox.store, &endpoint, event).await;
    assert_eq!(asked.unwrap(), Ok(()));
    let heard = receiver.hears(2).await;
    assert_eq!(ids(&heard[..1]), ids(&heard[1..]));
}

#[tokio::test]
async fn a_paused_endpoint_loses_nothing_and_goes_on_where_it_stopped() {
    let sandbox = Sandbox::new().await;
    let receiver = healthy().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let (_stop, _task) = sandbox.dispatch().await;
    sandbox.star(1).await;
    sandbox.comes_to(DELIVERED, 1).await;
    let id = endpoint.endpoint_id;
    commands::pause_webhook_endpoint(&sandbox.writer, account(), id)
        .await
        .unwrap();
    // The dispatcher has taken it in once another endpoint, added after it, gets what is told from then on.
    let witness = healthy().await;
    sandbox.add_endpoint(witness.url(), BOTH).await;
    for user_id in 2..=20 {
        sandbox.star(user_id).await;
    }
    witness.hears(19).await;
    commands::resume_webhook_endpoint(&sandbox.writer, account(), id)
        .await
        .unwrap();
    let heard = receiver.hears(20).await;
    assert_eq!(ids(&heard).into_iter().collect::<BTreeSet<_>>().len(), 20);
    sandbox.comes_to(DELIVERED, 39).await;
    assert_eq!(receiver.heard().len(), 20);
}

/// A log that counts how often an account's part of it is read.
struct Counting {
    log: Arc<dyn EventLog>,
    reads: AtomicUsize,
}

#[async_trait]
impl EventLog for Counting {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
        self.log.append(batch).await
    }

    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        self.log.read_streams(streams).await
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        if scope != Scope::All {
            self.reads.fetch_add(1, Ordering::SeqCst);
        }
        self.log.read(scope, after, limit).await
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.log.head().await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.log.wait(after, at_most).await;
    }
}

#[tokio::test]
async fn the_log_is_read_once_for_all_endpoints() {
    const ENDPOINTS: usize = 60;
    let mut sandbox = Sandbox::new().await;
    let log = Arc::new(Counting {
        log: sandbox.writer.log.clone(),
        reads: AtomicUsize::new(0),
    });
    sandbox.read_through(log.clone());
    let receiver = healthy().await;
    for _ in 0..ENDPOINTS {
        sandbox
            .add_endpoint(receiver.url(), &[WebhookEventType::LeadCreated])
            .await;
    }
    let (_stop, _task) = sandbox.dispatch().await;
    sandbox.star(1).await;
    receiver.hears(ENDPOINTS).await;
    let reads = log.reads.load(Ordering::SeqCst);
    assert!(reads <= ENDPOINTS, "each was behind at most once: {reads}");
    for user_id in 2..=20 {
        sandbox.star(user_id).await;
    }
    receiver.hears(20 * ENDPOINTS).await;
    assert_eq!(log.reads.load(Ordering::SeqCst), reads);
}
