//! One star, told of by every source that there is: one signal, and each source is counted once.

use std::io::Cursor;

use fake_github::User;

use super::ladder::Story;
use super::webhooks::{SECRET, signed};
use super::*;
use crate::ingest::sighting;

/// Who starred it, and when.
const FAN: u64 = 7;
const AT: &str = "2026-04-10T11:59:58Z";

/// GitHub's webhook tells of it.
async fn by_webhook(story: &Story, delivery: &str) {
    let user = User::new(FAN, "fan-7");
    let payload = story
        .github
        .change(|world| world.star_payload("own/sdk", &user, "created", AT));
    let body = payload.to_string();
    let (signature, ingest) = (signed(&body), &story.room.ingest);
    let receipt = receive(
        ingest,
        Some(SECRET),
        Some(delivery),
        Some("star"),
        Some(&signature),
        body.as_bytes(),
    );
    assert!(matches!(receipt.await.unwrap(), Receipt::Accepted(_)));
}

/// The archive's hour holds it.
async fn by_archive(story: &Story) {
    let line = format!(
        r#"{{"id":"1","type":"WatchEvent","actor":{{"id":{FAN},"login":"fan-7"}},"repo":{{"id":1,"name":"own/sdk"}},"payload":{{"action":"started"}},"public":true,"created_at":"{AT}"}}"#
    );
    backfill(&story.room.ingest, Cursor::new(line.into_bytes()), "hour.json", |_| ())
        .await
        .unwrap();
}

/// How many signals each source told of that another had brought.
async fn further(story: &Story) -> Vec<(String, u64)> {
    sighting::count(story.room.store(), story.room.account).await.unwrap()
}

#[tokio::test]
async fn the_same_star_by_webhook_list_feed_and_archive_is_one_signal_and_four_sightings() {
    let all = [
        Collector::Archive,
        Collector::EventsFeed,
        Collector::GithubWebhook,
        Collector::StargazerList,
    ];
    for first in [Collector::GithubWebhook, Collector::Archive, Collector::StargazerList] {
        let mut story = Story::new().await;
        story.own().await;
        story
            .github
            .change(|world| world.star("own/sdk", &User::new(FAN, "fan-7"), AT));
        match first {
            Collector::GithubWebhook => by_webhook(&story, "d-1").await,
            Collector::Archive => by_archive(&story).await,
            _ => {}
        }
        // The scheduler reads the list and the feed, the restart has it do so once more.
        for round in 0..2 {
            story.work(Duration::from_hours(8)).await;
            by_webhook(&story, &format!("d-2{round}")).await;
            by_archive(&story).await;
            story.restart().await;
        }
        let lists = story.github.requests_to("/repos/own/sdk/stargazers").len();
        assert!(lists > 1 && !story.github.requests_to("/repos/own/sdk/events").is_empty());
        assert_eq!(story.room.history(FAN).await, ["LeadCaptured"], "{first}");
        let signal = story.room.first_captured().await;
        assert_eq!(signal.occurred_at.to_string(), AT);
        if first != Collector::StargazerList {
            assert_eq!(signal.collector, first);
        }
        let others = all.iter().filter(|collector| **collector != signal.collector);
        let expected: Vec<(String, u64)> = others.map(|collector| (collector.to_string(), 1)).collect();
        assert_eq!(
            further(&story).await,
            expected,
            "{first}: with the first, four sources told of it"
        );
    }
}
