//! Brings what GitHub's webhooks of own repositories told while we were not there, from GitHub's record of their deliveries.
//! Used by the scheduler.
//!
//! The record is walked from its newest delivery back to where it was walked before, and what did not arrive is noted; then
//! the payloads of those noted are read ([`super::missed_payloads`]), also if a record cannot be walked to its end. Both go on
//! where they were broken off. GitHub is not asked to send anything again: what it would send is in the record, and the way to
//! us may be closed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use database::Statement;
use domain::{Collector, Timestamp};
use serde::{Deserialize, Serialize};

use super::accept::Ingest;
use super::missed_payloads::Payloads;
use super::missed_place::Place;
use super::own_source::{self, Not, OwnSource};
use super::poll_repos::Tracked;
use super::shards::Part;
use super::sighting::unreadable;
use super::standing::Look;
use crate::github::hooks;
use crate::github::{Answer, Client};

/// The record is looked at so often; while nothing was delivered that costs nothing.
const PACE: Duration = Duration::from_mins(15);
/// Pages of the record that are read in one go, so that others have their turn.
const PAGES_IN_ONE_GO: u32 = 5;
/// The record, and what it tells of.
const SOURCES: (Collector, &[Collector]) = (Collector::WebhookDeliveries, &[Collector::GithubWebhook]);

/// How far the records of a repository's webhooks were walked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// By GitHub's number of the webhook.
    hooks: BTreeMap<u64, Place>,
    /// For asking whether these are still all.
    #[serde(default)]
    etag: Option<String>,
}

