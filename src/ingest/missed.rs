//! Brings what GitHub's webhooks of own repositories told while we were not there, from GitHub's record of their deliveries.
//! Used by the scheduler.
//!
//! The record is walked from its newest delivery back to where it was walked before, and what did not arrive is noted; then
//! the payloads of those noted are read ([`super::missed_payloads`]). Both go on where they were broken off. GitHub is not asked to send anything again: what it would send is
//! in the record, and the way to us may be closed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use database::Statement;
use domain::{Collector, Timestamp};
use serde::{Deserialize, Serialize};

use super::accept::Ingest;
use super::missed_payloads::Payloads;
use super::own_source::{self, Not, OwnSource};
use super::poll_repos::Tracked;
use super::shards::Part;
use super::standing::Look;
use crate::github::hooks;
use crate::github::{Answer, Client};

/// The record is looked at so often; while nothing was delivered that costs nothing.
const PACE: Duration = Duration::from_mins(15);
/// Deliveries stand in the record in the order in which they were made, but for so much.
const OVERLAP: Duration = Duration::from_mins(1);
/// Pages of the record that are read in one go, so that others have their turn.
const PAGES_IN_ONE_GO: u32 = 5;

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
    const NOTHING: Self = Self {
        record: None,
        webhook: None,
    };

    const fn of_record(look: Look) -> Self {
        Self {
            record: Some(look),
            webhook: None,
        }
    }
}

/// The records of deliveries.
pub struct Missed {
    client: Arc<Client>,
    payloads: Payloads,
    source: OwnSource,
}

impl Missed {
    /// Goes on where the cursors stand.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        Ok(Self {
            source: OwnSource::open(ingest.clone(), part.clone(), Collector::WebhookDeliveries, PACE).await?,
            payloads: Payloads::new(ingest, client.clone(), part),
            client,
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
            match self.walk((repo, tracked), *hook, place, &mut pages).await? {
                Ok(true) => {}
                // The next look begins with the webhooks that there are by then.
                Ok(false) => return Ok(Ok((Seen::NOTHING, false))),
                Err(not) => return Ok(Err(not)),
            }
        }
        let seen = Seen {
            record: Some(Look::READ),
            webhook: works(reached),
        };
        if reached.hooks.values().any(|place| place.under_way.is_some()) {
            return Ok(Ok((seen, true)));
        }
        let taken = self.payloads.take((repo, tracked), now).await?;
        Ok(taken.map(|has_more| (seen, has_more)))
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

    /// Walks the record of a webhook back to where it was walked before, as far as the pages go. Whether it stands: a walk whose
    /// next page is gone, or whose webhook, has to begin anew.
    async fn walk(
        &self,
        (repo, tracked): (&str, &Tracked),
        hook: u64,
        place: &mut Place,
        pages: &mut u32,
    ) -> anyhow::Result<Result<bool, Not>> {
        while *pages > 0 {
            *pages -= 1;
            let under_way = place.under_way.clone();
            let etag = place.etag.as_deref().filter(|_| under_way.is_none());
            let path = hooks::deliveries_path(&tracked.name, hook, under_way.as_ref().map(|walk| walk.cursor.as_str()));
            let fresh = match self.client.get(&path, etag).await {
                Answer::Fresh(fresh) => fresh,
                Answer::NotModified { .. } => return Ok(Ok(true)),
                Answer::NotFound | Answer::Invalid(_) if under_way.is_some() => {
                    place.under_way = None;
                    // Otherwise the first page would count as known.
                    place.etag = None;
                    return Ok(Ok(false));
                }
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
            self.payloads.note(repo, hook, &attempts).await?;
            let newest = attempts.iter().map(|attempt| attempt.at).max();
            let newest = under_way.map_or(newest, |walk| walk.newest);
            let oldest = attempts.iter().map(|attempt| attempt.at).min();
            let is_known =
                matches!((oldest, place.through), (Some(oldest), Some(through)) if oldest.plus(OVERLAP) < through);
            let Some(cursor) = fresh.next_cursor.filter(|_| !is_known) else {
                place.through = newest.max(place.through);
                place.under_way = None;
                return Ok(Ok(true));
            };
            place.under_way = Some(UnderWay { newest, cursor });
        }
        Ok(Ok(true))
    }
}

/// Whether the webhooks lead to us, by their newest deliveries: one that does is enough.
fn works(reached: &Reached) -> Option<Look> {
    let arrives = reached.hooks.values().filter_map(|place| place.arrives).max()?;
    Some(if arrives { Look::READ } else { Look::SILENT })
}

/// GitHub told nothing of the repository's webhooks that can be read.
pub(super) fn silent(repo: &Tracked, reason: &str) -> Not {
    own_source::silent(Collector::WebhookDeliveries, repo, reason)
}

/// Why GitHub shows nothing of the repository's webhooks.
pub(super) fn refused(repo: &Tracked, answer: &Answer) -> Not {
    own_source::refused(Collector::WebhookDeliveries, repo, answer)
}
