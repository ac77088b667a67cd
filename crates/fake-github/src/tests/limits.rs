//! Tokens, their buckets, and what happens when one is empty.

use super::*;
use crate::{Bucket, Exceeded, Misbehaviour, RateLimit, Token};

#[tokio::test]
async fn a_used_up_rate_limit_refuses_until_it_is_set_back() {
    let fake = fake().await;
    fake.change(|world| {
        world.rate = RateLimit {
            limit: 1,
            used: 0,
            reset: 1_800_000_000,
        }
    });
    assert_eq!(get(&fake, FEED).await.header("x-ratelimit-remaining"), Some("0"));
    let refused = get(&fake, FEED).await;
    assert_eq!(
        (refused.status, refused.header("x-ratelimit-reset")),
        (403, Some("1800000000"))
    );
    fake.change(|world| world.rate.used = 0);
    assert_eq!(get(&fake, FEED).await.status, 200);
}

#[tokio::test]
async fn a_wrong_token_and_a_missing_user_agent_are_refused() {
    let fake = fake().await;
    fake.change(|world| world.put_token("ghp_example", Token::new(1001)));
    assert_eq!(get_as(&fake, "other", FEED).await.status, 401);
    for scheme in ["Bearer", "token"] {
        let answer = get_with(&fake, FEED, &format!("Authorization: {scheme} ghp_example\r\n")).await;
        assert_eq!((answer.status, answer.header("x-ratelimit-limit")), (200, Some("5000")));
    }
    let anonymous = get(&fake, FEED).await;
    assert_eq!(
        (anonymous.status, anonymous.header("x-ratelimit-limit")),
        (200, Some("60"))
    );
    let bare = raw(&fake, "GET", FEED, "", "").await;
    assert!(bare.starts_with(b"HTTP/1.1 403"));
}

#[tokio::test]
async fn each_bucket_of_each_token_stands_for_itself_and_is_told_of() {
    let (fake, clock) = with_clock().await;
    fake.change(|world| {
        world.put_token("a", Token::new(1001));
        world.put_token("b", Token::new(1002));
    });
    for (path, resource, remaining) in [
        (FEED, "core", "4999"),
        ("/search/issues?q=x", "search", "29"),
        ("/search/code?q=x", "code_search", "9"),
    ] {
        let answer = get_as(&fake, "a", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("x-ratelimit-resource"), Some(resource));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
    }
    let overview = get_as(&fake, "a", "/rate_limit").await.json();
    let resources = &overview["resources"];
    assert_eq!(resources["core"]["used"], 1, "the overview costs nothing");
    assert_eq!(resources["search"]["reset"], NOW + 60);
    assert_eq!(resources["graphql"]["remaining"], 5_000);
    assert_eq!(overview["rate"]["remaining"], 4_999);
    let other = fake.change(|world| world.rate_of("b", Bucket::Core)).unwrap();
    assert_eq!(other.used, 0);
    advance(&clock, 60);
    let overview = get_as(&fake, "a", "/rate_limit").await.json();
    assert_eq!(overview["resources"]["search"]["used"], 0);
    assert_eq!(overview["resources"]["core"]["used"], 1);
}

#[tokio::test]
async fn a_limit_that_was_told_of_holds_for_as_long_as_it_says() {
    let (fake, clock) = with_clock().await;
    let pause = Misbehaviour::SecondaryRateLimit { retry_after: Some(30) };
    fake.change(|world| world.misbehave(FEED, pause));
    assert_eq!(get(&fake, FEED).await.header("retry-after"), Some("30"));
    advance(&clock, 29);
    let early = get(&fake, "/users/ada-example").await;
    assert_eq!((early.status, early.header("retry-after")), (403, Some("1")));
    assert_eq!(fake.exceeded()[0].exceeded, Some(Exceeded::TooEarly));
    advance(&clock, 1);
    assert_eq!(get(&fake, FEED).await.status, 200);

    fake.change(|world| world.misbehave(FEED, Misbehaviour::RateLimited { reset: NOW + 90 }));
    assert_eq!(get(&fake, FEED).await.status, 403);
    assert_eq!(get(&fake, "/users/ada-example").await.status, 403);
    assert_eq!(fake.exceeded()[1].exceeded, Some(Exceeded::Primary));
    advance(&clock, 60);
    assert_eq!(get(&fake, FEED).await.status, 200);
}

#[tokio::test]
async fn more_than_nine_hundred_reads_in_a_minute_meet_the_secondary_limit() {
    let (fake, _clock) = with_clock().await;
    let address = fake.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let ask = "GET /users/ada-example HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n";
    let asks = format!("{ask}\r\n").repeat(900) + ask + "Connection: close\r\n\r\n";
    let (mut reading, mut writing) = stream.split();
    let mut bytes = Vec::new();
    let (written, read) = tokio::join!(writing.write_all(asks.as_bytes()), reading.read_to_end(&mut bytes));
    written.unwrap();
    read.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 900);
    assert!(text.contains("retry-after: 60"));
    assert_eq!(fake.exceeded()[0].exceeded, Some(Exceeded::Secondary));
}

#[tokio::test]
async fn code_search_and_graphql_are_not_for_the_anonymous() {
    let fake = fake().await;
    fake.change(|world| world.put_token("a", Token::new(1001)));
    assert_eq!(get(&fake, "/search/code?q=x").await.status, 401);
    assert_eq!(send(&fake, "POST", "/graphql", "", "{}").await.status, 401);
    assert!(fake.exceeded().is_empty());
    let search = get(&fake, "/search/issues?q=x").await;
    assert_eq!(search.header("x-ratelimit-limit"), Some("10"));
}
