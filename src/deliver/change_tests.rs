//! What comes of deliveries when something changes meanwhile: a lead is released, an endpoint is changed, one is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use domain::webhook_endpoint::EndpointEdit;
use domain::{DisabledReason, StartFrom, WebhookEventType, WebhookFilters, WebhookStatus};
use projections::webhook_endpoints::WebhookEndpointRow;

use super::behind::Behind;
use super::journal;
use super::receiver::{Heard, Receiver, status};
use super::sandbox::{BOTH, Sandbox, account};
use super::tail::Tail;
use crate::clock::Clock as _;
use crate::commands::{self, Allowance, NewEndpoint};

const ATTEMPTS: &str = "SELECT COUNT(*) FROM webhook_attempt";
const DELIVERED: &str = "SELECT COUNT(*) FROM webhook_attempt WHERE outcome = 'delivered'";
const RETRIES: &str = "SELECT COUNT(*) FROM webhook_retry";
const DUE: &str = "SELECT MAX(due_at) FROM webhook_retry WHERE state = 'waiting'";
const SILENT: &str = "SELECT COUNT(silent_until) FROM webhook_cursor";

const CREATED_AND_ADDED: &[WebhookEventType] = &[WebhookEventType::LeadCreated, WebhookEventType::LeadSignalAdded];
const NO_ROOM: Allowance = Allowance::Room { left: 0, cap: 50 };

/// A receiver that answers with that status, until it is another.
async fn answering(code: u16) -> (Receiver, Arc<AtomicU16>) {
    let answers = Arc::new(AtomicU16::new(code));
    let asked = answers.clone();
    let receiver = Receiver::start(move |_| status(asked.load(Ordering::SeqCst))).await;
    (receiver, answers)
}

/// Asks to be left alone for so many seconds.
fn busy_for(seconds: &str) -> http::Response<axum::body::Body> {
    let busy = http::Response::builder().status(503).header("retry-after", seconds);
    busy.body(axum::body::Body::empty()).unwrap()
}

/// A receiver that always does so.
async fn busy(seconds: &'static str) -> Receiver {
    Receiver::start(move |_| Some(busy_for(seconds))).await
}

/// Event and id of each request.
fn told(heard: &[Heard]) -> Vec<(String, String)> {
    let part = |request: &Heard, name| request.header(name).to_owned();
    heard
        .iter()
        .map(|request| (part(request, "x-gitleads-event"), part(request, "webhook-id")))
        .collect()
}

/// A new endpoint that hears of leads found by this keyword.
fn filtered(url: &str, events: &[WebhookEventType], keyword: &str) -> NewEndpoint {
    NewEndpoint {
        filters: WebhookFilters {
            keywords: vec![keyword.parse().unwrap()],
            ..WebhookFilters::default()
        },
        ..Sandbox::new_endpoint(url, events)
    }
}

async fn release(sandbox: &Sandbox, user_id: u64) {
    let person = sandbox.person(user_id);
    commands::release_leads(&sandbox.writer, account(), &[person])
        .await
        .unwrap();
}

/// Changes the endpoint; as the read models have it then.
async fn change(sandbox: &Sandbox, endpoint: &WebhookEndpointRow, edit: EndpointEdit) -> WebhookEndpointRow {
    commands::change_webhook_endpoint(&sandbox.writer, account(), endpoint.endpoint_id, edit)
        .await
        .unwrap();
    sandbox.endpoint(endpoint.endpoint_id).await.unwrap()
}

