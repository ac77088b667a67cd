//! What all endpoints of a node share: how many requests may be under way at the same time, in all and for an account.
//!
//! A slot is taken for each request. Where there is none, endpoints stand in line, each with one wish at a time, and slots are
//! given in the order of the line: so that endpoints take turns, whatever each of them has waiting. An account that has its
//! part of the slots lets those of other accounts go first; where no other stands in line there is no such part.
//!
//! A request without an answer after `PATIENCE` gives its slot back and goes on among those that linger: receivers that hang
//! take nothing from others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::metrics::gauge;
use domain::AccountId;
use tokio::sync::oneshot;

use crate::metrics;

/// Requests under way, of all endpoints.
const IN_ALL: usize = 512;

/// Requests under way of one account's endpoints, where those of others wait.
const OF_AN_ACCOUNT: usize = 64;

/// Further requests that have lingered for longer than `PATIENCE`. Once there are as many, the others keep their slots.
const LINGERING: usize = 1_536;

/// How long a request has its slot for itself: most receivers that are well have answered by then.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// A node's slots.
pub struct Slots {
    state: Mutex<State>,
}

struct State {
    free: usize,
    lingering: usize,
    held: HashMap<AccountId, usize>,
    line: VecDeque<(AccountId, oneshot::Sender<Slot>)>,
}

impl Slots {
    /// As many as the numbers above say.
    pub fn new() -> Arc<Self> {
        Self::of(IN_ALL, LINGERING)
    }

    fn of(all: usize, lingering: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: all,
                lingering,
                held: HashMap::new(),
                line: VecDeque::new(),
            }),
        })
    }

    /// The slots as an account's endpoint sees them.
    pub fn of_account(self: &Arc<Self>, account: AccountId) -> AccountSlots {
        AccountSlots {
            account,
            shared: self.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(self: &Arc<Self>, account: AccountId) -> Slot {
        gauge!(metrics::WEBHOOK_IN_FLIGHT).increment(1.0);
        Slot {
            account,
            lingers: false,
            shared: self.clone(),
        }
    }

    /// Gives what is free to those in line.
    fn serve(self: &Arc<Self>) {
        loop {
            let Some((account, wish)) = self.state().next() else {
                return;
            };
            // Whoever has left the line meanwhile gives it back right here, and the next one is looked for.
            let _ = wish.send(self.slot(account));
        }
    }
}

impl State {
    /// Takes a slot for whoever is next in line, if there is one for them.
    fn next(&mut self) -> Option<(AccountId, oneshot::Sender<Slot>)> {
        self.line.retain(|(_, wish)| !wish.is_closed());
        if self.free == 0 || self.line.is_empty() {
            return None;
        }
        let has_less = |(account, _): &(AccountId, _)| self.held.get(account).is_none_or(|held| *held < OF_AN_ACCOUNT);
        let place = self.line.iter().position(has_less).unwrap_or(0);
        let (account, wish) = self.line.remove(place)?;
        self.take(account);
        Some((account, wish))
    }

    fn take(&mut self, account: AccountId) {
        self.free -= 1;
        *self.held.entry(account).or_default() += 1;
    }

    fn give_back(&mut self, account: AccountId) {
        self.free += 1;
        if let Some(held) = self.held.get_mut(&account) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&account);
            }
        }
    }
}

/// An account's way to slots.
#[derive(Clone)]
pub struct AccountSlots {
    account: AccountId,
    shared: Arc<Slots>,
}

impl AccountSlots {
    /// A slot, if one is free: then nobody stands in line.
    pub fn try_take(&self) -> Option<Slot> {
        let mut state = self.shared.state();
        if state.free == 0 {
            return None;
        }
        state.take(self.account);
        drop(state);
        Some(self.shared.slot(self.account))
    }

    /// A slot, once it is this wish's turn. None: never, since slots are never closed. The wish stands in line from the call on,
    /// until what is returned is dropped.
    pub fn take(self) -> impl Future<Output = Option<Slot>> + Send + 'static {
        let (wish, granted) = oneshot::channel();
        self.shared.state().line.push_back((self.account, wish));
        self.shared.serve();
        async move { granted.await.ok() }
    }
}

/// The right to have one request under way; given back when it is dropped.
pub struct Slot {
    account: AccountId,
    lingers: bool,
    shared: Arc<Slots>,
}

impl Slot {
    /// The request takes long: others may have its slot, if there are not too many like it.
    pub fn linger(&mut self) {
        let mut state = self.shared.state();
        if self.lingers || state.lingering == 0 {
            return;
        }
        state.lingering -= 1;
        state.give_back(self.account);
        self.lingers = true;
        drop(state);
        self.shared.serve();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        gauge!(metrics::WEBHOOK_IN_FLIGHT).decrement(1.0);
        let mut state = self.shared.state();
        if self.lingers {
            state.lingering += 1;
            return;
        }
        state.give_back(self.account);
        drop(state);
        self.shared.serve();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use ulid::Ulid;

    use super::*;

    fn account(number: u128) -> AccountId {
        AccountId::new(Ulid::from(number))
    }

    #[test]
    fn an_account_alone_has_all_slots_and_one_that_has_its_part_lets_others_go_first() {
        let slots = Slots::new();
        let (greedy, other) = (slots.of_account(account(1)), slots.of_account(account(2)));
        let mut held: Vec<Slot> = std::iter::from_fn(|| greedy.try_take()).collect();
        assert_eq!(held.len(), IN_ALL);
        let mut own = Box::pin(greedy.clone().take());
        let mut others = Box::pin(other.take());
        assert!((&mut own).now_or_never().is_none() && (&mut others).now_or_never().is_none());
        // The greedy one stood in line first.
        held.pop();
        assert!((&mut own).now_or_never().is_none());
        let other = (&mut others).now_or_never().flatten();
        assert!(other.is_some());
        // There is nobody else to let go first.
        held.pop();
        assert!(own.now_or_never().flatten().is_some());
    }

    #[test]
    fn slots_are_given_in_the_order_of_the_line() {
        let slots = Slots::of(1, 0);
        let of = |number| slots.of_account(account(number));
        let held = of(1).try_take();
        let (mut first, mut second) = (Box::pin(of(2).take()), Box::pin(of(3).take()));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(held);
        // Nobody gets past the line, and the second stands behind the first.
        assert!(of(1).try_take().is_none());
        assert!((&mut second).now_or_never().is_none());
        let slot = first.now_or_never().flatten().unwrap();
        drop(slot);
        assert!(second.now_or_never().flatten().is_some());
    }

    #[test]
    fn whoever_leaves_the_line_leaves_the_slot_to_the_next_even_if_it_was_given_already() {
        let slots = Slots::of(1, 0);
        let of = |number| slots.of_account(account(number));
        let held = of(1).try_take();
        let (gone, granted, last) = (of(2).take(), of(3).take(), of(4).take());
        drop(gone);
        drop(held);
        assert!(of(1).try_take().is_none());
        drop(granted);
        assert!(last.now_or_never().flatten().is_some());
        assert!(of(1).try_take().is_some());
    }

    #[test]
    fn a_request_that_lingers_gives_its_slot_to_others_as_long_as_few_do() {
        let slots = Slots::of(2, 1);
        let own = slots.of_account(account(1));
        let (mut first, mut second) = (own.try_take().unwrap(), own.try_take().unwrap());
        assert!(own.try_take().is_none());
        first.linger();
        let third = own.try_take();
        assert!(third.is_some());
        second.linger();
        assert!(own.try_take().is_none());
        drop(first);
        second.linger();
        assert!(own.try_take().is_some());
    }
}
