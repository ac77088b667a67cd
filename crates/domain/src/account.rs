//! An account: its plan and its API keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate};
use crate::event::{AccountOpened, ApiKeyIssued, ApiKeyRevoked, Event, PlanChanged};
use crate::stream::Category;
use crate::{ApiKeyId, PlanName};

/// What the account's events add up to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    plan: Option<PlanName>,
    keys: BTreeMap<ApiKeyId, KeyState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum KeyState {
    Valid,
    Revoked,
}

/// What may be asked of an account.
#[derive(Debug, Clone)]
pub enum AccountCommand {
    /// Open it.
    Open(AccountOpened),
    /// Move it to a plan.
    ChangePlan(PlanName),
    /// Issue a key.
    IssueKey(ApiKeyIssued),
    /// Revoke a key.
    RevokeKey(ApiKeyId),
}

/// Why an account refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefusal {
    /// No account of that id was opened.
    #[error("there is no such account")]
    NotOpened,
    /// It is open already.
    #[error("the account is open already")]
    AlreadyOpened,
    /// The account has no such key.
    #[error("the account has no such key")]
    UnknownKey,
    /// A key of that id was issued before.
    #[error("a key of that id was issued before")]
    KeyIdUsed,
}

aggregate!(Account, Category::Account, AccountCommand, AccountRefusal);

impl Decide for Account {
    fn decide(&self, command: AccountCommand) -> Result<Vec<Event>, AccountRefusal> {
        match (command, &self.plan) {
            (AccountCommand::Open(_), Some(_)) => Err(AccountRefusal::AlreadyOpened),
            (AccountCommand::Open(opened), None) => Ok(vec![opened.into()]),
            (_, None) => Err(AccountRefusal::NotOpened),
            (AccountCommand::ChangePlan(plan), Some(current)) if plan == *current => Ok(Vec::new()),
            (AccountCommand::ChangePlan(plan), Some(_)) => Ok(vec![PlanChanged { plan }.into()]),
            (AccountCommand::IssueKey(issued), Some(_)) if self.keys.contains_key(&issued.key_id) => {
                Err(AccountRefusal::KeyIdUsed)
            }
            (AccountCommand::IssueKey(issued), Some(_)) => Ok(vec![issued.into()]),
            (AccountCommand::RevokeKey(key_id), Some(_)) => match self.keys.get(&key_id) {
                None => Err(AccountRefusal::UnknownKey),
                Some(KeyState::Revoked) => Ok(Vec::new()),
                Some(KeyState::Valid) => Ok(vec![ApiKeyRevoked { key_id }.into()]),
            },
        }
    }
}

impl Account {
    fn evolve(&mut self, event: &Event) {
        match event {
            Event::AccountOpened(opened) => self.plan = Some(opened.plan.clone()),
            Event::PlanChanged(changed) => self.plan = Some(changed.plan.clone()),
            Event::ApiKeyIssued(issued) => {
                self.keys.insert(issued.key_id, KeyState::Valid);
            }
            Event::ApiKeyRevoked(revoked) => {
                self.keys.insert(revoked.key_id, KeyState::Revoked);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use ulid::Ulid;

    use super::*;

    fn plan(name: &str) -> PlanName {
        name.parse().unwrap()
    }

    fn opened() -> Event {
        AccountOpened {
            name: "Acme".into(),
            plan: plan("agency"),
        }
        .into()
    }

    fn issued(number: u128) -> ApiKeyIssued {
        let key_id = ApiKeyId::new(Ulid::from_parts(1, number));
        ApiKeyIssued {
            key_id,
            label: "first".into(),
            hash: "00".repeat(32),
            hint: "wxyz".into(),
        }
    }

    fn account() -> TestFramework<Account> {
        TestFramework::with(())
    }

    #[test]
    fn an_account_is_opened_once() {
        let open = AccountOpened {
            name: "Acme".into(),
            plan: plan("agency"),
        };
        account()
            .given_no_previous_events()
            .when(AccountCommand::Open(open.clone()))
            .then_expect_events(vec![opened()]);
        account()
            .given(vec![opened()])
            .when(AccountCommand::Open(open))
            .then_expect_error(AccountRefusal::AlreadyOpened);
    }

    #[test]
    fn nothing_happens_in_an_account_that_was_never_opened() {
        for command in [
            AccountCommand::ChangePlan(plan("pro")),
            AccountCommand::IssueKey(issued(1)),
            AccountCommand::RevokeKey(issued(1).key_id),
        ] {
            account()
                .given_no_previous_events()
                .when(command)
                .then_expect_error(AccountRefusal::NotOpened);
        }
    }

    #[test]
    fn the_plan_changes_only_to_another_one() {
        let changed: Event = PlanChanged { plan: plan("pro") }.into();
        account()
            .given(vec![opened()])
            .when(AccountCommand::ChangePlan(plan("pro")))
            .then_expect_events(vec![changed.clone()]);
        account()
            .given(vec![opened()])
            .when(AccountCommand::ChangePlan(plan("agency")))
            .then_expect_events(vec![]);
        account()
            .given(vec![opened(), changed])
            .when(AccountCommand::ChangePlan(plan("pro")))
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_key_is_revoked_once_and_its_id_never_comes_back() {
        let given = vec![opened(), issued(1).into()];
        let revoked: Event = ApiKeyRevoked {
            key_id: issued(1).key_id,
        }
        .into();
        account()
            .given(given.clone())
            .when(AccountCommand::RevokeKey(issued(1).key_id))
            .then_expect_events(vec![revoked.clone()]);
        account()
            .given(given.clone())
            .and(vec![revoked.clone()])
            .when(AccountCommand::RevokeKey(issued(1).key_id))
            .then_expect_events(vec![]);
        account()
            .given(given.clone())
            .and(vec![revoked])
            .when(AccountCommand::IssueKey(issued(1)))
            .then_expect_error(AccountRefusal::KeyIdUsed);
        account()
            .given(given)
            .when(AccountCommand::RevokeKey(issued(2).key_id))
            .then_expect_error(AccountRefusal::UnknownKey);
    }
}
