//! What GitHub's webhooks told while nobody was there, from GitHub's record of it.

use domain::{SourceReason, SourceState};
use fake_github::{Delivery, Misbehaviour, Request, Token, User};

use super::ladder::{OWNER, SECRET, Story, post};
use super::*;
use crate::ingest::github_webhook::remembering;

const OURS: &str = "https://leads.example.com/github/webhooks";
const HOOKS: &str = "/repos/own/sdk/hooks";
const ACTIVE: (SourceState, SourceReason) = (SourceState::Active, SourceReason::Answered);

/// An own repository with a webhook, whose list of stargazers is not shown and whose feed tells of no stars: only the
/// webhook and its record do.
async fn story() -> (Story, u64) {
    let story = Story::new().await;
    let hook = story.github.change(|world| {
        world.outage("/repos/own/sdk/stargazers", Misbehaviour::Status(404), u64::MAX);
        world.put_hook("own/sdk", "https://ci.example.com/build", &["push"]);
        world.put_hook("own/sdk", OURS, &["star", "issues"])
    });
    story.own().await;
    (story, hook)
}

/// GitHub tells of a star of that person, who gave or took it back, and the receiver answers with this status.
fn deliver(story: &Story, hook: u64, id: u64, action: &str, status: u16) -> Delivery {
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        let payload = world.star_payload("own/sdk", &User::new(id, &format!("fan-{id}")), action, &at);
        world.deliver(hook, "star", &payload, status).unwrap()
    })
}

fn payloads(story: &Story) -> Vec<String> {
    let is_one = |request: &&Request| request.path.contains("/deliveries/");
    let requests = story.github.requests();
    requests
        .iter()
        .filter(is_one)
        .map(|request| request.path.clone())
        .collect()
}

#[tokio::test]
async fn what_did_not_arrive_is_brought_once_and_in_its_order() {
    let (mut story, hook) = story().await;
    story.room.track_keyword("docker").await;
    deliver(&story, hook, 1, "created", 202);
    deliver(&story, hook, 2, "created", 502);
    let arrived = deliver(&story, hook, 3, "created", 0);
    let taken = remembering(&[&arrived.guid], story.room.clock.now()).unwrap();
    story.room.store().write(taken).await.unwrap();
    story.room.clock.advance(Duration::from_secs(5));
    deliver(&story, hook, 2, "deleted", 0);
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.open_issue("own/sdk", &post(1, 4, "docker?"), &at);
        let (event, opened) = world.thread_payload("own/sdk", 1, "opened").unwrap();
        let (_, closed) = world.thread_payload("own/sdk", 1, "closed").unwrap();
        world.deliver(hook, event, &opened, 500).unwrap();
        world.deliver(hook, event, &closed, 500).unwrap();
        // Neither the search nor the feed tells of the issue before the record does.
        world.outage("/search/issues", Misbehaviour::Status(503), u64::MAX);
        world.outage("/repos/own/sdk/events", Misbehaviour::Status(503), u64::MAX);
    });
    story.work(Duration::from_mins(5)).await;

    assert_eq!(story.room.history(1).await, Vec::<&str>::new(), "it arrived elsewhere");
    assert_eq!(story.room.history(2).await, ["LeadCaptured", "StarTakenBack"]);
    assert_eq!(story.room.history(3).await, Vec::<&str>::new(), "it came another way");
    assert_eq!(story.room.history(4).await, ["LeadCaptured"]);
    let signal = story.room.first_captured().await;
    assert_eq!(signal.collector, Collector::WebhookDeliveries);
    assert_eq!(signal.occurred_at.to_string(), "2026-04-10T12:00:00Z");
    assert_eq!(payloads(&story).len(), 3);

    story.restart().await;
    story.work(Duration::from_hours(3)).await;
    assert_eq!(payloads(&story).len(), 3, "each once");
    assert_eq!(story.github.exceeded(), []);
}

