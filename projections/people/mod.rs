//! Whom a login means: people are renamed, and a login that was left may become another's. The API and the command line
//! find a person by it.

use std::collections::BTreeMap;

use database::{Database, DatabaseError, Statement, Value};
use domain::{AccountId, Event, LeadId, LoginKey, PersonRef};
use event_log::Recorded;

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

    /// Each person's newest login alone is written, and nobody's who is erased further on: PostgreSQL refuses an upsert that
    /// meets a row twice.
    fn apply_all(&self, stretch: &[Recorded]) -> Vec<Statement> {
        let mut newest: BTreeMap<LeadId, Vec<Value>> = BTreeMap::new();
        let mut statements = Vec::new();
        for recorded in stretch {
            if let Some((lead_id, login)) = named(&recorded.event) {
                newest.extend(row(recorded, lead_id, login).map(|row| (lead_id, row)));
            } else if let Event::LeadErased(erased) = &recorded.event {
                newest.remove(&erased.lead_id);
                let lead = columns::id(erased.lead_id.ulid());
                statements.push(Statement::sql("DELETE FROM people WHERE lead_id = $1", vec![lead]));
            }
        }
        if !newest.is_empty() {
            statements.push(Statement::Insert {
                into: "people (lead_id, account, login, person, position)",
                on_conflict: "ON CONFLICT (lead_id) DO UPDATE SET login = excluded.login, position = excluded.position",
                rows: newest.into_values().collect(),
            });
        }
        statements
    }
}

/// What the event says somebody is called. The first versions of these events did not say it.
const fn named(event: &Event) -> Option<(LeadId, LoginKey)> {
    let (lead_id, login) = match event {
        Event::LeadCaptured(captured) => (captured.lead_id, captured.login),
        Event::LeadWithheld(withheld) => (withheld.lead_id, withheld.login),
        Event::SignalRecorded(further) => (further.lead_id, further.login),
        Event::LeadEnriched(enriched) => (enriched.lead_id, enriched.login),
        _ => return None,
    };
    match login {
        Some(login) => Some((lead_id, login)),
        None => None,
    }
}

/// The log puts lead events into streams of people alone; another stream's have nobody to name.
fn row(recorded: &Recorded, lead_id: LeadId, login: LoginKey) -> Option<Vec<Value>> {
    let person = recorded.stream.person()?;
    Some(vec![
        columns::id(lead_id.ulid()),
        columns::id(recorded.account().ulid()),
        login.bytes().as_slice().into(),
        person.bytes().as_slice().into(),
        columns::place(recorded.position),
    ])
}

/// A person and the lead that they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonRow {
    /// The person.
    pub person: PersonRef,
    /// The lead.
    pub lead_id: LeadId,
}

const FIND: &str =
    "SELECT person, lead_id FROM people WHERE account = $1 AND login = $2 ORDER BY position DESC LIMIT 1";

/// Whom the login means in the account: of several people who were seen with it, whoever was last.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    login: LoginKey,
) -> Result<Option<PersonRow>, DatabaseError> {
    let params = vec![columns::id(account.ulid()), login.bytes().as_slice().into()];
    let rows = views.read(Statement::sql(FIND, params)).await?;
    let person = rows.first().map(|row| {
        Ok::<_, database::ColumnError>(PersonRow {
            person: PersonRef::new(columns::bytes(row, 0)?),
            lead_id: LeadId::new(columns::ulid(row, 1)?),
        })
    });
    Ok(person.transpose()?)
}

#[cfg(test)]
mod tests;
