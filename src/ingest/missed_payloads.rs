//! The deliveries of GitHub's webhooks that did not arrive: noting them and reading their payloads as if they arrived now. Used by
//! `missed`, which walks the records that tell of them.
//!
//! The oldest comes first, and a delivery that came another way meanwhile is left alone. One that cannot be read waits behind the
//! others and is asked for again, until GitHub has forgotten it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{ColumnError, Row, Statement, Value};
use domain::{Collector, Timestamp};

use super::accept::Ingest;
use super::activity::Activity;
use super::github_webhook::{activity_of, remembering, were_taken};
use super::missed::{refused, silent};
use super::own_source::Not;
use super::poll_repos::Tracked;
use super::shards::Part;
use super::source_cursor::of_repo;
use crate::github::activity::EventKind;
use crate::github::hooks::{self, Attempt};
use crate::github::{Answer, Client, Resource};

/// Payloads that are read in one go, so that others have their turn.
const IN_ONE_GO: u64 = 20;
/// So many in a row that cannot be read end the go: it is GitHub that fails, and not one of them.
const IN_VAIN: u32 = 3;
/// The time until the next go after such an end, and until one that could not be read is asked for again; that doubles.
const PAUSE: Duration = Duration::from_mins(15);
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// GitHub keeps a delivery for so long.
const KEPT: Duration = Duration::from_hours(3 * 24);

/// A delivery that did not arrive.
struct Noted {
    guid: String,
    hook: u64,
    attempt: u64,
    event: String,
    at: Timestamp,
    failures: u32,
}

/// Why a payload was not read.
enum Unread {
    /// GitHub does not know the delivery any more.
    Forgotten,
    /// This one cannot be read now.
    Failed(Not),
    /// None is to be had now.
    Stop(Not),
}

/// What a go came to.
#[derive(Default)]
struct Gone<'a> {
    activities: Vec<Activity>,
    settled: Vec<&'a Noted>,
    failed: Vec<&'a Noted>,
    lost: Vec<&'a Noted>,
    stopped: Option<Not>,
}

/// Those of all repositories of a part.
pub struct Payloads {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
}

