//! What comes through the door is recorded once, within the quota, and released when there is room.

use super::*;
use crate::ingest::release::release;

#[tokio::test]
async fn stars_and_keywords_become_leads_and_the_same_again_changes_nothing() {
    let room = Room::new().await;
    room.track("Acme/SDK").await;
    room.track_keyword("event sourcing").await;
    let bot = |mut activity: Activity, kind| {
        activity.actor.kind = kind;
        activity
    };
    let batch = vec![
        star(1, "acme/sdk"),
        star(1, "ACME/sdk"),
        wrote(2, "On Event\nSourcing and so on"),
        wrote(1, "event sourcing again"),
        wrote(3, "nothing of interest"),
        star(4, "acme/other"),
        bot(star(5, "acme/sdk"), ActorKind::Bot),
        bot(star(6, "acme/sdk"), ActorKind::Organization),
    ];
    let first = room.ingest.accept(batch.clone()).await.unwrap();
    let expected = Accepted {
        activities: 8,
        captured: 2,
        joined: 1,
        known: 1,
        bots: 1,
        organizations: 1,
        unmatched: 2,
        ..Accepted::default()
    };
    assert_eq!(first, expected);
    let events = room.events().await;
    let keyword = events
        .iter()
        .find(|recorded| matches!(&recorded.event, Event::LeadCaptured(captured) if captured.signal.keyword.is_some()));
    let person = person_of(&room, keyword.unwrap()).await;
    assert_eq!((person.user_id, person.login.as_str()), (2, "fan-2"));
    assert_eq!(person.snippet.as_deref(), Some("On Event Sourcing and so on"));

    let head = room.head().await;
    let again = room.ingest.accept(batch).await.unwrap();
    assert_eq!((again.captured, again.joined, again.known), (0, 0, 4));
    assert_eq!(room.head().await, head);
}

#[tokio::test]
async fn what_is_tracked_from_now_on_counts_from_now_on() {
    let room = Room::new().await;
    assert_eq!(
        room.ingest.accept(vec![star(1, "acme/sdk")]).await.unwrap().unmatched,
        1
    );
    room.track("acme/sdk").await;
    assert_eq!(room.ingest.accept(vec![star(1, "acme/sdk")]).await.unwrap().captured, 1);
    let untracked = room
        .events()
        .await
        .into_iter()
        .find_map(|recorded| match recorded.event {
            Event::RepoTracked(tracked) => Some((tracked.full_name, tracked.repo_id)),
            _ => None,
        });
    let (name, id) = untracked.unwrap();
    commands::untrack_repo(&room.writer, room.account, &name, id)
        .await
        .unwrap();
    room.settle().await;
    assert_eq!(
        room.ingest.accept(vec![star(2, "acme/sdk")]).await.unwrap().unmatched,
        1
    );
}

#[tokio::test]
async fn over_the_cap_new_people_are_withheld_and_known_ones_go_on() {
    let room = Room::on_plan("tiny").await;
    room.track("acme/sdk").await;
    room.track_keyword("docker").await;
    let accepted = room
        .ingest
        .accept((1..=4).map(|id| star(id, "acme/sdk")).collect())
        .await
        .unwrap();
    assert_eq!((accepted.captured, accepted.withheld), (2, 2));
    let accepted = room
        .ingest
        .accept(vec![wrote(1, "docker"), wrote(4, "docker")])
        .await
        .unwrap();
    assert_eq!((accepted.joined, accepted.withheld), (2, 0));
}

#[tokio::test]
async fn batches_at_the_same_time_do_not_both_take_the_last_room() {
    let room = Room::on_plan("small").await;
    room.track("acme/sdk").await;
    let batch = |ids: std::ops::Range<u64>| room.ingest.accept(ids.map(|id| star(id, "acme/sdk")).collect());
    let (a, b, c) = tokio::join!(batch(0..2), batch(10..12), batch(20..22));
    let captured: u64 = [a, b, c].into_iter().map(|accepted| accepted.unwrap().captured).sum();
    assert_eq!((captured, room.count("LeadWithheld").await), (3, 3));
}

#[tokio::test]
async fn nodes_at_the_same_time_do_not_take_the_last_room_together() {
    let room = Room::on_plan("small").await;
    room.track("acme/sdk").await;
    let (one, other) = (room.node().await, room.node().await);
    let batch = |ids: std::ops::Range<u64>| ids.map(|id| star(id, "acme/sdk")).collect();
    let (a, b, c, d) = tokio::join!(
        one.accept(batch(0..2)),
        other.accept(batch(10..12)),
        one.accept(batch(20..22)),
        other.accept(batch(30..32)),
    );
    let captured: u64 = [a, b, c, d]
        .into_iter()
        .map(|accepted| accepted.unwrap().captured)
        .sum();
    assert_eq!((captured, room.count("LeadWithheld").await), (3, 5));
}

#[tokio::test]
async fn a_node_that_was_silent_for_long_captures_nothing_for_an_account_with_a_cap() {
    let room = Room::on_plan("small").await;
    room.track("acme/sdk").await;
    let node = room.node().await;
    let turn = node.turn(room.account).await.unwrap();
    turn.check().unwrap();
    room.clock.advance(Duration::from_secs(10));
    assert!(turn.check().is_err());
}

#[tokio::test]
async fn withheld_leads_are_released_oldest_first_when_the_month_turns_or_the_plan_is_raised() {
    let room = Room::on_plan("tiny").await;
    room.track("acme/sdk").await;
    room.ingest
        .accept((1..=7).map(|id| star(id, "acme/sdk")).collect())
        .await
        .unwrap();
    room.settle().await;
    assert_eq!(release(&room.ingest).await.unwrap(), 0);

    room.clock.advance(Duration::from_hours(30 * 24));
    assert_eq!(release(&room.ingest).await.unwrap(), 2);
    let events = room.events().await;
    let of_kind = |kind: &str| -> Vec<_> {
        let of_kind = events.iter().filter(|recorded| recorded.event.name() == kind);
        of_kind.map(|recorded| recorded.stream.clone()).collect()
    };
    assert_eq!(of_kind("LeadReleased"), of_kind("LeadWithheld")[..2]);
    assert_eq!(
        release(&room.ingest).await.unwrap(),
        0,
        "what was released counts in its month"
    );

    commands::change_plan(&room.writer, room.account, "small".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(release_after(&room).await, 1);
    commands::change_plan(&room.writer, room.account, "agency".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(release_after(&room).await, 2);
}

async fn release_after(room: &Room) -> u64 {
    room.settle().await;
    release(&room.ingest).await.unwrap()
}
