//! One endpoint's worker, and the dispatcher, against a real receiver on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use domain::{DisabledReason, Timestamp, WebhookEventType};
use projections::webhook_endpoints::EndpointStatus;

use super::receiver::{Heard, Receiver, status};
use super::sandbox::{BOTH, Sandbox, account};
use super::sign::Secrets;
use super::worker::Ended;
use crate::commands;

const ATTEMPTS: &str = "SELECT COUNT(*) FROM webhook_attempt";
const DELIVERED: &str = "SELECT COUNT(*) FROM webhook_attempt WHERE outcome = 'delivered'";
const DELIVERED_EVENTS: &str = "SELECT COUNT(DISTINCT event_id) FROM webhook_attempt WHERE outcome = 'delivered'";
const WAITING: &str = "SELECT COUNT(*) FROM webhook_retry WHERE state = 'waiting'";
const FAILED: &str = "SELECT COUNT(*) FROM webhook_retry WHERE state = 'failed'";

/// A receiver that answers the first requests with one status and the others with 200.
async fn shaky(failures: usize, code: u16) -> Receiver {
    let left = AtomicUsize::new(failures);
    Receiver::start(move |_| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        status(if fails.is_ok() { code } else { 200 })
    })
    .await
}

/// For each lead the events that were heard, in the order in which they were first heard.
fn by_lead(heard: &[Heard]) -> BTreeMap<String, Vec<(String, String)>> {
    let mut leads: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for request in heard {
        let event = (
            request.header("webhook-id").to_owned(),
            request.header("x-gitleads-event").to_owned(),
        );
        let events = leads.entry(request.lead()).or_default();
        if !events.contains(&event) {
            events.push(event);
        }
    }
    leads
}

fn assert_all_in_order(heard: &[Heard], people: usize) {
    let leads = by_lead(heard);
    assert_eq!(leads.len(), people);
    for events in leads.values() {
        let kinds: Vec<&str> = events.iter().map(|(_, kind)| kind.as_str()).collect();
        assert_eq!(kinds, ["lead.created", "lead.enriched", "lead.enriched"]);
    }
}

async fn tell_of(sandbox: &Sandbox, people: u64) {
    for user_id in 1..=people {
        sandbox.star(user_id).await;
    }
    for user_id in 1..=people {
        sandbox.enrich(user_id, "Staff engineer").await;
    }
    for user_id in 1..=people {
        sandbox.enrich(user_id, "Principal engineer").await;
    }
}

#[tokio::test]
async fn a_receiver_that_fails_for_a_while_loses_nothing_and_hears_each_lead_in_order() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(25, 500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    tell_of(&sandbox, 20).await;
    let job = sandbox.work(&endpoint).await;
    // Every failure is one attempt more.
    while sandbox.number(DELIVERED).await < 60 {
        sandbox.clock.advance(Duration::from_secs(1));
        job.nudge.notify_one();
        tokio::task::yield_now().await;
    }
    sandbox.comes_to("SELECT COUNT(*) FROM webhook_retry", 0).await;
    let heard = receiver.heard();
    assert_eq!(heard.len(), 85);
    assert_all_in_order(&heard, 20);
    // Never sent again once taken: the last request of each event is the only one that was answered with 200.
    let ids: BTreeSet<&str> = heard.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids.len(), 60);
    for request in &heard {
        let at = Timestamp::from_secs(request.header("webhook-timestamp").parse().unwrap());
        let signatures =
            Secrets::from(Sandbox::secret()).sign(request.header("webhook-id"), at, request.body.as_bytes());
        assert_eq!(request.header("x-gitleads-signature"), signatures.gitleads);
        assert_eq!(request.header("webhook-signature"), signatures.standard);
    }
    assert_eq!(job.stop().await, Ended::Stopped);
}

