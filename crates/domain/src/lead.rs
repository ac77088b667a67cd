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

    /// When the act was done that the signal tells of; of a star that was given again, when that was.
    pub fn occurred_at(&self, signal: &SignalKey) -> Option<Timestamp> {
        self.signals.get(signal).map(|heard| heard.occurred_at)
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
mod tests;
