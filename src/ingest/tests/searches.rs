//! Searches that GitHub refuses or breaks off, and keywords that are looked for in more places than before.

use domain::{SourceReason, SourceState};
use fake_github::{Misbehaviour, Request};

use super::ladder::{Story, post};
use super::*;
use crate::commands::{open_account, track_keyword, untrack_keyword};
use crate::ingest::source_cursor;

const ISSUES: &str = "/search/issues";
const ACTIVE: (SourceState, SourceReason) = (SourceState::Active, SourceReason::Answered);

#[tokio::test]
async fn the_plan_is_told_once_something_is_tracked() {
    let (log, _kept) = Log::kept();
    let mut story = Story::new().await;
    story.work(Duration::from_mins(1)).await;
    assert!(!log.text().contains("plan="), "{}", log.text());
    story.room.track_keyword("docker").await;
    story.work(Duration::from_mins(1)).await;
    assert!(log.text().contains("plan=2 searches in issues"), "{}", log.text());
}

/// Five keywords, each of which somebody has written.
async fn five_frameworks() -> Story {
    let story = Story::new().await;
    let at = story.room.clock.now().to_string();
    for number in 0..5 {
        story.room.track_keyword(&format!("framework {number}")).await;
        story.github.change(|world| {
            let text = format!("Slow with Framework {number}");
            world.open_issue("some/where", &post(number + 1, 10 + number, &text), &at);
        });
    }
    story
}

async fn all_are_found_but_the_third(story: &Story) {
    for number in 0..5 {
        let is_found = !story.room.history(10 + number).await.is_empty();
        assert_eq!(is_found, number != 2, "{number}");
    }
}

#[tokio::test]
async fn a_keyword_for_which_github_refuses_the_search_is_put_off_alone() {
    let mut story = five_frameworks().await;
    story
        .github
        .change(|world| world.refused_phrases = vec!["framework 2".to_owned()]);
    story.work(Duration::from_mins(3)).await;
    all_are_found_but_the_third(&story).await;
    let told = story.told(Collector::IssueSearch).await;
    assert_eq!(told.iter().filter(|state| **state == ACTIVE).count(), 4, "{told:?}");

    story.work(Duration::from_hours(1)).await;
    // What lasts is told.
    let told = story.told(Collector::IssueSearch).await;
    assert_eq!(told[4..], [(SourceState::Unavailable, SourceReason::NoAnswer)]);
    let searches = story.github.requests_to(ISSUES);
    let refused = searches.iter().filter(|search| search.status == Some(422)).count();
    assert!((5..=10).contains(&refused), "{refused}");
    let packed = |search: &&Request| search.query.contains("framework+0");
    let last = searches.iter().rfind(packed).unwrap();
    assert_eq!(last.query.matches("framework").count(), 4, "{}", last.query);

    story.github.change(|world| world.refused_phrases.clear());
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.history(12).await, ["LeadCaptured"]);
    assert_eq!(story.github.exceeded(), []);
}

#[tokio::test]
async fn a_keyword_for_which_the_search_fails_for_long_holds_up_no_other() {
    let mut story = five_frameworks().await;
    story
        .github
        .change(|world| world.failing_phrases = vec!["framework 2".to_owned()]);
    story.work(Duration::from_mins(20)).await;
    all_are_found_but_the_third(&story).await;
    story.github.change(|world| world.failing_phrases.clear());
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.history(12).await, ["LeadCaptured"]);
    let last = story.github.requests_to(ISSUES).pop().unwrap();
    assert_eq!(last.query.matches("framework").count(), 5, "{}", last.query);
}

#[tokio::test]
async fn what_a_search_shows_before_github_breaks_it_off_is_captured_and_the_rest_later() {
    let mut story = Story::new().await;
    story.room.track_keyword("docker").await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.searches_break_off = true;
        for number in 1..=4 {
            world.open_issue("some/where", &post(number, 10 + number, "docker"), &at);
        }
    });
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 2);
    story.github.change(|world| world.searches_break_off = false);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 4);
    let told = story.told(Collector::IssueSearch).await;
    assert_eq!(told, [(SourceState::Unavailable, SourceReason::NoAnswer), ACTIVE]);
}

#[tokio::test]
async fn a_search_that_github_breaks_off_each_time_goes_on_behind_what_it_shows() {
    let mut story = Story::new().await;
    story.room.track_keyword("docker").await;
    let now = story.room.clock.now();
    story.github.change(|world| {
        world.searches_break_off = true;
        for number in 0..12 {
            let at = minus_hours(now, 60 - 5 * i64::try_from(number).unwrap());
            world.open_issue("some/where", &post(number + 1, 10 + number, "docker"), &at);
        }
    });
    story.work(Duration::from_mins(10)).await;
    assert_eq!(
        story.room.count("LeadCaptured").await,
        6,
        "half of them, again and again"
    );
    story.work(Duration::from_hours(4)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 10, "the last are never shown");
    let told = story.told(Collector::IssueSearch).await;
    assert_eq!(told, [(SourceState::Unavailable, SourceReason::NoAnswer)]);
    assert!(story.busiest_minute() < 10, "{}", story.busiest_minute());
    story.github.change(|world| world.searches_break_off = false);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 12);
}

