//! Repositories that are renamed, transferred, deleted or made private, and people who are called otherwise by now.

use domain::{SourceReason, SourceState};
use fake_github::Repo;

use super::ladder::Story;
use super::*;
use crate::ingest::poll_cursor::{PollOutcome, poll_states};
use crate::ingest::poll_repos::Polls;
use crate::ingest::shards::Part;

const ACTIVE: (SourceState, SourceReason) = (SourceState::Active, SourceReason::Answered);
const PRIVATE: (SourceState, SourceReason) = (SourceState::Unavailable, SourceReason::Private);
const GONE: (SourceState, SourceReason) = (SourceState::Unavailable, SourceReason::NotFound);

/// What the repository was said to be called.
async fn names(room: &Room) -> Vec<String> {
    let events = room.events().await.into_iter();
    let names = events.filter_map(|recorded| match recorded.event {
        Event::RepoRenamed(renamed) => Some(renamed.full_name.to_string()),
        _ => None,
    });
    names.collect()
}

fn requests_to(story: &Story, path: &str) -> usize {
    story.github.requests_to(path).len()
}

#[tokio::test]
async fn an_own_repository_that_turns_private_is_left_alone_until_it_is_public_again() {
    let mut story = Story::new().await;
    story.github.change(|world| {
        world.put_hook("own/sdk", "https://leads.example.com/github/webhooks", &["star"]);
    });
    story.own().await;
    story.star("own/sdk", 1..=2);
    story.work(Duration::from_mins(30)).await;
    story.github.change(|world| world.set_private(1, true));
    story.work(Duration::from_hours(2)).await;
    for collector in [
        Collector::EventsFeed,
        Collector::StargazerList,
        Collector::WebhookDeliveries,
    ] {
        assert_eq!(story.told(collector).await, [ACTIVE, PRIVATE], "{collector}");
    }
    let state = poll_states(story.room.store()).await.unwrap().pop().unwrap();
    assert_eq!(state.outcome, PollOutcome::Denied);

    // The token would be shown all of it.
    let paths = ["events", "stargazers", "hooks"].map(|rest| format!("/repos/own/sdk/{rest}"));
    let asked = |story: &Story| paths.iter().map(|path| requests_to(story, path)).collect::<Vec<_>>();
    let before = asked(&story);
    story.star("own/sdk", 3..=3);
    story.restart().await;
    story.work(Duration::from_hours(30)).await;
    assert_eq!(asked(&story), before, "nothing of it was asked for");
    assert_eq!(story.room.count("LeadCaptured").await, 2);

    story.github.change(|world| world.set_private(1, false));
    story.star("own/sdk", 4..=4);
    story.work(Duration::from_hours(3)).await;
    for collector in [
        Collector::EventsFeed,
        Collector::StargazerList,
        Collector::WebhookDeliveries,
    ] {
        assert_eq!(story.told(collector).await, [ACTIVE, PRIVATE, ACTIVE], "{collector}");
    }
    assert_eq!(story.room.history(4).await, ["LeadCaptured"]);
}

#[tokio::test]
async fn a_repository_that_is_deleted_or_hidden_from_us_says_so_within_the_hour_and_when_it_is_back() {
    for is_hidden in [false, true] {
        let mut story = Story::new().await;
        story.room.track("acme/kit").await;
        story.star("acme/kit", 1..=2);
        story.work(Duration::from_hours(40)).await;
        story.github.change(|world| {
            if is_hidden {
                world.set_private(2, true);
            } else {
                world.remove_repo(2);
            }
        });
        story.work(Duration::from_mins(70)).await;
        assert_eq!(story.told(Collector::EventsFeed).await, [ACTIVE, GONE], "{is_hidden}");
        story.work(Duration::from_hours(20)).await;
        assert!(story.busiest_minute() <= 10, "{}", story.busiest_minute());

        story.github.change(|world| {
            if is_hidden {
                world.set_private(2, false);
            } else {
                world.put_repo(Repo::new(3, "acme/kit"));
            }
        });
        story.star("acme/kit", 3..=3);
        story.work(Duration::from_hours(2)).await;
        assert_eq!(
            story.told(Collector::EventsFeed).await,
            [ACTIVE, GONE, ACTIVE],
            "{is_hidden}"
        );
        assert_eq!(story.room.count("LeadCaptured").await, 3, "{is_hidden}");
    }
}

