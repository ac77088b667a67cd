//! Each way in which GitHub fails, for a while: what is said of the source and when it is taken back, how much is asked
//! meanwhile, and that nothing is lost which GitHub still shows afterwards.

use domain::{SourceReason, SourceState};
use fake_github::{Misbehaviour, Refusal, Request, Token, User};

use super::ladder::{OWNER, SECRET, Story, post};
use super::*;

const ACTIVE: Told = (SourceState::Active, SourceReason::Answered);
const FEED: &str = "/repos/acme/kit/events";
const LIST: &str = "/repos/own/sdk/stargazers";
const SEARCH: &str = "/search/issues";
const GRAPHQL: &str = "/graphql";
const ALL: &str = "/**";
/// How long each fails.
const HOURS: u64 = 3;

type Told = (SourceState, SourceReason);

/// A failure of some paths.
struct Case {
    paths: &'static str,
    fault: Misbehaviour,
    collector: Collector,
    told: Told,
}

const fn case(
    paths: &'static str,
    fault: Misbehaviour,
    collector: Collector,
    state: SourceState,
    reason: SourceReason,
) -> Case {
    Case {
        paths,
        fault,
        collector,
        told: (state, reason),
    }
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    use Collector::{DiscussionSearch, EventsFeed, IssueSearch, StargazerList};
    use Misbehaviour::{CutJson, Dropped, Garbage, GraphqlError, Html, OtherJson, Reset, SecondaryRateLimit, Status, Suspended, TooManyRequests, Truncated};
    use SourceReason::{Forbidden, Legal, NoAnswer, NotFound, RateLimit, Unauthorized};
    use SourceState::{RateLimited, Restricted, Unavailable};
    vec![
        case(FEED, Status(401), EventsFeed, Restricted, Unauthorized),
        case(FEED, Status(403), EventsFeed, Restricted, Forbidden),
        case(FEED, Status(404), EventsFeed, Unavailable, NotFound),
        case(FEED, Status(451), EventsFeed, Restricted, Legal),
        case(FEED, Status(500), EventsFeed, Unavailable, NoAnswer),
        case(FEED, Status(502), EventsFeed, Unavailable, NoAnswer),
        case(FEED, Truncated, EventsFeed, Unavailable, NoAnswer),
        case(FEED, Garbage, EventsFeed, Unavailable, NoAnswer),
        case(FEED, CutJson, EventsFeed, Unavailable, NoAnswer),
        case(FEED, OtherJson, EventsFeed, Unavailable, NoAnswer),
        case(FEED, Html, EventsFeed, Unavailable, NoAnswer),
        case(FEED, Reset, EventsFeed, Unavailable, NoAnswer),
        case(FEED, SecondaryRateLimit { retry_after: Some(120) }, EventsFeed, RateLimited, RateLimit),
        case(LIST, Status(401), StargazerList, Restricted, Unauthorized),
        case(LIST, Status(403), StargazerList, Restricted, Forbidden),
        case(LIST, Status(404), StargazerList, Restricted, NotFound),
        case(LIST, Status(503), StargazerList, Unavailable, NoAnswer),
        case(LIST, Garbage, StargazerList, Unavailable, NoAnswer),
        case(SEARCH, Status(403), IssueSearch, Restricted, Forbidden),
        case(SEARCH, Status(422), IssueSearch, Unavailable, NoAnswer),
        case(SEARCH, CutJson, IssueSearch, Unavailable, NoAnswer),
        case(SEARCH, TooManyRequests { retry_after: 300 }, IssueSearch, RateLimited, RateLimit),
        case(GRAPHQL, Status(502), DiscussionSearch, Unavailable, NoAnswer),
        case(GRAPHQL, GraphqlError("INTERNAL"), DiscussionSearch, Unavailable, NoAnswer),
        case(GRAPHQL, GraphqlError("RESOURCE_LIMITS_EXCEEDED"), DiscussionSearch, Unavailable, NoAnswer),
        case(ALL, Status(503), EventsFeed, Unavailable, NoAnswer),
        case(ALL, Dropped, EventsFeed, Unavailable, NoAnswer),
        case(ALL, Suspended, EventsFeed, Restricted, Forbidden),
        case(ALL, SecondaryRateLimit { retry_after: None }, EventsFeed, RateLimited, RateLimit),
    ]
}

/// An own repository, another's and a keyword, all of whose sources work.
async fn healthy() -> Story {
    let mut story = Story::new().await;
    story.own().await;
    story.room.track("acme/kit").await;
    story.room.track_keyword("docker").await;
    story.star("own/sdk", 100..=100);
    story.work(Duration::from_hours(2)).await;
    story
}

