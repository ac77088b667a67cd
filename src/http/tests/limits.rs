//! The rate limit, as clients see it.

use std::time::Duration;

use super::{Answer, NOON, house, house_on};

fn standing(answer: &Answer) -> [String; 3] {
    ["limit", "remaining", "reset"].map(|name| answer.header(&format!("x-ratelimit-{name}")).to_owned())
}

fn expected(limit: u32, remaining: u32, reset: i64) -> [String; 3] {
    [limit.to_string(), remaining.to_string(), reset.to_string()]
}

#[tokio::test]
async fn sixty_a_minute_are_exactly_sixty() {
    let house = house_on("pro").await;
    house.pass(Duration::from_secs(20));
    for nth in 1..=60 {
        let answer = house.get("/v1/tracked-repos").await;
        assert_eq!(answer.status, 200);
        assert_eq!(standing(&answer), expected(60, 60 - nth, NOON + 60));
    }
    for _ in 0..3 {
        let answer = house.get("/v1/tracked-repos").await;
        answer.is(
            429,
            "rate_limited",
            "More than 60 requests this minute; try again in 40 s",
        );
        assert_eq!(standing(&answer), expected(60, 0, NOON + 60));
        assert_eq!(answer.header("retry-after"), "40");
    }
    house.pass(Duration::from_secs(40));
    let answer = house.get("/v1/tracked-repos").await;
    assert_eq!(answer.status, 200);
    assert_eq!(standing(&answer), expected(60, 59, NOON + 120));
}

#[tokio::test]
async fn keys_of_one_account_share_its_limit_and_other_accounts_do_not() {
    let house = house_on("pro").await;
    let second = crate::commands::issue_key(&house.writer, house.account, "second".into())
        .await
        .unwrap();
    house.shown(second.position).await;
    let (_, stranger) = house.another_account("agency").await;
    house.get("/v1/leads").await;
    let answer = house.call_as(&second.value.secret, "GET", "/v1/leads", None).await;
    assert_eq!(standing(&answer), expected(60, 58, NOON + 60));
    let answer = house.call_as(&stranger, "GET", "/v1/leads", None).await;
    assert_eq!(standing(&answer), expected(300, 299, NOON + 60));
}

#[tokio::test]
async fn errors_of_a_known_key_carry_the_standing_too() {
    let house = house().await;
    let cases = [
        ("GET", "/v1/leads?limit=0", 400),
        ("GET", "/v1/leads/lead_x", 404),
        ("PUT", "/v1/leads", 405),
        ("POST", "/v1/tracked-repos", 415),
    ];
    for (nth, (method, path, status)) in (1..).zip(cases) {
        let answer = house.call(method, path, None).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(standing(&answer), expected(300, 300 - nth, NOON + 60));
    }
}
