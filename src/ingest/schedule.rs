//! What is asked of GitHub next: a pure choice among all that is due, by urgency, budget and fairness. Used by the scheduler.

use std::collections::BTreeMap;

use domain::{AccountId, Timestamp};

use crate::github::{Ledger, Resource};

/// How urgent work is; the first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for it: what was tracked just now and never read.
    Interactive,
    /// There is something new, or may be.
    Fresh,
    /// Looking whether there is.
    Sweep,
    /// Finding out more about what is known.
    Enrichment,
}

impl Class {
    /// How many percent of a budget it leaves to more urgent work.
    pub const fn leaves(self) -> u64 {
        match self {
            Self::Interactive => 0,
            Self::Fresh => 5,
            Self::Sweep => 10,
            Self::Enrichment => 20,
        }
    }
}

/// Something to ask GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due<W> {
    /// What.
    pub work: W,
    /// How urgent it is.
    pub class: Class,
    /// What it counts against.
    pub resource: Resource,
    /// For whom; of several accounts the one whose turn comes first.
    pub account: AccountId,
    /// When it is due.
    pub at: Timestamp,
}

/// How often each account's work was chosen.
#[derive(Debug, Default)]
pub struct Turns(BTreeMap<AccountId, u64>);

impl Turns {
    /// How much an account has had. One that is new comes before all others, and has no claims beyond that.
    fn of(&self, account: AccountId) -> u64 {
        let least = || self.0.values().min().copied().unwrap_or(0).saturating_sub(1);
        self.0.get(&account).copied().unwrap_or_else(least)
    }

    /// Of these accounts, the one that has had least.
    pub fn first(&self, accounts: impl Iterator<Item = AccountId>) -> Option<AccountId> {
        accounts.min_by_key(|account| (self.of(*account), *account))
    }

    /// The account's work was chosen.
    pub fn charge(&mut self, account: AccountId) {
        let had = self.of(account);
        self.0.insert(account, had + 1);
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<W> {
    /// This, now.
    Do(Due<W>),
    /// Nothing before then.
    Wait(Timestamp),
    /// There is nothing to do at all.
    Nothing,
}

/// Chooses among all that is to be done: what may be done now, the most urgent first, then that of the account that has had
/// least, then what has been due for longest.
pub fn choose<W: Ord + Copy>(
    dues: impl IntoIterator<Item = Due<W>>,
    ledger: &Ledger,
    turns: &Turns,
    now: Timestamp,
) -> Choice<W> {
    let mut best: Option<(_, Due<W>)> = None;
    let mut wait: Option<Timestamp> = None;
    for due in dues {
        let spared = ledger.spared(due.resource, due.class.leaves(), now);
        let from = spared.map_or(due.at, |until| until.max(due.at));
        if from > now {
            wait = Some(wait.map_or(from, |earlier| earlier.min(from)));
            continue;
        }
        let rank = (due.class, turns.of(due.account), due.at, due.work);
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, due));
        }
    }
    match (best, wait) {
        (Some((_, due)), _) => Choice::Do(due),
        (None, Some(until)) => Choice::Wait(until),
        (None, None) => Choice::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderName, StatusCode};
    use ulid::Ulid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn account(number: u64) -> AccountId {
        AccountId::new(Ulid::from_parts(number, 1))
    }

    fn due(work: u32, class: Class, at: i64) -> Due<u32> {
        Due {
            work,
            class,
            resource: Resource::Core,
            account: account(1),
            at: Timestamp::from_secs(1_000_000 + at),
        }
    }

    fn chosen(dues: &[Due<u32>]) -> Choice<u32> {
        choose(dues.iter().copied(), &Ledger::default(), &Turns::default(), NOW)
    }

    /// A ledger of the resource's window, an hour long.
    fn left(resource: Resource, remaining: u64, limit: u64) -> Ledger {
        let mut headers = HeaderMap::new();
        for (name, value) in [("remaining", remaining), ("limit", limit), ("reset", 1_003_600)] {
            let name: HeaderName = format!("x-ratelimit-{name}").parse().unwrap();
            headers.insert(name, value.into());
        }
        let mut ledger = Ledger::default();
        ledger.note(resource, StatusCode::OK, &headers, "", NOW);
        ledger
    }

    #[test]
    fn the_most_urgent_comes_first_and_then_what_has_been_due_for_longest() {
        let dues = [
            due(1, Class::Sweep, -900),
            due(2, Class::Fresh, -10),
            due(3, Class::Fresh, -20),
        ];
        assert_eq!(chosen(&dues), Choice::Do(dues[2]));
        let interactive = due(4, Class::Interactive, 0);
        assert_eq!(
            chosen(&[dues[0], dues[1], dues[2], interactive]),
            Choice::Do(interactive)
        );
    }

    #[test]
    fn nothing_is_done_before_it_is_due() {
        assert_eq!(chosen(&[]), Choice::Nothing);
        let dues = [due(1, Class::Fresh, 30), due(2, Class::Sweep, 20)];
        assert_eq!(chosen(&dues), Choice::Wait(dues[1].at));
    }

    #[test]
    fn a_spent_resource_waits_for_its_window_and_others_go_on() {
        let core = due(1, Class::Interactive, -1);
        let search = Due {
            resource: Resource::Search,
            ..due(2, Class::Sweep, -1)
        };
        let ledger = left(Resource::Core, 0, 5_000);
        assert_eq!(
            choose([core, search], &ledger, &Turns::default(), NOW),
            Choice::Do(search)
        );
        let reset = NOW.plus(Duration::from_hours(1));
        assert_eq!(choose([core], &ledger, &Turns::default(), NOW), Choice::Wait(reset));
    }

    #[test]
    fn the_less_urgent_the_work_the_more_of_the_budget_it_leaves() {
        let at = |class, remaining| {
            let ledger = left(Resource::Core, remaining, 1_000);
            matches!(
                choose([due(1, class, -1)], &ledger, &Turns::default(), NOW),
                Choice::Do(_)
            )
        };
        for (class, least) in [
            (Class::Interactive, 1),
            (Class::Fresh, 50),
            (Class::Sweep, 100),
            (Class::Enrichment, 200),
        ] {
            assert!(at(class, least) && !at(class, least - 1), "{class:?}");
        }
    }

    #[test]
    fn an_account_with_much_to_do_does_not_crowd_out_one_with_little() {
        let mut turns = Turns::default();
        let mut dues: Vec<Due<u32>> = (0..1_000).map(|work| due(work, Class::Fresh, -1_000)).collect();
        for work in 2_000..2_010 {
            dues.push(Due {
                account: account(2),
                ..due(work, Class::Fresh, -1)
            });
        }
        for _ in 0..20 {
            let Choice::Do(chosen) = choose(dues.iter().copied(), &Ledger::default(), &turns, NOW) else {
                panic!("nothing was chosen");
            };
            turns.charge(chosen.account);
            dues.retain(|due| due.work != chosen.work);
        }
        let left = dues.iter().filter(|due| due.account == account(2)).count();
        assert_eq!(left, 0, "each account had every second turn");
    }

    #[test]
    fn who_comes_later_has_no_old_claims() {
        let mut turns = Turns::default();
        for _ in 0..100 {
            turns.charge(account(1));
        }
        turns.charge(account(2));
        assert_eq!(turns.of(account(2)), 100);
        assert_eq!(turns.first([account(2), account(1)].into_iter()), Some(account(1)));
    }
}