/// Without a token, a keyword that was written in 2,500 issues, a minute after each other.
async fn long_backlog() -> Story {
    let mut story = Story::new().await;
    story.restart_with(None).await;
    story.room.track_keyword("docker").await;
    let now = story.room.clock.now();
    story.github.change(|world| {
        for number in 0..2_500 {
            let at = Timestamp::from_secs(now.secs() - 200_000 + i64::try_from(number).unwrap() * 60).to_string();
            world.open_issue("some/where", &post(number + 1, 10_000 + number, "docker"), &at);
        }
    });
    story
}

#[tokio::test]
async fn a_backlog_that_takes_more_than_a_minutes_searches_is_read_to_its_end_in_every_place() {
    let mut story = long_backlog().await;
    let now = story.room.clock.now();
    story.github.change(|world| {
        for number in 0..3 {
            let at = minus_hours(now, 3);
            world.open_pull("some/where", &post(5_000 + number, 20_000 + number, "docker"), &at);
        }
    });
    story.work(Duration::from_mins(20)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 2_503);
    assert_eq!(story.github.exceeded(), []);
    let paged = |search: &&Request| search.query.contains("is%3Aissue") && search.query.contains("&page=1");
    let firsts: Vec<Request> = story.github.requests_to(ISSUES);
    assert!(firsts.iter().filter(paged).count() < 20);
}

#[tokio::test]
async fn what_one_place_shows_moves_no_other_and_a_place_that_fails_holds_up_no_other() {
    let mut story = Story::new().await;
    story.room.track_keyword("docker").await;
    let now = story.room.clock.now();
    story.github.change(|world| {
        world.searches_break_off = true;
        world.open_issue("some/where", &post(1, 11, "docker"), &minus_hours(now, 48));
        for number in 2..8 {
            let at = minus_hours(now, 20 - i64::try_from(number).unwrap());
            world.open_pull("some/where", &post(number, 10 + number, "docker"), &at);
        }
    });
    // Of one issue half is none.
    story.work(Duration::from_hours(3)).await;
    assert_eq!(story.room.history(11).await, Vec::<&str>::new());
    assert!(story.room.count("LeadCaptured").await > 3);
    story.github.change(|world| world.searches_break_off = false);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.history(11).await, ["LeadCaptured"]);
    assert_eq!(story.room.count("LeadCaptured").await, 7);
}

#[tokio::test]
async fn a_keyword_with_more_than_a_search_shows_keeps_no_other_waiting() {
    let mut story = Story::new().await;
    story.room.track_keyword("quiet").await;
    story.work(Duration::from_mins(5)).await;
    let now = story.room.clock.now();
    story.github.change(|world| {
        for number in 0..6_000 {
            let at = Timestamp::from_secs(now.secs() - 300 - i64::try_from(number).unwrap() / 4).to_string();
            world.open_issue("some/where", &post(number + 1, 10_000 + number, "docker"), &at);
        }
        let at = now.to_string();
        world.open_issue("some/where", &post(9_000, 11, "quiet"), &at);
    });
    story.room.track_keyword("docker").await;
    story.work(Duration::from_mins(15)).await;
    assert_eq!(story.room.history(11).await, ["LeadCaptured"]);
    assert_eq!(story.github.exceeded(), []);
}

#[tokio::test]
async fn a_keyword_that_is_written_too_often_says_what_it_misses_and_is_looked_for_in_its_turn() {
    let mut story = Story::new().await;
    story.room.track_keyword("docker").await;
    story.work(Duration::from_mins(10)).await;
    let gap = async |story: &Story| {
        let cursors = source_cursor::all(story.room.store()).await.unwrap();
        let mut cursors = cursors.into_iter();
        cursors.find_map(|cursor| cursor.last_gap_at)
    };
    assert_eq!(gap(&story).await, None);
    let now = story.room.clock.now();
    story.github.change(|world| {
        for number in 0..1_500 {
            world.open_issue(
                "some/where",
                &post(number + 1, 10_000 + number, "docker"),
                &now.to_string(),
            );
        }
    });
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 1_000);
    assert!(gap(&story).await > Some(now));
    let searches = story.github.requests_to(ISSUES).len();
    assert!(searches < 60, "{searches}");
    assert_eq!(story.told(Collector::IssueSearch).await, [ACTIVE]);
}

