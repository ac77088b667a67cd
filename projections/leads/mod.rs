//! The leads: who they are, their timelines, and a row per facet that makes every filtered listing one index range.
//!
//! The API, the dashboard and delivery read it. Untracking a repository or a keyword leaves its leads in place.

mod history;
mod keyword_signals;
mod queries;

use std::collections::BTreeMap;

use database::{Statement, Value};
use domain::event::{LeadEnriched, LeadErased, LeadReleased, LeadUpdated};
use domain::{Event, EventId, LeadId, RepoKey, Signal, SignalKind, Timestamp};
use event_log::Recorded;

pub use history::{detail_at, profile_at};
pub use keyword_signals::{KeywordSignal, keyword_signals};
pub use queries::{
    ErasedRow, LeadDetail, LeadQuery, LeadRow, SignalRow, accounts_with_withheld, find, find_erased, find_withheld_too,
    page, withheld,
};

use crate::{Projection, columns};

/// The projection.
pub struct Leads;

impl Projection for Leads {
    fn name(&self) -> &'static str {
        "leads"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        match &recorded.event {
            Event::LeadCaptured(captured) => first(recorded, captured.lead_id, &captured.signal, false),
            Event::LeadWithheld(withheld) => first(recorded, withheld.lead_id, &withheld.signal, true),
            Event::SignalRecorded(further) => signal(recorded, further.lead_id, &further.signal, further.withheld),
            Event::StarTakenBack(told) => {
                vec![star(recorded, told.lead_id, told.recorded_by, Some(told.taken_back_at))]
            }
            Event::StarGivenAgain(told) => vec![star(recorded, told.lead_id, told.recorded_by, None)],
            Event::LeadReleased(released) => release(recorded, released),
            Event::LeadEnriched(enriched) => vec![profiles(vec![profile(recorded, enriched)])],
            Event::LeadUpdated(updated) => vec![status(updated), noted(vec![notes(recorded, updated)])],
            Event::LeadErased(erased) => erase(recorded, erased),
            _ => Vec::new(),
        }
    }

    /// Of the enrichments and of the edits of one lead the last alone is written: each replaces the former whole, in a table of
    /// its own, and PostgreSQL refuses an upsert that meets a row twice. They come last, so those of leads that are erased in
    /// the stretch are left out: nothing follows an erasure.
    fn apply_all(&self, stretch: &[Recorded]) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut latest: BTreeMap<LeadId, Vec<Value>> = BTreeMap::new();
        let mut latest_notes: BTreeMap<LeadId, Vec<Value>> = BTreeMap::new();
        for recorded in stretch {
            match &recorded.event {
                Event::LeadEnriched(enriched) => {
                    latest.insert(enriched.lead_id, profile(recorded, enriched));
                }
                Event::LeadUpdated(updated) => {
                    statements.push(status(updated));
                    latest_notes.insert(updated.lead_id, notes(recorded, updated));
                }
                Event::LeadErased(erased) => {
                    latest.remove(&erased.lead_id);
                    latest_notes.remove(&erased.lead_id);
                    statements.extend(erase(recorded, erased));
                }
                _ => statements.extend(self.apply(recorded)),
            }
        }
        if !latest.is_empty() {
            statements.push(profiles(latest.into_values().collect()));
        }
        if !latest_notes.is_empty() {
            statements.push(noted(latest_notes.into_values().collect()));
        }
        statements
    }
}

/// A lead's first event: the lead and the signal that made it one.
fn first(recorded: &Recorded, lead_id: LeadId, captured_by: &Signal, withheld: bool) -> Vec<Statement> {
    // The log puts lead events into streams of people alone; another stream's have no person to show.
    let Some(person) = recorded.stream.person() else {
        return Vec::new();
    };
    let lead = Statement::insert(
        "leads (lead_id, account, person, status, withheld, position)",
        "ON CONFLICT DO NOTHING",
        vec![
            columns::id(lead_id.ulid()),
            columns::id(recorded.account().ulid()),
            person.bytes().as_slice().into(),
            "new".into(),
            withheld.into(),
            columns::place(recorded.position),
        ],
    );
    let mut statements = vec![lead];
    statements.extend(signal(recorded, lead_id, captured_by, withheld));
    statements
}

/// A signal: a row of the timeline, and the facets that no earlier signal of the lead has.
fn signal(recorded: &Recorded, lead_id: LeadId, signal: &Signal, withheld: bool) -> Vec<Statement> {
    let account = columns::id(recorded.account().ulid());
    let lead = columns::id(lead_id.ulid());
    let timeline = Statement::insert(
        "lead_signals (lead_id, number, account, kind, keyword, occurred_at, recorded_at, collector, event_id, person)",
        "ON CONFLICT DO NOTHING",
        vec![
            lead.clone(),
            recorded.version.into(),
            account.clone(),
            signal.kind.as_str().into(),
            signal.keyword.as_ref().map(domain::Keyword::as_str).into(),
            columns::time(signal.occurred_at),
            columns::time(recorded.recorded_at),
            signal.collector.as_str().into(),
            columns::id(recorded.id.ulid()),
            signal.person.bytes().into(),
        ],
    );
    let facets = facets_of(signal).map(|facet| {
        vec![
            lead.clone(),
            facet.into(),
            account.clone(),
            (!withheld).into(),
            columns::time(recorded.recorded_at),
            columns::place(recorded.position),
            recorded.version.into(),
        ]
    });
    let facets = Statement::Insert {
        into: "lead_facets (lead_id, facet, account, visible, captured_at, position, number)",
        on_conflict: "ON CONFLICT DO NOTHING",
        rows: facets.into(),
    };
    vec![timeline, facets]
}

