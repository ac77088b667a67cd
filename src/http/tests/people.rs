//! What an account holds on a person, over HTTP, and what is left after an erasure.

use std::time::Duration;

use domain::SignalKind::{KeywordIssue, Stargazer};
use serde_json::{Value, json};

use super::{House, house, sighting};
use crate::commands::{Allowance, record_signals};

/// A house with one lead who was renamed from `ada-example-7` to `ada-example`, and the lead's path.
async fn house_with_ada() -> (House, String) {
    let house = house().await;
    house
        .record([
            sighting(7, Stargazer, "acme/sdk"),
            sighting(7, KeywordIssue, "acme/sdk"),
        ])
        .await;
    house.enrich(7).await;
    let id = house.get("/v1/leads").await.json()["data"][0]["id"].clone();
    let path = format!("/v1/leads/{}", id.as_str().unwrap());
    let edit = json!({ "status": "contacted", "notes": "met Ada" });
    assert_eq!(house.call("PATCH", &path, Some(edit)).await.status, 200);
    (house, path)
}

#[tokio::test]
async fn a_person_is_found_by_the_newest_name_in_any_letter_case_with_all_that_is_held() {
    let (house, path) = house_with_ada().await;
    let mut expected = house.get(&path).await.json();
    expected["github_user_id"] = json!(7);
    expected["withheld"] = json!(false);
    expected["events"] = json!([
        { "type": "LeadCaptured", "count": 1 },
        { "type": "SignalRecorded", "count": 1 },
        { "type": "LeadEnriched", "count": 1 },
        { "type": "LeadUpdated", "count": 1 },
    ]);
    for name in ["ada-example", "Ada-EXAMPLE", "ada%2Dexample", "id:7", "id%3A07"] {
        assert_eq!(house.get(&format!("/v1/people/{name}")).await.json(), expected);
    }
    for name in [
        "ada-example-7",
        "ben-example",
        "%20",
        "id:8",
        "id:",
        "id:+7",
        "id:99999999999999999999",
        "7",
    ] {
        house
            .get(&format!("/v1/people/{name}"))
            .await
            .is(404, "not_found", "There is no such person");
    }
}

#[tokio::test]
async fn a_withheld_person_is_found_and_said_to_be_withheld() {
    let house = house().await;
    let over = Allowance::Room { left: 0, cap: 1 };
    let sightings = vec![sighting(7, Stargazer, "acme/sdk")];
    let recorded = record_signals(&house.writer, house.account, sightings, over).await;
    house.shown(recorded.unwrap().position).await;
    let person = house.get("/v1/people/ada-example-7").await.json();
    assert_eq!(
        (&person["withheld"], &person["github_user_id"]),
        (&json!(true), &json!(7))
    );
    assert_eq!(person["events"], json!([{ "type": "LeadWithheld", "count": 1 }]));
    let path = format!("/v1/leads/{}", person["id"].as_str().unwrap());
    assert_eq!(house.get(&path).await.status, 404);
    assert_eq!(house.call("DELETE", "/v1/people/ada-example-7", None).await.status, 204);
    assert_eq!(house.get("/v1/people/ada-example-7").await.status, 404);
    assert_eq!(house.get(&path).await.status, 404);
}

#[tokio::test]
async fn an_erased_person_is_gone_and_the_lead_says_no_more_than_that() {
    let (house, path) = house_with_ada().await;
    let before = house.get(&path).await.json();
    house.pass(Duration::from_mins(1));
    let answer = house.call("DELETE", "/v1/people/Ada-Example", None).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    assert!(answer.header("gitleads-position").parse::<u64>().is_ok());
    for method in ["DELETE", "GET"] {
        house
            .call(method, "/v1/people/ada-example", None)
            .await
            .is(404, "not_found", "There is no such person");
    }
    let expected = json!({
        "id": before["id"], "signal_type": "stargazer", "signal_source": null, "github_username": null,
        "name": null, "email": null, "bio": null, "company": null, "location": null,
        "followers": null, "top_languages": [], "captured_at": before["captured_at"],
        "signal_context": null, "github_profile_url": null, "public_repos": null, "account_created_at": null,
        "status": "erased", "notes": null, "signals": [], "provenance": {}, "updated_at": "2026-04-24T10:32:02Z",
    });
    assert_eq!(house.get(&path).await.json(), expected);
    assert_eq!(house.get("/v1/leads").await.json()["data"], json!([]));
    house.record([sighting(7, Stargazer, "rival/kit")]).await;
    assert_eq!(house.get("/v1/leads").await.json()["data"], json!([]));
    assert_eq!(house.get("/v1/people/ada-example").await.status, 404);
}

/// A star of a moment in the past, under the login of that time.
fn former(number: u64, login: &str, at: &str) -> crate::commands::Sighting {
    let mut sighting = sighting(number, Stargazer, "rival/kit");
    sighting.person.login = login.into();
    sighting.occurred_at = at.parse().unwrap();
    sighting
}

#[tokio::test]
async fn what_an_archive_tells_of_former_logins_leads_an_erasure_to_nobody_else() {
    let house = house().await;
    let of = |number, login| former(number, login, "2026-01-01T00:00:00Z");
    house.record([of(1, "ada-example"), of(2, "ben-example")]).await;
    house.record([former(2, "ada-example", "2015-01-01T00:00:00Z")]).await;
    for (name, number) in [("ada-example", 1), ("ben-example", 2), ("id:2", 2)] {
        let person = house.get(&format!("/v1/people/{name}")).await.json();
        assert_eq!(person["github_user_id"], json!(number), "{name}");
    }
    assert_eq!(house.call("DELETE", "/v1/people/ada-example", None).await.status, 204);
    let of_ben = house.get("/v1/people/ben-example").await.json()["id"].clone();
    let of_ben = format!("/v1/people/{}", of_ben.as_str().unwrap());
    assert_eq!(house.get(&of_ben).await.json()["github_user_id"], 2);
    for name in ["ada-example", "id:1", "lead_00000000000000000000000000"] {
        let again = house.call("DELETE", &format!("/v1/people/{name}"), None).await;
        again.is(404, "not_found", "There is no such person");
    }
    assert_eq!(house.call("DELETE", &of_ben, None).await.status, 204);
    for name in ["ben-example", "id:2"] {
        assert_eq!(house.get(&format!("/v1/people/{name}")).await.status, 404);
    }
    assert_eq!(house.call("DELETE", &of_ben, None).await.status, 404);
    assert_eq!(house.get("/v1/leads").await.json()["data"], json!([]));
}

#[tokio::test]
async fn an_erasure_that_broke_off_is_completed_by_the_same_request() {
    let (house, path) = house_with_ada().await;
    let person = house.writer.vault.person_ref(house.account, 7);
    house.writer.vault.destroy(house.account, person).await.unwrap();
    let held = house.get("/v1/people/ada-example").await.json();
    assert_eq!((&held["github_username"], &held["notes"]), (&Value::Null, &Value::Null));
    assert_eq!(house.call("DELETE", "/v1/people/ada-example", None).await.status, 204);
    assert_eq!(house.get(&path).await.json()["status"], "erased");
}

#[tokio::test]
async fn another_accounts_person_is_neither_shown_nor_erased() {
    let (house, path) = house_with_ada().await;
    let (_, stranger) = house.another_account("agency").await;
    for method in ["GET", "DELETE"] {
        house
            .call_as(&stranger, method, "/v1/people/ada-example", None)
            .await
            .is(404, "not_found", "There is no such person");
    }
    assert_eq!(house.get(&path).await.json()["github_username"], "ada-example");
}
