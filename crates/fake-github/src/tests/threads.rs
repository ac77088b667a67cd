//! Issues, pull requests and comments: the feed and what is read for itself agree.

use super::*;
use crate::Post;

pub(crate) fn post(number: u64, title: &str, body: &str) -> Post {
    Post {
        number,
        author: ada(),
        title: title.into(),
        body: body.into(),
    }
}

#[tokio::test]
async fn an_issue_and_a_comment_on_it_carry_their_text_and_author() {
    let fake = fake().await;
    fake.change(|world| {
        world.open_issue(SDK, &post(3, "Crash", "We look for a hosted version"), AT);
        assert!(world.open_pull(SDK, &post(3, "Taken", ""), AT).is_none());
        world.comment(SDK, 3, &ben(), "Me too", "2026-11-22T16:05:00Z");
        assert!(world.comment(SDK, 4, &ben(), "Where?", AT).is_none());
    });
    let events = get(&fake, FEED).await.json();
    assert_eq!(events[1]["payload"]["issue"]["body"], "We look for a hosted version");
    assert_eq!(
        events[1]["payload"]["issue"]["html_url"],
        "https://github.com/acme-corp/rival-sdk/issues/3"
    );
    assert_eq!(events[0]["type"], "IssueCommentEvent");
    assert_eq!(events[0]["payload"]["comment"]["user"]["login"], "ben-example");
    assert_eq!(events[0]["payload"]["issue"]["user"]["login"], "ada-example");
    let issue = get(&fake, "/repos/acme-corp/rival-sdk/issues/3").await.json();
    assert_eq!(issue["id"], events[1]["payload"]["issue"]["id"]);
    assert_eq!(
        (&issue["comments"], &issue["updated_at"]),
        (&1.into(), &"2026-11-22T16:05:00Z".into())
    );
    let comments = get(&fake, "/repos/acme-corp/rival-sdk/issues/3/comments").await;
    assert_eq!(comments.each("/body"), ["Me too"]);
    assert_eq!(comments.json()[0]["id"], events[0]["payload"]["comment"]["id"]);
}

#[tokio::test]
async fn the_event_of_a_pull_request_has_no_text_and_the_pull_request_has() {
    let fake = fake().await;
    fake.change(|world| {
        world.open_pull(SDK, &post(4, "Add hosting", "Closes #3"), AT);
        world.review_comment(SDK, 4, &ben(), "Typo here", AT);
        world.comment(SDK, 4, &ben(), "Nice", AT);
    });
    let events = get(&fake, FEED).await.json();
    let types = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap());
    assert_eq!(
        types.collect::<Vec<_>>(),
        ["IssueCommentEvent", "PullRequestReviewCommentEvent", "PullRequestEvent"]
    );
    let trimmed = &events[2]["payload"]["pull_request"];
    assert_eq!(
        (&trimmed["title"], &trimmed["body"], &trimmed["user"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(events[1]["payload"]["comment"]["body"], "Typo here");
    let path = trimmed["url"]
        .as_str()
        .unwrap()
        .strip_prefix(fake.url())
        .unwrap()
        .to_owned();
    let pull = get(&fake, &path).await.json();
    assert_eq!((&pull["id"], &pull["title"]), (&trimmed["id"], &"Add hosting".into()));
    assert_eq!((&pull["comments"], &pull["review_comments"]), (&1.into(), &1.into()));
    let as_issue = get(&fake, "/repos/acme-corp/rival-sdk/issues/4").await.json();
    assert_eq!(as_issue["pull_request"]["url"], trimmed["url"]);
    assert_eq!(get(&fake, "/repos/acme-corp/rival-sdk/pulls/3").await.status, 404);
}

#[tokio::test]
async fn a_discussion_is_in_the_feed_and_its_comments_are_not() {
    let fake = fake().await;
    fake.change(|world| {
        world.open_discussion(SDK, &post(5, "Which host?", "Any ideas"), AT);
        assert!(world.comment(SDK, 5, &ben(), "Ours", AT).is_none());
    });
    let events = get(&fake, FEED).await.json();
    assert_eq!(events.as_array().unwrap().len(), 1);
    assert_eq!(events[0]["payload"]["discussion"]["body"], "Any ideas");
    assert_eq!(get(&fake, "/repos/acme-corp/rival-sdk/issues/5").await.status, 404);
}

#[tokio::test]
async fn edited_and_closed_things_say_so_when_read() {
    let fake = fake().await;
    fake.change(|world| {
        world.open_issue(SDK, &post(3, "Crash", "Old"), AT);
        world.edit(SDK, 3, "New", "2026-11-22T17:00:00Z");
        world.close(SDK, 3, &ben(), "2026-11-22T18:00:00Z");
    });
    let issue = get(&fake, "/repos/acme-corp/rival-sdk/issues/3").await.json();
    assert_eq!((&issue["body"], &issue["state"]), (&"New".into(), &"closed".into()));
    assert_eq!(issue["closed_at"], "2026-11-22T18:00:00Z");
    let events = get(&fake, FEED).await.json();
    assert_eq!(events[0]["payload"]["action"], "closed");
    assert_eq!(
        events[1]["payload"]["issue"]["body"], "Old",
        "an event stays as it was told"
    );
}
