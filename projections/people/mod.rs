//! Whom a login means: people are renamed, and a login that was left may become another's. The API and the command line
//! find a person by it.
//!
//! What counts is when somebody was called so, not when that was recorded: an archive tells of logins that were left long ago.
//! The newest known login of a person is theirs, and so is the one that the lists show, which is older only before the first
//! enrichment. Of several people whoever was called so last has the login, even once they are erased: an erasure that is asked
//! for twice must not go on to somebody else.

use std::collections::BTreeMap;

use database::{Database, DatabaseError, Statement, Value};
use domain::{AccountId, Event, LeadId, LoginKey, PersonRef, Timestamp};
use event_log::{Position, Recorded};

use crate::{Projection, columns};

/// The projection.
pub struct People;

impl Projection for People {
    fn name(&self) -> &'static str {
        "people"
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    fn apply(&self, recorded: &Recorded) -> Vec<Statement> {
        self.apply_all(std::slice::from_ref(recorded))
    }

    /// What the stretch says of each person as one row: PostgreSQL refuses an upsert that meets a row twice. Nothing follows an
    /// erasure.
    fn apply_all(&self, stretch: &[Recorded]) -> Vec<Statement> {
        let mut named: BTreeMap<LeadId, Named> = BTreeMap::new();
        let mut erased = Vec::new();
        for recorded in stretch {
            if let Some((lead_id, new)) = Named::by(recorded) {
                let all = match named.remove(&lead_id) {
                    Some(known) => known.then(new),
                    None => new,
                };
                named.insert(lead_id, all);
            } else if let Event::LeadErased(told) = &recorded.event {
                let lead = columns::id(told.lead_id.ulid());
                erased.push(Statement::sql(
                    "UPDATE people SET erased = 1 WHERE lead_id = $1",
                    vec![lead],
                ));
            }
        }
        let mut statements = Vec::new();
        if !named.is_empty() {
            statements.push(Statement::Insert {
                into: "people (lead_id, account, person, login, named_at, position, shown, erased)",
                on_conflict: UPSERT,
                rows: named.into_iter().map(|(lead_id, named)| named.row(lead_id)).collect(),
            });
        }
        statements.extend(erased);
        statements
    }
}

/// A newer login replaces the known one, an older one does not. The log is in order, so what is shown is what came last.
const UPSERT: &str = "ON CONFLICT (lead_id) DO UPDATE SET \
    login = CASE WHEN excluded.named_at >= people.named_at THEN excluded.login ELSE people.login END, \
    position = CASE WHEN excluded.named_at >= people.named_at THEN excluded.position ELSE people.position END, \
    named_at = CASE WHEN excluded.named_at >= people.named_at THEN excluded.named_at ELSE people.named_at END, \
    shown = COALESCE(excluded.shown, people.shown)";

/// What events say somebody is called.
struct Named {
    account: AccountId,
    person: PersonRef,
    login: LoginKey,
    named_at: Timestamp,
    position: Position,
    shown: Option<LoginKey>,
}

impl Named {
    /// What the event says; none: nothing, as the first versions of these events did. The log puts lead events into streams of
    /// people alone.
    fn by(recorded: &Recorded) -> Option<(LeadId, Self)> {
        let (lead_id, login, named_at, is_shown) = match &recorded.event {
            Event::LeadCaptured(first) => (first.lead_id, first.login, first.signal.occurred_at, true),
            Event::LeadWithheld(first) => (first.lead_id, first.login, first.signal.occurred_at, true),
            Event::SignalRecorded(further) => (further.lead_id, further.login, further.signal.occurred_at, false),
            Event::LeadEnriched(enriched) => (enriched.lead_id, enriched.login, recorded.recorded_at, true),
            _ => return None,
        };
        let (login, person) = (login?, recorded.stream.person()?);
        let named = Self {
            account: recorded.account(),
            person,
            login,
            // No source knows a name from a time to come.
            named_at: named_at.min(recorded.recorded_at),
            position: recorded.position,
            shown: is_shown.then_some(login),
        };
        Some((lead_id, named))
    }

    /// What the two say together, the other one later in the log.
    fn then(self, other: Self) -> Self {
        let shown = other.shown.or(self.shown);
        let newer = if other.named_at >= self.named_at { other } else { self };
        Self { shown, ..newer }
    }

    fn row(self, lead_id: LeadId) -> Vec<Value> {
        vec![
            columns::id(lead_id.ulid()),
            columns::id(self.account.ulid()),
            self.person.bytes().as_slice().into(),
            self.login.bytes().as_slice().into(),
            self.named_at.micros().into(),
            columns::place(self.position),
            self.shown.map(|shown| shown.bytes().to_vec()).into(),
            0_i64.into(),
        ]
    }
}

/// A person and the lead that they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonRow {
    /// The person.
    pub person: PersonRef,
    /// The lead.
    pub lead_id: LeadId,
}

/// Whoever was called so last, and else whoever is shown by that name.
const FIND: [&str; 2] = [
    "SELECT person, lead_id, erased FROM people WHERE account = $1 AND login = $2 ORDER BY named_at DESC, position DESC LIMIT 1",
    "SELECT person, lead_id, erased FROM people WHERE account = $1 AND shown = $2 ORDER BY named_at DESC, position DESC LIMIT 1",
];

/// Whom the login means in the account. None: nobody is known by it, or whoever had it last was erased.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    login: LoginKey,
) -> Result<Option<PersonRow>, DatabaseError> {
    for text in FIND {
        let params = vec![columns::id(account.ulid()), login.bytes().as_slice().into()];
        let rows = views.read(Statement::sql(text, params)).await?;
        if let Some(row) = rows.first() {
            let found = PersonRow {
                person: PersonRef::new(columns::bytes(row, 0)?),
                lead_id: LeadId::new(columns::ulid(row, 1)?),
            };
            return Ok((row.int(2)? == 0).then_some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
