//! The account, its plan and what it has used.

use domain::SignalKind::Stargazer;
use serde_json::json;

use super::{house, house_on, sighting};
use crate::commands::{Allowance, change_plan, record_signals};

#[tokio::test]
async fn an_account_tells_its_plan_and_what_that_grants() {
    let house = house().await;
    let account = |plan: &str, requests: u32, leads: Option<u32>| {
        json!({
            "id": house.account, "name": "Acme", "plan": plan,
            "grants": { "api": true, "requests_per_minute": requests, "leads_per_month": leads },
            "created_at": "2026-04-24T10:31:00Z",
        })
    };
    assert_eq!(house.get("/v1/account").await.json(), account("agency", 300, None));
    let position = change_plan(&house.writer, house.account, "pro".parse().unwrap())
        .await
        .unwrap();
    house.shown(position).await;
    assert_eq!(house.get("/v1/account").await.json(), account("pro", 60, Some(500)));
}

#[tokio::test]
async fn the_usage_is_that_of_the_month_and_of_the_minute() {
    let house = house_on("pro").await;
    house
        .record([
            sighting(1, Stargazer, "acme/sdk"),
            sighting(2, Stargazer, "acme/sdk"),
            sighting(1, Stargazer, "acme/docs"),
        ])
        .await;
    let full = Allowance::Room { left: 0, cap: 500 };
    let withheld = record_signals(
        &house.writer,
        house.account,
        vec![sighting(3, Stargazer, "acme/sdk")],
        full,
    )
    .await
    .unwrap();
    house.shown(withheld.position).await;
    let answer = house.get("/v1/usage").await;
    let reset: i64 = answer.header("x-ratelimit-reset").parse().unwrap();
    assert_eq!(
        answer.json(),
        json!({
            "month": "2026-04", "captured": 2, "withheld": 1, "cap": 500,
            "rate_limit": { "limit": 60, "remaining": 59, "reset": reset },
        })
    );
    assert_eq!(answer.header("x-ratelimit-remaining"), "59");

    house.pass(std::time::Duration::from_hours(24 * 10));
    let later = house.get("/v1/usage").await.json();
    assert_eq!(
        (&later["month"], &later["captured"], &later["withheld"]),
        (&json!("2026-05"), &json!(0), &json!(0))
    );
}

#[tokio::test]
async fn an_account_reads_its_own_usage_alone() {
    let house = house().await;
    let (stranger, key) = house.another_account("pro").await;
    house.record([sighting(1, Stargazer, "acme/sdk")]).await;
    let usage = house.call_as(&key, "GET", "/v1/usage", None).await.json();
    assert_eq!((&usage["captured"], &usage["cap"]), (&json!(0), &json!(500)));
    let account = house.call_as(&key, "GET", "/v1/account", None).await.json();
    assert_eq!(account["id"], json!(stranger));
}