#[tokio::test]
async fn a_star_that_was_given_again_is_not_taken_back_by_what_is_told_late() {
    let (mut story, hook) = story().await;
    let given = |story: &Story, id, collector| Activity {
        occurred_at: story.room.clock.now(),
        collector,
        ..star(id, "own/sdk")
    };
    let webhook = Collector::GithubWebhook;
    let all = (1..=3).map(|id| given(&story, id, webhook)).collect();
    story.room.ingest.accept(all).await.unwrap();
    story.room.clock.advance(Duration::from_mins(5));
    for id in 1..=3 {
        deliver(&story, hook, id, "deleted", 0);
    }
    story.room.clock.advance(Duration::from_mins(4));
    // One is told of by the webhook that told of the star before, one by another source.
    let again = vec![given(&story, 1, webhook), given(&story, 2, Collector::EventsFeed)];
    story.room.ingest.accept(again).await.unwrap();
    story.work(Duration::from_mins(5)).await;
    assert_eq!(story.room.history(1).await, ["LeadCaptured"]);
    assert_eq!(story.room.history(2).await, ["LeadCaptured"]);
    assert_eq!(story.room.history(3).await, ["LeadCaptured", "StarTakenBack"]);
    assert_eq!(payloads(&story).len(), 3);

    // What is told of it later than that holds.
    story.room.clock.advance(Duration::from_mins(4));
    deliver(&story, hook, 1, "deleted", 0);
    story.room.clock.advance(Duration::from_mins(4));
    story.room.ingest.accept(vec![given(&story, 3, webhook)]).await.unwrap();
    story.work(Duration::from_mins(20)).await;
    assert_eq!(story.room.history(1).await, ["LeadCaptured", "StarTakenBack"]);
    let again = ["LeadCaptured", "StarTakenBack", "StarGivenAgain"];
    assert_eq!(story.room.history(3).await, again);
}

#[tokio::test]
async fn a_delivery_that_is_sent_again_happened_when_it_was_sent_first() {
    let (mut story, hook) = story().await;
    let given = |story: &Story| Activity {
        occurred_at: story.room.clock.now(),
        collector: Collector::GithubWebhook,
        ..star(1, "own/sdk")
    };
    story.room.ingest.accept(vec![given(&story)]).await.unwrap();
    story.room.clock.advance(Duration::from_mins(1));
    let deleted = deliver(&story, hook, 1, "deleted", 0);
    story.room.clock.advance(Duration::from_mins(1));
    story.room.ingest.accept(vec![given(&story)]).await.unwrap();
    story.room.clock.advance(Duration::from_mins(1));
    story.github.change(|world| world.redeliver(hook, &deleted, 0));
    story.work(Duration::from_mins(5)).await;
    assert_eq!(payloads(&story).len(), 1);
    assert_eq!(story.room.history(1).await, ["LeadCaptured"]);
}

#[tokio::test]
async fn a_long_record_is_walked_and_read_on_where_it_was_broken_off() {
    let (mut story, hook) = story().await;
    for id in 1..=730 {
        deliver(&story, hook, id, "created", if id % 5 == 0 { 0 } else { 200 });
    }
    // The server is ended in the midst of it, again and again.
    for _ in 0..20 {
        story.work(Duration::from_secs(1)).await;
        story.restart().await;
    }
    story.work(Duration::from_mins(5)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 146);
    let mut read = payloads(&story);
    let all = read.len();
    read.sort_unstable();
    read.dedup();
    assert_eq!((read.len(), all), (146, 146), "each payload was read once");
}

