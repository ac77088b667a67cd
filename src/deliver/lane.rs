//! Which event of an endpoint may be sent next: the events of one lead stand in a lane, one behind the other, and only
//! the first of a lane is ever sent. Memory of one worker; no I/O.
//!
//! What is told for the first time and what is told once more stand in the same lanes, in the order of the log: of one lead
//! there is never more than one event under way, whichever cursor brought it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use domain::{StreamId, Timestamp};
use event_log::{Position, Recorded};

/// Which cursor waits for an event that is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// The endpoint's own.
    Live,
    /// That of the replay that is under way.
    Replay,
}

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
    /// Which cursor that is.
    pub track: Track,
    /// The event, if it is at hand.
    pub recorded: Option<Arc<Recorded>>,
}

/// What a lane waits as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Somebody hears something new.
    Fresh,
    /// Its first event has failed before.
    Retry,
    /// There is nothing in it but what was told before.
    Replay,
}

#[derive(Debug, Default)]
struct ByClass<T> {
    fresh: T,
    retry: T,
    replay: T,
}

impl<T> ByClass<T> {
    const fn of(&mut self, class: Class) -> &mut T {
        match class {
            Class::Fresh => &mut self.fresh,
            Class::Retry => &mut self.retry,
            Class::Replay => &mut self.replay,
        }
    }
}

/// The events of one lead.
#[derive(Debug, Default)]
struct Lane {
    items: VecDeque<Item>,
    /// What it stands in `due` as, and since when; none: its first event is in flight.
    stands: Option<(Class, Timestamp, Position)>,
    in_flight: Option<Class>,
}

impl Lane {
    fn class(&self) -> Class {
        let is_retried = self.items.front().is_some_and(|first| first.attempts > 0);
        let is_new = || self.items.iter().any(|item| item.track == Track::Live);
        match is_retried {
            true => Class::Retry,
            false if is_new() => Class::Fresh,
            false => Class::Replay,
        }
    }
}

/// Where a lane stands in `due`.
type Turn = (Timestamp, Position, StreamId);
type Candidate<'a> = (Class, &'a Turn);

/// All events that are not settled, by lead.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<StreamId, Lane>,
    /// The first of each lane that is not in flight, by time.
    due: ByClass<BTreeSet<Turn>>,
    in_flight: ByClass<usize>,
    /// Events that only this memory and the log know of, each with a place before it that the cursor may stand at.
    live: BTreeMap<Position, Position>,
    /// The same for the cursor of a replay.
    replay: BTreeMap<Position, Position>,
    count: usize,
}

impl Lanes {
    /// Puts an event into its lane, in the order of the log, but never before one that is in flight. `before`: a place with
    /// nothing unsettled between it and the event. False: it is there already.
    pub fn push(&mut self, item: Item, before: Position) -> bool {
        let (position, stream) = (item.position, item.stream.clone());
        let lane = self.lanes.entry(stream.clone()).or_default();
        if lane.items.iter().any(|other| other.position == position) {
            return false;
        }
        let behind = lane.items.iter().rposition(|other| other.position < position);
        let place = behind.map_or(0, |behind| behind + 1);
        let place = place.max(usize::from(lane.in_flight.is_some()));
        let (track, stored) = (item.track, item.stored);
        lane.items.insert(place, item);
        self.count += 1;
        if !stored {
            self.unsettled_of(track).insert(position, before);
        }
        self.stand(&stream);
        true
    }

    fn unsettled_of(&mut self, track: Track) -> &mut BTreeMap<Position, Position> {
        match track {
            Track::Live => &mut self.live,
            Track::Replay => &mut self.replay,
        }
    }

    /// Puts the first event of the lane where its turn is, unless it is in flight; a lane without events goes.
    fn stand(&mut self, stream: &StreamId) {
        let Some(lane) = self.lanes.get_mut(stream) else {
            return;
        };
        if let Some((class, due_at, position)) = lane.stands.take() {
            self.due.of(class).remove(&(due_at, position, stream.clone()));
        }
        let Some(first) = lane.items.front() else {
            self.lanes.remove(stream);
            return;
        };
        if lane.in_flight.is_none() {
            let (class, due_at, position) = (lane.class(), first.due_at, first.position);
            self.due.of(class).insert((due_at, position, stream.clone()));
            lane.stands = Some((class, due_at, position));
        }
    }

