//! The stand-in as the real client sees it: the rules of the real server that its documentation and its answers tell.

use kurrentdb::{
    AppendToStreamOptions, Client, CurrentRevision, Error, EventData, NodePreference, Position, ReadAllOptions,
    ReadStream, ReadStreamOptions, RecordedEvent, StreamPosition, StreamState, SubscribeToAllOptions, Subscription,
    SubscriptionEvent, SubscriptionFilter, WriteResult,
};
use uuid::Uuid;

use crate::{Misbehaviour, Node, cluster_url};

fn client(url: &str) -> Client {
    Client::new(url.parse().unwrap()).unwrap()
}

async fn start() -> (Node, Client) {
    let node = Node::start().await.unwrap();
    let client = client(&node.url());
    (node, client)
}

async fn write(client: &Client, stream: &str, expected: StreamState, ids: &[u128]) -> kurrentdb::Result<WriteResult> {
    let event = |id: &u128| {
        EventData::json("Seen", &id.to_string())
            .unwrap()
            .id(Uuid::from_u128(*id))
    };
    let options = AppendToStreamOptions::default().stream_state(expected);
    let events: Vec<EventData> = ids.iter().map(event).collect();
    client.append_to_stream(stream, &options, events).await
}

async fn events(mut read: ReadStream) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    while let Some(resolved) = read.next().await.unwrap() {
        events.extend(resolved.event);
    }
    events
}

async fn all(client: &Client, options: ReadAllOptions) -> Vec<RecordedEvent> {
    events(client.read_all(&options).await.unwrap()).await
}

fn ids(events: &[RecordedEvent]) -> Vec<u128> {
    events.iter().map(|event| event.id.as_u128()).collect()
}

fn ours() -> SubscriptionFilter {
    SubscriptionFilter::on_stream_name().max(100).add_prefix("ours-")
}

#[tokio::test]
async fn an_append_is_taken_at_the_revision_that_it_expects() {
    let (_node, client) = start().await;
    let first = write(&client, "ours-1", StreamState::NoStream, &[1, 2]).await.unwrap();
    assert_eq!(first.next_expected_version, 1);
    for (wrong, id) in [
        (StreamState::NoStream, 7),
        (StreamState::StreamRevision(0), 7),
        (StreamState::StreamRevision(0), 1),
        (StreamState::StreamRevision(2), 7),
    ] {
        let refused = write(&client, "ours-1", wrong, &[id]).await;
        assert!(
            matches!(refused, Err(Error::WrongExpectedVersion { current: CurrentRevision::Current(1), expected }) if expected == wrong),
            "{refused:?}"
        );
    }
    let nothing = write(&client, "ours-2", StreamState::StreamRevision(0), &[7]).await;
    assert!(matches!(
        nothing,
        Err(Error::WrongExpectedVersion {
            current: CurrentRevision::NoStream,
            ..
        })
    ));
}