#[tokio::test]
async fn a_retry_has_the_same_id_and_body_and_the_next_number() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(2, 503).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.next_retry(1, &job.nudge).await;
    sandbox.next_retry(2, &job.nudge).await;
    sandbox.comes_to(DELIVERED, 1).await;
    let heard = receiver.heard();
    let numbers: Vec<&str> = heard
        .iter()
        .map(|request| request.header("x-gitleads-attempt"))
        .collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    for request in &heard {
        assert_eq!(request.header("webhook-id"), heard[0].header("webhook-id"));
        assert_eq!(request.body, heard[0].body);
    }
    let deliveries: BTreeSet<&str> = heard
        .iter()
        .map(|request| request.header("x-gitleads-delivery"))
        .collect();
    assert_eq!(deliveries.len(), 3);
    job.stop().await;
}

#[tokio::test]
async fn a_crash_at_any_point_loses_nothing_and_keeps_each_lead_in_order() {
    let sandbox = Sandbox::new().await;
    let requests = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        status(if number % 3 == 2 && number < 200 { 500 } else { 200 })
    })
    .await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    tell_of(&sandbox, 40).await;
    // A life may tell more than it has to.
    let is_over = async || sandbox.number(DELIVERED_EVENTS).await == 120;
    for crash in 1..=12 {
        let (told, written) = (receiver.heard().len(), sandbox.number(ATTEMPTS).await);
        let job = sandbox.work(&endpoint).await;
        // Every other crash comes before anything was written down, the others in the midst of it.
        while receiver.heard().len() < told + 5 && !is_over().await {
            sandbox.clock.advance(Duration::from_secs(1));
            job.nudge.notify_one();
            tokio::task::yield_now().await;
        }
        while crash % 2 == 0 && sandbox.number(ATTEMPTS).await < written + 3 && !is_over().await {
            tokio::task::yield_now().await;
        }
        job.kill().await;
    }
    let job = sandbox.work(&endpoint).await;
    while sandbox.number(DELIVERED_EVENTS).await < 120 || sandbox.number(WAITING).await > 0 {
        sandbox.clock.advance(Duration::from_secs(1));
        job.nudge.notify_one();
        tokio::task::yield_now().await;
    }
    assert_all_in_order(&receiver.heard(), 40);
    job.stop().await;
    // Whoever comes next has nothing to do.
    let told = receiver.heard().len();
    let job = sandbox.work(&endpoint).await;
    job.stop().await;
    assert_eq!(receiver.heard().len(), told);
}

#[tokio::test]
async fn what_was_written_down_is_not_sent_again_after_a_crash() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(0, 500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    for user_id in 1..=30 {
        sandbox.star(user_id).await;
    }
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 30).await;
    job.kill().await;
    sandbox.star(31).await;
    let job = sandbox.work(&endpoint).await;
    assert_eq!(receiver.hears(31).await.len(), 31);
    job.stop().await;
    assert_eq!(receiver.heard().len(), 31);
}

#[tokio::test]
async fn a_backlog_of_many_pages_is_delivered_after_a_restart() {
    let mut sandbox = Sandbox::new().await;
    let receiver = shaky(0, 500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    tell_of(&sandbox, 150).await;
    sandbox.restart();
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED_EVENTS, 450).await;
    job.stop().await;
    assert_eq!(receiver.heard().len(), 450);
    assert_all_in_order(&receiver.heard(), 150);
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_endpoint_and_what_it_missed_is_kept() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(usize::MAX, 410).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    assert!(matches!(job.task.await.unwrap().unwrap(), Ended::Disabled(_)));
    let row = sandbox.endpoint(endpoint.endpoint_id).await.unwrap();
    assert_eq!(row.status, EndpointStatus::Disabled(DisabledReason::Gone));
    assert_eq!(row.last_failure.as_deref(), Some("status"));
    assert_eq!(receiver.heard().len(), 1);
    assert_eq!(sandbox.number(WAITING).await, 1);
}

