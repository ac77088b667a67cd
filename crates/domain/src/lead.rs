//! A lead: a person within an account, from the first signal on. The busiest rules of the house.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate};
use crate::event::{
    Event, LeadCaptured, LeadEnriched, LeadErased, LeadReleased, LeadUpdated, LeadWithheld, SignalRecorded,
};
use crate::signal::words;
use crate::stream::Category;
use crate::{Collector, LeadId, LoginKey, ProfileField, Sealed, Signal, SignalKey};

words!(
    /// How far the customer got with a lead.
    LeadStatus {
        /// Nothing was done yet.
        New = "new",
        /// The customer wrote or spoke to the person.
        Contacted = "contacted",
        /// The person answered.
        Replied = "replied",
        /// The person became what the customer hoped for.
        Converted = "converted",
        /// The customer expects nothing of it.
        Dismissed = "dismissed",
    }
    all = "new, contacted, replied, converted, dismissed"
);

/// Where every lead begins.
impl Default for LeadStatus {
    fn default() -> Self {
        Self::New
    }
}

/// What the lead's events add up to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lead {
    lead_id: Option<LeadId>,
    withheld: bool,
    erased: bool,
    status: LeadStatus,
    /// Each with the source that brought it.
    signals: BTreeMap<SignalKey, Collector>,
}

/// What the month's quota says when a person is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// There is room.
    Within,
    /// The cap, in leads a month, is reached.
    Exhausted {
        /// The cap.
        cap: u32,
    },
}

/// What may be asked of a lead.
#[derive(Debug, Clone)]
pub enum LeadCommand {
    /// Record a signal; a person's first one captures the lead.
    RecordSignal {
        /// The id to use if the person is new.
        lead_id: LeadId,
        /// What the person is called.
        login: LoginKey,
        /// The signal.
        signal: Signal,
        /// Whether a new person may be captured this month.
        quota: Quota,
    },
    /// Put down what the public profile says.
    Enrich {
        /// What the person is called.
        login: LoginKey,
        /// A sealed [`crate::Profile`], whole.
        profile: Sealed,
        /// The fields whose values changed; none: nothing to put down.
        changed: Vec<ProfileField>,
    },
    /// Capture a withheld lead after all.
    Release,
    /// Put down how far the customer got.
    Update {
        /// The status from now on; none: as it was.
        status: Option<LeadStatus>,
        /// The notes from now on, whole: a sealed text.
        notes: Option<Sealed>,
        /// Whether they say something else than before: what is sealed cannot be compared.
        notes_changed: bool,
    },
    /// Erase the person, whose key is destroyed.
    Erase,
}

/// Why a lead refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeadRefusal {
    /// The person never gave a signal.
    #[error("there is no such lead")]
    Unknown,
    /// The person was erased.
    #[error("the person was erased")]
    Erased,
}

aggregate!(Lead, Category::Lead, LeadCommand, LeadRefusal);

impl Decide for Lead {
    fn decide(&self, command: LeadCommand) -> Result<Vec<Event>, LeadRefusal> {
        let event = match (command, self.lead_id) {
            // An edit is a person's wish and gets an answer; whatever else comes too late comes to nothing.
            (LeadCommand::Update { .. }, _) if self.erased => return Err(LeadRefusal::Erased),
            _ if self.erased => None,
            (
                LeadCommand::RecordSignal {
                    lead_id,
                    login,
                    signal,
                    quota,
                },
                None,
            ) => Some(first(lead_id, login, signal, quota)),
            (LeadCommand::RecordSignal { login, signal, .. }, Some(lead_id)) => self.further(lead_id, login, signal),
            (_, None) => return Err(LeadRefusal::Unknown),
            (
                LeadCommand::Enrich {
                    login,
                    profile,
                    changed,
                },
                Some(lead_id),
            ) => (!changed.is_empty()).then(|| {
                LeadEnriched {
                    lead_id,
                    login: Some(login),
                    profile,
                    changed,
                    withheld: self.withheld,
                }
                .into()
            }),
            (LeadCommand::Release, Some(lead_id)) => self.withheld.then(|| LeadReleased { lead_id }.into()),
            (
                LeadCommand::Update {
                    status,
                    notes,
                    notes_changed,
                },
                Some(lead_id),
            ) => {
                let status = status.unwrap_or(self.status);
                (notes_changed || status != self.status).then(|| {
                    LeadUpdated {
                        lead_id,
                        status,
                        notes,
                        withheld: self.withheld,
                    }
                    .into()
                })
            }
            (LeadCommand::Erase, Some(lead_id)) => Some(
                LeadErased {
                    lead_id,
                    withheld: self.withheld,
                }
                .into(),
            ),
        };
        Ok(event.into_iter().collect())
    }
}