#[tokio::test]
async fn the_same_ids_at_the_same_revision_are_taken_for_a_retry_and_only_all_of_them() {
    let (_node, client) = start().await;
    write(&client, "ours-1", StreamState::NoStream, &[1]).await.unwrap();
    let first = write(&client, "ours-1", StreamState::StreamRevision(0), &[2, 3])
        .await
        .unwrap();
    write(&client, "ours-1", StreamState::StreamRevision(2), &[4])
        .await
        .unwrap();
    let again = write(&client, "ours-1", StreamState::StreamRevision(0), &[2, 3])
        .await
        .unwrap();
    assert_eq!(
        (again.next_expected_version, again.position),
        (first.next_expected_version, first.position)
    );
    for other in [&[2, 9][..], &[2, 3, 4, 5], &[3]] {
        write(&client, "ours-1", StreamState::StreamRevision(0), other)
            .await
            .unwrap_err();
    }
    write(&client, "ours-2", StreamState::NoStream, &[2]).await.unwrap();
    let stream = events(
        client
            .read_stream("ours-1", &ReadStreamOptions::default())
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(ids(&stream), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_stream_is_read_in_both_directions_from_any_revision() {
    let (_node, client) = start().await;
    write(&client, "ours-1", StreamState::NoStream, &[1, 2, 3])
        .await
        .unwrap();
    let read = async |options: ReadStreamOptions| {
        let read = client.read_stream("ours-1", &options).await.unwrap();
        ids(&events(read).await)
    };
    let from = |revision| ReadStreamOptions::default().position(StreamPosition::Position(revision));
    assert_eq!(read(from(1)).await, [2, 3]);
    assert_eq!(read(from(1).max_count(1)).await, [2]);
    assert_eq!(read(from(1).backwards()).await, [2, 1]);
    assert_eq!(read(from(9)).await, [0; 0]);
    assert_eq!(
        read(ReadStreamOptions::default().position(StreamPosition::End)).await,
        [3, 2, 1]
    );
    let mut nothing = client
        .read_stream("ours-2", &ReadStreamOptions::default())
        .await
        .unwrap();
    assert!(matches!(nothing.next().await, Err(Error::ResourceNotFound)));
}

#[tokio::test]
async fn the_log_is_read_in_its_order_with_what_others_write_in_between() {
    let (_node, client) = start().await;
    let last = write(&client, "ours-1", StreamState::NoStream, &[1, 2]).await.unwrap();
    let last = (
        last.position,
        write(&client, "ours-2", StreamState::NoStream, &[3]).await.unwrap(),
    );
    let everything = all(&client, ReadAllOptions::default()).await;
    assert!(
        everything
            .windows(2)
            .all(|two| two[0].position < two[1].position && two[0].created <= two[1].created)
    );
    assert!(everything.iter().any(|event| event.stream_id().starts_with('$')));
    let filtered = || ReadAllOptions::default().filter(ours());
    let found = all(&client, filtered()).await;
    assert_eq!(ids(&found), [1, 2, 3]);
    assert_eq!((found[1].position, found[2].position), (last.0, last.1.position));
    assert_eq!((found[1].revision, found[2].revision), (1, 0));
    // Forwards the event at the position is the first, backwards it is left out.
    let at = || filtered().position(StreamPosition::Position(found[1].position));
    assert_eq!(ids(&all(&client, at()).await), [2, 3]);
    assert_eq!(ids(&all(&client, at().max_count(1)).await), [2]);
    assert_eq!(ids(&all(&client, at().backwards()).await), [1]);
    let end = filtered().position(StreamPosition::End).max_count(2);
    assert_eq!(ids(&all(&client, end).await), [3, 2]);
    let by_kind = ReadAllOptions::default().filter(SubscriptionFilter::on_event_type().regex("^Se+n$"));
    assert_eq!(ids(&all(&client, by_kind).await), [1, 2, 3]);
}

#[tokio::test]
async fn a_position_between_two_records_is_none() {
    let (_node, client) = start().await;
    let mut between = Position::start();
    between.commit = 1;
    between.prepare = 1;
    let options = ReadAllOptions::default().position(StreamPosition::Position(between));
    assert!(matches!(client.read_all(&options).await, Err(Error::Grpc { .. })));
}

/// The ids that a subscription tells, up to its next checkpoint, and where that is.
async fn up_to_checkpoint(subscription: &mut Subscription) -> (Vec<u128>, Position) {
    let mut seen = Vec::new();
    loop {
        match subscription.next_subscription_event().await.unwrap() {
            SubscriptionEvent::EventAppeared(event) => seen.push(event.get_original_event().id.as_u128()),
            SubscriptionEvent::Checkpoint(position) => return (seen, position),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_subscription_catches_up_goes_live_and_tells_how_far_it_looked() {
    let (node, client) = start().await;
    let first = write(&client, "ours-1", StreamState::NoStream, &[1, 2, 3])
        .await
        .unwrap();
    let found = all(&client, ReadAllOptions::default().filter(ours())).await;
    let after = StreamPosition::Position(found[0].position);
    let options = SubscribeToAllOptions::default().filter(ours().max(4)).position(after);
    let mut subscription = client.subscribe_to_all(&options).await;
    let (seen, looked_to) = up_to_checkpoint(&mut subscription).await;
    assert_eq!(seen, [2, 3]);
    assert!(looked_to > first.position);
    write(&client, "ours-1", StreamState::StreamRevision(2), &[4])
        .await
        .unwrap();
    assert_eq!(subscription.next().await.unwrap().get_original_event().id.as_u128(), 4);
    for _ in 0..4 {
        node.write("theirs-1", "Called", "{}");
    }
    let (seen, further) = up_to_checkpoint(&mut subscription).await;
    assert!(seen.is_empty() && further > looked_to);
    node.drop_subscriptions();
    subscription.next().await.unwrap_err();
    node.until_subscriptions(0).await;
}

#[tokio::test]
async fn a_node_that_follows_names_the_leader_to_those_who_want_it() {
    let leader = Node::start().await.unwrap();
    let follower = leader.join().await.unwrap();
    let client = client(&follower.url());
    assert_eq!(client.settings().node_preference(), NodePreference::Leader);
    let refused = write(&client, "ours-1", StreamState::NoStream, &[1]).await;
    assert!(matches!(refused, Err(Error::NotLeaderException(_))), "{refused:?}");
    write(&client, "ours-1", StreamState::NoStream, &[1]).await.unwrap();
}

#[tokio::test]
async fn a_client_of_the_cluster_is_told_who_leads() {
    let first = Node::start().await.unwrap();
    let second = first.join().await.unwrap();
    second.take_the_lead();
    let client = client(&cluster_url(&[&first, &second]));
    write(&client, "ours-1", StreamState::NoStream, &[1]).await.unwrap();
}

#[tokio::test]
async fn a_node_misbehaves_once_for_each_time_it_is_told_to() {
    for (misbehaviour, written) in [
        (Misbehaviour::DropBeforeCommit, 0),
        (Misbehaviour::DropAfterCommit, 1),
        (Misbehaviour::NotReady, 0),
        (Misbehaviour::TooBusy, 0),
    ] {
        let (node, client) = start().await;
        node.misbehave(misbehaviour);
        let lost = write(&client, "ours-1", StreamState::NoStream, &[1]).await;
        assert!(matches!(lost, Err(Error::ServerError(_))), "{misbehaviour:?}: {lost:?}");
        assert_eq!(node.metadata("ours-1").len(), written, "{misbehaviour:?}");
        write(&client, "ours-1", StreamState::NoStream, &[1]).await.unwrap();
        assert_eq!(node.metadata("ours-1").len(), 1, "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn a_node_that_is_down_answers_nobody_until_it_is_back() {
    let (node, before) = start().await;
    write(&before, "ours-1", StreamState::NoStream, &[1]).await.unwrap();
    node.go_down();
    write(&before, "ours-1", StreamState::StreamRevision(0), &[2])
        .await
        .unwrap_err();
    write(&client(&node.url()), "ours-1", StreamState::StreamRevision(0), &[2])
        .await
        .unwrap_err();
    node.come_back();
    write(&client(&node.url()), "ours-1", StreamState::StreamRevision(0), &[2])
        .await
        .unwrap();
}
