//! A keyword that is tried on what was recorded.

use std::time::Duration;

use domain::SignalKind::{self, KeywordCode, KeywordIssue, KeywordPr, Stargazer};
use serde_json::{Value, json};

use super::*;
use crate::commands::Sighting;

/// Somebody's text, so many days before.
fn wrote(user_id: u64, kind: SignalKind, text: &str, days_ago: i64) -> Sighting {
    let mut wrote = sighting(user_id, kind, "acme/sdk");
    wrote.person.snippet = Some(text.to_owned());
    wrote.occurred_at = Timestamp::from_secs(NOON - days_ago * 86_400);
    wrote
}

impl House {
    async fn try_out(&self, body: Value) -> Value {
        let answer = self.call("POST", "/v1/tracked-keywords/dry-run", Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

#[tokio::test]
async fn a_keyword_tells_what_it_would_have_found_and_changes_nothing() {
    let house = house().await;
    house
        .record([
            wrote(1, KeywordIssue, "we run Kafka with event sourcing", 2),
            wrote(2, KeywordPr, "event sourcing without kafkaesque detours", 2),
            wrote(3, KeywordIssue, "event sourcing on KAFKA\n streams", 1),
            wrote(4, KeywordCode, "kafka in code", 1),
            sighting(5, Stargazer, "acme/sdk"),
            wrote(3, KeywordPr, "again: kafka", 1),
        ])
        .await;
    let head = house.writer.log.head().await.unwrap();
    let outcome = house.try_out(json!({ "keyword": " Kafka " })).await;
    let leads = house.get("/v1/leads").await.json();
    let id = |user: u64| {
        let rows = leads["data"].as_array().unwrap().iter();
        let mut rows = rows.filter(|row| row["github_username"] == format!("ada-example-{user}"));
        rows.next().unwrap()["id"].clone()
    };
    let sample = |user: u64, kind: &str, snippet: &str, occurred_at: &str| {
        json!({
            "lead_id": id(user), "signal_type": kind, "source": "acme/sdk",
            "url": format!("https://github.com/acme/sdk/issues/{user}"), "snippet": snippet,
            "occurred_at": occurred_at,
        })
    };
    assert_eq!(
        outcome,
        json!({
            "keyword": "Kafka", "scan_targets": ["issues", "prs", "discussions"], "matches": 3,
            "by_day": [{ "date": "2026-04-22", "count": 1 }, { "date": "2026-04-23", "count": 2 }],
            "samples": [
                sample(3, "keyword_pr", "again: kafka", "2026-04-23T10:31:00Z"),
                sample(3, "keyword_issue", "event sourcing on KAFKA\n streams", "2026-04-23T10:31:00Z"),
                sample(1, "keyword_issue", "we run Kafka with event sourcing", "2026-04-22T10:31:00Z"),
            ],
            "searched": 4, "searched_since": "2026-04-24T10:31:01Z",
        })
    );
    let code = json!({ "keyword": "kafka", "scan_targets": ["code"] });
    let code = house.try_out(code).await;
    assert_eq!((&code["matches"], &code["searched"]), (&json!(1), &json!(1)));
    assert_eq!(house.writer.log.head().await.unwrap(), head);
    assert_eq!(house.get("/v1/tracked-keywords").await.json(), json!({ "data": [] }));
}

#[tokio::test]
async fn nothing_is_told_of_withheld_erased_and_other_accounts_people() {
    let house = house().await;
    let full = Allowance::Room { left: 0, cap: 50 };
    let withheld = vec![wrote(1, KeywordIssue, "kafka", 1)];
    record_signals(&house.writer, house.account, withheld, full)
        .await
        .unwrap();
    house.record([wrote(2, KeywordIssue, "kafka", 1)]).await;
    let person = house.writer.vault.person_ref(house.account, 2);
    house.writer.vault.destroy(house.account, person).await.unwrap();
    let (stranger, _) = house.another_account("agency").await;
    let theirs = vec![wrote(3, KeywordIssue, "kafka", 1)];
    let recorded = record_signals(&house.writer, stranger, theirs, Allowance::Unlimited).await;
    house.shown(recorded.unwrap().position).await;
    assert_eq!(
        house.try_out(json!({ "keyword": "kafka" })).await,
        json!({
            "keyword": "kafka", "scan_targets": ["issues", "prs", "discussions"], "matches": 0, "by_day": [],
            "samples": [], "searched": 0, "searched_since": null,
        })
    );
}

#[tokio::test]
async fn the_newest_20_000_signals_are_looked_through() {
    let house = house().await;
    for hundred in 0..3 {
        let crowd = (0..7_000).map(|user| wrote(hundred * 7_000 + user, KeywordIssue, "kafka", 0));
        let recorded = record_signals(&house.writer, house.account, crowd.collect(), Allowance::Unlimited).await;
        house.shown(recorded.unwrap().position).await;
        house.pass(Duration::from_secs(1));
    }
    let outcome = house.try_out(json!({ "keyword": "kafka" })).await;
    assert_eq!(
        (&outcome["matches"], &outcome["searched"]),
        (&json!(20_000), &json!(20_000))
    );
    assert_eq!(outcome["samples"].as_array().unwrap().len(), 10);
    assert_eq!(outcome["searched_since"], "2026-04-24T10:31:00.001002Z");
}

#[tokio::test]
async fn a_refused_keyword_names_the_field() {
    let house = house().await;
    for (body, message) in [
        (json!({}), "keyword: is missing"),
        (
            json!({ "keyword": "x" }),
            "keyword: must have 2 to 256 characters after trimming",
        ),
        (
            json!({ "keyword": "rust", "scan_targets": ["wiki"] }),
            "scan_targets[0]: must be one of issues, prs, discussions, code",
        ),
        (
            json!({ "keyword": "rust", "since": "now" }),
            "since: unknown field; known are keyword, scan_targets",
        ),
    ] {
        house
            .call("POST", "/v1/tracked-keywords/dry-run", Some(body))
            .await
            .is(400, "bad_request", message);
    }
    assert_eq!(house.get("/v1/tracked-keywords/dry-run").await.status, 405);
}