#[tokio::test]
async fn what_a_lead_did_while_it_was_withheld_is_told_with_its_release_live_and_from_the_beginning() {
    let sandbox = Sandbox::new().await;
    let (receiver, answers) = answering(500).await;
    let new = filtered(receiver.url(), CREATED_AND_ADDED, "event sourcing");
    let endpoint = sandbox.add(new.clone()).await;
    sandbox.star_within(1, NO_ROOM).await;
    sandbox.sight_within(1, Some("event sourcing"), NO_ROOM).await;
    sandbox.sight_within(1, Some("something else"), NO_ROOM).await;
    sandbox.clock.advance(Duration::from_hours(24));
    let job = sandbox.work(&endpoint).await;
    release(&sandbox, 1).await;
    sandbox.enrich(1, "Staff engineer").await;
    job.nudge.notify_one();
    sandbox.comes_to(ATTEMPTS, 1).await;
    // The further signals wait behind the lead, whatever the worker does meanwhile.
    job.kill().await;
    answers.store(200, Ordering::SeqCst);
    let job = sandbox.work(&endpoint).await;
    sandbox.next_retry(1, &job.nudge).await;
    sandbox.comes_to(DELIVERED, 2).await;
    sandbox.comes_to(RETRIES, 0).await;
    job.stop().await;
    let heard = receiver.heard();
    let live = told(&heard);
    let events: Vec<&str> = live.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(events, ["lead.created", "lead.created", "lead.signal_added"]);
    assert_eq!(heard[1].lead(), heard[2].lead());
    assert_eq!(
        heard[1].header("x-gitleads-sequence"),
        heard[2].header("x-gitleads-sequence")
    );
    let added: serde_json::Value = serde_json::from_str(&heard[2].body).unwrap();
    assert_eq!(added["data"]["keyword"], "event sourcing");
    assert_eq!(added["timestamp"], "2026-04-25T10:31:00Z");

    let (late, _) = answering(200).await;
    let beginning = sandbox
        .add(NewEndpoint {
            url: late.url().to_owned(),
            start_from: StartFrom::Beginning,
            ..new
        })
        .await;
    let job = sandbox.work(&beginning).await;
    sandbox.comes_to(DELIVERED, 4).await;
    job.stop().await;
    assert_eq!(told(&late.heard()), live[1..]);
    let bodies = |heard: &[Heard]| heard.iter().map(|one| one.body.clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&late.heard()), bodies(&heard[1..]));
}

#[tokio::test]
async fn an_endpoint_that_hears_of_further_signals_alone_hears_of_those_of_a_released_lead() {
    let sandbox = Sandbox::new().await;
    let (receiver, _) = answering(200).await;
    let endpoint = sandbox
        .add_endpoint(receiver.url(), &[WebhookEventType::LeadSignalAdded])
        .await;
    sandbox.star_within(1, NO_ROOM).await;
    sandbox.sight_within(1, Some("event sourcing"), NO_ROOM).await;
    let job = sandbox.work(&endpoint).await;
    job.nudge.notify_one();
    release(&sandbox, 1).await;
    job.nudge.notify_one();
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    let told = told(&receiver.heard());
    assert_eq!((told.len(), told[0].0.as_str()), (1, "lead.signal_added"));
}

