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
            "github": [],
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

#[tokio::test]
async fn the_usage_tells_what_github_grants_the_tokens_that_work_for_the_account() {
    let house = house().await;
    let at = |second: i64| (super::NOON + second) * 1_000_000;
    let budget = |token: &str, resource: &str, remaining: i64, resets: i64, blocked: Option<i64>| {
        database::Statement::insert(
            "rate_budget (token, resource, granted, remaining, resets_at, blocked_until, noted_at, is_refused)",
            "",
            vec![
                token.into(),
                resource.into(),
                5_000_i64.into(),
                remaining.into(),
                at(resets).into(),
                blocked.map(at).into(),
                at(-60).into(),
                blocked.is_some().into(),
            ],
        )
    };
    let rows = vec![
        budget("host", "core", 4_000, 600, None),
        budget("host", "graphql", 7, -1, Some(30)),
        budget(&house.account.to_string(), "core", 1, 600, Some(-30)),
        budget("acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1", "core", 3, 600, None),
    ];
    house.store.write(rows).await.unwrap();
    let told = |token: &str, resource: &str, remaining: i64, resets: &str, blocked: Option<&str>| {
        json!({
            "token": token, "resource": resource, "limit": 5_000, "remaining": remaining, "resets_at": resets,
            "blocked_until": blocked, "is_refused": blocked.is_some(), "noted_at": "2026-04-24T10:30:00Z",
        })
    };
    assert_eq!(
        house.get("/v1/usage").await.json()["github"],
        json!([
            told("account", "core", 1, "2026-04-24T10:41:00Z", None),
            told("host", "core", 4_000, "2026-04-24T10:41:00Z", None),
            told(
                "host",
                "graphql",
                5_000,
                "2026-04-24T10:30:59Z",
                Some("2026-04-24T10:31:30Z")
            ),
        ])
    );
}