#[tokio::test]
async fn a_walk_whose_next_page_is_gone_begins_anew_with_the_webhooks_that_there_are() {
    for is_removed in [true, false] {
        let (mut story, hook) = story().await;
        deliver(&story, hook, 1, "created", 0);
        for id in 10..=540 {
            deliver(&story, hook, id, "created", 200);
        }
        let pages = format!("{HOOKS}/{hook}/deliveries");
        walk(&mut story, &pages, 5).await;
        let missed = if is_removed {
            let another = story.github.change(|world| {
                world.remove_hook(hook);
                world.put_hook("own/sdk", OURS, &["star"])
            });
            deliver(&story, another, 2, "created", 0);
            2
        } else {
            story
                .github
                .change(|world| world.misbehave(&pages, Misbehaviour::Status(422)));
            1
        };
        let before = story.github.requests().len();
        story.work(Duration::from_hours(1)).await;
        assert_eq!(story.room.history(missed).await, ["LeadCaptured"], "{is_removed}");
        let requests = story.github.requests();
        let mut of_hooks = requests
            .iter()
            .skip(before)
            .filter(|request| request.path.starts_with(HOOKS));
        assert_eq!(of_hooks.next().map(|request| &request.path), Some(&pages));
        assert_eq!(of_hooks.next().map(|request| request.path.as_str()), Some(HOOKS));
        assert_eq!(story.told(Collector::WebhookDeliveries).await, [ACTIVE], "{is_removed}");
    }
}

/// Goes on until the record was asked for so many pages.
async fn walk(story: &mut Story, pages: &str, count: usize) {
    for _ in 0..1_000 {
        if story.github.requests_to(pages).len() >= count {
            return;
        }
        story.work(Duration::from_millis(50)).await;
    }
    panic!("the record is not walked");
}

#[tokio::test]
async fn what_is_noted_is_read_though_the_record_cannot_be_walked_to_its_end() {
    for fault in [
        Misbehaviour::Status(404),
        Misbehaviour::Status(422),
        Misbehaviour::Status(500),
        Misbehaviour::Garbage,
    ] {
        let (mut story, hook) = story().await;
        for id in 10..=540 {
            deliver(&story, hook, id, "created", 200);
        }
        deliver(&story, hook, 1, "created", 0);
        let pages = format!("{HOOKS}/{hook}/deliveries");
        walk(&mut story, &pages, 5).await;
        story.github.change(|world| world.outage(&pages, fault, u64::MAX));
        story.work(Duration::from_mins(20)).await;
        assert_eq!(story.room.history(1).await, ["LeadCaptured"], "{fault:?}");
        story.work(Duration::from_hours(1)).await;
        assert_ne!(story.told(Collector::WebhookDeliveries).await, [ACTIVE], "{fault:?}");
        // A walk that comes to no end does not keep from what is new.
        recover(&story);
        deliver(&story, hook, 2, "created", 0);
        story.work(Duration::from_hours(26)).await;
        assert_eq!(story.room.history(2).await, ["LeadCaptured"], "{fault:?}");
        let told = story.told(Collector::WebhookDeliveries).await;
        assert_eq!(told.last(), Some(&ACTIVE), "{fault:?}");
    }
}

#[tokio::test]
async fn a_record_whose_next_page_is_never_there_says_so_and_what_is_new_is_read() {
    let (mut story, hook) = story().await;
    let pages = format!("{HOOKS}/{hook}/deliveries");
    story
        .github
        .change(|world| world.outage(&pages, Misbehaviour::NextCursor("none"), u64::MAX));
    deliver(&story, hook, 1, "created", 0);
    story.work(Duration::from_hours(1)).await;
    assert_eq!(story.room.history(1).await, ["LeadCaptured"]);
    let silent = (SourceState::Unavailable, SourceReason::NoAnswer);
    assert_eq!(story.told(Collector::WebhookDeliveries).await, [ACTIVE, silent]);
    deliver(&story, hook, 2, "created", 0);
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.room.history(2).await, ["LeadCaptured"]);
    assert!(story.busiest_minute() <= 20, "{}", story.busiest_minute());
}

