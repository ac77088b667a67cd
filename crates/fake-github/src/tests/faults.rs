//! What GitHub does when it fails.

use super::*;
use crate::{Misbehaviour, Token};

#[tokio::test]
async fn refusals_come_in_the_order_they_were_queued_and_then_it_behaves() {
    let fake = fake().await;
    let queue = [
        Misbehaviour::Status(502),
        Misbehaviour::Suspended,
        Misbehaviour::RateLimited { reset: 1_800_000_000 },
        Misbehaviour::TooManyRequests { retry_after: 7 },
        Misbehaviour::SecondaryRateLimit { retry_after: None },
        Misbehaviour::Html,
    ];
    fake.change(|world| queue.iter().for_each(|one| world.misbehave(FEED, *one)));
    assert_eq!(
        get(&fake, "/users/ada-example").await.status,
        200,
        "another path is left alone"
    );

    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(get(&fake, FEED).await);
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [502, 403, 403, 429, 403, 200, 200]);
    let header = |index: usize, name: &str| answers[index].header(name).map(str::to_owned);
    assert!(header(0, "x-ratelimit-remaining").is_some());
    assert_eq!(header(1, "x-ratelimit-remaining"), None);
    assert_eq!(header(2, "x-ratelimit-remaining").as_deref(), Some("0"));
    assert_eq!(header(2, "x-ratelimit-reset").as_deref(), Some("1800000000"));
    assert_eq!(header(3, "retry-after").as_deref(), Some("7"));
    assert!(answers[4].body.contains("secondary rate limit"));
    assert_ne!(header(4, "x-ratelimit-remaining").as_deref(), Some("0"));
    assert_eq!(header(5, "content-type").as_deref(), Some("text/html; charset=utf-8"));
    assert!(answers[6].json().is_array());
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_comes_and_a_dropped_one_says_nothing() {
    let fake = fake().await;
    fake.change(|world| {
        world.star("acme-corp/rival-sdk", &ada(), AT);
        world.misbehave(FEED, Misbehaviour::Truncated);
        world.misbehave(FEED, Misbehaviour::Dropped);
    });
    let cut = get(&fake, FEED).await;
    let promised: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!((cut.status, cut.body.len()), (200, promised / 2));
    assert_eq!(raw(&fake, "GET", FEED, "User-Agent: test\r\n", "").await, b"");
    assert_eq!(get(&fake, FEED).await.body.len(), promised);
}

#[tokio::test]
async fn a_connection_is_reset_or_hangs_until_it_is_released() {
    let fake = fake().await;
    fake.change(|world| {
        world.misbehave(FEED, Misbehaviour::Reset);
        world.misbehave(FEED, Misbehaviour::Hang);
    });
    let address = fake.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {FEED} HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let reset = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);

    let hanging = raw(&fake, "GET", FEED, "User-Agent: test\r\n", "");
    let releasing = async {
        fake.asked(FEED, 2).await;
        fake.release();
    };
    let (bytes, ()) = tokio::join!(hanging, releasing);
    assert!(bytes.is_empty());
    let seen = fake.requests();
    assert_eq!((seen[0].status, seen[1].status), (None, None));
    assert_eq!(get(&fake, FEED).await.status, 200);
}

#[tokio::test]
async fn bodies_come_cut_spoilt_and_under_the_wrong_name() {
    let fake = fake().await;
    let queue = [
        Misbehaviour::CutJson,
        Misbehaviour::Garbage,
        Misbehaviour::OtherJson,
        Misbehaviour::WrongType,
        Misbehaviour::GraphqlError("INTERNAL"),
    ];
    fake.change(|world| {
        world.star(SDK, &ada(), AT);
        for one in queue {
            world.misbehave(FEED, one);
        }
    });
    let cut = get(&fake, FEED).await;
    let length = cut.body.len().to_string();
    assert_eq!((cut.status, cut.header("content-length")), (200, Some(&*length)));
    assert!(serde_json::from_str::<Value>(&cut.body).is_err() && cut.body.starts_with("[{"));
    let garbage = get(&fake, FEED).await;
    assert_eq!(garbage.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(serde_json::from_str::<Value>(&garbage.body).is_err());
    assert!(get(&fake, FEED).await.json().is_object());
    let text = get(&fake, FEED).await;
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.json().is_array());
    assert_eq!(get(&fake, FEED).await.json()["errors"][0]["type"], "INTERNAL");
}

#[tokio::test]
async fn an_outage_covers_the_paths_of_its_pattern_for_a_number_of_answers() {
    let fake = fake().await;
    fake.change(|world| {
        world.put_repo(Repo::new(8, "acme-corp/other"));
        world.outage("/repos/*/*/events", Misbehaviour::Status(502), 2);
    });
    assert_eq!(get(&fake, FEED).await.status, 502);
    assert_eq!(get(&fake, "/repos/acme-corp/rival-sdk").await.status, 200);
    assert_eq!(get(&fake, "/repos/acme-corp/other/events").await.status, 502);
    assert_eq!(get(&fake, FEED).await.status, 200);
    fake.change(|world| world.outage("/repos/**", Misbehaviour::Status(503), 9));
    assert_eq!(get(&fake, FEED).await.status, 503);
    assert_eq!(get(&fake, "/users/ada-example").await.status, 200);
    fake.change(crate::World::behave);
    assert_eq!(get(&fake, FEED).await.status, 200);
}

#[tokio::test]
async fn an_outage_can_last_until_a_time() {
    let (fake, clock) = with_clock().await;
    fake.change(|world| world.outage_until("/**", Misbehaviour::Status(500), NOW + 60));
    for _ in 0..3 {
        assert_eq!(get(&fake, FEED).await.status, 500);
    }
    advance(&clock, 60);
    assert_eq!(get(&fake, FEED).await.status, 200);
}

#[tokio::test]
async fn a_suspended_token_is_refused_without_a_word_of_limits_and_a_revoked_one_is_unknown() {
    let fake = fake().await;
    let suspended = Token {
        suspended: true,
        ..Token::new(1001)
    };
    fake.change(|world| world.put_token("a", suspended));
    let refused = get_as(&fake, "a", FEED).await;
    assert_eq!((refused.status, refused.header("x-ratelimit-remaining")), (403, None));
    fake.change(|world| world.put_token("a", Token::new(1001)));
    assert_eq!(get_as(&fake, "a", FEED).await.status, 200);
    fake.change(|world| world.remove_token("a"));
    assert_eq!(get_as(&fake, "a", FEED).await.status, 401);
}