#[tokio::test]
async fn a_receiver_that_asks_for_it_is_left_alone_as_a_whole() {
    let sandbox = Sandbox::new().await;
    let left = AtomicUsize::new(1);
    let receiver = Receiver::start(move |_| {
        if left.swap(0, Ordering::SeqCst) == 0 {
            return status(200);
        }
        let busy = Response::builder().status(429).header("retry-after", "600");
        Some(busy.body(Body::empty()).unwrap())
    })
    .await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(ATTEMPTS, 1).await;
    sandbox.star(2).await;
    job.nudge.notify_one();
    sandbox.clock.advance(Duration::from_secs(599));
    job.nudge.notify_one();
    // A worker that starts anew knows of it too; stopping it waits for whatever it would have sent.
    job.stop().await;
    assert_eq!(receiver.heard().len(), 1);
    let job = sandbox.work(&endpoint).await;
    sandbox.clock.advance(Duration::from_secs(2));
    job.nudge.notify_one();
    sandbox.comes_to(DELIVERED, 2).await;
    job.stop().await;
}

#[tokio::test]
async fn a_delivery_that_used_up_its_attempts_is_parked_and_the_lead_goes_on() {
    let sandbox = Sandbox::new().await;
    let receiver = Receiver::start(|heard| {
        status(if heard.header("x-gitleads-event") == "lead.created" {
            500
        } else {
            200
        })
    })
    .await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    sandbox.enrich(1, "Staff engineer").await;
    let job = sandbox.work(&endpoint).await;
    for attempts in 1..=11 {
        sandbox.next_retry(attempts, &job.nudge).await;
    }
    sandbox.comes_to(FAILED, 1).await;
    // After so many failures one message tries whether the endpoint is well again.
    sandbox.clock.advance(Duration::from_mins(15));
    job.nudge.notify_one();
    sandbox.comes_to(DELIVERED, 1).await;
    assert_eq!((sandbox.number(FAILED).await, sandbox.number(WAITING).await), (1, 0));
    assert_eq!(receiver.heard().len(), 13);
    job.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_fails_for_five_days_is_disabled() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(usize::MAX, 500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    for attempts in 1..=11 {
        sandbox.next_retry(attempts, &job.nudge).await;
    }
    sandbox.comes_to(FAILED, 1).await;
    sandbox.clock.advance(Duration::from_hours(48));
    sandbox.star(2).await;
    job.nudge.notify_one();
    assert!(matches!(job.task.await.unwrap().unwrap(), Ended::Disabled(_)));
    let row = sandbox.endpoint(endpoint.endpoint_id).await.unwrap();
    assert_eq!(row.status, EndpointStatus::Disabled(DisabledReason::Failing));
    assert_eq!(sandbox.number("SELECT failures FROM webhook_cursor").await, 0);
}

#[tokio::test]
async fn nothing_of_an_erased_person_is_sent_again() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(1, 500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(ATTEMPTS, 1).await;
    sandbox
        .writer
        .vault
        .destroy(account(), sandbox.person(1))
        .await
        .unwrap();
    sandbox.next_retry(1, &job.nudge).await;
    sandbox.comes_to(WAITING, 0).await;
    assert_eq!((receiver.heard().len(), sandbox.number(FAILED).await), (1, 0));
    job.stop().await;
}

#[tokio::test]
async fn what_waits_of_an_erased_person_is_skipped_at_once_and_recorded_and_the_erasure_is_told() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(1, 500).await;
    let all = [BOTH, &[WebhookEventType::LeadErased]].concat();
    let endpoint = sandbox.add_endpoint(receiver.url(), &all).await;
    sandbox.star(1).await;
    sandbox.enrich(1, "Staff engineer").await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(WAITING, 2).await;
    commands::erase_person(&sandbox.writer, account(), sandbox.person(1))
        .await
        .unwrap();
    job.nudge.notify_one();
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    let outcomes = sandbox
        .rows("SELECT outcome FROM webhook_attempt ORDER BY at, id")
        .await;
    let outcomes: Vec<&str> = outcomes.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(outcomes, ["status", "erased", "erased", "delivered"]);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[1].header("x-gitleads-event"), "lead.erased");
    assert!(!heard[1].body.contains("ada-example-1"), "{}", heard[1].body);
    assert_eq!((sandbox.number(WAITING).await, sandbox.number(FAILED).await), (0, 0));
}

