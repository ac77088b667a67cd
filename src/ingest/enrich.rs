//! Looks up the public profile of captured people, and again from time to time. What is new becomes an event. On the node
//! that polls, under the same lease: the requests of a token go out one after the other.
//!
//! A follower of the log takes note of whom to look up; the look-ups themselves go one after the other and leave the
//! polls their part of the rate budget.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{ColumnError, Row, Statement, Value};
use domain::{AccountId, Event, EventId, PersonRef, Sealed, SignalPerson, Timestamp};
use event_log::{Position, Recorded, Scope};
use ulid::Ulid;
use vault::VaultError;

use super::accept::Ingest;
use super::outage::Outage;
use super::schedule::Class;
use crate::commands::{CommandError, Observed, enrich_lead};
use crate::github::users::{Looked, look_up};
use crate::github::{Client, Resource};
use crate::lease::Lease;

const FOLLOWER: &str = "enrichment";
/// Events taken note of in one write.
const STRETCH: usize = 500;
/// A profile is looked at again after so long.
const REFRESH: Duration = Duration::from_hours(7 * 24);
const FIRST_BACKOFF: Duration = Duration::from_mins(1);
const LONGEST_BACKOFF: Duration = Duration::from_hours(24);
/// Pause before looking again what is due.
const NAP: Duration = Duration::from_secs(1);

/// A person to look up.
struct Due {
    account: AccountId,
    person: PersonRef,
    /// The event that the sealed part belongs to.
    event: EventId,
    sealed: Sealed,
    etag: Option<String>,
    failures: u32,
}

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
fn note(recorded: &Recorded) -> Option<Statement> {
    let account = recorded.account();
    let person = recorded.stream.person()?;
    let (signal, due) = match &recorded.event {
        Event::LeadCaptured(captured) => (&captured.signal, Some(recorded.recorded_at.micros())),
        Event::LeadWithheld(withheld) => (&withheld.signal, None),
        Event::LeadReleased(_) => {
            let text = "UPDATE enrichment SET due_at = $1 WHERE account = $2 AND person = $3 AND due_at IS NULL";
            let due = recorded.recorded_at.micros().into();
            return Some(Statement::sql(
                text,
                vec![due, account_value(account), person_value(person)],
            ));
        }
        Event::LeadErased(_) => {
            let text = "DELETE FROM enrichment WHERE account = $1 AND person = $2";
            return Some(Statement::sql(text, vec![account_value(account), person_value(person)]));
        }
        _ => return None,
    };
    Some(Statement::insert(
        "enrichment (account, person, event_id, sealed, due_at, etag, failures)",
        "ON CONFLICT DO NOTHING",
        vec![
            account_value(account),
            person_value(person),
            Value::Blob(recorded.id.ulid().to_bytes().to_vec()),
            signal.person.bytes().into(),
            due.into(),
            Value::Null,
            0_u32.into(),
        ],
    ))
}

fn account_value(account: AccountId) -> Value {
    Value::Blob(account.ulid().to_bytes().to_vec())
}

fn person_value(person: PersonRef) -> Value {
    person.bytes().as_slice().into()
}

/// What the enrichment remembers between two look-ups, for as long as the process runs.
pub struct Enrichment {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    lease: Lease,
    outage: Outage,
}

impl Enrichment {
    /// Nothing is remembered at the start.
    pub const fn new(ingest: Arc<Ingest>, client: Arc<Client>, lease: Lease) -> Self {
        Self {
            ingest,
            client,
            lease,
            outage: Outage::none("look-up of profiles"),
        }
    }

    /// Takes note of the next stretch of the log: whom to look up. False at its end.
    ///
    /// # Errors
    /// If storage fails; the notes and how far they go are written together.
    pub async fn follow(&self) -> anyhow::Result<bool> {
        let after = checkpoint(&self.ingest).await?;
        let page = self
            .ingest
            .writer
            .log
            .read(Scope::All, after, STRETCH)
            .await
            .context("following the log")?;
        if page.looked_to == after {
            return Ok(false);
        }
        let mut statements: Vec<Statement> = page.events.iter().filter_map(note).collect();
        statements.push(Statement::insert(
            "follower (name, position)",
            "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
            vec![FOLLOWER.into(), page.looked_to.get().into()],
        ));
        self.write(statements).await.context("taking note of new leads")?;
        Ok(page.looked_to < page.head)
    }

    /// Looks up the person who has been due for longest. `None` if it did, otherwise when to look again.
    ///
    /// # Errors
    /// If storage fails; the person stays due.
    pub async fn next(&mut self) -> anyhow::Result<Option<Timestamp>> {
        let now = self.ingest.writer.clock.now();
        let waiting = self
            .client
            .ledger()
            .spared(Resource::Core, Class::Enrichment.leaves(), now)
            .max(self.outage.pausing(now));
        if waiting.is_some() {
            return Ok(waiting);
        }
        let ingest = &*self.ingest;
        let Some(due) = next_due(ingest, now).await? else {
            return Ok(Some(now.plus(NAP)));
        };
        let keys = ingest.writer.vault.keys(due.account, &[due.person]).await;
        let keys = match keys {
            Err(VaultError::WrongRootKey) => {
                self.put_off(&due, "the person's key does not open", now).await?;
                return Ok(None);
            }
            keys => keys.context("opening the vault")?,
        };
        if !keys.has(due.person) {
            self.forget(&due).await?;
            return Ok(None);
        }
        let Ok(person) = keys.open::<SignalPerson>(due.person, due.event, &due.sealed) else {
            self.put_off(&due, "what the signal says of the person does not open", now)
                .await?;
            return Ok(None);
        };
        let looked = look_up(&self.client, person.user_id, due.etag.as_deref(), now).await;
        if let Looked::Later(until) = looked {
            return Ok(Some(until));
        }
        if let Looked::Failed(reason) = &looked {
            self.outage.failed(reason, now);
        } else {
            self.outage.over();
        }
        self.settle(&due, looked, now).await?;
        Ok(None)
    }

