//! What a lead was at a moment, from the events of its own stream: rows know of today alone. Pure, as a fold is; the
//! answers are those that the queries gave at that moment.

use std::collections::BTreeMap;

use domain::event::{LeadCaptured, LeadWithheld};
use domain::{Event, EventId, LeadId, LeadStatus, PersonRef, Sealed, Signal, Timestamp};
use event_log::{Position, Recorded};

use super::{LeadDetail, LeadRow, SignalRow};

/// The latest profile that was known by then, and the event it was sealed for.
pub fn profile_at(history: &[Recorded], moment: Timestamp) -> Option<(EventId, Sealed)> {
    let past = history.iter().rev().filter(|recorded| recorded.recorded_at <= moment);
    let mut profiles = past.filter_map(|recorded| match &recorded.event {
        Event::LeadEnriched(enriched) => Some((recorded.id, enriched.profile.clone())),
        _ => None,
    });
    profiles.next()
}

/// The lead whole, as it was then; none if it was not shown yet. `history` is the person's stream from its start.
pub fn detail_at(history: &[Recorded], moment: Timestamp) -> Option<LeadDetail> {
    let past = history.iter().take_while(|recorded| recorded.recorded_at <= moment);
    let mut told = Told::default();
    for recorded in past {
        told.take(recorded);
    }
    let (captured_at, position) = told.shown_from?;
    Some(LeadDetail {
        lead: LeadRow {
            lead_id: told.lead_id?,
            person: told.person?,
            captured_at,
            position,
            signal: told.signals.first()?.clone(),
            profile: profile_at(history, moment),
        },
        signals: told.signals,
        stars_gone: told.stars_gone,
        status: told.status,
        notes: told.notes,
        withheld: false,
        updated_at: told.updated_at,
    })
}

/// What the events up to some point say.
#[derive(Default)]
struct Told {
    lead_id: Option<LeadId>,
    person: Option<PersonRef>,
    /// Its capture, or its release.
    shown_from: Option<(Timestamp, Position)>,
    signals: Vec<SignalRow>,
    stars_gone: BTreeMap<EventId, Timestamp>,
    status: LeadStatus,
    notes: Option<(EventId, Sealed)>,
    updated_at: Timestamp,
}

impl Told {
    fn take(&mut self, recorded: &Recorded) {
        let place = Some((recorded.recorded_at, recorded.position));
        match &recorded.event {
            Event::LeadCaptured(LeadCaptured { lead_id, signal, .. }) => {
                self.lead_id = Some(*lead_id);
                self.person = recorded.stream.person();
                self.shown_from = place;
                self.signals.push(row(recorded, signal));
            }
            Event::LeadWithheld(LeadWithheld { lead_id, signal, .. }) => {
                self.lead_id = Some(*lead_id);
                self.person = recorded.stream.person();
                self.signals.push(row(recorded, signal));
            }
            Event::SignalRecorded(further) => self.signals.push(row(recorded, &further.signal)),
            Event::StarTakenBack(told) => {
                self.stars_gone.insert(told.recorded_by, told.taken_back_at);
            }
            Event::StarGivenAgain(told) => {
                self.stars_gone.remove(&told.recorded_by);
            }
            // A released lead enters the lists at the moment of its release.
            Event::LeadReleased(_) => self.shown_from = place,
            Event::LeadUpdated(updated) => {
                self.status = updated.status;
                self.notes = updated.notes.clone().map(|notes| (recorded.id, notes));
            }
            Event::LeadEnriched(_) => {}
            _ => return,
        }
        self.updated_at = recorded.recorded_at;
    }
}

fn row(recorded: &Recorded, signal: &Signal) -> SignalRow {
    SignalRow {
        number: u32::try_from(recorded.version).unwrap_or(u32::MAX),
        kind: signal.kind,
        keyword: signal.keyword.as_ref().map(|keyword| keyword.as_str().to_owned()),
        occurred_at: signal.occurred_at,
        recorded_at: recorded.recorded_at,
        collector: signal.collector,
        event_id: recorded.id,
        person: signal.person.clone(),
    }
}