/// Eight people do something, of whom each source tells its part.
fn act(story: &Story) {
    story.star("acme/kit", 1..=3);
    story.star("own/sdk", 4..=6);
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.open_issue("some/where", &post(1, 7, "docker"), &at);
        world.open_discussion("some/where", &post(2, 8, "docker"), &at);
    });
}

/// Those of the eight who were captured.
async fn captured(story: &Story) -> Vec<u64> {
    let mut captured = Vec::new();
    for id in 1..=8 {
        if !story.room.history(id).await.is_empty() {
            captured.push(id);
        }
    }
    captured
}

#[tokio::test]
async fn each_failure_is_told_and_taken_back_and_nothing_is_lost_that_is_still_shown() {
    for Case {
        paths,
        fault,
        collector,
        told,
    } in cases()
    {
        let name = format!("{paths} {fault:?}");
        let mut story = healthy().await;
        assert_eq!(story.told(collector).await.last(), Some(&ACTIVE), "{name}");
        let now = u64::try_from(story.room.clock.now().secs()).unwrap();
        story
            .github
            .change(|world| world.outage_until(paths, fault, now + HOURS * 3_600));
        act(&story);
        let before = story.github.requests().len();
        story.work(Duration::from_hours(HOURS)).await;
        assert_eq!(story.told(collector).await.last(), Some(&told), "{name}");
        let failed = story.github.ledger(|all| {
            let failed = |request: &&Request| (paths == ALL || request.path == paths) && request.status != Some(304);
            all.iter().skip(before).filter(failed).count()
        });
        assert!(failed <= 60, "{name}: {failed}");
        assert!(story.busiest_minute() <= 20, "{name}: {}", story.busiest_minute());
        if paths == LIST {
            // The next source of the ladder has told of the stars.
            let by_feed = captured(&story).await;
            assert!([4, 5, 6].iter().all(|id| by_feed.contains(id)), "{name}: {by_feed:?}");
        }

        story.work(Duration::from_hours(26)).await;
        assert_eq!(story.told(collector).await.last(), Some(&ACTIVE), "{name}");
        assert_eq!(captured(&story).await, [1, 2, 3, 4, 5, 6, 7, 8], "{name}");
        assert_eq!(story.github.exceeded(), [], "{name}");
    }
}

#[tokio::test]
async fn a_revoked_token_and_an_empty_list_are_failures_too() {
    let mut story = healthy().await;
    story.github.change(|world| world.remove_token(SECRET));
    act(&story);
    let before = story.github.requests().len();
    story.work(Duration::from_hours(HOURS)).await;
    let refused = (SourceState::Restricted, SourceReason::Unauthorized);
    assert_eq!(story.told(Collector::EventsFeed).await.last(), Some(&refused));
    let asked = story.github.requests().len() - before;
    assert!(
        asked <= 20,
        "a token that is not known is tried every quarter of an hour: {asked}"
    );
    let stargazers = Some(Refusal::Empty);
    story.github.change(|world| {
        world.put_token(
            SECRET,
            Token {
                stargazers,
                ..Token::new(OWNER)
            },
        );
    });
    story.work(Duration::from_hours(26)).await;
    let empty = (SourceState::Restricted, SourceReason::Empty);
    assert_eq!(story.told(Collector::StargazerList).await.last(), Some(&empty));
    assert_eq!(story.told(Collector::EventsFeed).await.last(), Some(&ACTIVE));
    assert_eq!(captured(&story).await, [1, 2, 3, 4, 5, 6, 7, 8]);
    story.github.change(|world| world.put_token(SECRET, Token::new(OWNER)));
    story.work(Duration::from_hours(26)).await;
    assert_eq!(story.told(Collector::StargazerList).await.last(), Some(&ACTIVE));
    assert_eq!(story.github.exceeded(), []);
}

#[tokio::test]
async fn a_list_beyond_the_last_page_of_rest_is_read_whole_without_asking_for_what_is_refused() {
    let mut story = Story::new().await;
    let from = u64::try_from(story.room.clock.now().secs()).unwrap() - 100_000;
    story.github.change(|world| {
        world.note_details = false;
        // Bots are passed over, so that the story is about the pages.
        for number in 0..40_150 {
            let login = if number % 1_000 == 7 {
                format!("fan-{number}")
            } else {
                format!("helper-{number}[bot]")
            };
            let fan = User::new(1_000_000 + number, &login);
            world.star_unseen("own/sdk", &fan, &fake_github::rfc3339(from + number));
        }
    });
    story.own().await;
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 41);
    assert_eq!(story.told(Collector::StargazerList).await, [ACTIVE]);
    let refused = story
        .github
        .ledger(|all| all.iter().filter(|request| request.status == Some(422)).count());
    assert_eq!((refused, story.github.exceeded()), (0, Vec::new()));
}