    /// Puts down what the look-up came to and when the next one is due.
    async fn settle(&self, due: &Due, looked: Looked, now: Timestamp) -> anyhow::Result<()> {
        match looked {
            Looked::Found {
                profile,
                languages_known,
                etag,
            } => {
                let observed = Observed {
                    profile: *profile,
                    languages_known,
                };
                if self.record(due, observed).await? {
                    self.again(due, etag, 0, now.plus(REFRESH)).await
                } else {
                    self.put_off(due, "the profile cannot be recorded", now).await
                }
            }
            Looked::Same => self.again(due, due.etag.clone(), 0, now.plus(REFRESH)).await,
            // Who is hidden may come back, and GitHub's own view of it may be wrong for a while.
            Looked::Gone => self.again(due, None, 0, now.plus(REFRESH)).await,
            Looked::Later(until) => self.again(due, due.etag.clone(), due.failures, until).await,
            Looked::Denied(status) => self.put_off(due, &format!("GitHub denied it with {status}"), now).await,
            // The outage was told of already.
            Looked::Failed(_) => self.later(due, now).await,
        }
    }

    /// Whether the profile could be recorded. What stands in the way for this person alone is no error: the others shall
    /// not wait for it.
    async fn record(&self, due: &Due, observed: Observed) -> anyhow::Result<bool> {
        match enrich_lead(&self.ingest.writer, due.account, due.person, observed).await {
            Ok(_) => Ok(true),
            Err(CommandError::Refused(_) | CommandError::Sealed(_) | CommandError::Contended) => Ok(false),
            Err(error) => Err(error).context("recording a profile"),
        }
    }

    /// Tries the person again later, and tells why. The reason names no person.
    async fn put_off(&self, due: &Due, reason: &str, now: Timestamp) -> anyhow::Result<()> {
        tracing::warn!(
            reason,
            failures = due.failures.saturating_add(1),
            "a profile could not be looked up"
        );
        self.later(due, now).await
    }

    /// A minute's wait that doubles with each failure, a day at most.
    async fn later(&self, due: &Due, now: Timestamp) -> anyhow::Result<()> {
        let backoff = FIRST_BACKOFF
            .saturating_mul(1 << due.failures.min(11))
            .min(LONGEST_BACKOFF);
        let failures = due.failures.saturating_add(1);
        self.again(due, due.etag.clone(), failures, now.plus(backoff)).await
    }

    async fn again(&self, due: &Due, etag: Option<String>, failures: u32, at: Timestamp) -> anyhow::Result<()> {
        let update = Statement::sql(
            "UPDATE enrichment SET due_at = $1, etag = $2, failures = $3 WHERE account = $4 AND person = $5",
            vec![
                at.micros().into(),
                etag.into(),
                failures.into(),
                account_value(due.account),
                person_value(due.person),
            ],
        );
        self.write(vec![update]).await.context("taking note of a look-up")?;
        Ok(())
    }

    async fn forget(&self, due: &Due) -> anyhow::Result<()> {
        let delete = Statement::sql(
            "DELETE FROM enrichment WHERE account = $1 AND person = $2",
            vec![account_value(due.account), person_value(due.person)],
        );
        self.write(vec![delete]).await.context("taking a person off the list")?;
        Ok(())
    }

    async fn write(&self, statements: Vec<Statement>) -> anyhow::Result<()> {
        Ok(self.lease.write(&*self.ingest.store, statements).await?)
    }
}

async fn next_due(ingest: &Ingest, now: Timestamp) -> anyhow::Result<Option<Due>> {
    let text = "SELECT account, person, event_id, sealed, etag, failures FROM enrichment WHERE due_at <= $1 \
                ORDER BY due_at LIMIT 1";
    let query = Statement::sql(text, vec![now.micros().into()]);
    let rows = ingest.store.read(query).await.context("reading whom to look up")?;
    Ok(rows.first().map(Due::load).transpose()?)
}

impl Due {
    fn load(row: &Row) -> Result<Self, ColumnError> {
        let bytes = |index| -> Result<[u8; 16], ColumnError> {
            row.blob(index)?.try_into().map_err(|_| ColumnError {
                index,
                expected: "BLOB of 16 bytes",
            })
        };
        Ok(Self {
            account: AccountId::new(Ulid::from_bytes(bytes(0)?)),
            person: PersonRef::new(bytes(1)?),
            event: EventId::new(Ulid::from_bytes(bytes(2)?)),
            sealed: Sealed::new(row.blob(3)?.to_vec()),
            etag: row.find_text(4)?.map(str::to_owned),
            failures: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
        })
    }
}

/// Follows and looks up for as long as it is polled, and never ends. Dropping it loses nothing.
pub async fn run(ingest: Arc<Ingest>, client: Arc<Client>, lease: Lease) -> anyhow::Result<()> {
    let mut enrichment = Enrichment::new(ingest, client, lease);
    loop {
        let pause = match step(&mut enrichment).await {
            Ok(true) => continue,
            Ok(false) => NAP,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the enrichment rests for a minute");
                FIRST_BACKOFF
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Whether there is more to do at once.
async fn step(enrichment: &mut Enrichment) -> anyhow::Result<bool> {
    while enrichment.follow().await? {}
    Ok(enrichment.next().await?.is_none())
}
