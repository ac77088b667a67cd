//! A lead: a person within an account, from the first signal on. The busiest rules of the house.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate};
use crate::event::{Event, LeadCaptured, LeadEnriched, LeadReleased, LeadWithheld, SignalRecorded};
use crate::stream::Category;
use crate::{LeadId, ProfileField, Sealed, Signal, SignalKey};

/// What the lead's events add up to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lead {
    lead_id: Option<LeadId>,
    withheld: bool,
    signals: BTreeSet<SignalKey>,
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
        /// The signal.
        signal: Signal,
        /// Whether a new person may be captured this month.
        quota: Quota,
    },
    /// Put down what the public profile says.
    Enrich {
        /// A sealed [`crate::Profile`], whole.
        profile: Sealed,
        /// The fields whose values changed; none: nothing to put down.
        changed: Vec<ProfileField>,
    },
    /// Capture a withheld lead after all.
    Release,
}

/// Why a lead refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeadRefusal {
    /// The person never gave a signal.
    #[error("there is no such lead")]
    Unknown,
}

aggregate!(Lead, Category::Lead, LeadCommand, LeadRefusal);

impl Decide for Lead {
    fn decide(&self, command: LeadCommand) -> Result<Vec<Event>, LeadRefusal> {
        match (command, self.lead_id) {
            (
                LeadCommand::RecordSignal {
                    lead_id,
                    signal,
                    quota: Quota::Within,
                },
                None,
            ) => Ok(vec![LeadCaptured { lead_id, signal }.into()]),
            (
                LeadCommand::RecordSignal {
                    lead_id,
                    signal,
                    quota: Quota::Exhausted { cap },
                },
                None,
            ) => Ok(vec![LeadWithheld { lead_id, signal, cap }.into()]),
            (LeadCommand::RecordSignal { signal, .. }, Some(lead_id)) => {
                if self.signals.contains(&signal.key) {
                    return Ok(Vec::new());
                }
                Ok(vec![
                    SignalRecorded {
                        lead_id,
                        signal,
                        withheld: self.withheld,
                    }
                    .into(),
                ])
            }
            (_, None) => Err(LeadRefusal::Unknown),
            (LeadCommand::Enrich { profile, changed }, Some(lead_id)) => {
                if changed.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(vec![
                    LeadEnriched {
                        lead_id,
                        profile,
                        changed,
                        withheld: self.withheld,
                    }
                    .into(),
                ])
            }
            (LeadCommand::Release, Some(lead_id)) if self.withheld => Ok(vec![LeadReleased { lead_id }.into()]),
            (LeadCommand::Release, Some(_)) => Ok(Vec::new()),
        }
    }
}

impl Lead {
    /// Whether the signal is recorded already: asked before its personal part is sealed in vain.
    pub fn knows(&self, signal: &SignalKey) -> bool {
        self.signals.contains(signal)
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::LeadCaptured(captured) => {
                self.lead_id = Some(captured.lead_id);
                self.signals.insert(captured.signal.key);
            }
            Event::LeadWithheld(withheld) => {
                self.lead_id = Some(withheld.lead_id);
                self.withheld = true;
                self.signals.insert(withheld.signal.key);
            }
            Event::SignalRecorded(recorded) => {
                self.signals.insert(recorded.signal.key);
            }
            Event::LeadReleased(_) => self.withheld = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use ulid::Ulid;

    use super::*;
    use crate::{Collector, RepoKey, SignalKind, Timestamp};

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

    fn record(lead: u128, number: u8, quota: Quota) -> LeadCommand {
        LeadCommand::RecordSignal {
            lead_id: id(lead),
            signal: signal(number),
            quota,
        }
    }

    fn captured() -> Event {
        LeadCaptured {
            lead_id: id(1),
            signal: signal(1),
        }
        .into()
    }

    fn withheld() -> Event {
        LeadWithheld {
            lead_id: id(1),
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
            signal: signal(2),
            withheld: true,
        };
        lead()
            .given(vec![withheld()])
            .when(record(1, 2, over))
            .then_expect_events(vec![joined.into()]);
        let joined = SignalRecorded {
            lead_id: id(1),
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

    #[test]
    fn an_enrichment_that_changes_nothing_is_no_event() {
        let enrich = |changed: Vec<ProfileField>| LeadCommand::Enrich {
            profile: Sealed::new(vec![7]),
            changed,
        };
        let expected = LeadEnriched {
            lead_id: id(1),
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
}
