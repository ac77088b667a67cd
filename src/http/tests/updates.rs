//! What a customer notes on a lead over HTTP.

use std::time::Duration;

use domain::SignalKind::{KeywordIssue, Stargazer};
use serde_json::{Value, json};

use super::{House, house, sighting};
use crate::commands::{Allowance, erase_person, record_signals};

/// A house with one lead, and the lead's path.
async fn house_with_a_lead() -> (House, String) {
    let house = house().await;
    house
        .record([
            sighting(7, Stargazer, "acme/sdk"),
            sighting(7, KeywordIssue, "acme/sdk"),
        ])
        .await;
    house.enrich(7).await;
    let id = house.get("/v1/leads").await.json()["data"][0]["id"].clone();
    (house, format!("/v1/leads/{}", id.as_str().unwrap()))
}

#[tokio::test]
async fn an_edit_answers_with_the_whole_lead_as_it_is_read_afterwards() {
    let (house, path) = house_with_a_lead().await;
    let before = house.get(&path).await.json();
    house.pass(Duration::from_mins(1));
    let edit = json!({ "status": "contacted", "notes": "met Ada" });
    let answer = house.call("PATCH", &path, Some(edit)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("gitleads-position").parse::<u64>().is_ok());
    let mut expected = before;
    expected["status"] = json!("contacted");
    expected["notes"] = json!("met Ada");
    expected["updated_at"] = json!("2026-04-24T10:32:02Z");
    assert_eq!(answer.json(), expected);
    assert_eq!(house.get(&path).await.json(), expected);
}

#[tokio::test]
async fn what_an_edit_does_not_name_stays_and_null_clears_the_notes() {
    let (house, path) = house_with_a_lead().await;
    let edit = async |body: Value| {
        let lead = house.call("PATCH", &path, Some(body)).await.json();
        (lead["status"].clone(), lead["notes"].clone())
    };
    assert_eq!(
        edit(json!({ "notes": "met Ada" })).await,
        (json!("new"), json!("met Ada"))
    );
    assert_eq!(
        edit(json!({ "status": "replied" })).await,
        (json!("replied"), json!("met Ada"))
    );
    assert_eq!(edit(json!({ "notes": null })).await, (json!("replied"), Value::Null));
    let longest = "é".repeat(10_000);
    assert_eq!(edit(json!({ "notes": longest })).await.1, json!(longest));
    assert_eq!(edit(json!({ "notes": "" })).await, (json!("replied"), Value::Null));
}

#[tokio::test]
async fn the_same_edit_again_changes_nothing() {
    let (house, path) = house_with_a_lead().await;
    let edit = || Some(json!({ "status": "contacted", "notes": "met Ada" }));
    let first = house.call("PATCH", &path, edit()).await;
    house.pass(Duration::from_mins(1));
    let again = house.call("PATCH", &path, edit()).await;
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("gitleads-position"), again.header("gitleads-position"));
}

#[tokio::test]
async fn a_refused_edit_names_the_field() {
    let (house, path) = house_with_a_lead().await;
    let cases = [
        (json!({}), "body: must have status or notes"),
        (
            json!({ "status": "won" }),
            "status: must be one of new, contacted, replied, converted, dismissed",
        ),
        (
            json!({ "status": "erased" }),
            "status: must be one of new, contacted, replied, converted, dismissed",
        ),
        (
            json!({ "status": null }),
            "status: invalid type: null, expected a string",
        ),
        (
            json!({ "notes": 7 }),
            "notes: invalid type: integer `7`, expected a string",
        ),
        (
            json!({ "notes": "é".repeat(10_001) }),
            "notes: must have 10000 characters at most",
        ),
        (json!({ "colour": 1 }), "colour: unknown field; known are status, notes"),
    ];
    for (body, message) in cases {
        house
            .call("PATCH", &path, Some(body))
            .await
            .is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn a_lead_that_is_unknown_withheld_or_anothers_takes_no_edit() {
    let (house, path) = house_with_a_lead().await;
    let (_, stranger) = house.another_account("agency").await;
    let edit = || Some(json!({ "status": "contacted" }));
    let missing = "There is no such lead";
    let foreign = house.call_as(&stranger, "PATCH", &path, edit()).await;
    foreign.is(404, "not_found", missing);
    let unknown = "/v1/leads/lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1";
    house.call("PATCH", unknown, edit()).await.is(404, "not_found", missing);
    let over = Allowance::Room { left: 0, cap: 1 };
    let sightings = vec![sighting(8, Stargazer, "acme/sdk")];
    let recorded = record_signals(&house.writer, house.account, sightings, over).await;
    house.shown(recorded.unwrap().position).await;
    let withheld = house.get("/v1/people/ada-example-8").await.json()["id"].clone();
    let withheld = format!("/v1/leads/{}", withheld.as_str().unwrap());
    house
        .call("PATCH", &withheld, edit())
        .await
        .is(404, "not_found", missing);
}

#[tokio::test]
async fn a_lead_whose_person_was_erased_takes_no_edit() {
    let (house, path) = house_with_a_lead().await;
    let person = house.writer.vault.person_ref(house.account, 7);
    let refused = "The lead's person was erased; it takes no more changes";
    let edit = || Some(json!({ "notes": "late" }));
    // As a crash may leave it: the key is gone and the log does not say so yet.
    house.writer.vault.destroy(house.account, person).await.unwrap();
    house.call("PATCH", &path, edit()).await.is(409, "conflict", refused);
    let position = erase_person(&house.writer, house.account, person).await.unwrap();
    house.shown(position).await;
    house.call("PATCH", &path, edit()).await.is(409, "conflict", refused);
}
