//! What is noted of each request.

use super::*;
use crate::{Bucket, Exceeded, RateLimit, Token};

#[tokio::test]
async fn requests_are_noted_with_their_query_and_headers_and_can_be_waited_for() {
    let fake = fake().await;
    let asked = fake.asked(FEED, 2);
    let asking = async {
        get_with(&fake, &format!("{FEED}?page=2"), "If-None-Match: \"x\"\r\n").await;
        get(&fake, "/users/ada-example").await;
        get(&fake, FEED).await;
    };
    let (seen, ()) = tokio::join!(asked, asking);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].method.as_str(), seen[0].query.as_str()), ("GET", "page=2"));
    assert_eq!(seen[0].header("if-none-match"), Some("\"x\""));
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn a_request_too_many_is_in_the_ledger_and_a_304_costs_nothing() {
    let (fake, clock) = with_clock().await;
    fake.change(|world| {
        world.put_token("a", Token::new(1001));
        let rate = RateLimit {
            limit: 2,
            used: 0,
            reset: NOW + 600,
        };
        world.set_rate("a", Bucket::Core, rate);
    });
    let first = get_as(&fake, "a", FEED).await;
    let tag = first.header("etag").unwrap();
    let asking = format!("Authorization: Bearer a\r\nIf-None-Match: {tag}\r\n");
    assert_eq!(get_with(&fake, FEED, &asking).await.status, 304);
    assert_eq!(get_as(&fake, "a", FEED).await.status, 200);
    let refused = get_as(&fake, "a", FEED).await;
    assert_eq!(
        (refused.status, refused.header("x-ratelimit-remaining")),
        (403, Some("0"))
    );
    let costs: Vec<u64> = fake.ledger(|all| all.iter().map(|request| request.cost).collect());
    assert_eq!(costs, [1, 0, 1, 0]);
    let exceeded = fake.exceeded();
    assert_eq!(exceeded.len(), 1);
    let one = &exceeded[0];
    assert_eq!((one.exceeded, one.status), (Some(Exceeded::Primary), Some(403)));
    assert_eq!(
        (one.at, one.token.as_deref(), one.bucket),
        (NOW, Some("a"), Bucket::Core)
    );
    advance(&clock, 600);
    assert_eq!(get_as(&fake, "a", FEED).await.status, 200);
}

#[tokio::test]
async fn bodies_are_noted_unless_details_are_not_wanted() {
    let fake = fake().await;
    let query = r#"{"query":"{ rateLimit { cost } }"}"#;
    send(&fake, "POST", "/graphql", "", query).await;
    fake.change(|world| world.note_details = false);
    send(&fake, "POST", "/graphql", "", query).await;
    let seen = fake.requests();
    assert_eq!((seen[0].body.as_str(), seen[0].bucket), (query, Bucket::Graphql));
    assert!(seen[0].header("user-agent").is_some());
    assert_eq!((seen[1].body.as_str(), seen[1].headers.len()), ("", 0));
    assert_eq!((seen[1].status, seen[1].cost), (Some(200), 1));
}
