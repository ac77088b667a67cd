//! What becomes of each of several appends, given what the log holds: the rule behind [`super::settle`], without a server.

use std::collections::{HashMap, HashSet};

use domain::{EventId, StreamId};

use super::group::{Answer, End};
use crate::codec::EncodedAppend;
use crate::{AppendError, Recorded, Version, retry};

/// What the log holds of the streams and ids of some appends.
pub(super) struct Held {
    /// For each append, the version of its stream …
    pub(super) versions: Vec<Version>,
    /// … and the events after the version that it expects, at most as many as it brings.
    pub(super) later: Vec<Vec<Recorded>>,
    /// Those of their ids that are used.
    pub(super) ids: Vec<[u8; 16]>,
}

/// An answer for each append, and those that are to be written so that the answers are true. Each append sees those
/// before it.
pub(super) fn judge<'appends>(
    appends: &'appends [EncodedAppend],
    held: &Held,
    end: End,
) -> (Vec<Answer>, Vec<&'appends EncodedAppend>) {
    let mut bench = Bench {
        end,
        ids: held
            .ids
            .iter()
            .map(|id| EventId::new(u128::from_be_bytes(*id).into()))
            .collect(),
        streams: HashMap::new(),
        taken: Vec::new(),
    };
    let held = held.versions.iter().zip(&held.later);
    let answers = appends
        .iter()
        .zip(held)
        .map(|(append, (version, later))| bench.answer(append, *version, later));
    (answers.collect(), bench.taken)
}

/// The log as it will be.
struct Bench<'appends> {
    end: End,
    ids: HashSet<EventId>,
    /// The events that were taken here, by stream.
    streams: HashMap<&'appends StreamId, Vec<Recorded>>,
    taken: Vec<&'appends EncodedAppend>,
}

impl<'appends> Bench<'appends> {
    fn answer(&mut self, encoded: &'appends EncodedAppend, version: Version, later: &[Recorded]) -> Answer {
        let append = &encoded.append;
        let own = self.streams.get(&append.stream).map(Vec::as_slice).unwrap_or_default();
        let actual = own.last().map_or(version, |last| last.version);
        let used = self.first_used(encoded);
        if actual != append.expected {
            let own = own.iter().filter(|recorded| recorded.version > append.expected);
            let later = later.iter().chain(own).take(append.events.len());
            let later: Vec<Recorded> = later.cloned().collect();
            return retry::settle(append, actual, &later, used);
        }
        if let Some(id) = used {
            return Err(AppendError::IdUsed(id));
        }
        let appended = self.end.appended(append.clone());
        self.end = self.end.after(append);
        self.taken.push(encoded);
        self.ids.extend(append.events.iter().map(|event| event.id));
        self.streams
            .entry(&append.stream)
            .or_default()
            .extend_from_slice(&appended.events);
        Ok(appended)
    }

    /// The first of its ids that is used, or twice among them.
    fn first_used(&self, encoded: &EncodedAppend) -> Option<EventId> {
        let mut own = HashSet::new();
        let mut ids = encoded.append.events.iter().map(|event| event.id);
        ids.find(|id| self.ids.contains(id) || !own.insert(*id))
    }
}