impl Payloads {
    /// Those that are noted.
    pub const fn new(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> Self {
        Self { ingest, client, part }
    }

    /// Notes what is of use and did not arrive, and takes off what arrived in the end.
    ///
    /// # Errors
    /// If storage fails; the record tells of them again.
    pub async fn note(&self, repo: &str, hook: u64, attempts: &[Attempt]) -> anyhow::Result<()> {
        let arrived: HashSet<&str> = attempts
            .iter()
            .filter(|attempt| attempt.arrived)
            .map(|attempt| attempt.guid.as_str())
            .collect();
        let missed = attempts
            .iter()
            .filter(|attempt| attempt.is_of_use && !arrived.contains(attempt.guid.as_str()));
        // The newest attempt is shown for longest; the oldest says when it happened.
        let mut newest: BTreeMap<&str, (&Attempt, Timestamp)> = BTreeMap::new();
        for attempt in missed {
            let (kept, at) = newest.entry(&attempt.guid).or_insert((attempt, attempt.at));
            *at = attempt.at.min(*at);
            if attempt.at > kept.at {
                *kept = attempt;
            }
        }
        let missed: Vec<(&Attempt, Timestamp)> = newest.into_values().collect();
        let guids: Vec<&str> = missed.iter().map(|(attempt, _)| attempt.guid.as_str()).collect();
        let taken = self.taken(&guids).await?;
        let row = |(attempt, at): &(&Attempt, Timestamp)| {
            vec![
                repo.into(),
                attempt.guid.as_str().into(),
                hook.into(),
                attempt.id.into(),
                attempt.event.as_str().into(),
                at.micros().into(),
            ]
        };
        let rows: Vec<Vec<Value>> = missed
            .iter()
            .filter(|(attempt, _)| !taken.contains(&attempt.guid))
            .map(row)
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let insert = Statement::Insert {
            into: "missed_delivery (repo, guid, hook, attempt, event, delivered_at)",
            on_conflict: "ON CONFLICT (repo, guid) DO UPDATE SET delivered_at = excluded.delivered_at \
                          WHERE missed_delivery.delivered_at > excluded.delivered_at",
            rows,
        };
        self.part
            .write(&*self.ingest.store, [of_repo(repo).as_str()], vec![insert])
            .await
            .context("noting what did not arrive")
    }

    /// Reads the payloads of those noted that are due, and takes them in. Whether there are more to read at once.
    ///
    /// # Errors
    /// If storage fails; what was not put down is read again.
    pub async fn take(&self, (repo, tracked): (&str, &Tracked), now: Timestamp) -> anyhow::Result<Result<bool, Not>> {
        let noted = self.noted(repo, now).await?;
        let mut gone = self.go(tracked, &noted, now).await?;
        let activities = std::mem::take(&mut gone.activities);
        self.ingest.accept_for(self.part.account(), activities).await?;
        self.put_down(repo, &gone, now).await?;
        if !gone.lost.is_empty() {
            tracing::warn!(
                repo_id = tracked.id(),
                lost = gone.lost.len(),
                "deliveries of GitHub's webhooks that did not arrive are lost: GitHub shows them no more"
            );
        }
        Ok(match gone.stopped {
            Some(not) => Err(not),
            None => Ok(noted.len() as u64 == IN_ONE_GO),
        })
    }

    async fn go<'a>(&self, repo: &Tracked, noted: &'a [Noted], now: Timestamp) -> anyhow::Result<Gone<'a>> {
        let guids: Vec<&str> = noted.iter().map(|noted| noted.guid.as_str()).collect();
        let taken = self.taken(&guids).await?;
        let (mut gone, mut in_vain) = (Gone::default(), 0);
        for noted in noted {
            if taken.contains(&noted.guid) {
                gone.settled.push(noted);
                continue;
            }
            match self.payload(repo, noted, now).await {
                Ok(activity) => {
                    in_vain = 0;
                    gone.activities.extend(activity);
                    gone.settled.push(noted);
                }
                Err(Unread::Forgotten) => gone.lost.push(noted),
                Err(Unread::Failed(not)) => {
                    in_vain += 1;
                    let is_forgotten = now.since(noted.at) >= KEPT;
                    let there = if is_forgotten { &mut gone.lost } else { &mut gone.failed };
                    there.push(noted);
                    if in_vain == IN_VAIN {
                        gone.stopped = Some((not.0, Some(now.plus(PAUSE))));
                        break;
                    }
                }
                Err(Unread::Stop(not)) => {
                    gone.stopped = Some(not);
                    break;
                }
            }
        }
        Ok(gone)
    }

    /// Takes off the list what was read or is lost, and puts behind the others what could not be read.
    async fn put_down(&self, repo: &str, gone: &Gone<'_>, now: Timestamp) -> anyhow::Result<()> {
        if gone.settled.is_empty() && gone.failed.is_empty() && gone.lost.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = gone.settled.iter().map(|noted| self.part.key(&noted.guid)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut statements = remembering(&keys, now)?;
        // One that is lost is not remembered: whoever sends it again is heard.
        statements.extend(gone.settled.iter().chain(&gone.lost).map(|noted| {
            Statement::sql(
                "DELETE FROM missed_delivery WHERE repo = $1 AND guid = $2",
                vec![repo.into(), noted.guid.as_str().into()],
            )
        }));
        statements.extend(gone.failed.iter().map(|noted| {
            let pause = PAUSE.saturating_mul(1 << noted.failures.min(10)).min(LONGEST_PAUSE);
            Statement::sql(
                "UPDATE missed_delivery SET failures = failures + 1, due_at = $1 WHERE repo = $2 AND guid = $3",
                vec![now.plus(pause).micros().into(), repo.into(), noted.guid.as_str().into()],
            )
        }));
        self.part
            .write(&*self.ingest.store, [of_repo(repo).as_str()], statements)
            .await
            .context("taking deliveries off the list")
    }

    /// Those of the deliveries that came another way or were brought before. What an account's own token brought was for that
    /// account alone.
    async fn taken(&self, guids: &[&str]) -> anyhow::Result<HashSet<String>> {
        let keys: Vec<String> = guids.iter().map(|guid| self.part.key(guid)).collect();
        let names: Vec<&str> = guids.iter().copied().chain(keys.iter().map(String::as_str)).collect();
        let known = were_taken(&self.ingest, &names).await?;
        let taken = guids
            .iter()
            .zip(&keys)
            .filter(|(guid, key)| known.contains(**guid) || known.contains(*key));
        Ok(taken.map(|(guid, _)| (*guid).to_owned()).collect())
    }

    /// What a delivery told; nothing if that is of no use after all.
    async fn payload(&self, repo: &Tracked, noted: &Noted, now: Timestamp) -> Result<Option<Activity>, Unread> {
        let path = hooks::attempt_path(&repo.name, noted.hook, noted.attempt);
        let fresh = match self.client.get(&path, None).await {
            Answer::Fresh(fresh) => fresh,
            Answer::NotFound => return Err(Unread::Forgotten),
            other => {
                let not = refused(repo, &other);
                // That is about the token, and nothing about the delivery.
                let is_blocked = self.client.ledger().blocked(Resource::Core, now).is_some();
                return Err(if is_blocked {
                    Unread::Stop(not)
                } else {
                    Unread::Failed(not)
                });
            }
        };
        let payload = hooks::read_payload(&fresh.body);
        let payload = payload.map_err(|reason| Unread::Failed(silent(repo, &reason)))?;
        let (Some(payload), Some(kind)) = (payload, EventKind::of_delivery(&noted.event)) else {
            return Ok(None);
        };
        match activity_of(kind, payload, noted.at, Collector::WebhookDeliveries) {
            Ok(activity) => Ok(activity),
            Err(reason) => {
                tracing::warn!(
                    repo_id = repo.id(),
                    reason,
                    "a delivery that did not arrive is not what GitHub says it is"
                );
                Ok(None)
            }
        }
    }

    /// Those that are due.
    async fn noted(&self, repo: &str, now: Timestamp) -> anyhow::Result<Vec<Noted>> {
        let text = "SELECT guid, hook, attempt, event, delivered_at, failures FROM missed_delivery \
                    WHERE repo = $1 AND due_at <= $2 ORDER BY due_at, delivered_at, attempt LIMIT $3";
        let query = Statement::sql(text, vec![repo.into(), now.micros().into(), IN_ONE_GO.into()]);
        let rows = self.ingest.store.read(query).await;
        let rows = rows.context("reading what did not arrive")?;
        Ok(rows.iter().map(noted).collect::<Result<_, _>>()?)
    }
}

fn noted(row: &Row) -> Result<Noted, ColumnError> {
    let number = |index| {
        u64::try_from(row.int(index)?).map_err(|_| ColumnError {
            index,
            expected: "number from 0",
        })
    };
    Ok(Noted {
        guid: row.text(0)?.to_owned(),
        hook: number(1)?,
        attempt: number(2)?,
        event: row.text(3)?.to_owned(),
        at: Timestamp::from_micros(row.int(4)?),
        failures: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
    })
}
