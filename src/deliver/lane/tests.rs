//! What goes next, in which order, and where the cursors may stand meanwhile.

use domain::{AccountId, PersonRef};

use super::*;

/// More than any test has in flight.
const ALL: usize = 100;

fn stream(person: u8) -> StreamId {
    StreamId::lead(AccountId::default(), PersonRef::new([person; 16]))
}

fn item(position: u64, person: u8, due: i64) -> Item {
    Item {
        position: Position::new(position),
        stream: stream(person),
        attempts: 0,
        due_at: Timestamp::from_secs(due),
        stored: false,
        track: Track::Live,
        recorded: None,
    }
}

fn again(position: u64, person: u8) -> Item {
    Item {
        track: Track::Replay,
        ..item(position, person, 0)
    }
}

fn lanes(items: &[(u64, u8, i64)]) -> Lanes {
    let mut lanes = Lanes::default();
    let mut before = Position::START;
    for (position, person, due) in items {
        lanes.push(item(*position, *person, *due), before);
        before = Position::new(*position);
    }
    lanes
}

fn take_within(lanes: &mut Lanes, now: i64, share: usize) -> Vec<u64> {
    std::iter::from_fn(|| lanes.take_due(Timestamp::from_secs(now), share))
        .map(|item| item.position.get())
        .collect()
}

fn take(lanes: &mut Lanes, now: i64) -> Vec<u64> {
    take_within(lanes, now, ALL)
}

const NOTHING: [u64; 0] = [];

#[test]
fn only_the_first_event_of_each_lead_is_in_flight() {
    let mut lanes = lanes(&[(1, 1, 0), (2, 1, 0), (3, 2, 0)]);
    assert_eq!(take(&mut lanes, 0), [1, 3]);
    lanes.settle(&stream(1));
    assert_eq!(take(&mut lanes, 0), [2]);
}

#[test]
fn a_failed_event_holds_back_its_own_lead_only() {
    let mut lanes = lanes(&[(1, 1, 0), (2, 1, 0), (3, 2, 0)]);
    assert_eq!(take(&mut lanes, 0), [1, 3]);
    lanes.put_off(&stream(1), Timestamp::from_secs(5));
    lanes.settle(&stream(2));
    assert_eq!(take(&mut lanes, 4), NOTHING);
    assert_eq!(lanes.next_due(ALL), Some(Timestamp::from_secs(5)));
    assert_eq!(take(&mut lanes, 5), [1]);
    lanes.settle(&stream(1));
    assert_eq!(take(&mut lanes, 5), [2]);
}

#[test]
fn a_lane_that_is_hastened_does_not_wait_for_its_retry_and_others_do() {
    let mut lanes = lanes(&[(1, 1, 0), (2, 1, 0), (3, 2, 0)]);
    take(&mut lanes, 0);
    lanes.hasten(&stream(1), Timestamp::from_secs(0));
    assert_eq!(take(&mut lanes, 0), NOTHING, "it is in flight");
    for person in [1, 2] {
        lanes.put_off(&stream(person), Timestamp::from_secs(60));
    }
    lanes.hasten(&stream(1), Timestamp::from_secs(7));
    lanes.hasten(&stream(9), Timestamp::from_secs(7));
    assert_eq!(take(&mut lanes, 7), [1]);
    lanes.settle(&stream(1));
    assert_eq!(take(&mut lanes, 7), [2]);
}

#[test]
fn the_cursor_waits_for_what_is_neither_settled_nor_stored() {
    let mut lanes = lanes(&[(3, 1, 0), (5, 2, 0), (7, 1, 0)]);
    let seen = Position::new(9);
    assert_eq!(lanes.settled_up_to(Track::Live, seen), Position::START);
    take(&mut lanes, 0);
    lanes.settle(&stream(2));
    assert_eq!(lanes.settled_up_to(Track::Live, seen), Position::START);
    lanes.put_off(&stream(1), Timestamp::from_secs(5));
    let stored: Vec<u64> = lanes.store(&stream(1)).iter().map(|item| item.position.get()).collect();
    assert_eq!(stored, [3, 7]);
    assert_eq!(lanes.settled_up_to(Track::Live, seen), seen);
    assert_eq!((lanes.unstored(Track::Live), lanes.unsettled()), (0, 2));
}

