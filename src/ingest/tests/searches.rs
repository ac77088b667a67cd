//! Searches that GitHub refuses or breaks off, and keywords that are looked for in more places than before.

use domain::{SourceReason, SourceState};
use fake_github::Request;

use super::ladder::{Story, post};
use super::*;

const ISSUES: &str = "/search/issues";
const ACTIVE: (SourceState, SourceReason) = (SourceState::Active, SourceReason::Answered);

#[tokio::test]
async fn a_keyword_for_which_github_refuses_the_search_is_put_off_alone() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    for number in 0..5 {
        story.room.track_keyword(&format!("framework {number}")).await;
        story.github.change(|world| {
            let text = format!("Slow with Framework {number}");
            world.open_issue("some/where", &post(number + 1, 10 + number, &text), &at);
        });
    }
    story
        .github
        .change(|world| world.refused_phrases = vec!["framework 2".to_owned()]);
    story.work(Duration::from_mins(3)).await;
    for number in 0..5 {
        let is_found = !story.room.history(10 + number).await.is_empty();
        assert_eq!(is_found, number != 2, "{number}");
    }
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
