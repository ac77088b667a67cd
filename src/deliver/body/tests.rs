//! What the bodies of deliveries hold, key by key.

use std::slice;

use domain::{Collector, Profile};
use event_log::Scope;
use serde_json::{Value, json};

use super::*;
use crate::commands::{self, Allowance, Sighting};
use crate::deliver::sandbox::{Sandbox, account};

/// The bodies of everything in the log that is a webhook.
async fn bodies(sandbox: &Sandbox) -> Vec<Option<Value>> {
    let page = sandbox.writer.log.read(Scope::All, Position::START, 100).await.unwrap();
    let mut bodies = Vec::new();
    for recorded in page.events.iter().filter(|recorded| told_as(&recorded.event).is_some()) {
        let person = recorded.stream.person().unwrap();
        let history = sandbox
            .writer
            .log
            .read_streams(slice::from_ref(&recorded.stream))
            .await
            .unwrap()
            .remove(0);
        let keys = sandbox.writer.vault.keys(account(), &[person]).await.unwrap();
        let body = render(&history, recorded.position, person, &keys).unwrap();
        if stands_alone(recorded) {
            let alone = render(slice::from_ref(recorded), recorded.position, person, &keys).unwrap();
            assert_eq!(body, alone);
        }
        bodies.push(body.map(|body| serde_json::from_slice(&body).unwrap()));
    }
    bodies
}

fn profile() -> Profile {
    Profile {
        login: "ada-renamed".into(),
        name: Some("Ada Example".into()),
        email: Some("ada@example.com".into()),
        bio: Some("Staff engineer".into()),
        company: Some("Example".into()),
        location: Some("London".into()),
        followers: Some(1_842),
        public_repos: Some(64),
        account_created_at: Some("2015-06-01T12:00:00Z".parse().unwrap()),
        top_languages: vec!["Rust".into(), "Go".into()],
        ..Profile::default()
    }
}

fn comment() -> Sighting {
    Sighting {
        kind: SignalKind::KeywordIssue,
        keyword: Some("event sourcing".parse().unwrap()),
        occurred_at: "2026-04-24T09:00:00Z".parse().unwrap(),
        collector: Collector::EventsFeed,
        person: SignalPerson {
            user_id: 7,
            login: "ada-example-7".into(),
            repo: "acme-corp/rival-sdk".parse().unwrap(),
            url: Some("https://github.com/acme-corp/rival-sdk/issues/1".into()),
            snippet: Some("we do event sourcing here".into()),
            attribution: None,
        },
    }
}

#[tokio::test]
async fn a_star_is_told_with_unknown_fields_null() {
    let sandbox = Sandbox::new().await;
    sandbox.star(7).await;
    let body = bodies(&sandbox).await.remove(0).unwrap();
    let expected = json!({
        "event": "lead.created",
        "type": "lead.created",
        "id": body["id"],
        "timestamp": "2026-04-24T10:31:00Z",
        "data": {
            "id": body["data"]["id"],
            "signal_type": "stargazer",
            "signal_source": "acme-corp/rival-sdk",
            "signal_context": "Starred on 2026-04-24",
            "github_username": "ada-example-7",
            "github_profile_url": "https://github.com/ada-example-7",
            "name": null, "email": null, "bio": null, "company": null, "location": null,
            "followers": null, "public_repos": null, "account_created_at": null,
            "top_languages": [],
            "captured_at": "2026-04-24T10:31:00Z",
        },
    });
    assert_eq!(body, expected);
    assert!(body["id"].as_str().unwrap().starts_with("evt_"));
    assert!(body["data"]["id"].as_str().unwrap().starts_with("lead_"));
}

#[tokio::test]
async fn a_keyword_lead_also_has_keyword_url_and_snippet() {
    let sandbox = Sandbox::new().await;
    commands::record_signals(&sandbox.writer, account(), vec![comment()], Allowance::Unlimited)
        .await
        .unwrap();
    let body = bodies(&sandbox).await.remove(0).unwrap();
    let data = &body["data"];
    assert_eq!(data["signal_type"], "keyword_issue");
    assert_eq!(data["signal_context"], "we do event sourcing here");
    assert_eq!(data["keyword"], "event sourcing");
    assert_eq!(data["url"], "https://github.com/acme-corp/rival-sdk/issues/1");
    assert_eq!(data["snippet"], "we do event sourcing here");
}