#[test]
fn what_joins_a_lane_in_retry_is_stored_and_what_joins_another_is_not() {
    let mut lanes = lanes(&[(1, 1, 0)]);
    take(&mut lanes, 0);
    assert!(lanes.store(&stream(1)).is_empty());
    lanes.put_off(&stream(1), Timestamp::from_secs(5));
    assert_eq!(lanes.store(&stream(1)).len(), 1);
    lanes.push(item(2, 1, 0), Position::new(1));
    assert_eq!(lanes.store(&stream(1)).len(), 1);
    assert!(lanes.store(&stream(1)).is_empty());
}

#[test]
fn the_longest_due_goes_first() {
    let mut lanes = lanes(&[(1, 1, 30), (2, 2, 10), (3, 3, 20)]);
    assert_eq!(take(&mut lanes, 25), [2, 3]);
    assert_eq!(take(&mut lanes, 30), [1]);
}

#[test]
fn retries_have_their_share_and_what_is_new_goes_past_them_then() {
    let mut lanes = lanes(&[(1, 1, 0), (2, 2, 0), (3, 3, 0)]);
    take(&mut lanes, 0);
    for person in 1..=3 {
        lanes.put_off(&stream(person), Timestamp::from_secs(5));
    }
    lanes.push(item(4, 4, 9), Position::new(3));
    assert_eq!(take_within(&mut lanes, 9, 2), [1, 2, 4]);
    assert_eq!(lanes.next_due(2), None);
    lanes.settle(&stream(1));
    assert_eq!(lanes.next_due(2), Some(Timestamp::from_secs(5)));
    assert_eq!(take_within(&mut lanes, 9, 2), [3]);
}

#[test]
fn a_replay_goes_when_nothing_else_is_due_and_keeps_to_its_share() {
    let mut lanes = lanes(&[(10, 1, 5)]);
    for person in 2..=4 {
        assert!(lanes.push(again(u64::from(person), person), Position::new(1)));
    }
    assert_eq!(take_within(&mut lanes, 4, 2), [2, 3]);
    lanes.settle(&stream(2));
    assert_eq!(take_within(&mut lanes, 5, 2), [10, 4]);
}

#[test]
fn both_cursors_share_a_leads_lane_in_the_order_of_the_log() {
    let mut lanes = lanes(&[(10, 1, 0), (20, 1, 0), (30, 2, 0)]);
    assert_eq!(lanes.take_due(Timestamp::default(), ALL).unwrap().position.get(), 10);
    // Before what waits, behind what is in flight, and only once.
    assert!(lanes.push(again(5, 1), Position::new(4)));
    assert!(lanes.push(again(12, 1), Position::new(5)));
    assert!(!lanes.push(again(20, 1), Position::new(12)));
    assert!(!lanes.push(again(10, 1), Position::new(5)));
    let mut order = Vec::new();
    while lanes.settle(&stream(1)).is_some() {
        order.extend(take(&mut lanes, 0));
    }
    // What is new behind a replayed event makes that one as urgent.
    assert_eq!(order, [5, 30, 12, 20]);
}

#[test]
fn each_cursor_waits_for_its_own_events() {
    let mut lanes = lanes(&[(10, 1, 0)]);
    lanes.push(again(3, 2), Position::new(2));
    let seen = Position::new(40);
    assert_eq!(lanes.settled_up_to(Track::Live, seen), Position::START);
    assert_eq!(lanes.settled_up_to(Track::Replay, seen), Position::new(2));
    take(&mut lanes, 0);
    lanes.settle(&stream(2));
    assert_eq!(lanes.settled_up_to(Track::Replay, seen), seen);
    assert_eq!((lanes.unstored(Track::Live), lanes.unstored(Track::Replay)), (1, 0));
}