#[tokio::test]
async fn what_waits_for_a_retry_is_not_sent_once_the_endpoint_no_longer_hears_of_it() {
    let sandbox = Sandbox::new().await;
    let (receiver, answers) = answering(500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    sandbox.enrich(1, "Staff engineer").await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(RETRIES, 2).await;
    job.stop().await;
    answers.store(200, Ordering::SeqCst);
    let edit = EndpointEdit {
        events: Some(vec![WebhookEventType::LeadEnriched]),
        ..EndpointEdit::default()
    };
    let changed = change(&sandbox, &endpoint, edit).await;
    let job = sandbox.work(&changed).await;
    sandbox.next_retry(1, &job.nudge).await;
    sandbox.comes_to(RETRIES, 0).await;
    job.stop().await;
    let events: Vec<String> = told(&receiver.heard()).into_iter().map(|(event, _)| event).collect();
    assert_eq!(events, ["lead.created", "lead.enriched"]);
}

#[tokio::test]
async fn an_endpoint_that_was_changed_begins_with_a_clean_record() {
    let sandbox = Sandbox::new().await;
    let busy = busy("600").await;
    let (receiver, _) = answering(200).await;
    let endpoint = sandbox.add_endpoint(busy.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(SILENT, 1).await;
    job.stop().await;
    assert_eq!(sandbox.number("SELECT last_status FROM webhook_cursor").await, 503);
    let edit = EndpointEdit {
        url: Some(receiver.url().to_owned()),
        ..EndpointEdit::default()
    };
    let changed = change(&sandbox, &endpoint, edit).await;
    sandbox.star(2).await;
    let job = sandbox.work(&changed).await;
    // At once: nobody waits for what another receiver asked for.
    sandbox.comes_to(DELIVERED, 2).await;
    job.stop().await;
    let kept = "SELECT COUNT(silent_until) + COUNT(last_status) FROM webhook_cursor";
    assert_eq!(sandbox.number(kept).await, 0);
}

#[tokio::test]
async fn what_waited_for_a_receiver_that_asked_for_a_day_is_due_at_once_for_the_one_after_it() {
    let sandbox = Sandbox::new().await;
    let busy = busy("86400").await;
    let silent = Receiver::start(|_| None).await;
    let endpoint = sandbox.add_endpoint(busy.url(), BOTH).await;
    sandbox.star(1).await;
    sandbox.enrich(1, "Staff engineer").await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(RETRIES, 2).await;
    job.stop().await;
    sandbox.clock.advance(Duration::from_mins(5));
    let now = sandbox.clock.now().micros();
    assert!(sandbox.number(DUE).await > now);
    let edit = EndpointEdit {
        url: Some(silent.url().to_owned()),
        ..EndpointEdit::default()
    };
    let changed = change(&sandbox, &endpoint, edit).await;
    let job = sandbox.work(&changed).await;
    // It shows while the request is under way, and the lead's next event follows.
    silent.hears(1).await;
    sandbox.comes_to(DUE, now).await;
    silent.let_go();
    sandbox.comes_to(DELIVERED, 2).await;
    job.stop().await;
}

/// Disables or pauses the endpoint and resumes it; as the read models have it then.
async fn resumed(sandbox: &Sandbox, endpoint: &WebhookEndpointRow, from: WebhookStatus) -> WebhookEndpointRow {
    let (writer, id) = (&sandbox.writer, endpoint.endpoint_id);
    let stopped = match from {
        WebhookStatus::Disabled => {
            commands::disable_webhook_endpoint(writer, account(), id, DisabledReason::Failing, "status").await
        }
        _ => commands::pause_webhook_endpoint(writer, account(), id).await,
    };
    stopped.unwrap();
    commands::resume_webhook_endpoint(writer, account(), id).await.unwrap();
    sandbox.endpoint(id).await.unwrap()
}

/// Describes the endpoint otherwise; as the read models have it then.
async fn described(sandbox: &Sandbox, endpoint: &WebhookEndpointRow, text: String) -> WebhookEndpointRow {
    let edit = EndpointEdit {
        description: Some(Some(text)),
        ..EndpointEdit::default()
    };
    change(sandbox, endpoint, edit).await
}

#[tokio::test]
async fn edits_and_pauses_use_up_no_attempts_of_what_waits() {
    let sandbox = Sandbox::new().await;
    let (receiver, answers) = answering(500).await;
    let mut endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(RETRIES, 1).await;
    job.stop().await;
    let due = sandbox.number(DUE).await;
    let (writer, id) = (sandbox.writer.clone(), endpoint.endpoint_id);
    commands::rotate_webhook_secret(&writer, account(), id, &format!("whsec_{}", "A".repeat(44)))
        .await
        .unwrap();
    for round in 0..7 {
        endpoint = described(&sandbox, &endpoint, format!("description {round}")).await;
        sandbox.work(&endpoint).await.stop().await;
        assert_eq!(sandbox.number(DUE).await, due);
        endpoint = resumed(&sandbox, &endpoint, WebhookStatus::Paused).await;
        sandbox.work(&endpoint).await.stop().await;
        assert_eq!(sandbox.number(DUE).await, due);
    }
    answers.store(200, Ordering::SeqCst);
    let job = sandbox.work(&endpoint).await;
    sandbox.next_retry(1, &job.nudge).await;
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    let heard = receiver.heard();
    let numbers: Vec<&str> = heard.iter().map(|one| one.header("x-gitleads-attempt")).collect();
    assert_eq!(numbers, ["1", "2"]);
}

#[tokio::test]
async fn what_a_receiver_asked_for_counts_after_an_edit_that_leaves_it_there() {
    let sandbox = Sandbox::new().await;
    let asked = Arc::new(AtomicU16::new(0));
    // What it refuses first is due in seconds; what it asks for then is for all.
    let receiver = Receiver::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => status(500),
        _ => Some(busy_for("600")),
    })
    .await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    sandbox.star(2).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(ATTEMPTS, 2).await;
    job.stop().await;
    let until = sandbox.number("SELECT silent_until FROM webhook_cursor").await;
    let endpoint = described(&sandbox, &endpoint, "CRM".into()).await;
    let wanted = journal::Wanted {
        since: None,
        until: None,
        before: None,
        status: None,
        limit: 10,
    };
    let page = journal::page(&sandbox.writer, &*sandbox.store, &endpoint, wanted).await;
    let deliveries = page.unwrap().deliveries.into_iter();
    let next: Vec<i64> = deliveries.map(|one| one.next_attempt_at.unwrap().micros()).collect();
    assert!(next.len() == 2 && next.iter().all(|next| *next >= until), "{next:?}");
    sandbox.work(&endpoint).await.stop().await;
    let kept = "SELECT COALESCE(MAX(silent_until), 0) FROM webhook_cursor";
    assert_eq!(sandbox.number(kept).await, until);
}