#[tokio::test]
async fn a_further_signal_is_told_with_the_lead_as_it_was_captured() {
    let sandbox = Sandbox::new().await;
    sandbox.star(7).await;
    sandbox.clock.advance(std::time::Duration::from_mins(1));
    let mut former = comment();
    former.person.login = "ada-former-7".into();
    commands::record_signals(&sandbox.writer, account(), vec![former], Allowance::Unlimited)
        .await
        .unwrap();
    sandbox.enrich(7, "Staff engineer").await;
    let [captured, further, enriched] = bodies(&sandbox).await.try_into().unwrap();
    let (captured, further, enriched) = (captured.unwrap(), further.unwrap(), enriched.unwrap());
    assert_eq!(further["event"], "lead.signal_added");
    assert_eq!(further["timestamp"], "2026-04-24T10:32:00Z");
    let data = &further["data"];
    assert_eq!(
        (&data["id"], &data["captured_at"]),
        (&captured["data"]["id"], &captured["data"]["captured_at"])
    );
    assert_eq!(
        (&data["signal_type"], &data["keyword"]),
        (&json!("keyword_issue"), &json!("event sourcing"))
    );
    assert_eq!(
        (&data["github_username"], &data["github_profile_url"]),
        (&json!("ada-example-7"), &json!("https://github.com/ada-example-7"))
    );
    // Everything else goes on about the signal that made the lead.
    assert_eq!(enriched["data"]["signal_type"], "stargazer");
}

#[tokio::test]
async fn a_filter_looks_at_the_signal_that_the_event_is_about_and_lets_every_erasure_through() {
    let sandbox = Sandbox::new().await;
    sandbox.star(7).await;
    commands::record_signals(&sandbox.writer, account(), vec![comment()], Allowance::Unlimited)
        .await
        .unwrap();
    let person = sandbox.person(7);
    let filters = WebhookFilters {
        signal_types: vec![SignalKind::KeywordIssue],
        repos: vec!["Acme-Corp/rival-sdk".parse().unwrap()],
        keywords: Vec::new(),
    };
    let other = WebhookFilters {
        repos: vec!["acme-corp/other".parse().unwrap()],
        ..WebhookFilters::default()
    };
    let fitting = async |filters: &WebhookFilters| {
        let stream = domain::StreamId::lead(account(), person);
        let mut read = sandbox.writer.log.read_streams(slice::from_ref(&stream)).await.unwrap();
        let history = read.remove(0);
        let keys = sandbox.writer.vault.keys(account(), &[person]).await.unwrap();
        let fit = |recorded: &Recorded| fits(filters, &history, recorded.position, person, &keys).unwrap();
        history.iter().map(fit).collect::<Vec<bool>>()
    };
    assert_eq!(fitting(&filters).await, [false, true]);
    assert_eq!(fitting(&other).await, [false, false]);
    assert_eq!(fitting(&WebhookFilters::default()).await, [true, true]);
    commands::erase_person(&sandbox.writer, account(), person)
        .await
        .unwrap();
    assert_eq!(fitting(&other).await.pop(), Some(true));
}

