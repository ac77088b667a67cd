//! Feeds of events: pages, windows, late and repeated events.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_feed_is_newest_first_and_its_pages_are_linked() {
    let fake = fake().await;
    fake.change(|world| {
        for number in 0..5 {
            world.star(
                "acme-corp/rival-sdk",
                &User::new(2000 + number, &format!("fan-{number}")),
                AT,
            );
        }
    });
    let first = get(&fake, &format!("{FEED}?per_page=2")).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-poll-interval"), Some("60"));
    assert_eq!(first.header("content-type"), Some("application/json; charset=utf-8"));
    let events = first.json();
    assert_eq!(events.as_array().unwrap().len(), 2);
    assert_eq!(events[0]["type"], "WatchEvent");
    assert_eq!(events[0]["actor"]["login"], "fan-4");
    assert_eq!(events[0]["repo"]["name"], "acme-corp/rival-sdk");
    assert_eq!(events[0]["payload"]["action"], "started");
    assert_eq!(events[0]["created_at"], AT);

    let base = fake.url();
    let link = first.header("link").unwrap();
    assert!(
        link.contains(&format!(
            "<{base}/repositories/7/events?per_page=2&page=2>; rel=\"next\""
        )),
        "{link}"
    );
    assert!(
        link.contains(&format!(
            "<{base}/repositories/7/events?per_page=2&page=3>; rel=\"last\""
        )),
        "{link}"
    );
    let last = get(&fake, "/repositories/7/events?per_page=2&page=3").await;
    assert_eq!(last.json()[0]["actor"]["login"], "fan-0");
    assert_eq!(
        get(&fake, "/repos/acme-corp/rival-sdk").await.json()["stargazers_count"],
        5
    );
}

#[tokio::test]
async fn a_feed_ends_after_three_hundred_events() {
    let fake = fake().await;
    fake.change(|world| (0..310).for_each(|_| drop(world.star("acme-corp/rival-sdk", &ada(), AT))));
    let first = get(&fake, &format!("{FEED}?per_page=100")).await;
    assert!(first.header("link").unwrap().contains("page=3>; rel=\"last\""));
    assert_eq!(
        get(&fake, &format!("{FEED}?per_page=100&page=3"))
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        100
    );
    assert_eq!(get(&fake, &format!("{FEED}?per_page=100&page=4")).await.status, 422);
    assert_eq!(get(&fake, FEED).await.json().as_array().unwrap().len(), 15);
}

#[tokio::test]
async fn an_unchanged_answer_is_a_304_that_costs_nothing_until_something_happens() {
    let fake = fake().await;
    let first = get(&fake, FEED).await;
    let tag = first.header("etag").unwrap();
    assert_eq!(first.header("x-ratelimit-remaining"), Some("4999"));

    let asking = format!("If-None-Match: {tag}\r\n");
    let again = get_with(&fake, FEED, &asking).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some(tag));
    assert_eq!(again.header("x-poll-interval"), Some("60"));
    assert_eq!(again.header("x-ratelimit-remaining"), Some("4999"));

    fake.change(|world| world.star("acme-corp/rival-sdk", &ada(), AT));
    let changed = get_with(&fake, FEED, &asking).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag));
    assert_eq!(changed.header("x-ratelimit-remaining"), Some("4998"));
}

async fn ids(fake: &FakeGithub, target: &str) -> Vec<String> {
    get(fake, target).await.each("/id")
}

#[tokio::test]
async fn late_events_stand_where_their_time_puts_them_and_repeated_ones_stand_twice() {
    let fake = fake().await;
    let payload = json!({ "action": "started" });
    let (first, second, late) = fake.change(|world| {
        let first = world.star(SDK, &ada(), "2026-11-22T16:00:00Z");
        let second = world.star(SDK, &ben(), "2026-11-22T16:10:00Z");
        let late = world.happen_late(SDK, &ada(), "WatchEvent", &payload, "2026-11-22T16:05:00Z");
        (first, second, late)
    });
    assert_eq!(ids(&fake, FEED).await, [&*second, &*late, &*first]);
    assert_eq!(ids(&fake, "/events").await, [&*second, &*late, &*first]);
    fake.change(|world| world.repeat_event(SDK, &first));
    assert_eq!(ids(&fake, FEED).await, [&*first, &*second, &*late, &*first]);
}

#[tokio::test]
async fn the_public_feed_has_what_happens_everywhere_but_in_private() {
    let fake = fake().await;
    fake.change(|world| {
        world.put_repo(Repo {
            private: true,
            ..Repo::new(8, "acme-corp/secret")
        });
        world.star("acme-corp/secret", &ada(), AT);
        world.star(SDK, &ada(), AT);
        world.star("someone/else", &ben(), AT);
    });
    let events = get(&fake, "/events?per_page=100").await;
    assert_eq!(events.each("/repo/name"), ["someone/else", SDK]);
    assert_eq!(events.header("x-poll-interval"), Some("60"));
    assert_eq!(get(&fake, "/events?per_page=100&page=4").await.status, 422);
}

#[tokio::test]
async fn events_of_more_than_thirty_days_ago_are_gone() {
    let (fake, clock) = with_clock().await;
    fake.change(|world| world.star(SDK, &ada(), AT));
    advance(&clock, 30 * 24 * 3_600);
    assert_eq!(get(&fake, FEED).await.entries(), 1);
    advance(&clock, 1);
    assert_eq!(get(&fake, FEED).await.entries(), 0);
}