#[tokio::test]
async fn what_waits_is_due_at_once_when_a_disabled_endpoint_is_resumed() {
    let sandbox = Sandbox::new().await;
    let (receiver, answers) = answering(500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(RETRIES, 1).await;
    job.stop().await;
    answers.store(200, Ordering::SeqCst);
    let endpoint = resumed(&sandbox, &endpoint, WebhookStatus::Disabled).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
}

#[tokio::test]
async fn the_status_of_a_failure_is_shown_until_an_attempt_does_not_fail() {
    let sandbox = Sandbox::new().await;
    let (receiver, answers) = answering(500).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox
        .comes_to("SELECT COALESCE(MAX(last_status), 0) FROM webhook_cursor", 500)
        .await;
    answers.store(200, Ordering::SeqCst);
    sandbox.next_retry(1, &job.nudge).await;
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    assert_eq!(sandbox.number("SELECT COUNT(last_status) FROM webhook_cursor").await, 0);
}

#[tokio::test]
async fn attempts_are_counted_on_when_a_delivery_is_sent_again() {
    let sandbox = Sandbox::new().await;
    let (receiver, _) = answering(200).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    sandbox.star(1).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 1).await;
    let event = receiver.heard()[0].header("webhook-id").parse().unwrap();
    let asked = journal::resend(&sandbox.writer, &*sandbox.store, &endpoint, event).await;
    assert_eq!(asked.unwrap(), Ok(()));
    job.resend.notify_one();
    sandbox.comes_to(DELIVERED, 2).await;
    job.stop().await;
    let heard = receiver.heard();
    let numbers: Vec<&str> = heard.iter().map(|one| one.header("x-gitleads-attempt")).collect();
    assert_eq!(numbers, ["1", "2"]);
}

#[tokio::test]
async fn how_far_an_endpoint_is_behind_is_told_by_the_oldest_event_that_it_was_not_told_of() {
    let sandbox = Sandbox::new().await;
    let receiver = Receiver::start(|_| None).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), BOTH).await;
    for user_id in 1..=3 {
        sandbox.star(user_id).await;
    }
    let job = sandbox.work(&endpoint).await;
    receiver.hears(1).await;
    sandbox.clock.advance(Duration::from_secs(90));
    let behind = async || {
        let (log, workers) = (&*sandbox.writer.log, vec![(account(), sandbox.place.clone())]);
        Behind::of(workers, log, &Tail::new(), sandbox.clock.now())
            .await
            .unwrap()
    };
    let expected = Behind {
        events: 3,
        // The account was opened in the same moment, and the endpoint added.
        age: Duration::from_secs(90) - Duration::from_micros(1),
    };
    assert_eq!(behind().await, expected);
    receiver.let_go();
    sandbox.comes_to(DELIVERED, 3).await;
    while behind().await != Behind::default() {
        tokio::task::yield_now().await;
    }
    job.stop().await;
}
