//! Numbers of stars while GraphQL, which tells them of many repositories at once, does not answer.

use fake_github::{Misbehaviour, Repo, User};

use super::ladder::Story;
use super::*;
use crate::commands::track_repo;

#[tokio::test]
async fn while_graphql_does_not_answer_an_own_repository_is_read_all_the_same_if_it_is_public() {
    for status in [403, 502] {
        for is_private in [false, true] {
            let mut story = Story::new().await;
            story.github.change(|world| {
                world.outage("/graphql", Misbehaviour::Status(status), u64::MAX);
                world.set_private(1, is_private);
                world.put_hook("own/sdk", "https://leads.example.com/github/webhooks", &["star"]);
            });
            let at = story.room.clock.now().to_string();
            let fan = User::new(7, "fan-7");
            story.github.change(|world| world.star_unseen("own/sdk", &fan, &at));
            story.own().await;
            story.room.track("acme/kit").await;
            story.work(Duration::from_hours(3)).await;
            let read = !story.github.requests_to("/repos/own/sdk/stargazers").is_empty();
            let recorded = !story.github.requests_to("/repos/own/sdk/hooks").is_empty();
            assert_eq!((read, recorded), (!is_private, !is_private), "{status}");
            assert_eq!(story.room.history(7).await.is_empty(), is_private, "{status}");
            let counted = story.github.requests_to("/repos/own/sdk").len();
            assert!((1..=4).contains(&counted), "{status} {is_private}: {counted}");
            assert_eq!(story.github.requests_to("/repos/acme/kit").len(), 0);
        }
    }
}

#[tokio::test]
async fn what_no_count_says_is_public_is_not_read() {
    use Misbehaviour::{GraphqlNothing, Status};
    for (of_all, of_one) in [(GraphqlNothing, 200), (Status(502), 403), (Status(502), 404)] {
        let mut story = Story::new().await;
        story.github.change(|world| {
            world.outage("/graphql", of_all, u64::MAX);
            if of_one != 200 {
                world.outage("/repos/own/sdk", Status(of_one), u64::MAX);
            }
            world.set_private(1, true);
            world.put_hook("own/sdk", "https://leads.example.com/github/webhooks", &["star"]);
        });
        story.own().await;
        story.work(Duration::from_hours(30)).await;
        for path in ["/repos/own/sdk/stargazers", "/repos/own/sdk/hooks"] {
            assert_eq!(story.github.requests_to(path).len(), 0, "{of_all:?} {of_one} {path}");
        }
    }
}

#[tokio::test]
async fn repositories_that_cannot_be_counted_keep_no_other_from_it() {
    let mut story = Story::new().await;
    story.github.change(|world| {
        world.outage("/graphql", Misbehaviour::Status(403), u64::MAX);
        for number in 0..4 {
            world.put_repo(Repo::new(20 + number, &format!("own/tool-{number}")));
        }
        for number in 0..2 {
            let path = format!("/repos/own/tool-{number}");
            world.outage(&path, Misbehaviour::Status(502), u64::MAX);
        }
    });
    for number in 0..4 {
        let repo = format!("own/tool-{number}").parse().unwrap();
        let relation = Some(domain::RepoRelation::Own);
        track_repo(&story.room.writer, story.room.account, repo, relation)
            .await
            .unwrap();
    }
    story.room.settle().await;
    story.work(Duration::from_mins(15)).await;
    for number in 2..4 {
        let list = format!("/repos/own/tool-{number}/stargazers");
        assert!(!story.github.requests_to(&list).is_empty(), "{number}");
    }
    assert!(story.busiest_minute() < 40, "{}", story.busiest_minute());
}