#[tokio::test]
async fn a_webhook_whose_record_cannot_be_read_keeps_no_other_from_being_walked() {
    for status in [500, 403, 404] {
        let (mut story, hook) = story().await;
        let another = story.github.change(|world| world.put_hook("own/sdk", OURS, &["star"]));
        let pages = format!("{HOOKS}/{hook}/deliveries");
        story
            .github
            .change(|world| world.outage(&pages, Misbehaviour::Status(status), u64::MAX));
        deliver(&story, another, 1, "created", 0);
        story.work(Duration::from_mins(5)).await;
        assert_eq!(story.room.history(1).await, ["LeadCaptured"], "{status}");
        deliver(&story, another, 2, "created", 0);
        story.work(Duration::from_mins(30)).await;
        assert_eq!(story.room.history(2).await, ["LeadCaptured"], "{status}");
        let told = story.told(Collector::WebhookDeliveries).await;
        assert!(!told.is_empty() && !told.contains(&ACTIVE), "{status}: {told:?}");
    }
}

#[tokio::test]
async fn a_record_that_leads_to_the_same_page_again_ends_there() {
    // One leads back to the newest page, the other to one on which nothing is.
    for cursor in ["999999999999", "0"] {
        let (mut story, hook) = story().await;
        let pages = format!("{HOOKS}/{hook}/deliveries");
        story
            .github
            .change(|world| world.outage(&pages, Misbehaviour::NextCursor(cursor), u64::MAX));
        deliver(&story, hook, 1, "created", 0);
        story.work(Duration::from_mins(5)).await;
        assert_eq!(story.room.history(1).await, ["LeadCaptured"], "{cursor}");
        assert_eq!(story.github.requests_to(&pages).len(), 2, "{cursor}");
        assert_eq!(story.told(Collector::WebhookDeliveries).await, [ACTIVE], "{cursor}");
    }
}

#[tokio::test]
async fn the_walk_of_a_very_long_record_rests_and_what_was_noted_is_read_meanwhile() {
    let (mut story, hook) = story().await;
    deliver(&story, hook, 1, "created", 0);
    for id in 10..=2_150 {
        deliver(&story, hook, id, "created", 200);
    }
    deliver(&story, hook, 2, "created", 0);
    let another = story.github.change(|world| world.put_hook("own/sdk", OURS, &["star"]));
    deliver(&story, another, 3, "created", 0);
    let pages = format!("{HOOKS}/{hook}/deliveries");
    story.work(Duration::from_mins(5)).await;
    assert_eq!(story.github.requests_to(&pages).len(), 20);
    assert_eq!(story.room.history(1).await, Vec::<&str>::new());
    assert_eq!(story.room.history(2).await, ["LeadCaptured"]);
    assert_eq!(story.room.history(3).await, ["LeadCaptured"]);
    story.work(Duration::from_mins(20)).await;
    assert_eq!(story.github.requests_to(&pages).len(), 22);
    assert_eq!(story.room.history(1).await, ["LeadCaptured"]);
}

