//! What all endpoints of a node share: how many requests may be under way at the same time, in all and for an account.
//!
//! A slot is taken for each request. Where there is none, endpoints stand in line, each with one wish at a time, and slots are
//! given in the order of the line: so that endpoints take turns, whatever each of them has waiting. A request without an
//! answer after `PATIENCE` gives its slot back and goes on among those that linger: receivers that hang take nothing from
//! others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ::metrics::gauge;
use domain::AccountId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics;

/// Requests under way, of all endpoints.
const IN_ALL: usize = 512;

/// Requests under way of one account's endpoints.
const OF_AN_ACCOUNT: usize = 64;

/// Further requests that have lingered for longer than `PATIENCE`. Once there are as many, the others keep their slots.
const LINGERING: usize = 1_536;

/// How long a request has its slot for itself.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// A node's slots.
pub struct Slots {
    all: Arc<Semaphore>,
    lingering: Arc<Semaphore>,
    accounts: Mutex<HashMap<AccountId, Weak<Semaphore>>>,
}

impl Slots {
    /// As many as the numbers above say.
    pub fn new() -> Arc<Self> {
        Self::of(IN_ALL, LINGERING)
    }

    fn of(all: usize, lingering: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(all)),
            lingering: Arc::new(Semaphore::new(lingering)),
            accounts: Mutex::default(),
        })
    }

    /// The slots as an account's endpoint sees them.
    pub fn of_account(self: &Arc<Self>, account: AccountId) -> AccountSlots {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, slots| slots.strong_count() > 0);
        let known = accounts.get(&account).and_then(Weak::upgrade);
        let own = known.unwrap_or_else(|| Arc::new(Semaphore::new(OF_AN_ACCOUNT)));
        accounts.insert(account, Arc::downgrade(&own));
        AccountSlots {
            own,
            shared: self.clone(),
        }
    }
}

/// An account's way to slots.
#[derive(Clone)]
pub struct AccountSlots {
    own: Arc<Semaphore>,
    shared: Arc<Slots>,
}

impl AccountSlots {
    /// A slot, if nobody stands in line.
    pub fn try_take(&self) -> Option<Slot> {
        let own = self.own.clone().try_acquire_owned().ok()?;
        let shared = self.shared.all.clone().try_acquire_owned().ok()?;
        Some(self.slot(own, shared))
    }

    /// A slot, once it is this wish's turn. None: never, since slots are never closed.
    pub async fn take(self) -> Option<Slot> {
        let own = self.own.clone().acquire_owned().await.ok()?;
        let shared = self.shared.all.clone().acquire_owned().await.ok()?;
        Some(self.slot(own, shared))
    }

    fn slot(&self, own: OwnedSemaphorePermit, shared: OwnedSemaphorePermit) -> Slot {
        gauge!(metrics::WEBHOOK_IN_FLIGHT).increment(1.0);
        Slot {
            permits: Permits::Own(own, shared),
            lingering: self.shared.lingering.clone(),
        }
    }
}

/// The right to have one request under way; given back when it is dropped.
pub struct Slot {
    permits: Permits,
    lingering: Arc<Semaphore>,
}

enum Permits {
    #[expect(dead_code, reason = "held for as long as they live")]
    Own(OwnedSemaphorePermit, OwnedSemaphorePermit),
    #[expect(dead_code, reason = "held for as long as it lives")]
    Lingering(OwnedSemaphorePermit),
}

impl Slot {
    /// The request takes long: others may have its slot, if there are not too many like it.
    pub fn linger(&mut self) {
        if let Ok(permit) = self.lingering.clone().try_acquire_owned() {
            self.permits = Permits::Lingering(permit);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        gauge!(metrics::WEBHOOK_IN_FLIGHT).decrement(1.0);
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
    fn an_account_has_no_more_than_its_part_and_no_less_for_others() {
        let slots = Slots::new();
        let (greedy, other) = (slots.of_account(account(1)), slots.of_account(account(2)));
        let held: Vec<Slot> = std::iter::from_fn(|| greedy.try_take()).collect();
        assert_eq!(held.len(), OF_AN_ACCOUNT);
        // Whoever asks for the same account shares its part.
        assert!(slots.of_account(account(1)).try_take().is_none());
        assert!(other.try_take().is_some());
        drop(held);
        assert!(greedy.try_take().is_some());
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