/// What a look at the record of a webhook showed.
struct Seen {
    /// Of the record itself; none: the repository has no webhook that leads to us.
    record: Option<Look>,
    /// Of the webhook; none: nothing was delivered yet, or there was never one.
    webhook: Option<Look>,
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
            source: OwnSource::open(ingest.clone(), part.clone(), SOURCES, PACE).await?,
            payloads: Payloads::new(ingest, client.clone(), part),
            client,
        })
    }

    /// When each record is due that may be shown to us: those of own repositories, with a token.
    pub fn due<'a>(&'a self, tracked: &'a HashMap<String, Tracked>) -> impl Iterator<Item = (&'a str, Timestamp)> {
        self.source.due(tracked).filter(|_| self.client.has_token())
    }

    /// The repository is private or not there: whoever tracks it is told so if its record was read before.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn hide(&mut self, named: (&str, &Tracked), look: Look, now: Timestamp) -> anyhow::Result<()> {
        self.source.hide(named, look, now).await
    }

    /// Tells what is news by now.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn tell(&mut self, tracked: &HashMap<String, Tracked>, now: Timestamp) -> anyhow::Result<()> {
        self.source.tell(tracked, now).await
    }

    /// GitHub does not take the token that what is due is to be read with.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn refused(
        &mut self,
        tracked: &HashMap<String, Tracked>,
        is_hidden: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.source.refused(tracked, is_hidden, now).await
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
        let (mut seen, more) = self.go((repo, tracked), &mut reached, now).await?;
        let more = more.map_err(|not| own_source::of_the_token(not, &self.client, now));
        // Where there is nothing to read, what was refused before is refused no more.
        if more.is_ok() && self.source.last_look(repo).is_some_and(|look| look != Look::READ) {
            seen.record = seen.record.or(Some(Look::READ));
        }
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
    ) -> anyhow::Result<(Seen, Result<bool, Not>)> {
        let is_amid = |place: &Place| place.under_way.as_ref().is_some_and(|walk| walk.pages > 0);
        let had_one = !reached.hooks.is_empty();
        let listed = if reached.hooks.values().any(is_amid) {
            Ok(())
        } else {
            self.hooks(tracked, reached).await
        };
        let is_listed = listed.is_ok();
        let walked = match listed {
            Ok(()) => self.walks((repo, tracked), reached, now).await?,
            Err(not) => Err(not),
        };
        let outcome = match walked {
            // The oldest of them is still to come, and it is read first.
            Ok(true) => Ok(true),
            Ok(false) => self.payloads.take((repo, tracked), now).await?,
            Err(not) => {
                // Whoever may not look or has to wait would learn nothing of the payloads but that.
                if not.0 == Look::SILENT || (is_listed && not.0 != Look::LIMITED) {
                    let _ = self.payloads.take((repo, tracked), now).await?;
                }
                Err(not)
            }
        };
        let record = outcome.map_or_else(|(look, _)| look, |_| Look::READ);
        let (record, webhook) = match (is_listed, reached.hooks.is_empty()) {
            (false, _) => (Some(record), None),
            (true, true) => (None, had_one.then_some(Look::ABSENT)),
            (true, false) => (Some(record), works(reached)),
        };
        Ok((Seen { record, webhook }, outcome))
    }

    /// Walks the records of all webhooks, also if one cannot be read. Whether there is more to walk at once.
    async fn walks(
        &self,
        named: (&str, &Tracked),
        reached: &mut Reached,
        now: Timestamp,
    ) -> anyhow::Result<Result<bool, Not>> {
        let mut pages = PAGES_IN_ONE_GO;
        let (mut has_more, mut was_read, mut failed) = (false, false, None);
        for (hook, place) in &mut reached.hooks {
            match self.walk(named, *hook, place, &mut pages, now).await? {
                Ok(more) => (has_more, was_read) = (has_more || more, true),
                Err(not) if not.0 == Look::LIMITED => return Ok(Err(not)),
                Err(not) => failed = failed.or(Some(not)),
            }
        }
        Ok(match failed {
            // What can be read is not left alone for longer than otherwise.
            Some((look, _)) if was_read || look == Look::SILENT => Err((look, Some(now.plus(PACE)))),
            Some(not) => Err(not),
            None => Ok(has_more),
        })
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

    /// Walks the record of a webhook back to where it was walked before, as far as the pages go. Whether there is more to walk at
    /// once. A walk whose next page is gone, or whose webhook, begins anew with the webhooks that there are by then.
    async fn walk(
        &self,
        (repo, tracked): (&str, &Tracked),
        hook: u64,
        place: &mut Place,
        pages: &mut u32,
        now: Timestamp,
    ) -> anyhow::Result<Result<bool, Not>> {
        if place.rests(now) {
            return Ok(Ok(false));
        }
        while *pages > 0 {
            *pages -= 1;
            let under_way = place.under_way.clone();
            let etag = place.etag.as_deref().filter(|_| under_way.is_none());
            let path = hooks::deliveries_path(&tracked.name, hook, under_way.as_ref().map(|walk| walk.cursor.as_str()));
            let answer = self.client.get(&path, etag).await;
            let is_gone = matches!(answer, Answer::NotFound | Answer::Invalid(_));
            let page = match answer {
                Answer::Fresh(fresh) => hooks::read_deliveries(&fresh.body)
                    .map(|attempts| (attempts, fresh.etag, fresh.next_cursor))
                    .map_err(|reason| silent(tracked, &reason)),
                Answer::NotModified { .. } => return Ok(Ok(false)),
                // Once it is no failure: GitHub may have forgotten what is on it.
                _ if is_gone && under_way.is_some() && place.failures == 0 => {
                    place.fail(is_gone);
                    return Ok(Ok(false));
                }
                _ if is_gone && under_way.is_some() => Err(silent(tracked, "the next page is gone again")),
                other => Err(refused(tracked, &other)),
            };
            let ((attempts, broken), etag, cursor) = match page {
                Ok(page) => page,
                Err(not) => {
                    if under_way.is_some() && not.0 == Look::SILENT {
                        place.fail(is_gone);
                    }
                    return Ok(Err(not));
                }
            };
            unreadable(Collector::WebhookDeliveries, broken);
            if under_way.is_none() {
                place.etag = etag;
                place.arrives = attempts.first().map(|newest| newest.arrived).or(place.arrives);
            }
            self.payloads.note(repo, hook, &attempts).await?;
            if place.go_on(under_way, &attempts, cursor, now) {
                return Ok(Ok(false));
            }
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
