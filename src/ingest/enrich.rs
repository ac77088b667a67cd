//! Takes note of whom to look up: a follower of the log, on one node at a time. The look-ups are [`super::profiles`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{Statement, Value};
use domain::{AccountId, Event, LoginKey, PersonRef, Timestamp};
use event_log::{Position, Recorded, Scope};

use super::accept::Ingest;
use crate::lease::Lease;

/// The lease of whoever takes note.
pub const LEASE: &str = "enrichment";

const FOLLOWER: &str = "enrichment";
/// Events taken note of in one write.
const STRETCH: usize = 500;
/// Pause before looking again for new events.
const NAP: Duration = Duration::from_secs(1);
/// Pause after storage failed.
const REST: Duration = Duration::from_mins(1);

async fn checkpoint(ingest: &Ingest) -> anyhow::Result<Position> {
    let query = Statement::sql("SELECT position FROM follower WHERE name = $1", vec![FOLLOWER.into()]);
    let rows = ingest
        .store
        .read(query)
        .await
        .context("reading how far the log was followed")?;
    let position = rows.first().map(|row| row.int(0)).transpose()?;
    Ok(Position::new(u64::try_from(position.unwrap_or(0)).unwrap_or(0)))
}

/// A withheld person is not looked up before the release: nobody may see the answer.
fn note(recorded: &Recorded, now: Timestamp) -> Option<Statement> {
    let account = recorded.account();
    // The log's time may be ahead of the clock's, if that was put back.
    let at_once = recorded.recorded_at.min(now).micros();
    let person = recorded.stream.person()?;
    let seen = |login: &Option<LoginKey>| login.as_ref().map(|login| Value::Blob(login.bytes().to_vec()));
    let (signal, due, login) = match &recorded.event {
        Event::LeadCaptured(captured) => (&captured.signal, Some(at_once), seen(&captured.login)),
        Event::LeadWithheld(withheld) => (&withheld.signal, None, seen(&withheld.login)),
        // Whoever is called otherwise by now is looked up at once, so that the lead is.
        Event::SignalRecorded(further) => {
            let text = "UPDATE enrichment SET login = $1, \
                        due_at = CASE WHEN due_at > $2 AND login IS NOT NULL THEN $2 ELSE due_at END \
                        WHERE account = $3 AND person = $4 AND (login IS NULL OR login <> $1)";
            let params = vec![
                seen(&further.login)?,
                at_once.into(),
                account_value(account),
                person_value(person),
            ];
            return Some(Statement::sql(text, params));
        }
        Event::LeadReleased(_) => {
            let text = "UPDATE enrichment SET due_at = $1 WHERE account = $2 AND person = $3 AND due_at IS NULL";
            return Some(Statement::sql(
                text,
                vec![at_once.into(), account_value(account), person_value(person)],
            ));
        }
        Event::LeadErased(_) => {
            let text = "DELETE FROM enrichment WHERE account = $1 AND person = $2";
            return Some(Statement::sql(text, vec![account_value(account), person_value(person)]));
        }
        _ => return None,
    };
    Some(Statement::insert(
        "enrichment (account, person, event_id, sealed, due_at, etag, failures, login)",
        "ON CONFLICT DO NOTHING",
        vec![
            account_value(account),
            person_value(person),
            Value::Blob(recorded.id.ulid().to_bytes().to_vec()),
            signal.person.bytes().into(),
            due.into(),
            Value::Null,
            0_u32.into(),
            login.unwrap_or(Value::Null),
        ],
    ))
}

pub(super) fn account_value(account: AccountId) -> Value {
    Value::Blob(account.ulid().to_bytes().to_vec())
}

pub(super) fn person_value(person: PersonRef) -> Value {
    person.bytes().as_slice().into()
}

/// Takes note of the next stretch of the log: whom to look up. False at its end.
///
/// # Errors
/// If storage fails; the notes and how far they go are written together.
pub async fn follow(ingest: &Ingest, lease: &Lease) -> anyhow::Result<bool> {
    let after = checkpoint(ingest).await?;
    let page = ingest
        .writer
        .log
        .read(Scope::All, after, STRETCH)
        .await
        .context("following the log")?;
    if page.looked_to == after {
        return Ok(false);
    }
    let now = ingest.writer.clock.now();
    let noted = page.events.iter().filter_map(|recorded| note(recorded, now));
    let mut statements: Vec<Statement> = noted.collect();
    statements.push(Statement::insert(
        "follower (name, position)",
        "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        vec![FOLLOWER.into(), page.looked_to.get().into()],
    ));
    lease
        .write(&*ingest.store, statements)
        .await
        .context("taking note of new leads")?;
    Ok(page.looked_to < page.head)
}

/// Follows for as long as it is polled, and never ends. Dropping it loses nothing.
pub async fn run(ingest: Arc<Ingest>, lease: Lease) -> anyhow::Result<()> {
    loop {
        let pause = match follow(&ingest, &lease).await {
            Ok(true) => continue,
            Ok(false) => NAP,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "taking note of new leads rests for a minute");
                REST
            }
        };
        tokio::time::sleep(pause).await;
    }
}