#[tokio::test]
async fn a_transferred_repository_is_one_repository_whoever_tells_of_it() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    story.work(Duration::from_mins(10)).await;
    story.github.change(|world| world.rename_repo(2, "new-owner/kit"));
    story.work(Duration::from_hours(2)).await;
    assert_eq!(names(&story.room).await, ["new-owner/kit"]);
    // Its feed is read under the name that is tracked, archives and webhooks tell of it by the new one.
    story.star("new-owner/kit", 1..=1);
    story.work(Duration::from_hours(2)).await;
    for id in [1, 2] {
        let told = Activity {
            occurred_at: story.room.clock.now(),
            ..star(id, "New-Owner/Kit")
        };
        story.room.ingest.accept(vec![told]).await.unwrap();
    }
    assert_eq!(story.room.history(1).await, ["LeadCaptured"]);
    assert_eq!(story.room.history(2).await, ["LeadCaptured"]);
    let events = story.room.events().await;
    let captured = events
        .iter()
        .find(|recorded| recorded.stream.person() == Some(person(&story.room, 2)));
    assert_eq!(
        person_of(&story.room, captured.unwrap()).await.repo.as_str(),
        "acme/kit"
    );

    // And back again.
    story.github.change(|world| world.rename_repo(2, "acme/kit"));
    story.work(Duration::from_hours(2)).await;
    assert_eq!(names(&story.room).await, ["new-owner/kit", "acme/kit"]);
}

fn person(room: &Room, id: u64) -> domain::PersonRef {
    room.writer.vault.person_ref(room.account, id)
}

#[tokio::test]
async fn without_a_token_the_redirection_tells_the_name() {
    let story = Story::new().await;
    story.room.track("acme/kit").await;
    let client = story.room.client(story.github.url(), None);
    let mut polls = Polls::open(Arc::clone(&story.room.ingest), client, Part::whole(Room::lease().await))
        .await
        .unwrap();
    for look in 0..3 {
        if look == 1 {
            story.github.change(|world| world.rename_repo(2, "new-owner/kit"));
        }
        story.room.clock.advance(Duration::from_hours(7));
        polls.refresh().await.unwrap();
        polls.poll("acme/kit", story.room.clock.now()).await.unwrap();
        story.star("acme/kit", look + 1..=look + 1);
    }
    assert_eq!(names(&story.room).await, ["new-owner/kit"]);
    assert_eq!(
        requests_to(&story, "/repositories/2"),
        1,
        "once a day, where it is by now"
    );
    assert_eq!(
        requests_to(&story, "/repos/acme/kit/events"),
        3,
        "and to be sent on again after an hour"
    );
    assert_eq!(story.room.count("LeadCaptured").await, 2);
}

#[tokio::test]
async fn a_person_who_is_called_otherwise_by_now_is_the_same_and_found_by_the_new_name() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    room.track("acme/cli").await;
    room.ingest.accept(vec![star(7, "acme/sdk")]).await.unwrap();
    let renamed = Activity {
        actor: Actor {
            login: "ada-renamed".into(),
            ..star(7, "acme/cli").actor
        },
        ..star(7, "acme/cli")
    };
    room.ingest.accept(vec![renamed]).await.unwrap();
    room.settle().await;
    assert_eq!(room.history(7).await, ["LeadCaptured", "SignalRecorded"]);
    let find = async |login: &str| {
        let key = room.writer.vault.login_key(room.account, login);
        let views = &*room.ingest.views;
        projections::people::find(views, room.account, key)
            .await
            .unwrap()
            .map(|row| row.person)
    };
    assert_eq!(find("Ada-Renamed").await, Some(person(&room, 7)));
}

#[tokio::test]
async fn a_name_that_is_given_to_another_repository_is_read_there_at_once() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    story.work(Duration::from_mins(10)).await;
    story.github.change(|world| world.rename_repo(2, "acme/tool-kit"));
    story.star("acme/tool-kit", 1..=2);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 2);

    // Where it was sent on to is still there.
    story.github.change(|world| world.put_repo(Repo::new(9, "acme/kit")));
    story.star("acme/kit", 11..=13);
    story.work(Duration::from_hours(3)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 5);
}

#[tokio::test]
async fn without_a_token_a_name_that_is_anothers_by_now_is_read_there_within_the_hour() {
    let mut story = Story::new().await;
    story.restart_with(None).await;
    story.room.track("acme/kit").await;
    story.github.change(|world| world.rename_repo(2, "acme/tool-kit"));
    story.star("acme/tool-kit", 1..=2);
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 2);
    story.github.change(|world| world.put_repo(Repo::new(9, "acme/kit")));
    story.star("acme/kit", 11..=13);
    story.work(Duration::from_mins(70)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 5);
    assert_eq!(names(&story.room).await, ["acme/tool-kit", "acme/kit"]);
}