#[tokio::test]
async fn a_time_that_is_yet_to_come_hides_nothing_that_is_written_until_then() {
    let mut story = Story::new().await;
    let now = story.room.clock.now();
    story.github.change(|world| {
        for number in 0..150 {
            let hours = if number < 90 { 3 } else { -80_000 };
            let at = minus_hours(now, hours);
            world.open_issue("some/where", &post(number + 1, 10_000 + number, "docker"), &at);
        }
        // The first page is answered.
        world.misbehave(ISSUES, Misbehaviour::NoLastPage);
        world.misbehave(ISSUES, Misbehaviour::Status(502));
    });
    track_in(&story.room, story.room.account, "issues").await;
    story.room.settle().await;
    story.work(Duration::from_mins(10)).await;
    let at = story.room.clock.now().to_string();
    story
        .github
        .change(|world| world.open_issue("some/where", &post(500, 11, "docker"), &at));
    story.work(Duration::from_hours(1)).await;
    assert_eq!(story.room.history(11).await, ["LeadCaptured"]);
}

#[tokio::test]
async fn what_nobody_can_look_for_says_so() {
    let mut story = Story::new().await;
    story.restart_with(None).await;
    story.own().await;
    track_in(&story.room, story.room.account, "issues,discussions,code").await;
    story.room.settle().await;
    story.work(Duration::from_mins(2)).await;
    let without = (SourceState::Restricted, SourceReason::NoToken);
    let all = [
        Collector::DiscussionSearch,
        Collector::CodeSearch,
        Collector::StargazerList,
    ];
    for collector in all {
        assert_eq!(story.told(collector).await, [without], "{collector}");
    }
    assert_eq!(story.told(Collector::IssueSearch).await, [ACTIVE]);
    story.restart().await;
    story.work(Duration::from_mins(30)).await;
    for collector in all {
        assert_eq!(story.told(collector).await, [without, ACTIVE], "{collector}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_from_the_start_is_told_of_every_source() {
    let mut story = Story::new().await;
    story.restart_with(Some("mistyped")).await;
    story.own().await;
    story.room.track("acme/kit").await;
    track_in(&story.room, story.room.account, "issues,discussions,code").await;
    story.room.settle().await;
    story.work(Duration::from_mins(5)).await;
    let refused = (SourceState::Restricted, SourceReason::Unauthorized);
    let all = [
        (Collector::EventsFeed, 2),
        (Collector::StargazerList, 1),
        (Collector::WebhookDeliveries, 1),
        (Collector::IssueSearch, 1),
        (Collector::DiscussionSearch, 1),
        (Collector::CodeSearch, 1),
    ];
    for (collector, sources) in all {
        assert_eq!(story.told(collector).await, vec![refused; sources], "{collector}");
    }
    story.restart().await;
    story.work(Duration::from_mins(30)).await;
    for (collector, sources) in all {
        let told = story.told(collector).await;
        assert_eq!(told.len(), 2 * sources, "{collector}: {told:?}");
    }
}

#[tokio::test]
async fn a_restart_in_a_long_backlog_goes_on_where_it_was() {
    let mut story = long_backlog().await;
    for _ in 0..20 {
        story.work(Duration::from_secs(61)).await;
        story.restart_with(None).await;
    }
    assert_eq!(story.room.count("LeadCaptured").await, 2_500);
}

async fn track_in(room: &Room, account: AccountId, targets: &str) -> domain::KeywordId {
    let targets = Some(targets.parse().unwrap());
    let tracked = track_keyword(&room.writer, account, "docker".parse().unwrap(), targets).await;
    tracked.unwrap().value.keyword_id
}

#[tokio::test]
async fn whoever_looks_in_more_places_or_as_well_hears_of_the_days_before() {
    for case in [
        "more places",
        "more places, after a restart",
        "anew",
        "another account",
        "another account, after a restart",
    ] {
        let mut story = Story::new().await;
        let account = story.room.account;
        let id = track_in(&story.room, account, "issues").await;
        story.room.settle().await;
        let at = minus_hours(story.room.clock.now(), 72);
        story.github.change(|world| {
            world.open_issue("some/where", &post(1, 11, "docker"), &at);
            world.open_pull("some/where", &post(2, 12, "docker"), &at);
        });
        story.work(Duration::from_mins(30)).await;
        assert_eq!(story.room.count("LeadCaptured").await, 1, "{case}");

        match case {
            _ if case.starts_with("more places") => {
                track_in(&story.room, account, "issues,prs").await;
            }
            "anew" => {
                let keyword = "docker".parse().unwrap();
                untrack_keyword(&story.room.writer, account, &keyword, id)
                    .await
                    .unwrap();
                track_in(&story.room, account, "issues,prs").await;
            }
            _ => {
                let opened = open_account(&story.room.writer, "other".into(), "agency".parse().unwrap()).await;
                track_in(&story.room, opened.unwrap().value, "issues").await;
            }
        }
        if case.ends_with("after a restart") {
            story.restart().await;
        }
        story.room.settle().await;
        story.work(Duration::from_mins(1)).await;
        assert_eq!(story.room.count("LeadCaptured").await, 2, "{case}");
        let before = story.github.requests_to(ISSUES).len();
        story.work(Duration::from_mins(3)).await;
        assert_eq!(story.github.requests_to(ISSUES).len(), before, "{case}: once");
    }
}

fn minus_hours(at: Timestamp, hours: i64) -> String {
    Timestamp::from_secs(at.secs() - hours * 3_600).to_string()
}
