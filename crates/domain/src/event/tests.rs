//! Every version of every event that was ever written still decodes: the fixtures are added to, never edited.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Deserialize)]
struct Fixture {
    r#type: String,
    version: u32,
    data: Value,
}

fn fixtures() -> Vec<(String, Fixture)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/events");
    let mut found: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|(a, _), (b, _): &(String, Fixture)| a.cmp(b));
    found
}

#[test]
fn every_fixture_decodes_and_current_ones_encode_to_the_same_data() {
    for (file, fixture) in fixtures() {
        assert_eq!(file, format!("{}.v{}.json", fixture.r#type, fixture.version));
        let event = Event::decode(&fixture.r#type, fixture.version, &fixture.data.to_string()).unwrap();
        if event.version() == fixture.version {
            assert_eq!(
                serde_json::from_str::<Value>(&event.encode().unwrap()).unwrap(),
                fixture.data,
                "{file}"
            );
        }
    }
}

#[test]
fn every_version_of_every_event_has_a_fixture() {
    let stored: BTreeSet<_> = fixtures()
        .into_iter()
        .map(|(_, fixture)| (fixture.r#type, fixture.version))
        .collect();
    for (name, newest) in Event::TYPES {
        for version in 1..=*newest {
            assert!(
                stored.contains(&((*name).to_owned(), version)),
                "no fixture {name}.v{version}.json"
            );
        }
    }
}

#[test]
fn an_event_of_an_older_version_is_read_as_one_of_today() {
    let old = fixtures()
        .into_iter()
        .find(|(file, _)| file == "WebhookEndpointDisabled.v1.json");
    let data = old.unwrap().1.data.to_string();
    let Event::WebhookEndpointDisabled(event) = Event::decode("WebhookEndpointDisabled", 1, &data).unwrap() else {
        panic!("another event");
    };
    assert_eq!((event.reason, event.last_failure), (DisabledReason::Gone, None));
}

#[test]
fn an_endpoint_that_was_added_by_the_first_version_hears_of_every_lead_from_then_on() {
    let old = fixtures()
        .into_iter()
        .find(|(file, _)| file == "WebhookEndpointAdded.v1.json");
    let data = old.unwrap().1.data.to_string();
    let Event::WebhookEndpointAdded(event) = Event::decode("WebhookEndpointAdded", 1, &data).unwrap() else {
        panic!("another event");
    };
    assert_eq!((event.kind, event.start_from), (WebhookKind::Webhook, StartFrom::Now));
    assert!(event.filters.is_empty());
}

#[test]
fn lead_events_that_did_not_say_the_login_are_read_with_none() {
    let login = |event: &Event| match event {
        Event::LeadCaptured(event) => Some(event.login),
        Event::LeadWithheld(event) => Some(event.login),
        Event::SignalRecorded(event) => Some(event.login),
        Event::LeadEnriched(event) => Some(event.login),
        _ => None,
    };
    let mut versions = Vec::new();
    for (_, fixture) in fixtures() {
        let event = Event::decode(&fixture.r#type, fixture.version, &fixture.data.to_string()).unwrap();
        if let Some(login) = login(&event) {
            assert_eq!(
                login.is_some(),
                fixture.version > 1,
                "{} {}",
                fixture.r#type,
                fixture.version
            );
            versions.push(fixture.version);
        }
    }
    assert_eq!(versions, [1, 2].repeat(4));
}

#[test]
fn what_is_no_event_says_why() {
    assert!(matches!(
        Event::decode("LeadPetted", 1, "{}"),
        Err(DecodeError::UnknownType(_))
    ));
    assert!(matches!(
        Event::decode("PlanChanged", 99, "{}"),
        Err(DecodeError::NewerVersion { stored: 99, .. })
    ));
    assert!(matches!(
        Event::decode("PlanChanged", 1, "{}"),
        Err(DecodeError::Malformed { .. })
    ));
}