    /// The event that is due longest, from now on in flight; it stays the first of its lane until it is settled. Retries
    /// and replays get `share` slots each at most, and a replay only one that nothing else is due for.
    pub fn take_due(&mut self, now: Timestamp, share: usize) -> Option<Item> {
        let is_due = |(_, (due_at, _, _)): &Candidate<'_>| *due_at <= now;
        let (first, again) = self.candidates(share);
        let (class, (_, _, stream)) = first.filter(is_due).or(again.filter(is_due))?;
        let stream = stream.clone();
        let lane = self.lanes.get_mut(&stream)?;
        if let Some((class, due_at, position)) = lane.stands.take() {
            self.due.of(class).remove(&(due_at, position, stream));
        }
        lane.in_flight = Some(class);
        *self.in_flight.of(class) += 1;
        lane.items.front().cloned()
    }

    /// What goes next of what may: of news and retries, and of replays.
    fn candidates(&self, share: usize) -> (Option<Candidate<'_>>, Option<Candidate<'_>>) {
        let retry = self.due.retry.first().filter(|_| self.in_flight.retry < share);
        let again = self.due.replay.first().filter(|_| self.in_flight.replay < share);
        let first = match (self.due.fresh.first(), retry) {
            (Some(fresh), Some(retry)) if retry < fresh => Some((Class::Retry, retry)),
            (Some(fresh), _) => Some((Class::Fresh, fresh)),
            (None, retry) => retry.map(|retry| (Class::Retry, retry)),
        };
        (first, again.map(|again| (Class::Replay, again)))
    }

    /// The first event of the lane is done with: delivered, dropped or failed for good.
    pub fn settle(&mut self, stream: &StreamId) -> Option<Item> {
        self.land(stream);
        let item = self.lanes.get_mut(stream)?.items.pop_front()?;
        self.unsettled_of(item.track).remove(&item.position);
        self.count -= 1;
        self.stand(stream);
        Some(item)
    }

    /// The first event of the lane failed and is tried again at `due_at`.
    pub fn put_off(&mut self, stream: &StreamId, due_at: Timestamp) {
        self.land(stream);
        let Some(item) = self.first(stream) else { return };
        item.attempts += 1;
        item.due_at = due_at;
        // The event is read again by then: a long wait is no reason to keep it in memory.
        item.recorded = None;
        self.stand(stream);
    }

    fn land(&mut self, stream: &StreamId) {
        if let Some(class) = self.lanes.get_mut(stream).and_then(|lane| lane.in_flight.take()) {
            *self.in_flight.of(class) -= 1;
        }
    }

    fn first(&mut self, stream: &StreamId) -> Option<&mut Item> {
        self.lanes.get_mut(stream)?.items.front_mut()
    }

    /// The first event of the lane is due at `now` at the latest.
    pub fn hasten(&mut self, stream: &StreamId, now: Timestamp) {
        let in_flight = self.lanes.get(stream).is_none_or(|lane| lane.in_flight.is_some());
        if in_flight {
            return;
        }
        if let Some(first) = self.first(stream) {
            first.due_at = first.due_at.min(now);
        }
        self.stand(stream);
    }

    /// The events of a lane whose first one is being retried and that are not in `webhook_retry` yet. They count as
    /// stored from now on: the caller writes them no later than the cursor.
    pub fn store(&mut self, stream: &StreamId) -> Vec<Item> {
        let Some(lane) = self.lanes.get_mut(stream) else {
            return Vec::new();
        };
        if lane.items.front().is_none_or(|first| first.attempts == 0) {
            return Vec::new();
        }
        let mut stored = Vec::new();
        for item in lane.items.iter_mut().filter(|item| !item.stored) {
            item.stored = true;
            item.recorded = None;
            stored.push(item.clone());
        }
        for item in &stored {
            self.unsettled_of(item.track).remove(&item.position);
        }
        stored
    }

    /// When the next event is due, of what may go if retries and replays have `share` slots each.
    pub fn next_due(&self, share: usize) -> Option<Timestamp> {
        let (first, again) = self.candidates(share);
        let times = first.into_iter().chain(again).map(|(_, (due_at, _, _))| *due_at);
        times.min()
    }

    /// How many events are not settled.
    pub const fn unsettled(&self) -> usize {
        self.count
    }

    /// How many of the track's `webhook_retry` does not have.
    pub fn unstored(&self, track: Track) -> usize {
        match track {
            Track::Live => self.live.len(),
            Track::Replay => self.replay.len(),
        }
    }

    /// The places of those of the endpoint's own cursor.
    pub fn unstored_positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.live.keys().copied()
    }

    /// Where the track's cursor may stand: before the first event that only this memory knows of, or else at `seen`.
    pub fn settled_up_to(&self, track: Track, seen: Position) -> Position {
        let unstored = match track {
            Track::Live => &self.live,
            Track::Replay => &self.replay,
        };
        unstored.first_key_value().map_or(seen, |(_, before)| *before)
    }
}

#[cfg(test)]
mod tests;