/// What a person's first signal comes to.
fn first(lead_id: LeadId, login: LoginKey, signal: Signal, quota: Quota) -> Event {
    let login = Some(login);
    match quota {
        Quota::Within => LeadCaptured { lead_id, login, signal }.into(),
        Quota::Exhausted { cap } => LeadWithheld {
            lead_id,
            login,
            signal,
            cap,
        }
        .into(),
    }
}

impl Lead {
    /// Whether the signal is recorded already: asked before its personal part is sealed in vain.
    pub fn knows(&self, signal: &SignalKey) -> bool {
        self.signals.contains_key(signal)
    }

    /// Which source brought the signal, if it is recorded already.
    pub fn brought_by(&self, signal: &SignalKey) -> Option<Collector> {
        self.signals.get(signal).copied()
    }

    /// Whether the person was erased.
    pub const fn is_erased(&self) -> bool {
        self.erased
    }

    fn further(&self, lead_id: LeadId, login: LoginKey, signal: Signal) -> Option<Event> {
        (!self.knows(&signal.key)).then(|| {
            SignalRecorded {
                lead_id,
                login: Some(login),
                signal,
                withheld: self.withheld,
            }
            .into()
        })
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::LeadCaptured(captured) => {
                self.lead_id = Some(captured.lead_id);
                self.signals.insert(captured.signal.key, captured.signal.collector);
            }
            Event::LeadWithheld(withheld) => {
                self.lead_id = Some(withheld.lead_id);
                self.withheld = true;
                self.signals.insert(withheld.signal.key, withheld.signal.collector);
            }
            Event::SignalRecorded(recorded) => {
                self.signals.insert(recorded.signal.key, recorded.signal.collector);
            }
            Event::LeadReleased(_) => self.withheld = false,
            Event::LeadUpdated(updated) => self.status = updated.status,
            Event::LeadErased(_) => self.erased = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use ulid::Ulid;

    use super::*;
    use crate::{RepoKey, SignalKind, Timestamp};

    fn id(number: u128) -> LeadId {
        LeadId::new(Ulid::from_parts(1, number))
    }

    fn signal(number: u8) -> Signal {
        Signal {
            key: SignalKey::new([number; 16]),
            kind: SignalKind::Stargazer,
            repo: RepoKey::new([9; 16]),
            keyword: None,
            occurred_at: Timestamp::from_secs(i64::from(number)),
            collector: Collector::Archive,
            person: Sealed::new(vec![number]),
        }
    }

    fn login() -> LoginKey {
        LoginKey::new([8; 16])
    }

    fn record(lead: u128, number: u8, quota: Quota) -> LeadCommand {
        LeadCommand::RecordSignal {
            lead_id: id(lead),
            login: login(),
            signal: signal(number),
            quota,
        }
    }

    fn captured() -> Event {
        LeadCaptured {
            lead_id: id(1),
            login: Some(login()),
            signal: signal(1),
        }
        .into()
    }

    fn withheld() -> Event {
        LeadWithheld {
            lead_id: id(1),
            login: Some(login()),
            signal: signal(1),
            cap: 50,
        }
        .into()
    }

    fn lead() -> TestFramework<Lead> {
        TestFramework::with(())
    }

    #[test]
    fn the_first_signal_captures_the_lead() {
        lead()
            .given_no_previous_events()
            .when(record(1, 1, Quota::Within))
            .then_expect_events(vec![captured()]);
    }

    #[test]
    fn a_further_signal_joins_the_lead_and_keeps_its_id() {
        let joined = SignalRecorded {
            lead_id: id(1),
            login: Some(login()),
            signal: signal(2),
            withheld: false,
        };
        lead()
            .given(vec![captured()])
            .when(record(9, 2, Quota::Within))
            .then_expect_events(vec![joined.into()]);
    }

    #[test]
    fn the_same_signal_is_recorded_once_whichever_source_brings_it() {
        let mut again = signal(1);
        again.collector = Collector::GithubWebhook;
        let command = LeadCommand::RecordSignal {
            lead_id: id(9),
            login: login(),
            signal: again,
            quota: Quota::Within,
        };
        lead()
            .given(vec![captured()])
            .when(command.clone())
            .then_expect_events(vec![]);
        lead().given(vec![withheld()]).when(command).then_expect_events(vec![]);
    }

    #[test]
    fn over_the_cap_a_new_person_is_withheld_and_a_known_one_still_gives_signals() {
        let over = Quota::Exhausted { cap: 50 };
        lead()
            .given_no_previous_events()
            .when(record(1, 1, over))
            .then_expect_events(vec![withheld()]);
        let joined = SignalRecorded {
            lead_id: id(1),
            login: Some(login()),
            signal: signal(2),
            withheld: true,
        };
        lead()
            .given(vec![withheld()])
            .when(record(1, 2, over))
            .then_expect_events(vec![joined.into()]);
        let joined = SignalRecorded {
            lead_id: id(1),
            login: Some(login()),
            signal: signal(2),
            withheld: false,
        };
        lead()
            .given(vec![captured()])
            .when(record(1, 2, over))
            .then_expect_events(vec![joined.into()]);
    }

    #[test]
    fn a_withheld_lead_is_released_once() {
        let released: Event = LeadReleased { lead_id: id(1) }.into();
        lead()
            .given(vec![withheld()])
            .when(LeadCommand::Release)
            .then_expect_events(vec![released.clone()]);
        lead()
            .given(vec![withheld(), released])
            .when(LeadCommand::Release)
            .then_expect_events(vec![]);
        lead()
            .given(vec![captured()])
            .when(LeadCommand::Release)
            .then_expect_events(vec![]);
        lead()
            .given_no_previous_events()
            .when(LeadCommand::Release)
            .then_expect_error(LeadRefusal::Unknown);
    }

    fn enrich(changed: Vec<ProfileField>) -> LeadCommand {
        LeadCommand::Enrich {
            login: login(),
            profile: Sealed::new(vec![7]),
            changed,
        }
    }

    fn update(status: Option<LeadStatus>, notes: Option<u8>, notes_changed: bool) -> LeadCommand {
        LeadCommand::Update {
            status,
            notes: notes.map(|byte| Sealed::new(vec![byte])),
            notes_changed,
        }
    }

    fn updated(status: LeadStatus, notes: Option<u8>, withheld: bool) -> Event {
        LeadUpdated {
            lead_id: id(1),
            status,
            notes: notes.map(|byte| Sealed::new(vec![byte])),
            withheld,
        }
        .into()
    }

    fn erased(withheld: bool) -> Event {
        LeadErased {
            lead_id: id(1),
            withheld,
        }
        .into()
    }

    #[test]
    fn an_enrichment_that_changes_nothing_is_no_event() {
        let expected = LeadEnriched {
            lead_id: id(1),
            login: Some(login()),
            profile: Sealed::new(vec![7]),
            changed: vec![ProfileField::Bio],
            withheld: false,
        };
        lead()
            .given(vec![captured()])
            .when(enrich(vec![ProfileField::Bio]))
            .then_expect_events(vec![expected.into()]);
        lead()
            .given(vec![captured()])
            .when(enrich(vec![]))
            .then_expect_events(vec![]);
        lead()
            .given_no_previous_events()
            .when(enrich(vec![ProfileField::Bio]))
            .then_expect_error(LeadRefusal::Unknown);
    }

    #[test]
    fn an_update_says_the_whole_state_and_one_that_changes_nothing_is_no_event() {
        let contacted = Some(LeadStatus::Contacted);
        lead()
            .given(vec![captured()])
            .when(update(contacted, None, false))
            .then_expect_events(vec![updated(LeadStatus::Contacted, None, false)]);
        let given = vec![captured(), updated(LeadStatus::Contacted, Some(3), false)];
        lead()
            .given(given.clone())
            .when(update(None, Some(4), true))
            .then_expect_events(vec![updated(LeadStatus::Contacted, Some(4), false)]);
        lead()
            .given(given.clone())
            .when(update(Some(LeadStatus::Replied), Some(4), false))
            .then_expect_events(vec![updated(LeadStatus::Replied, Some(4), false)]);
        for nothing in [update(contacted, Some(4), false), update(None, Some(4), false)] {
            lead().given(given.clone()).when(nothing).then_expect_events(vec![]);
        }
        lead()
            .given(vec![captured()])
            .when(update(Some(LeadStatus::New), None, false))
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_withheld_lead_is_updated_as_one_that_nobody_sees_yet_and_an_unknown_one_is_not() {
        lead()
            .given(vec![withheld()])
            .when(update(Some(LeadStatus::Dismissed), None, false))
            .then_expect_events(vec![updated(LeadStatus::Dismissed, None, true)]);
        lead()
            .given_no_previous_events()
            .when(update(Some(LeadStatus::Dismissed), None, false))
            .then_expect_error(LeadRefusal::Unknown);
    }

    #[test]
    fn a_person_is_erased_once() {
        lead()
            .given(vec![captured()])
            .when(LeadCommand::Erase)
            .then_expect_events(vec![erased(false)]);
        lead()
            .given(vec![withheld()])
            .when(LeadCommand::Erase)
            .then_expect_events(vec![erased(true)]);
        lead()
            .given(vec![captured(), erased(false)])
            .when(LeadCommand::Erase)
            .then_expect_events(vec![]);
        lead()
            .given_no_previous_events()
            .when(LeadCommand::Erase)
            .then_expect_error(LeadRefusal::Unknown);
    }

    #[test]
    fn nothing_more_is_recorded_of_an_erased_person() {
        let given = vec![withheld(), erased(true)];
        for command in [
            record(9, 2, Quota::Within),
            enrich(vec![ProfileField::Bio]),
            LeadCommand::Release,
        ] {
            lead().given(given.clone()).when(command).then_expect_events(vec![]);
        }
        lead()
            .given(given)
            .when(update(Some(LeadStatus::Contacted), None, false))
            .then_expect_error(LeadRefusal::Erased);
    }
}
