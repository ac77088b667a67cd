//! Brings what GitHub's webhooks of own repositories told while we were not there, from GitHub's record of their deliveries.
//! Used by the scheduler.
//!
//! The record is walked from its newest delivery back to where it was walked before, and what did not arrive is noted; then
//! the payloads of those noted are read, the oldest first, as if they arrived now. Both go on where they were broken off, and
//! a delivery that came another way meanwhile is left alone. GitHub is not asked to send anything again: what it would send is
//! in the record, and the way to us may be closed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{ColumnError, Statement, Value};
use domain::{Collector, Timestamp};
use serde::{Deserialize, Serialize};

use super::accept::Ingest;
use super::activity::Activity;
use super::github_webhook::{activity_of, remembering, were_taken};
use super::own_source::{self, Not, OwnSource};
use super::poll_repos::Tracked;
use super::shards::Part;
use super::source_cursor::of_repo;
use super::standing::Look;
use crate::github::activity::EventKind;
use crate::github::hooks::{self, Attempt};
use crate::github::{Answer, Client};

/// The record is looked at so often; while nothing was delivered that costs nothing.
const PACE: Duration = Duration::from_mins(15);
/// Deliveries stand in the record in the order in which they were made, but for so much.
const OVERLAP: Duration = Duration::from_mins(1);
/// Pages of the record, and payloads, that are read in one go, so that others have their turn.
const PAGES_IN_ONE_GO: u32 = 5;
const PAYLOADS_IN_ONE_GO: u64 = 20;

/// How far the records of a repository's webhooks were walked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// By GitHub's number of the webhook.
    hooks: BTreeMap<u64, Place>,
    /// For asking whether these are still all.
    #[serde(default)]
    etag: Option<String>,
}

/// How far the record of a webhook was walked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Everything up to then was looked at.
    #[serde(default)]
    through: Option<Timestamp>,
    /// A walk that is under way.
    #[serde(default)]
    under_way: Option<UnderWay>,
    /// For asking whether there is anything new.
    #[serde(default)]
    etag: Option<String>,
    /// Whether the newest delivery arrived; none: there was none.
    #[serde(default)]
    arrives: Option<bool>,
}

/// A walk that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UnderWay {
    /// The newest delivery when it began.
    newest: Option<Timestamp>,
    /// What leads to the next page.
    cursor: String,
}

/// What a look at the record of a webhook showed.
struct Seen {
    /// Of the record itself; none: the repository has no webhook that leads to us.
    record: Option<Look>,
    /// Of the webhook; none: nothing was delivered yet, or there was never one.
    webhook: Option<Look>,
}

impl Seen {
    const fn of_record(look: Look) -> Self {
        Self {
            record: Some(look),
            webhook: None,
        }
    }
}

/// A delivery that did not arrive.
struct Noted {
    guid: String,
    hook: u64,
    attempt: u64,
    event: String,
    at: Timestamp,
}

/// The records of deliveries.
pub struct Missed {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    source: OwnSource,
}

