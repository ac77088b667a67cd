//! Numbers of stars while GraphQL, which tells them of many repositories at once, does not answer.

use fake_github::{Misbehaviour, User};

use super::ladder::Story;
use super::*;

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
