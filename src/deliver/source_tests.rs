//! `source.degraded`: who is told that a source does not work, in which words, and what is kept of the answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::Response;
use domain::{
    Collector, Observation, SourceReason, SourceState, SourceSubject, Timestamp, WebhookEventType, WebhookFilters,
};
use serde_json::{Value, json};

use super::journal::{self, Wanted};
use super::receiver::Receiver;
use super::sandbox::{BOTH, Sandbox, account};
use super::sign::Secrets;
use crate::clock::Clock as _;
use crate::commands::{self, NewEndpoint};

const SOURCES: &[WebhookEventType] = &[WebhookEventType::SourceDegraded];
const DELIVERED: &str = "SELECT COUNT(*) FROM webhook_attempt WHERE outcome = 'delivered'";

/// Fails so many times, then takes what comes and says so.
async fn receiver(failures: usize) -> Receiver {
    let left = AtomicUsize::new(failures);
    Receiver::start(move |_| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let status = if fails.is_ok() { 500 } else { 200 };
        Some(Response::builder().status(status).body(Body::from("noted")).unwrap())
    })
    .await
}

async fn track_repo(sandbox: &Sandbox, name: &str) -> SourceSubject {
    let tracked = commands::track_repo(&sandbox.writer, account(), name.parse().unwrap(), None);
    let tracked = tracked.await.unwrap().value;
    SourceSubject::Repo {
        id: tracked.repo_id,
        full_name: tracked.full_name,
    }
}

async fn see(sandbox: &Sandbox, subject: &SourceSubject, state: SourceState, reason: SourceReason) {
    // Long enough after the last change that it is told at once.
    sandbox.clock.advance(std::time::Duration::from_hours(48));
    let now = sandbox.clock.now();
    let seen = Observation {
        collector: Collector::EventsFeed,
        state,
        reason,
        since: now,
        seen_at: now,
    };
    let told = commands::observe_source(&sandbox.writer, account(), subject, seen).await;
    assert!(told.unwrap());
}

#[tokio::test]
async fn those_who_asked_are_told_signed_that_a_source_works_no_more_and_nobody_that_it_does() {
    let sandbox = Sandbox::new().await;
    let (receiver, others) = (receiver(1).await, receiver(0).await);
    let endpoint = sandbox.add_endpoint(receiver.url(), SOURCES).await;
    let other = sandbox.add_endpoint(others.url(), BOTH).await;
    let subject = track_repo(&sandbox, "acme/sdk").await;
    see(&sandbox, &subject, SourceState::Active, SourceReason::Answered).await;
    see(&sandbox, &subject, SourceState::Restricted, SourceReason::Forbidden).await;
    see(&sandbox, &subject, SourceState::Active, SourceReason::Answered).await;
    let (job, other_job) = (sandbox.work(&endpoint).await, sandbox.work(&other).await);
    // The first attempt fails, so that the second reads the event from the log.
    sandbox.next_retry(1, &job.nudge).await;
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    other_job.stop().await;

    assert_eq!(others.heard().len(), 0);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].body, heard[1].body);
    let request = &heard[1];
    assert_eq!(request.header("x-gitleads-event"), "source.degraded");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let SourceSubject::Repo { id, .. } = subject else {
        panic!("no repository")
    };
    assert_eq!(
        body,
        json!({
            "event": "source.degraded", "type": "source.degraded", "id": request.header("webhook-id"),
            "timestamp": body["data"]["since"],
            "data": {
                "tracked_repo": { "id": id, "full_name": "acme/sdk" }, "tracked_keyword": null,
                "collector": "events_feed", "state": "restricted", "reason": "forbidden",
                "since": body["timestamp"],
            },
        })
    );
    let at = Timestamp::from_secs(request.header("webhook-timestamp").parse().unwrap());
    let ours = Secrets::from(Sandbox::secret()).sign(request.header("webhook-id"), at, request.body.as_bytes());
    assert_eq!(request.header("x-gitleads-signature"), ours.gitleads);
    assert_eq!(request.header("webhook-signature"), ours.standard);
}

#[tokio::test]
async fn what_the_receiver_answered_is_shown_and_stands_nowhere_in_clear() {
    let sandbox = Sandbox::new().await;
    let receiver = receiver(0).await;
    let endpoint = sandbox.add_endpoint(receiver.url(), SOURCES).await;
    let subject = track_repo(&sandbox, "acme/sdk").await;
    see(&sandbox, &subject, SourceState::Unavailable, SourceReason::NotFound).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 1).await;
    job.stop().await;
    let wanted = Wanted {
        since: None,
        until: None,
        before: None,
        status: None,
        limit: 9,
    };
    let page = journal::page(&sandbox.writer, &*sandbox.store, &endpoint, wanted).await;
    let delivery = page.unwrap().deliveries.remove(0);
    assert_eq!(delivery.event, Some(WebhookEventType::SourceDegraded));
    assert_eq!(delivery.attempts[0].answer.as_deref(), Some("noted"));
    let rows = sandbox.rows("SELECT answer FROM webhook_attempt").await;
    let kept = rows[0].blob(0).unwrap();
    assert!(!kept.windows(5).any(|part| part == b"noted"));
}

#[tokio::test]
async fn a_filter_leaves_the_sources_of_what_it_names() {
    let sandbox = Sandbox::new().await;
    let receiver = receiver(0).await;
    let new = NewEndpoint {
        filters: WebhookFilters {
            repos: vec!["acme/kit".parse().unwrap()],
            ..WebhookFilters::default()
        },
        ..Sandbox::new_endpoint(receiver.url(), SOURCES)
    };
    let endpoint = sandbox.add(new).await;
    for name in ["acme/sdk", "acme/kit"] {
        let subject = track_repo(&sandbox, name).await;
        see(&sandbox, &subject, SourceState::Restricted, SourceReason::Legal).await;
    }
    let tracked = commands::track_keyword(&sandbox.writer, account(), "docker".parse().unwrap(), None);
    let tracked = tracked.await.unwrap().value;
    let subject = SourceSubject::Keyword {
        id: tracked.keyword_id,
        keyword: tracked.keyword,
    };
    see(&sandbox, &subject, SourceState::Unavailable, SourceReason::NotFound).await;
    let job = sandbox.work(&endpoint).await;
    sandbox.comes_to(DELIVERED, 2).await;
    job.stop().await;
    let told: Vec<Value> = receiver
        .heard()
        .iter()
        .map(|request| serde_json::from_str::<Value>(&request.body).unwrap()["data"].take())
        .collect();
    assert_eq!(told[0]["tracked_repo"]["full_name"], "acme/kit");
    assert_eq!(told[1]["tracked_keyword"]["keyword"], "docker");
}