#[tokio::test]
async fn an_endpoint_hears_what_it_asked_for_and_what_came_after_it_was_added() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(0, 500).await;
    sandbox.star(1).await;
    let endpoint = sandbox
        .add_endpoint(receiver.url(), &[WebhookEventType::LeadEnriched])
        .await;
    sandbox.star(2).await;
    sandbox.enrich(1, "Staff engineer").await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    let heard = receiver.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].header("x-gitleads-event"), "lead.enriched");
}

#[tokio::test]
async fn the_answer_is_kept_sealed() {
    let sandbox = Sandbox::new().await;
    let receiver = Receiver::start(|_| Some(Response::new(Body::from("thanks for ada-example-1")))).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    let rows = sandbox.rows("SELECT event_id, answer FROM webhook_attempt").await;
    let sealed = domain::Sealed::new(rows[0].blob(1).unwrap().to_vec());
    let person = sandbox.person(1);
    let keys = sandbox.writer.vault.keys(account(), &[person]).await.unwrap();
    let event = rows[0].text(0).unwrap().parse().unwrap();
    assert_eq!(
        keys.open::<String>(person, event, &sealed).unwrap(),
        "thanks for ada-example-1"
    );
}

#[tokio::test]
async fn one_hanging_endpoint_delays_no_other() {
    let sandbox = Sandbox::new().await;
    let hanging = Receiver::start(|_| None).await;
    let healthy = shaky(0, 500).await;
    sandbox.add_endpoint(hanging.url(), BOTH).await;
    sandbox.add_endpoint(healthy.url(), BOTH).await;
    let (_stop, _task) = sandbox.dispatch().await;
    for user_id in 1..=50 {
        sandbox.star(user_id).await;
    }
    assert_eq!(healthy.hears(50).await.len(), 50);
    // Of an endpoint that has taken nothing yet one request waits.
    assert_eq!(hanging.heard().len(), 1);
}

#[tokio::test]
async fn endpoints_come_and_go_while_the_dispatcher_runs() {
    let sandbox = Sandbox::new().await;
    let receiver = Arc::new(shaky(0, 500).await);
    let (stop, task) = sandbox.dispatch().await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    sandbox.comes_to(DELIVERED, 1).await;
    commands::remove_webhook_endpoint(&sandbox.writer, account(), endpoint.endpoint_id)
        .await
        .unwrap();
    sandbox.comes_to("SELECT COUNT(*) FROM webhook_cursor", 0).await;
    assert_eq!(sandbox.number(ATTEMPTS).await, 0);
    sandbox.star(2).await;
    let next = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(3).await;
    let heard = receiver.hears(2).await;
    assert!(heard[1].body.contains("ada-example-3"));
    stop.send_replace(true);
    task.await.unwrap().unwrap();
    // What was delivered before the end is written down.
    let job = sandbox.work(&next).await;
    job.stop().await;
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test]
async fn a_disabled_endpoint_gets_nothing_more_and_keeps_its_place() {
    let sandbox = Sandbox::new().await;
    let receiver = shaky(usize::MAX, 410).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    let (stop, task) = sandbox.dispatch().await;
    sandbox.star(1).await;
    while sandbox.endpoint(endpoint.endpoint_id).await.unwrap().status == EndpointStatus::Active {
        tokio::task::yield_now().await;
    }
    sandbox.star(2).await;
    stop.send_replace(true);
    task.await.unwrap().unwrap();
    assert_eq!(receiver.heard().len(), 1);
    assert_eq!(sandbox.number("SELECT COUNT(*) FROM webhook_cursor").await, 1);
}