#[tokio::test]
async fn a_quiet_record_costs_nothing() {
    let (mut story, hook) = story().await;
    deliver(&story, hook, 1, "created", 200);
    story.work(Duration::from_hours(1)).await;
    let before = story.github.requests().len();
    story.work(Duration::from_hours(4)).await;
    let of_hooks: Vec<Request> = story
        .github
        .requests()
        .into_iter()
        .skip(before)
        .filter(|request| request.path.starts_with(HOOKS))
        .collect();
    assert!((20..=40).contains(&of_hooks.len()), "{}", of_hooks.len());
    assert_eq!(of_hooks.iter().map(|request| request.cost).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_webhook_that_does_not_reach_us_says_so_until_it_does() {
    let (mut story, hook) = story().await;
    deliver(&story, hook, 1, "created", 200);
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.told(Collector::GithubWebhook).await, [ACTIVE]);
    deliver(&story, hook, 2, "created", 0);
    story.work(Duration::from_hours(1)).await;
    let silent = (SourceState::Unavailable, SourceReason::NoAnswer);
    assert_eq!(story.told(Collector::GithubWebhook).await, [ACTIVE, silent]);
    assert_eq!(story.room.history(2).await, ["LeadCaptured"]);
    story.room.clock.advance(Duration::from_hours(25));
    deliver(&story, hook, 3, "created", 200);
    story.work(Duration::from_hours(1)).await;
    assert_eq!(story.told(Collector::GithubWebhook).await, [ACTIVE, silent, ACTIVE]);
    assert_eq!(story.told(Collector::WebhookDeliveries).await, [ACTIVE]);

    // Somebody deletes it.
    story.github.change(|world| world.remove_hook(hook));
    story.work(Duration::from_hours(25)).await;
    let gone = (SourceState::Unavailable, SourceReason::NotFound);
    assert_eq!(story.told(Collector::GithubWebhook).await.last(), Some(&gone));
}

#[tokio::test]
async fn where_the_token_may_not_look_it_says_so_and_is_tried_once_a_day() {
    for (status, reason) in [
        (401, SourceReason::Unauthorized),
        (403, SourceReason::Forbidden),
        (404, SourceReason::NotFound),
    ] {
        let (mut story, hook) = story().await;
        story.github.change(|world| match status {
            404 => world.put_token(SECRET, Token::new(OWNER + 1)),
            other => world.outage(HOOKS, Misbehaviour::Status(other), u64::MAX),
        });
        deliver(&story, hook, 1, "created", 0);
        story.work(Duration::from_hours(30)).await;
        let refused = (SourceState::Restricted, reason);
        assert_eq!(story.told(Collector::WebhookDeliveries).await, [refused], "{status}");
        assert_eq!(story.told(Collector::GithubWebhook).await, [], "{status}");
        assert_eq!(story.github.requests_to(HOOKS).len(), 2, "{status}");

        // Once it may, it finds what GitHub still remembers.
        story.github.change(|world| {
            world.behave();
            world.put_token(SECRET, Token::new(OWNER));
        });
        story.work(Duration::from_hours(26)).await;
        assert_eq!(
            story.told(Collector::WebhookDeliveries).await,
            [refused, ACTIVE],
            "{status}"
        );
        assert_eq!(story.room.history(1).await, ["LeadCaptured"], "{status}");
    }
}

#[tokio::test]
async fn faults_on_the_way_lose_nothing() {
    for (pattern, fault) in [
        ("/repos/own/sdk/hooks", Misbehaviour::Status(502)),
        ("/repos/own/sdk/hooks/*/deliveries", Misbehaviour::Truncated),
        ("/repos/own/sdk/hooks/*/deliveries", Misbehaviour::OtherJson),
        ("/repos/own/sdk/hooks/*/deliveries/*", Misbehaviour::Garbage),
        ("/repos/own/sdk/hooks/*/deliveries/*", Misbehaviour::Status(500)),
        (
            "/repos/own/sdk/hooks/*/deliveries/*",
            Misbehaviour::SecondaryRateLimit { retry_after: Some(40) },
        ),
        ("/repos/own/sdk/hooks/**", Misbehaviour::Dropped),
    ] {
        let (mut story, hook) = story().await;
        for id in 1..=3 {
            deliver(&story, hook, id, "created", 0);
        }
        story.github.change(|world| world.outage(pattern, fault, 4));
        story.work(Duration::from_hours(2)).await;
        assert_eq!(story.room.count("LeadCaptured").await, 3, "{pattern} {fault:?}");
        assert!(
            story.busiest_minute() <= 20,
            "{pattern} {fault:?}: {}",
            story.busiest_minute()
        );
    }
}

/// Deliveries that are noted and not read.
async fn noted(story: &Story) -> i64 {
    let text = "SELECT count(*) FROM missed_delivery";
    let query = database::Statement::sql(text, Vec::new());
    story.room.store().read(query).await.unwrap()[0].int(0).unwrap()
}

/// GitHub shows everything again but the list of stargazers.
fn recover(story: &Story) {
    story.github.change(|world| {
        world.behave();
        world.outage("/repos/own/sdk/stargazers", Misbehaviour::Status(404), u64::MAX);
    });
}

#[tokio::test]
async fn one_that_cannot_be_read_holds_up_no_other_and_is_read_once_it_can_be() {
    for fault in [
        Misbehaviour::Status(500),
        Misbehaviour::Status(403),
        Misbehaviour::Garbage,
        Misbehaviour::Truncated,
    ] {
        let (mut story, hook) = story().await;
        let first = deliver(&story, hook, 1, "created", 0);
        deliver(&story, hook, 2, "created", 0);
        deliver(&story, hook, 3, "created", 0);
        let path = format!("{HOOKS}/{hook}/deliveries/{}", first.id);
        story.github.change(|world| world.outage(&path, fault, u64::MAX));
        story.work(Duration::from_mins(5)).await;
        assert_eq!(story.room.history(2).await, ["LeadCaptured"], "{fault:?}");
        assert_eq!(story.room.history(3).await, ["LeadCaptured"], "{fault:?}");
        assert_eq!(story.told(Collector::WebhookDeliveries).await, [ACTIVE], "{fault:?}");
        story.work(Duration::from_hours(4)).await;
        let asked = story.github.requests_to(&path).len();
        assert!((3..=5).contains(&asked), "{fault:?}: {asked}");
        recover(&story);
        story.work(Duration::from_hours(5)).await;
        assert_eq!(story.room.history(1).await, ["LeadCaptured"], "{fault:?}");
        assert_eq!(noted(&story).await, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn one_that_is_never_shown_is_given_up_when_github_has_forgotten_it() {
    let (log, _kept) = Log::kept();
    let (mut story, hook) = story().await;
    let delivery = deliver(&story, hook, 1, "created", 0);
    let path = format!("{HOOKS}/{hook}/deliveries/{}", delivery.id);
    story
        .github
        .change(|world| world.outage(&path, Misbehaviour::Status(500), u64::MAX));
    story.work(Duration::from_hours(1)).await;
    assert_eq!(noted(&story).await, 1);
    assert!(!log.text().contains("lost"), "{}", log.text());
    story.room.clock.advance(Duration::from_hours(72));
    story.work(Duration::from_hours(1)).await;
    assert_eq!(noted(&story).await, 0);
    let text = log.text();
    let lost = text.lines().find(|line| line.contains("lost=1")).unwrap();
    assert!(
        lost.contains("WARN") && !lost.contains("fan-1") && !lost.contains("own/sdk"),
        "{lost}"
    );
    let asked = story.github.requests_to(&path).len();
    recover(&story);
    story.work(Duration::from_hours(1)).await;
    assert_eq!(story.github.requests_to(&path).len(), asked);
    assert_eq!(story.told(Collector::WebhookDeliveries).await, [ACTIVE]);
}

#[tokio::test]
async fn while_none_can_be_read_little_is_asked() {
    let (mut story, hook) = story().await;
    for id in 1..=24 {
        deliver(&story, hook, id, "created", 0);
    }
    let pattern = "/repos/own/sdk/hooks/*/deliveries/*";
    story
        .github
        .change(|world| world.outage(pattern, Misbehaviour::Status(500), u64::MAX));
    story.work(Duration::from_hours(2)).await;
    let asked = payloads(&story).len();
    assert!((15..=30).contains(&asked), "{asked}");
    recover(&story);
    story.work(Duration::from_hours(5)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 24);
}

#[tokio::test]
async fn what_nobody_tracks_any_more_is_forgotten() {
    let (mut story, hook) = story().await;
    deliver(&story, hook, 1, "created", 0);
    story.github.change(|world| {
        world.outage(
            "/repos/own/sdk/hooks/*/deliveries/*",
            Misbehaviour::Status(502),
            u64::MAX,
        );
    });
    story.work(Duration::from_mins(5)).await;
    assert_eq!(noted(&story).await, 1);
    let tracked = projections::tracked_repos::list(&*story.room.ingest.views, story.room.account).await;
    let row = tracked.unwrap().remove(0);
    commands::untrack_repo(&story.room.writer, story.room.account, &row.full_name, row.repo_id)
        .await
        .unwrap();
    story.room.settle().await;
    story.work(Duration::from_mins(5)).await;
    assert_eq!(noted(&story).await, 0);
}
