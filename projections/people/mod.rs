//! Whom a login means: people are renamed, and a login that was left may become another's. The API and the command line
//! find a person by it.
//!
//! What counts is when somebody was called so, not when that was recorded: an archive tells of logins that were left long ago.
//! A login means whoever was called so last, and that person only as long as they are: it is the newest login that is known of
//! them, or the one that lists show, which is older only before the first enrichment. It never falls to somebody who bore it
//! before, even if that person was erased: an erasure that is asked for twice must not go on to somebody else.

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

    /// What the stretch says of each login of a person as one row: PostgreSQL refuses an upsert that meets a row twice. Nothing
    /// follows an erasure.
    fn apply_all(&self, stretch: &[Recorded]) -> Vec<Statement> {
        let mut named: BTreeMap<(LeadId, LoginKey), Named> = BTreeMap::new();
        let mut erased = Vec::new();
        for recorded in stretch {
            if let Some((key, new)) = Named::by(recorded) {
                let all = match named.remove(&key) {
                    Some(known) => known.and(new),
                    None => new,
                };
                named.insert(key, all);
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
                into: "people (lead_id, login, account, person, named_at, position, shown_at, erased)",
                on_conflict: UPSERT,
                rows: named.into_iter().map(|(key, named)| named.row(key)).collect(),
            });
        }
        statements.extend(erased);
        statements
    }
}

/// The newest moment counts, whatever the order in which they are told; the log is in order, so what is shown is what came last.
const UPSERT: &str = "ON CONFLICT (lead_id, login) DO UPDATE SET \
    position = CASE WHEN excluded.named_at >= people.named_at THEN excluded.position ELSE people.position END, \
    named_at = CASE WHEN excluded.named_at >= people.named_at THEN excluded.named_at ELSE people.named_at END, \
    shown_at = COALESCE(excluded.shown_at, people.shown_at)";

/// What events say of somebody and a login.
struct Named {
    account: AccountId,
    person: PersonRef,
    named_at: Timestamp,
    position: Position,
    shown_at: Option<Position>,
}

impl Named {
    /// What the event says; none: nothing, as the first versions of these events did. The log puts lead events into streams of
    /// people alone.
    fn by(recorded: &Recorded) -> Option<((LeadId, LoginKey), Self)> {
        let (lead_id, login, named_at, is_shown) = match &recorded.event {
            Event::LeadCaptured(first) => (first.lead_id, first.login, first.signal.occurred_at, true),
            Event::LeadWithheld(first) => (first.lead_id, first.login, first.signal.occurred_at, true),
            Event::SignalRecorded(further) => (further.lead_id, further.login, further.signal.occurred_at, false),
            Event::LeadEnriched(enriched) => (enriched.lead_id, enriched.login, recorded.recorded_at, true),
            _ => return None,
        };
        let named = Self {
            account: recorded.account(),
            person: recorded.stream.person()?,
            // No source knows a name from a time to come.
            named_at: named_at.min(recorded.recorded_at),
            position: recorded.position,
            shown_at: is_shown.then_some(recorded.position),
        };
        Some(((lead_id, login?), named))
    }

    /// What the two say together, the other one later in the log.
    fn and(self, other: Self) -> Self {
        let shown_at = other.shown_at.or(self.shown_at);
        let newer = if other.named_at >= self.named_at { other } else { self };
        Self { shown_at, ..newer }
    }

    fn row(self, (lead_id, login): (LeadId, LoginKey)) -> Vec<Value> {
        vec![
            columns::id(lead_id.ulid()),
            login.bytes().as_slice().into(),
            columns::id(self.account.ulid()),
            self.person.bytes().as_slice().into(),
            self.named_at.micros().into(),
            columns::place(self.position),
            self.shown_at.map(columns::place).into(),
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

/// Whoever was called so last; at the same moment, whoever was erased.
const LAST: &str = "SELECT person, lead_id, erased FROM people WHERE account = $1 AND login = $2 \
    ORDER BY named_at DESC, erased DESC, position DESC LIMIT 1";

/// What that person is called: by the newest moment, and in lists.
const NAMES: [&str; 2] = [
    "SELECT login FROM people WHERE lead_id = $1 ORDER BY named_at DESC, position DESC LIMIT 1",
    "SELECT login FROM people WHERE lead_id = $1 AND shown_at IS NOT NULL ORDER BY shown_at DESC LIMIT 1",
];

/// Whom the login means in the account. None: nobody is called so, or whoever was last was erased.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    login: LoginKey,
) -> Result<Option<PersonRow>, DatabaseError> {
    let params = vec![columns::id(account.ulid()), login.bytes().as_slice().into()];
    let rows = views.read(Statement::sql(LAST, params)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    if row.int(2)? != 0 {
        return Ok(None);
    }
    let found = PersonRow {
        person: PersonRef::new(columns::bytes(row, 0)?),
        lead_id: LeadId::new(columns::ulid(row, 1)?),
    };
    for text in NAMES {
        let names = views
            .read(Statement::sql(text, vec![columns::id(found.lead_id.ulid())]))
            .await?;
        if let Some(name) = names.first()
            && columns::bytes(name, 0)? == *login.bytes()
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
