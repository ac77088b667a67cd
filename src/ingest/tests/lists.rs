//! Stargazer lists that GitHub shows badly: without an end, or with a page that fails each time.

use domain::{SourceReason, SourceState};
use fake_github::{Bucket, Misbehaviour, RateLimit, User};

use super::ladder::{SECRET, Story};
use super::*;
use crate::commands::{open_account, track_repo};

const LIST: &str = "/repos/own/sdk/stargazers";
const ACTIVE: (SourceState, SourceReason) = (SourceState::Active, SourceReason::Answered);
const SILENT: (SourceState, SourceReason) = (SourceState::Unavailable, SourceReason::NoAnswer);

/// With 250 stars of whom the list alone tells, which is long enough to be GraphQL's.
async fn long_list() -> Story {
    let story = Story::new().await;
    for id in 1..=250 {
        star_unseen(&story, id, &Timestamp::from_secs(starred_at(id)).to_string());
    }
    story
        .github
        .change(|world| world.outage(LIST, Misbehaviour::LongList, u64::MAX));
    story.own().await;
    story
}

fn starred_at(id: u64) -> i64 {
    1_775_000_000 + i64::try_from(id).unwrap() * 60
}

fn star_unseen(story: &Story, id: u64, at: &str) {
    let fan = User::new(id, &format!("fan-{id}"));
    story.github.change(|world| world.star_unseen("own/sdk", &fan, at));
}

/// The pages of the list that GraphQL was asked for, by the status of the answer.
fn asked(story: &Story, status: u16) -> usize {
    let asked = story.github.requests_to("/graphql").into_iter();
    asked
        .filter(|request| request.body.contains("stargazers(first") && request.status == Some(status))
        .count()
}

#[tokio::test]
async fn a_list_without_an_end_is_left_alone_for_a_day_and_told_as_silent() {
    let mut story = long_list().await;
    story.github.change(|world| world.endless_stargazers = true);
    story.work(Duration::from_mins(5)).await;
    story.restart().await;
    story.work(Duration::from_mins(15)).await;
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, SILENT]);
    let once = asked(&story, 200);
    assert!((400..420).contains(&once), "{once}");
    for id in 1_001..1_006 {
        // The number of stars moves meanwhile.
        star_unseen(&story, id, &story.room.clock.now().to_string());
        story.work(Duration::from_hours(4)).await;
    }
    assert_eq!(asked(&story, 200), once, "it is left alone");
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, SILENT]);

    story.work(Duration::from_hours(5)).await;
    assert!(asked(&story, 200) > once, "it is tried again");
    assert!(asked(&story, 200) < 2 * once + 20);
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, SILENT]);

    story.github.change(|world| world.endless_stargazers = false);
    story.work(Duration::from_hours(26)).await;
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, SILENT, ACTIVE]);
    assert_eq!(story.room.count("LeadCaptured").await, 255);
}

#[tokio::test]
async fn a_page_that_always_fails_does_not_hide_the_stars_before_it() {
    let mut story = long_list().await;
    let mark = format!("star:{}:151", starred_at(151));
    story.github.change(|world| world.bad_gateway_on = Some(mark));
    story.work(Duration::from_mins(10)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 100);
    assert_eq!(asked(&story, 502), 4, "once more behind what was read before it");
    story.work(Duration::from_mins(5)).await;
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, SILENT]);
    for id in 1_001..1_005 {
        star_unseen(&story, id, &story.room.clock.now().to_string());
        story.work(Duration::from_mins(70)).await;
        assert_eq!(story.room.history(id).await, ["LeadCaptured"]);
    }
    assert!(asked(&story, 502) <= 10, "{}", asked(&story, 502));
    story.work(Duration::from_hours(7)).await;
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, SILENT]);

    story.github.change(|world| world.bad_gateway_on = None);
    let before = asked(&story, 200);
    story.work(Duration::from_hours(7)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 254);
    assert_eq!(asked(&story, 200) - before, 3, "what was read before is passed over");
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, SILENT, ACTIVE]);
}

#[tokio::test]
async fn a_page_that_was_broken_off_is_asked_for_again() {
    for kind in ["RESOURCE_LIMITS_EXCEEDED", "INTERNAL"] {
        let mut story = long_list().await;
        story
            .github
            .change(|world| world.broken_off_stargazers = Some((kind, 2)));
        story.work(Duration::from_mins(20)).await;
        assert_eq!(story.room.count("LeadCaptured").await, 250, "{kind}");
        assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE], "{kind}");
    }
}

#[tokio::test]
async fn pages_of_graphql_leave_its_budget_to_what_is_more_urgent() {
    let mut story = long_list().await;
    let reset = u64::try_from(story.room.clock.now().secs()).unwrap() + 3_600;
    let rate = RateLimit {
        limit: 5_000,
        used: 4_900,
        reset,
    };
    story
        .github
        .change(|world| world.set_rate(SECRET, Bucket::Graphql, rate));
    story.work(Duration::from_mins(50)).await;
    assert_eq!((story.github.requests_to(LIST).len(), asked(&story, 200)), (1, 0));
    story.restart().await;
    story.work(Duration::from_mins(5)).await;
    assert_eq!(asked(&story, 200), 0, "nor after a restart");
    story.work(Duration::from_mins(10)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 250);
}

#[tokio::test]
async fn who_tracks_an_own_repository_later_gets_the_whole_list_and_hears_of_its_state() {
    let mut story = long_list().await;
    story.work(Duration::from_mins(20)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 250);
    let opened = open_account(&story.room.writer, "other".into(), "agency".parse().unwrap()).await;
    let (other, repo) = (opened.unwrap().value, "own/sdk".parse().unwrap());
    let relation = Some(domain::RepoRelation::Own);
    track_repo(&story.room.writer, other, repo, relation).await.unwrap();
    story.room.settle().await;
    story.work(Duration::from_mins(20)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 500);
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE, ACTIVE]);
    let before = story.github.requests_to(LIST).len();
    story.restart().await;
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.github.requests_to(LIST).len(), before, "once");
}

#[tokio::test]
async fn who_tracks_a_repository_whose_list_is_refused_hears_of_it_within_minutes() {
    let mut story = Story::new().await;
    story
        .github
        .change(|world| world.outage(LIST, Misbehaviour::Status(403), u64::MAX));
    story.own().await;
    story.work(Duration::from_mins(20)).await;
    let opened = open_account(&story.room.writer, "other".into(), "agency".parse().unwrap()).await;
    let (other, repo) = (opened.unwrap().value, "own/sdk".parse().unwrap());
    let relation = Some(domain::RepoRelation::Own);
    track_repo(&story.room.writer, other, repo, relation).await.unwrap();
    story.room.settle().await;
    story.work(Duration::from_mins(3)).await;
    let refused = (SourceState::Restricted, SourceReason::Forbidden);
    assert_eq!(story.told(Collector::StargazerList).await, [refused, refused]);
}
