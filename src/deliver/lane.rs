//! Which event of an endpoint may be sent next: the events of one lead stand in a lane, one behind the other, and only
//! the first of a lane is ever sent. Memory of one worker; no I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use domain::{StreamId, Timestamp};
use event_log::{Position, Recorded};

/// An event on its way to the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place in the log.
    pub position: Position,
    /// The lead's stream: its lane.
    pub stream: StreamId,
    /// Attempts made so far.
    pub attempts: u32,
    /// Not to be sent earlier.
    pub due_at: Timestamp,
    /// Whether `webhook_retry` has it, so that the cursor may pass it.
    pub stored: bool,
    /// The event, if it is at hand.
    pub recorded: Option<Recorded>,
}

/// All events that are not settled, by lead.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<StreamId, VecDeque<Item>>,
    /// The first of each lane that is not in flight, by time.
    due: BTreeSet<(Timestamp, Position, StreamId)>,
    in_flight: HashSet<StreamId>,
    /// Events that only this memory and the log know of, each with a place before it that the cursor may stand at.
    unstored: BTreeMap<Position, Position>,
    count: usize,
}

impl Lanes {
    /// Puts an event at the end of its lane. `before`: a place with nothing unsettled between it and the event.
    pub fn push(&mut self, item: Item, before: Position) {
        if !item.stored {
            self.unstored.insert(item.position, before);
        }
        let lane = self.lanes.entry(item.stream.clone()).or_default();
        if lane.is_empty() {
            self.due.insert((item.due_at, item.position, item.stream.clone()));
        }
        lane.push_back(item);
        self.count += 1;
    }

    /// The event that is due longest, from now on in flight; it stays the first of its lane until it is settled.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Item> {
        let first = self.due.first().filter(|(due_at, _, _)| *due_at <= now)?.clone();
        self.due.remove(&first);
        let item = self.lanes.get(&first.2)?.front()?.clone();
        self.in_flight.insert(first.2);
        Some(item)
    }

    /// The first event of the lane is done with: delivered, dropped or failed for good.
    pub fn settle(&mut self, stream: &StreamId) -> Option<Item> {
        self.in_flight.remove(stream);
        let lane = self.lanes.get_mut(stream)?;
        let item = lane.pop_front()?;
        match lane.front() {
            Some(next) => {
                self.due.insert((next.due_at, next.position, stream.clone()));
            }
            None => {
                self.lanes.remove(stream);
            }
        }
        self.unstored.remove(&item.position);
        self.count -= 1;
        Some(item)
    }

    /// The first event of the lane failed and is tried again at `due_at`.
    pub fn put_off(&mut self, stream: &StreamId, due_at: Timestamp) {
        self.in_flight.remove(stream);
        let Some(item) = self.lanes.get_mut(stream).and_then(VecDeque::front_mut) else {
            return;
        };
        item.attempts += 1;
        item.due_at = due_at;
        // The event is read again by then: a long wait is no reason to keep it in memory.
        item.recorded = None;
        self.due.insert((due_at, item.position, stream.clone()));
    }

    /// The first event of the lane is due at `now` at the latest.
    pub fn hasten(&mut self, stream: &StreamId, now: Timestamp) {
        let Some(first) = self.lanes.get_mut(stream).and_then(VecDeque::front_mut) else {
            return;
        };
        // Not there: it is in flight.
        if self.due.remove(&(first.due_at, first.position, stream.clone())) {
            first.due_at = first.due_at.min(now);
            self.due.insert((first.due_at, first.position, stream.clone()));
        }
    }

    /// The events of a lane whose first one is being retried and that are not in `webhook_retry` yet. They count as
    /// stored from now on: the caller writes them no later than the cursor.
    pub fn store(&mut self, stream: &StreamId) -> Vec<Item> {
        let Some(lane) = self.lanes.get_mut(stream) else {
            return Vec::new();
        };
        if lane.front().is_none_or(|first| first.attempts == 0) {
            return Vec::new();
        }
        let mut stored = Vec::new();
        for item in lane.iter_mut().filter(|item| !item.stored) {
            item.stored = true;
            item.recorded = None;
            self.unstored.remove(&item.position);
            stored.push(item.clone());
        }
        stored
    }

    /// When the next event is due, as far as none of its lead is in flight.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due_at, _, _)| *due_at)
    }

    /// How many events are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many events are not settled.
    pub const fn unsettled(&self) -> usize {
        self.count
    }

    /// How many of them `webhook_retry` does not have.
    pub fn unstored(&self) -> usize {
        self.unstored.len()
    }

    /// Their places.
    pub fn unstored_positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.unstored.keys().copied()
    }

    /// Where the cursor may stand: before the first event that only this memory knows of, or else at `seen`.
    pub fn settled_up_to(&self, seen: Position) -> Position {
        self.unstored.first_key_value().map_or(seen, |(_, before)| *before)
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, PersonRef};

    use super::*;

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
            recorded: None,
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

    fn take(lanes: &mut Lanes, now: i64) -> Vec<u64> {
        std::iter::from_fn(|| lanes.take_due(Timestamp::from_secs(now)))
            .map(|item| item.position.get())
            .collect()
    }

    #[test]
    fn only_the_first_event_of_each_lead_is_in_flight() {
        let mut lanes = lanes(&[(1, 1, 0), (2, 1, 0), (3, 2, 0)]);
        assert_eq!(take(&mut lanes, 0), [1, 3]);
        lanes.settle(&stream(1));
        assert_eq!(take(&mut lanes, 0), [2]);
        assert_eq!(lanes.in_flight(), 2);
    }

    #[test]
    fn a_failed_event_holds_back_its_own_lead_only() {
        let mut lanes = lanes(&[(1, 1, 0), (2, 1, 0), (3, 2, 0)]);
        assert_eq!(take(&mut lanes, 0), [1, 3]);
        lanes.put_off(&stream(1), Timestamp::from_secs(5));
        lanes.settle(&stream(2));
        assert_eq!(take(&mut lanes, 4), [0_u64; 0]);
        assert_eq!(lanes.next_due(), Some(Timestamp::from_secs(5)));
        assert_eq!(take(&mut lanes, 5), [1]);
        lanes.settle(&stream(1));
        assert_eq!(take(&mut lanes, 5), [2]);
    }

    #[test]
    fn a_lane_that_is_hastened_does_not_wait_for_its_retry_and_others_do() {
        let mut lanes = lanes(&[(1, 1, 0), (2, 1, 0), (3, 2, 0)]);
        take(&mut lanes, 0);
        lanes.hasten(&stream(1), Timestamp::from_secs(0));
        assert_eq!(take(&mut lanes, 0), [0_u64; 0], "it is in flight");
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
        assert_eq!(lanes.settled_up_to(seen), Position::START);
        take(&mut lanes, 0);
        lanes.settle(&stream(2));
        assert_eq!(lanes.settled_up_to(seen), Position::START);
        lanes.put_off(&stream(1), Timestamp::from_secs(5));
        let stored: Vec<u64> = lanes.store(&stream(1)).iter().map(|item| item.position.get()).collect();
        assert_eq!(stored, [3, 7]);
        assert_eq!(lanes.settled_up_to(seen), seen);
        assert_eq!((lanes.unstored(), lanes.unsettled()), (0, 2));
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
}
