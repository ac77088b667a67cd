//! A lead: a person within an account, from the first signal on. The busiest rules of the house.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate};
use crate::event::{
    Event, LeadCaptured, LeadEnriched, LeadErased, LeadReleased, LeadUpdated, LeadWithheld, SignalRecorded,
    StarGivenAgain, StarTakenBack,
};
use crate::signal::words;
use crate::stream::Category;
use crate::{Collector, EventId, LeadId, LoginKey, ProfileField, RepoKey, Sealed, Signal, SignalKey, Timestamp};

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
    signals: BTreeMap<SignalKey, Heard>,
    /// The stars among them that were taken back and not given again.
    taken_back: BTreeMap<SignalKey, TakenBack>,
}

/// What is known of a signal.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Heard {
    /// The source that brought it.
    collector: Collector,
    repo: RepoKey,
    /// When it happened on GitHub; of a star that was given again, when that was.
    occurred_at: Timestamp,
}

/// A star that is not there any more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct TakenBack {
    at: Timestamp,
    recorded_by: EventId,
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
    /// Put down that a star was taken back, unless it was given after that. One that is not known leaves nothing to put down.
    TakeStarBack {
        /// The signal that the star is.
        signal: SignalKey,
        /// The event that recorded it.
        recorded_by: EventId,
        /// When.
        taken_back_at: Timestamp,
        /// Which source tells of it.
        collector: Collector,
    },
    /// Put down that a star was given, if it had been taken back before.
    GiveStarAgain {
        /// The signal that the star is.
        signal: SignalKey,
        /// When it happened on GitHub.
        occurred_at: Timestamp,
        /// Which source tells of it.
        collector: Collector,
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
            (LeadCommand::TakeStarBack { .. } | LeadCommand::GiveStarAgain { .. }, None) => None,
            (_, None) => return Err(LeadRefusal::Unknown),
            (
                LeadCommand::TakeStarBack {
                    signal,
                    recorded_by,
                    taken_back_at,
                    collector,
                },
                Some(lead_id),
            ) => {
                let taken_back = TakenBack {
                    at: taken_back_at,
                    recorded_by,
                };
                self.take_back(lead_id, signal, taken_back, collector)
            }
            (
                LeadCommand::GiveStarAgain {
                    signal,
                    occurred_at,
                    collector,
                },
                Some(lead_id),
            ) => self.give_again(lead_id, signal, occurred_at, collector),
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
        self.signals.get(signal).map(|heard| heard.collector)
    }

    fn take_back(
        &self,
        lead_id: LeadId,
        signal: SignalKey,
        TakenBack { at, recorded_by }: TakenBack,
        collector: Collector,
    ) -> Option<Event> {
        let heard = self.signals.get(&signal)?;
        let is_there = heard.occurred_at <= at && !self.taken_back.contains_key(&signal);
        is_there.then(|| {
            StarTakenBack {
                lead_id,
                signal,
                repo: heard.repo,
                recorded_by,
                taken_back_at: at,
                collector,
                withheld: self.withheld,
            }
            .into()
        })
    }

    fn give_again(
        &self,
        lead_id: LeadId,
        signal: SignalKey,
        occurred_at: Timestamp,
        collector: Collector,
    ) -> Option<Event> {
        let heard = self.signals.get(&signal)?;
        let taken_back = self.taken_back.get(&signal)?;
        (taken_back.at <= occurred_at).then(|| {
            StarGivenAgain {
                lead_id,
                signal,
                repo: heard.repo,
                recorded_by: taken_back.recorded_by,
                occurred_at,
                collector,
                withheld: self.withheld,
            }
            .into()
        })
    }

    fn hear(&mut self, signal: &Signal) {
        let heard = Heard {
            collector: signal.collector,
            repo: signal.repo,
            occurred_at: signal.occurred_at,
        };
        self.signals.insert(signal.key, heard);
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
                self.hear(&captured.signal);
            }
            Event::LeadWithheld(withheld) => {
                self.lead_id = Some(withheld.lead_id);
                self.withheld = true;
                self.hear(&withheld.signal);
            }
            Event::SignalRecorded(recorded) => self.hear(&recorded.signal),
            Event::StarTakenBack(told) => {
                let taken_back = TakenBack {
                    at: told.taken_back_at,
                    recorded_by: told.recorded_by,
                };
                self.taken_back.insert(told.signal, taken_back);
            }
            Event::StarGivenAgain(told) => {
                self.taken_back.remove(&told.signal);
                if let Some(heard) = self.signals.get_mut(&told.signal) {
                    heard.occurred_at = told.occurred_at;
                }
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
    use crate::SignalKind;

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

    fn recorded_by() -> EventId {
        EventId::new(Ulid::from_parts(1, 77))
    }

    fn take_back(number: u8, second: i64) -> LeadCommand {
        LeadCommand::TakeStarBack {
            signal: SignalKey::new([number; 16]),
            recorded_by: recorded_by(),
            taken_back_at: Timestamp::from_secs(second),
            collector: Collector::GithubWebhook,
        }
    }

    fn taken_back(second: i64) -> Event {
        StarTakenBack {
            lead_id: id(1),
            signal: SignalKey::new([1; 16]),
            repo: RepoKey::new([9; 16]),
            recorded_by: recorded_by(),
            taken_back_at: Timestamp::from_secs(second),
            collector: Collector::GithubWebhook,
            withheld: false,
        }
        .into()
    }

    fn give_again(second: i64) -> LeadCommand {
        LeadCommand::GiveStarAgain {
            signal: SignalKey::new([1; 16]),
            occurred_at: Timestamp::from_secs(second),
            collector: Collector::EventsFeed,
        }
    }

    fn given_again(second: i64) -> Event {
        StarGivenAgain {
            lead_id: id(1),
            signal: SignalKey::new([1; 16]),
            repo: RepoKey::new([9; 16]),
            recorded_by: recorded_by(),
            occurred_at: Timestamp::from_secs(second),
            collector: Collector::EventsFeed,
            withheld: false,
        }
        .into()
    }

    #[test]
    fn a_star_is_taken_back_once_and_only_after_it_was_given() {
        lead()
            .given(vec![captured()])
            .when(take_back(1, 50))
            .then_expect_events(vec![taken_back(50)]);
        for (given, command) in [
            (vec![], take_back(1, 50)),
            (vec![captured()], take_back(2, 50)),
            (vec![captured()], take_back(1, 0)),
            (vec![captured(), taken_back(50)], take_back(1, 60)),
            (vec![captured(), taken_back(50), given_again(70)], take_back(1, 60)),
        ] {
            lead().given(given).when(command).then_expect_events(vec![]);
        }
        lead()
            .given(vec![captured(), taken_back(50), given_again(70)])
            .when(take_back(1, 80))
            .then_expect_events(vec![taken_back(80)]);
    }

    #[test]
    fn a_star_is_given_again_only_if_it_had_been_taken_back_before() {
        lead()
            .given(vec![captured(), taken_back(50)])
            .when(give_again(70))
            .then_expect_events(vec![given_again(70)]);
        for (given, second) in [
            (vec![], 70),
            (vec![captured()], 70),
            (vec![captured(), taken_back(50)], 1),
            (vec![captured(), taken_back(50), given_again(70)], 90),
        ] {
            lead().given(given).when(give_again(second)).then_expect_events(vec![]);
        }
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
