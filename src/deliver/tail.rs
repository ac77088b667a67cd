//! The newest part of the log in memory: read once by the dispatcher, for the workers of all endpoints. A worker that has
//! fallen behind it reads its own account's part of the log instead.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{AccountId, Event};
use event_log::{Page, Position, Recorded};

/// Events that are kept: what workers may fall behind without reading for themselves.
const KEPT: usize = 4_096;

/// A part of an account's log, as a worker takes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The events, in order.
    pub events: Vec<Arc<Recorded>>,
    /// How far was looked.
    pub looked_to: Position,
    /// Whether more was there already.
    pub more: bool,
}

impl From<Page> for Stretch {
    fn from(page: Page) -> Self {
        Self {
            events: page.events.into_iter().map(Arc::new).collect(),
            looked_to: page.looked_to,
            more: page.looked_to < page.head,
        }
    }
}

/// The newest part of the log.
#[derive(Debug)]
pub struct Tail {
    inner: Mutex<Inner>,
    kept: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// After here everything is known …
    from: Position,
    /// … up to here.
    to: Position,
    /// Whether anything is known.
    begun: bool,
    accounts: HashMap<AccountId, VecDeque<Arc<Recorded>>>,
    /// The account of each event that is kept, oldest first.
    order: VecDeque<AccountId>,
}

impl Tail {
    /// A tail that knows nothing.
    pub fn new() -> Self {
        Self::of(KEPT)
    }

    fn of(kept: usize) -> Self {
        Self {
            inner: Mutex::default(),
            kept,
        }
    }

    /// Takes in what was read after `after`.
    pub fn extend(&self, after: Position, events: Vec<Recorded>, looked_to: Position) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.begun || inner.to != after {
            *inner = Inner {
                from: after,
                begun: true,
                ..Inner::default()
            };
        }
        inner.to = looked_to.max(after);
        for recorded in events.into_iter().filter(concerns_endpoints) {
            inner.order.push_back(recorded.account());
            let account = inner.accounts.entry(recorded.account()).or_default();
            account.push_back(Arc::new(recorded));
        }
        while inner.order.len() > self.kept {
            inner.forget_oldest();
        }
    }

    /// At most `limit` events of the account after `after`; none: it is to be read from the log.
    pub fn after(&self, account: AccountId, after: Position, limit: usize) -> Option<Stretch> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.begun || after < inner.from {
            return None;
        }
        let all = inner.accounts.get(&account);
        let begin = all.map_or(0, |all| all.partition_point(|recorded| recorded.position <= after));
        let newer = all.into_iter().flat_map(|all| all.range(begin..));
        let events: Vec<Arc<Recorded>> = newer.take(limit).cloned().collect();
        let to = inner.to.max(after);
        let last = events.last().map(|last| last.position);
        let looked_to = last.filter(|_| events.len() >= limit).unwrap_or(to);
        Some(Stretch {
            events,
            looked_to,
            more: looked_to < to,
        })
    }
}

impl Inner {
    fn forget_oldest(&mut self) {
        let Some(account) = self.order.pop_front() else { return };
        let Some(events) = self.accounts.get_mut(&account) else {
            return;
        };
        if let Some(oldest) = events.pop_front() {
            self.from = self.from.max(oldest.position);
        }
        if events.is_empty() {
            self.accounts.remove(&account);
        }
    }
}

/// Whether a worker has to see the event at all.
fn concerns_endpoints(recorded: &Recorded) -> bool {
    let is_about_a_source = matches!(recorded.event, Event::SourceStateChanged(_));
    is_about_a_source
        || recorded.stream.person().is_some()
        || matches!(recorded.event, Event::WebhookReplayRequested(_))
}

#[cfg(test)]
mod tests {
    use domain::event::{LeadReleased, RepoUntracked};
    use domain::{EventId, LeadId, PersonRef, RepoId, StreamId, Timestamp};
    use ulid::Ulid;

    use super::*;

    fn account(number: u128) -> AccountId {
        AccountId::new(Ulid::from(number))
    }

    fn recorded(position: u64, of: u128) -> Recorded {
        let lead_id = LeadId::default();
        Recorded {
            position: Position::new(position),
            id: EventId::default(),
            stream: StreamId::lead(account(of), PersonRef::new([1; 16])),
            version: position,
            recorded_at: Timestamp::default(),
            event: LeadReleased { lead_id }.into(),
        }
    }

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    /// The positions, how far was looked, and whether there is more.
    fn after(tail: &Tail, of: u128, position: u64, limit: usize) -> Option<(Vec<u64>, u64, bool)> {
        let stretch = tail.after(account(of), at(position), limit)?;
        let events = stretch.events.iter().map(|recorded| recorded.position.get());
        Some((events.collect(), stretch.looked_to.get(), stretch.more))
    }

    #[test]
    fn each_account_finds_its_own_part_and_how_far_was_looked() {
        let tail = Tail::new();
        assert_eq!(after(&tail, 1, 0, 9), None);
        tail.extend(at(10), vec![recorded(11, 1), recorded(13, 2), recorded(14, 1)], at(15));
        assert_eq!(after(&tail, 1, 10, 9), Some((vec![11, 14], 15, false)));
        assert_eq!(after(&tail, 1, 10, 1), Some((vec![11], 11, true)));
        assert_eq!(after(&tail, 1, 11, 9), Some((vec![14], 15, false)));
        assert_eq!(after(&tail, 2, 13, 9), Some((vec![], 15, false)));
        assert_eq!(after(&tail, 3, 10, 9), Some((vec![], 15, false)));
        // Behind the tail, and ahead of it.
        assert_eq!(after(&tail, 1, 9, 9), None);
        assert_eq!(after(&tail, 1, 20, 9), Some((vec![], 20, false)));
        tail.extend(at(15), vec![recorded(16, 1)], at(16));
        assert_eq!(after(&tail, 1, 14, 9), Some((vec![16], 16, false)));
    }

    #[test]
    fn it_keeps_the_newest_events_and_sends_whoever_is_behind_them_to_the_log() {
        let tail = Tail::of(3);
        tail.extend(at(0), (1..=5).map(|position| recorded(position, 1)).collect(), at(5));
        assert_eq!(after(&tail, 1, 1, 9), None);
        assert_eq!(after(&tail, 1, 2, 9), Some((vec![3, 4, 5], 5, false)));
    }

    #[test]
    fn a_gap_makes_it_forget_what_was_before() {
        let tail = Tail::new();
        tail.extend(at(0), vec![recorded(1, 1)], at(1));
        tail.extend(at(5), vec![recorded(6, 1)], at(6));
        assert_eq!(after(&tail, 1, 0, 9), None);
        assert_eq!(after(&tail, 1, 5, 9), Some((vec![6], 6, false)));
    }

    #[test]
    fn what_concerns_no_endpoint_is_not_kept() {
        let tail = Tail::new();
        let mut other = recorded(1, 1);
        other.stream = StreamId::tracked_repo(account(1), &"acme/sdk".parse().unwrap());
        let repo_id = RepoId::default();
        other.event = RepoUntracked { repo_id }.into();
        tail.extend(at(0), vec![other, recorded(2, 1)], at(2));
        assert_eq!(after(&tail, 1, 0, 9), Some((vec![2], 2, false)));
    }
}