#[tokio::test]
async fn a_test_names_the_endpoint_and_nobody() {
    let at = "2026-04-24T10:31:00Z".parse().unwrap();
    let told = test(
        WebhookEventType::WebhookTest,
        WebhookEndpointId::default(),
        EventId::default(),
        at,
    )
    .unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let expected = json!({
        "event": "webhook.test", "type": "webhook.test", "id": EventId::default().to_string(),
        "timestamp": "2026-04-24T10:31:00Z", "data": {"endpoint_id": WebhookEndpointId::default().to_string()},
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_enriched_lead_is_told_whole_and_earlier_bodies_stay_as_they_were() {
    let sandbox = Sandbox::new().await;
    sandbox.star(7).await;
    let before = bodies(&sandbox).await;
    commands::enrich_lead(&sandbox.writer, account(), sandbox.person(7), profile())
        .await
        .unwrap();
    let mut after = bodies(&sandbox).await;
    assert_eq!(after[0], before[0]);
    let body = after.remove(1).unwrap();
    assert_eq!(body["event"], "lead.enriched");
    let data = &body["data"];
    assert_eq!(data["id"], before[0].as_ref().unwrap()["data"]["id"]);
    assert_eq!(data["github_username"], "ada-renamed");
    assert_eq!(data["github_profile_url"], "https://github.com/ada-renamed");
    assert_eq!(data["name"], "Ada Example");
    assert_eq!(data["email"], "ada@example.com");
    assert_eq!(data["followers"], 1_842);
    assert_eq!(data["public_repos"], 64);
    assert_eq!(data["account_created_at"], "2015-06-01");
    assert_eq!(data["top_languages"], json!(["Rust", "Go"]));
    assert_eq!(data["signal_context"], "Starred on 2026-04-24");
}

#[tokio::test]
async fn a_withheld_lead_is_told_at_its_release_and_with_that_time() {
    let sandbox = Sandbox::new().await;
    sandbox.star_within(7, Allowance::Room { left: 0, cap: 50 }).await;
    sandbox.enrich(7, "Staff engineer").await;
    assert!(bodies(&sandbox).await.is_empty());
    sandbox.clock.advance(std::time::Duration::from_hours(24));
    commands::release_leads(&sandbox.writer, account(), &[sandbox.person(7)])
        .await
        .unwrap();
    let mut told = bodies(&sandbox).await;
    assert_eq!(told.len(), 1);
    let body = told.remove(0).unwrap();
    assert_eq!(body["event"], "lead.created");
    assert_eq!(body["data"]["captured_at"], "2026-04-25T10:31:00Z");
    assert_eq!(body["data"]["signal_context"], "Starred on 2026-04-24");
    assert_eq!(body["data"]["bio"], "Staff engineer");
}

#[tokio::test]
async fn nothing_is_told_of_an_erased_person() {
    let sandbox = Sandbox::new().await;
    sandbox.star(7).await;
    sandbox
        .writer
        .vault
        .destroy(account(), sandbox.person(7))
        .await
        .unwrap();
    assert_eq!(bodies(&sandbox).await, [None]);
}

#[tokio::test]
async fn an_edit_is_told_with_status_and_notes_beside_the_lead() {
    let sandbox = Sandbox::new().await;
    sandbox.star(7).await;
    sandbox.edit(7, "met Ada at the fair").await;
    let body = bodies(&sandbox).await.pop().unwrap().unwrap();
    assert_eq!(
        (&body["event"], &body["type"]),
        (&json!("lead.updated"), &json!("lead.updated"))
    );
    let data = &body["data"];
    assert_eq!(data["github_username"], "ada-example-7");
    assert_eq!(data["status"], "contacted");
    assert_eq!(data["notes"], "met Ada at the fair");
}

#[tokio::test]
async fn of_an_erased_person_the_erasure_alone_is_told_even_with_the_key_at_hand() {
    let sandbox = Sandbox::new().await;
    sandbox.star(7).await;
    sandbox.edit(7, "met Ada at the fair").await;
    let lead = bodies(&sandbox).await[0].as_ref().unwrap()["data"]["id"].clone();
    let person = sandbox.person(7);
    let keys = sandbox.writer.vault.keys(account(), &[person]).await.unwrap();
    commands::erase_person(&sandbox.writer, account(), person)
        .await
        .unwrap();
    let stream = domain::StreamId::lead(account(), person);
    let history = sandbox
        .writer
        .log
        .read_streams(slice::from_ref(&stream))
        .await
        .unwrap()
        .remove(0);
    let told = history
        .iter()
        .map(|recorded| render(&history, recorded.position, person, &keys).unwrap());
    let mut told: Vec<Option<Bytes>> = told.collect();
    let erased: Value = serde_json::from_slice(&told.pop().unwrap().unwrap()).unwrap();
    assert_eq!(told, [None, None]);
    let expected = json!({
        "event": "lead.erased", "type": "lead.erased", "id": erased["id"], "timestamp": "2026-04-24T10:31:00.000002Z",
        "data": {"id": lead, "erased_at": "2026-04-24T10:31:00.000002Z"},
    });
    assert_eq!(erased, expected);
}

#[tokio::test]
async fn edits_and_erasures_of_a_withheld_lead_are_told_to_nobody() {
    let sandbox = Sandbox::new().await;
    sandbox.star_within(7, Allowance::Room { left: 0, cap: 50 }).await;
    sandbox.edit(7, "met Ada at the fair").await;
    commands::erase_person(&sandbox.writer, account(), sandbox.person(7))
        .await
        .unwrap();
    assert!(bodies(&sandbox).await.is_empty());
}

#[test]
fn every_event_has_a_sample_of_its_own_kind() {
    let (endpoint, id) = (WebhookEndpointId::default(), EventId::default());
    for event in WebhookEventType::ALL.iter().copied() {
        let body = test(event, endpoint, id, Timestamp::from_secs(1_777_026_660)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["event"], event.as_str());
        let of_source = body["data"]["tracked_repo"]["full_name"] == "acme-corp/rival-sdk";
        assert_eq!(of_source, event == WebhookEventType::SourceDegraded, "{body}");
    }
}