/// A star of the timeline is not there any more since then, or is there again. A statement of its own: a stretch may tell of
/// it more than once.
fn star(recorded: &Recorded, lead_id: LeadId, signal: EventId, taken_back_at: Option<Timestamp>) -> Statement {
    Statement::sql(
        "INSERT INTO lead_stars_gone (lead_id, event_id, taken_back_at, recorded_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (lead_id, event_id) DO UPDATE SET taken_back_at = excluded.taken_back_at, \
         recorded_at = excluded.recorded_at",
        vec![
            columns::id(lead_id.ulid()),
            columns::id(signal.ulid()),
            taken_back_at.map(Timestamp::micros).into(),
            columns::time(recorded.recorded_at),
        ],
    )
}

/// A withheld lead enters the lists, at the top: as if captured at the time of its release, by whichever facet.
fn release(recorded: &Recorded, released: &LeadReleased) -> Vec<Statement> {
    let lead = columns::id(released.lead_id.ulid());
    vec![
        Statement::sql("UPDATE leads SET withheld = 0 WHERE lead_id = $1", vec![lead.clone()]),
        Statement::sql(
            "UPDATE lead_facets SET visible = 1, captured_at = $1, position = $2 WHERE lead_id = $3",
            vec![
                columns::time(recorded.recorded_at),
                columns::place(recorded.position),
                lead,
            ],
        ),
    ]
}

fn profile(recorded: &Recorded, enriched: &LeadEnriched) -> Vec<Value> {
    vec![
        columns::id(enriched.lead_id.ulid()),
        enriched.profile.bytes().into(),
        columns::id(recorded.id.ulid()),
        columns::time(recorded.recorded_at),
    ]
}

fn profiles(rows: Vec<Vec<Value>>) -> Statement {
    Statement::Insert {
        into: "lead_profiles (lead_id, profile, event_id, recorded_at)",
        on_conflict: "ON CONFLICT (lead_id) DO UPDATE SET profile = excluded.profile, \
                      event_id = excluded.event_id, recorded_at = excluded.recorded_at",
        rows,
    }
}

/// How far the customer got with a lead.
fn status(updated: &LeadUpdated) -> Statement {
    Statement::sql(
        "UPDATE leads SET status = $1 WHERE lead_id = $2",
        vec![updated.status.as_str().into(), columns::id(updated.lead_id.ulid())],
    )
}

fn notes(recorded: &Recorded, updated: &LeadUpdated) -> Vec<Value> {
    vec![
        columns::id(updated.lead_id.ulid()),
        updated.notes.as_ref().map(domain::Sealed::bytes).into(),
        columns::id(recorded.id.ulid()),
        columns::time(recorded.recorded_at),
    ]
}

fn noted(rows: Vec<Vec<Value>>) -> Statement {
    Statement::Insert {
        into: "lead_notes (lead_id, notes, event_id, recorded_at)",
        on_conflict: "ON CONFLICT (lead_id) DO UPDATE SET notes = excluded.notes, event_id = excluded.event_id, \
                      recorded_at = excluded.recorded_at",
        rows,
    }
}

/// Everything of a lead goes but that there was one. What was shown of it besides the person stays: a client that has its id
/// is told what became of it.
fn erase(recorded: &Recorded, erased: &LeadErased) -> Vec<Statement> {
    let lead = columns::id(erased.lead_id.ulid());
    let shell = Statement::sql(
        "UPDATE leads SET status = 'erased', withheld = 0, erased_at = $1, \
         first_kind = (SELECT s.kind FROM lead_facets AS f CROSS JOIN lead_signals AS s WHERE f.lead_id = $2 \
         AND f.facet = '' AND f.visible = 1 AND s.lead_id = f.lead_id AND s.number = f.number), \
         first_seen_at = (SELECT f.captured_at FROM lead_facets AS f WHERE f.lead_id = $2 AND f.facet = '' \
         AND f.visible = 1) WHERE lead_id = $2",
        vec![columns::time(recorded.recorded_at), lead.clone()],
    );
    let rest = [
        "DELETE FROM lead_facets WHERE lead_id = $1",
        "DELETE FROM lead_signals WHERE lead_id = $1",
        "DELETE FROM lead_stars_gone WHERE lead_id = $1",
        "DELETE FROM lead_profiles WHERE lead_id = $1",
        "DELETE FROM lead_notes WHERE lead_id = $1",
    ];
    let rest = rest.map(|text| Statement::sql(text, vec![lead.clone()]));
    std::iter::once(shell).chain(rest).collect()
}

/// The facets that a signal has, one for each combination of filters that it matches.
fn facets_of(signal: &Signal) -> [String; 4] {
    let (kind, repo) = (Some(signal.kind), Some(signal.repo));
    [
        facet(None, None),
        facet(kind, None),
        facet(None, repo),
        facet(kind, repo),
    ]
}

/// The facet that a combination of filters asks for.
fn facet(kind: Option<SignalKind>, repo: Option<RepoKey>) -> String {
    match (kind, repo) {
        (None, None) => String::new(),
        (Some(kind), None) => format!("t:{kind}"),
        (None, Some(repo)) => format!("r:{repo}"),
        (Some(kind), Some(repo)) => format!("t:{kind} r:{repo}"),
    }
}

#[cfg(test)]
mod past_tests;
#[cfg(test)]
mod tests;