impl Missed {
    /// Goes on where the cursors stand.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        Ok(Self {
            source: OwnSource::open(ingest.clone(), part.clone(), Collector::WebhookDeliveries, PACE).await?,
            ingest,
            client,
            part,
        })
    }

    /// When each record is due that may be shown to us: those of own repositories, with a token.
    pub fn due<'a>(&'a self, tracked: &'a HashMap<String, Tracked>) -> impl Iterator<Item = (&'a str, Timestamp)> {
        self.source.due(tracked).filter(|_| self.client.has_token())
    }

    /// The repository is private: whoever tracks it is told so if its record was read before.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn hide(&mut self, named: (&str, &Tracked), now: Timestamp) -> anyhow::Result<()> {
        self.source.hide(named, now).await
    }

    /// Drops what nobody tracks any more.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn keep(&mut self, tracked: &HashMap<String, Tracked>) -> anyhow::Result<()> {
        let noted = |repo: &str| {
            let text = "DELETE FROM missed_delivery WHERE repo = $1";
            Some(Statement::sql(text, vec![repo.into()]))
        };
        self.source.keep(tracked, noted).await
    }

    /// Walks a record, a few pages at most, or reads a few payloads.
    ///
    /// # Errors
    /// If storage fails; what was not put down is read again.
    pub async fn read(&mut self, (repo, tracked): (&str, &Tracked), now: Timestamp) -> anyhow::Result<()> {
        let (cursor, mut reached) = self.source.begin::<Reached>(repo, now);
        let (seen, more) = match self.go((repo, tracked), &mut reached, now).await? {
            Ok((seen, more)) => (seen, Ok(more)),
            Err(not) => (Seen::of_record(not.0), Err(not)),
        };
        self.source.end(cursor, &reached, more, now).await?;
        let looks = [
            (Collector::WebhookDeliveries, seen.record),
            (Collector::GithubWebhook, seen.webhook),
        ];
        for (collector, look) in looks {
            if let Some(look) = look {
                self.source.saw((repo, tracked), collector, look, now).await?;
            }
        }
        Ok(())
    }

    /// What was seen, and whether there is more to do at once.
    async fn go(
        &self,
        (repo, tracked): (&str, &Tracked),
        reached: &mut Reached,
        now: Timestamp,
    ) -> anyhow::Result<Result<(Seen, bool), Not>> {
        let is_walking = reached.hooks.values().any(|place| place.under_way.is_some());
        let had_one = !reached.hooks.is_empty();
        if !is_walking && let Err(not) = self.hooks(tracked, reached).await {
            return Ok(Err(not));
        }
        if reached.hooks.is_empty() {
            let seen = Seen {
                record: None,
                webhook: had_one.then_some(Look::ABSENT),
            };
            return Ok(Ok((seen, false)));
        }
        let mut pages = PAGES_IN_ONE_GO;
        for (hook, place) in &mut reached.hooks {
            if let Err(not) = self.walk((repo, tracked), *hook, place, &mut pages).await? {
                return Ok(Err(not));
            }
        }
        let seen = Seen {
            record: Some(Look::READ),
            webhook: works(reached),
        };
        if reached.hooks.values().any(|place| place.under_way.is_some()) {
            return Ok(Ok((seen, true)));
        }
        Ok(self.take((repo, tracked), now).await?.map(|more| (seen, more)))
    }

    /// Which webhooks lead to us by now.
    async fn hooks(&self, repo: &Tracked, reached: &mut Reached) -> Result<(), Not> {
        let fresh = match self
            .client
            .get(&hooks::hooks_path(&repo.name), reached.etag.as_deref())
            .await
        {
            Answer::Fresh(fresh) => fresh,
            Answer::NotModified { .. } => return Ok(()),
            other => return Err(refused(repo, &other)),
        };
        let ours = hooks::read_hooks(&fresh.body).map_err(|reason| silent(repo, &reason))?;
        reached.hooks.retain(|hook, _| ours.contains(hook));
        for hook in ours {
            reached.hooks.entry(hook).or_default();
        }
        reached.etag = fresh.etag;
        Ok(())
    }

    /// Walks the record of a webhook back to where it was walked before, as far as the pages go.
    async fn walk(
        &self,
        (repo, tracked): (&str, &Tracked),
        hook: u64,
        place: &mut Place,
        pages: &mut u32,
    ) -> anyhow::Result<Result<(), Not>> {
        while *pages > 0 {
            *pages -= 1;
            let under_way = place.under_way.clone();
            let etag = place.etag.as_deref().filter(|_| under_way.is_none());
            let path = hooks::deliveries_path(&tracked.name, hook, under_way.as_ref().map(|walk| walk.cursor.as_str()));
            let fresh = match self.client.get(&path, etag).await {
                Answer::Fresh(fresh) => fresh,
                Answer::NotModified { .. } => return Ok(Ok(())),
                other => return Ok(Err(refused(tracked, &other))),
            };
            let attempts = match hooks::read_deliveries(&fresh.body) {
                Ok(attempts) => attempts,
                Err(reason) => return Ok(Err(silent(tracked, &reason))),
            };
            if under_way.is_none() {
                place.etag = fresh.etag;
                place.arrives = attempts.first().map(|newest| newest.arrived).or(place.arrives);
            }
            self.note(repo, hook, &attempts).await?;
            let newest = attempts.iter().map(|attempt| attempt.at).max();
            let newest = under_way.map_or(newest, |walk| walk.newest);
            let oldest = attempts.iter().map(|attempt| attempt.at).min();
            let is_known =
                matches!((oldest, place.through), (Some(oldest), Some(through)) if oldest.plus(OVERLAP) < through);
            let Some(cursor) = fresh.next_cursor.filter(|_| !is_known) else {
                place.through = newest.max(place.through);
                place.under_way = None;
                return Ok(Ok(()));
            };
            place.under_way = Some(UnderWay { newest, cursor });
        }
        Ok(Ok(()))
    }

    /// Notes what is of use and did not arrive, and takes off what arrived in the end.
    async fn note(&self, repo: &str, hook: u64, attempts: &[Attempt]) -> anyhow::Result<()> {
        let arrived: HashSet<&str> = attempts
            .iter()
            .filter(|attempt| attempt.arrived)
            .map(|attempt| attempt.guid.as_str())
            .collect();
        let missed = attempts
            .iter()
            .filter(|attempt| attempt.is_of_use && !arrived.contains(attempt.guid.as_str()));
        let missed: Vec<&Attempt> = missed.collect();
        let guids: Vec<&str> = missed.iter().map(|attempt| attempt.guid.as_str()).collect();
        let taken = self.taken(&guids).await?;
        let row = |attempt: &&Attempt| {
            vec![
                repo.into(),
                attempt.guid.as_str().into(),
                hook.into(),
                attempt.id.into(),
                attempt.event.as_str().into(),
                attempt.at.micros().into(),
            ]
        };
        let rows: Vec<Vec<Value>> = missed
            .iter()
            .filter(|attempt| !taken.contains(&attempt.guid))
            .map(row)
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let insert = Statement::Insert {
            into: "missed_delivery (repo, guid, hook, attempt, event, delivered_at)",
            on_conflict: "ON CONFLICT DO NOTHING",
            rows,
        };
        self.part
            .write(&*self.ingest.store, [of_repo(repo).as_str()], vec![insert])
            .await
            .context("noting what did not arrive")
    }

    /// Reads the payloads of those noted, the oldest first, and takes them in. Whether there are more.
    async fn take(&self, (repo, tracked): (&str, &Tracked), now: Timestamp) -> anyhow::Result<Result<bool, Not>> {
        let noted = self.noted(repo).await?;
        let guids: Vec<&str> = noted.iter().map(|noted| noted.guid.as_str()).collect();
        let taken = self.taken(&guids).await?;
        let (mut activities, mut settled, mut stopped) = (Vec::new(), Vec::new(), None);
        for noted in &noted {
            if !taken.contains(&noted.guid) {
                match self.payload(tracked, noted).await {
                    Ok(activity) => activities.extend(activity),
                    Err(not) => {
                        stopped = Some(not);
                        break;
                    }
                }
            }
            settled.push(noted.guid.as_str());
        }
        self.ingest.accept_for(self.part.account(), activities).await?;
        let keys: Vec<String> = settled.iter().map(|guid| self.part.key(guid)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut statements = remembering(&keys, now)?;
        statements.extend(settled.iter().map(|guid| {
            Statement::sql(
                "DELETE FROM missed_delivery WHERE repo = $1 AND guid = $2",
                vec![repo.into(), (*guid).into()],
            )
        }));
        if !settled.is_empty() {
            self.part
                .write(&*self.ingest.store, [of_repo(repo).as_str()], statements)
                .await
                .context("taking deliveries off the list")?;
        }
        Ok(match stopped {
            Some(not) => Err(not),
            None => Ok(noted.len() as u64 == PAYLOADS_IN_ONE_GO),
        })
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

    /// What a delivery told; nothing if that is of no use after all, or GitHub has forgotten it.
    async fn payload(&self, repo: &Tracked, noted: &Noted) -> Result<Option<Activity>, Not> {
        let path = hooks::attempt_path(&repo.name, noted.hook, noted.attempt);
        let fresh = match self.client.get(&path, None).await {
            Answer::Fresh(fresh) => fresh,
            Answer::NotFound => return Ok(None),
            other => return Err(refused(repo, &other)),
        };
        let payload = hooks::read_payload(&fresh.body).map_err(|reason| silent(repo, &reason))?;
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

    async fn noted(&self, repo: &str) -> anyhow::Result<Vec<Noted>> {
        let text = "SELECT guid, hook, attempt, event, delivered_at FROM missed_delivery WHERE repo = $1 \
                    ORDER BY delivered_at, attempt LIMIT $2";
        let query = Statement::sql(text, vec![repo.into(), PAYLOADS_IN_ONE_GO.into()]);
        let rows = self
            .ingest
            .store
            .read(query)
            .await
            .context("reading what did not arrive")?;
        let number = |row: &database::Row, index| {
            u64::try_from(row.int(index)?).map_err(|_| ColumnError {
                index,
                expected: "number from 0",
            })
        };
        let noted = rows.iter().map(|row| {
            Ok::<_, ColumnError>(Noted {
                guid: row.text(0)?.to_owned(),
                hook: number(row, 1)?,
                attempt: number(row, 2)?,
                event: row.text(3)?.to_owned(),
                at: Timestamp::from_micros(row.int(4)?),
            })
        });
        Ok(noted.collect::<Result<_, _>>()?)
    }
}

/// Whether the webhooks lead to us, by their newest deliveries: one that does is enough.
fn works(reached: &Reached) -> Option<Look> {
    let arrives = reached.hooks.values().filter_map(|place| place.arrives).max()?;
    Some(if arrives { Look::READ } else { Look::SILENT })
}

fn silent(repo: &Tracked, reason: &str) -> Not {
    own_source::silent(Collector::WebhookDeliveries, repo, reason)
}

fn refused(repo: &Tracked, answer: &Answer) -> Not {
    own_source::refused(Collector::WebhookDeliveries, repo, answer)
}
