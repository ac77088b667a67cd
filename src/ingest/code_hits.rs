//! Finds out whose the files are that a search for code found, and brings them to the door. Used by the scheduler.
//!
//! The lead is the author of the newest commit that touched the file if GitHub knows a person for it, otherwise the owner of
//! the repository if that is a person, and otherwise nobody; which rule it was is recorded with the signal. What was
//! followed up is marked; files that still wait are not, so that the next search after a restart finds them again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use anyhow::Context as _;
use database::{Statement, Value};
use domain::{Attribution, Collector, ScanTarget, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::accept::Ingest;
use super::activity::{Act, Activity, Actor, ActorKind};
use super::matcher::Scratch;
use super::outage::Outage;
use super::shards::Part;
use super::source_cursor::of_keyword;
use crate::github::code::{Commit, Hit, read_commit};
use crate::github::{Answer, Client, Resource};
use crate::metrics;

/// A file that no search has found for so long is new when one finds it again; what is recorded of it stays one signal.
const FORGET_AFTER: Duration = Duration::from_hours(30 * 24);
/// How often old marks are removed.
const CLEAN_EVERY: Duration = Duration::from_hours(6);
/// A file is asked for so often, over some two hours; then it counts as one whose author GitHub does not know.
const TRIES: u32 = 8;
const FIRST_BACKOFF: Duration = Duration::from_mins(1);
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);
/// So many in a row that cannot be asked for are an outage: it is GitHub that fails, and not one of them.
const IN_VAIN: u32 = 3;
/// While so many files wait, no more are looked for.
const ROOM: usize = 300;
/// Marks asked for in one read.
const AT_ONCE: usize = 100;

/// A file that was found for a keyword, by its key.
#[derive(Clone)]
struct Waiting {
    keyword: String,
    hit: Hit,
    /// How often it was asked for in vain.
    failures: u32,
    due_at: Timestamp,
}

/// Files that were found and not followed up yet.
pub struct CodeHits {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    waiting: Vec<Waiting>,
    outage: Outage,
    /// Files in a row that could not be asked for the first time that they were.
    in_vain: u32,
    cleaned_at: Option<Timestamp>,
}

impl CodeHits {
    /// None yet.
    pub const fn new(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> Self {
        Self {
            ingest,
            client,
            part,
            waiting: Vec::new(),
            outage: Outage::none("attribution of code"),
            in_vain: 0,
            cleaned_at: None,
        }
    }

    /// When the next of them is due; none: there is nothing to follow up.
    pub fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.waiting.iter().map(|one| one.due_at).min()?;
        Some(next.max(self.outage.pausing(now).unwrap_or(now)))
    }

    /// Whether more may be looked for: what was found is followed up first, as far as that can be done now.
    pub fn has_room(&self, now: Timestamp) -> bool {
        self.waiting.len() < ROOM && self.due_at(now).is_none_or(|at| at > now)
    }

    /// Takes what a search found that was not followed up before, and lets the rest be known as still there.
    ///
    /// # Errors
    /// If storage fails; the search finds them again.
    pub async fn take(&mut self, keyword: &str, hits: Vec<Hit>, now: Timestamp) -> anyhow::Result<()> {
        self.clean(now).await?;
        let (unseen, seen) = unseen(&self.ingest, keyword, hits).await?;
        let list = self.ingest.watchlist().await?;
        let mut scratch = Scratch::default();
        // What the search took for the keyword and is none is marked, too.
        let (wanted, others): (Vec<Hit>, Vec<Hit>) = unseen
            .into_iter()
            .partition(|hit| list.finds(&hit.text, ScanTarget::Code, &mut scratch));
        self.mark(keyword, others.iter().chain(&seen), now).await?;
        let known: BTreeSet<(String, String, String)> = self.waiting.iter().map(Waiting::place).collect();
        let waiting = wanted.into_iter().map(|hit| Waiting {
            keyword: keyword.to_owned(),
            hit,
            failures: 0,
            due_at: now,
        });
        self.waiting.extend(waiting.filter(|one| !known.contains(&one.place())));
        Ok(())
    }

    /// Finds out whose the one is that has been due for longest. One that cannot be asked for waits behind the others, and is the
    /// owner's after a few tries.
    ///
    /// # Errors
    /// If storage fails; the file waits on.
    pub async fn attribute(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let places = 0..self.waiting.len();
        let next = places.min_by_key(|place| self.waiting.get(*place).map(|one| one.due_at));
        let Some((place, Waiting { keyword, hit, .. })) =
            next.and_then(|place| Some((place, self.waiting.get(place)?.clone())))
        else {
            return Ok(());
        };
        let told = match self.client.get(&hit.commits_path(), None).await {
            Answer::Fresh(fresh) => read_commit(&fresh.body),
            // The ledger knows until when.
            Answer::Limited { .. } => return Ok(()),
            Answer::Failed(reason) => Err(reason),
            // That is about the token, and nothing about the file.
            Answer::Denied(_) if self.client.ledger().blocked(Resource::Core, now).is_some() => return Ok(()),
            // The repository is gone, empty or hidden by now: whose it is the search said.
            Answer::Denied(_) | Answer::Invalid(_) | Answer::NotFound | Answer::Moved | Answer::NotModified { .. } => {
                Ok(None)
            }
        };
        let commit = match told {
            Ok(commit) => {
                self.outage.over();
                self.in_vain = 0;
                commit
            }
            Err(reason) if self.put_behind(place, &reason, now) => return Ok(()),
            Err(reason) => {
                tracing::warn!(reason, "who touched a file last that was found in code cannot be told");
                None
            }
        };
        if let Some((rule, person)) = attribute(&hit, commit.as_ref()) {
            let activity = Activity {
                act: Act::Holds {
                    text: hit.text.clone(),
                    url: hit.page(),
                    attribution: rule,
                },
                repo: hit.repo.to_string(),
                actor: person,
                // The author says when, and may say a time that is yet to come.
                occurred_at: commit.map_or(now, |commit| commit.at.min(now)),
                collector: Collector::CodeSearch,
            };
            self.ingest.accept_for(self.part.account(), vec![activity]).await?;
        } else {
            counter!(metrics::SIGNALS, "outcome" => "unattributed").increment(1);
        }
        self.mark(&keyword, [&hit], now).await?;
        self.waiting.remove(place);
        Ok(())
    }

    /// Has the file tried again after a minute that doubles each time, unless that was done often enough. Whether it has.
    fn put_behind(&mut self, place: usize, reason: &str, now: Timestamp) -> bool {
        let Some(one) = self.waiting.get_mut(place) else {
            return false;
        };
        // Files that fail one after the other are an outage; one that fails again and again is not.
        if one.failures == 0 {
            self.in_vain += 1;
            if self.in_vain.is_multiple_of(IN_VAIN) {
                self.outage.failed(reason, now);
            }
        }
        let doubled = FIRST_BACKOFF.saturating_mul(1 << one.failures.min(6));
        one.failures += 1;
        one.due_at = now.plus(doubled.min(LONGEST_BACKOFF));
        let (is_left, repo) = (one.failures < TRIES, one.hit.repo.key());
        // It may be the repository that cannot be asked: its other files wait behind those of others.
        let its = self.waiting.iter_mut().filter(|other| other.hit.repo.key() == repo);
        its.for_each(|other| other.due_at = other.due_at.max(now.plus(FIRST_BACKOFF)));
        is_left
    }

    async fn mark<'a>(
        &self,
        keyword: &str,
        hits: impl IntoIterator<Item = &'a Hit>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let key = key(&self.ingest);
        // Each once: a statement changes a row once only.
        let marks: BTreeSet<Vec<u8>> = hits.into_iter().map(|hit| mark(&key, keyword, hit)).collect();
        if marks.is_empty() {
            return Ok(());
        }
        let row = |mark| vec![Value::Blob(mark), now.micros().into()];
        let insert = Statement::Insert {
            into: "code_seen (mark, seen_at)",
            on_conflict: "ON CONFLICT (mark) DO UPDATE SET seen_at = excluded.seen_at",
            rows: marks.into_iter().map(row).collect(),
        };
        self.part
            .write(&*self.ingest.store, [of_keyword(keyword).as_str()], vec![insert])
            .await
            .context("marking files that were found")
    }

    /// Removes marks of files that are not found any more.
    async fn clean(&mut self, now: Timestamp) -> anyhow::Result<()> {
        if self.cleaned_at.is_some_and(|at| now.since(at) < CLEAN_EVERY) {
            return Ok(());
        }
        let long = i64::try_from(FORGET_AFTER.as_micros()).unwrap_or(i64::MAX);
        let text = "DELETE FROM code_seen WHERE seen_at < $1";
        let delete = Statement::sql(text, vec![now.micros().saturating_sub(long).into()]);
        // Whoever does it, and however often, the same rows go.
        let removed = self.ingest.store.write(vec![delete]).await;
        removed.context("removing old marks")?;
        self.cleaned_at = Some(now);
        Ok(())
    }
}

impl Waiting {
    /// Which file it is, and for which keyword: each has the parts of it that the search for the keyword showed.
    fn place(&self) -> (String, String, String) {
        (self.keyword.clone(), self.hit.repo.key(), self.hit.path.clone())
    }
}

/// Whose the file is, and by which rule; nobody, if neither the author nor the owner is a person.
fn attribute(hit: &Hit, commit: Option<&Commit>) -> Option<(Attribution, Actor)> {
    let author = commit.and_then(Commit::person);
    let owner = Some(&hit.owner).filter(|owner| owner.kind == ActorKind::User);
    let author = author.map(|author| (Attribution::CommitAuthor, author.clone()));
    author.or_else(|| owner.map(|owner| (Attribution::RepoOwner, owner.clone())))
}

/// Those that were not followed up before, and those that were.
pub(super) async fn unseen(ingest: &Ingest, keyword: &str, hits: Vec<Hit>) -> anyhow::Result<(Vec<Hit>, Vec<Hit>)> {
    let key = key(ingest);
    let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
    for part in hits.chunks(AT_ONCE) {
        let places: Vec<String> = (1..=part.len()).map(|place| format!("${place}")).collect();
        let text = format!("SELECT mark FROM code_seen WHERE mark IN ({})", places.join(", "));
        let marks = part.iter().map(|hit| Value::Blob(mark(&key, keyword, hit))).collect();
        let rows = ingest.store.read(Statement::sql(text, marks)).await;
        for row in &rows.context("looking for files that were found before")? {
            seen.insert(row.blob(0)?.to_vec());
        }
    }
    Ok(hits
        .into_iter()
        .partition(|hit| !seen.contains(&mark(&key, keyword, hit))))
}

fn key(ingest: &Ingest) -> [u8; 32] {
    ingest.writer.vault.purpose_key("files that were found")
}

/// What stands for a file that was found for a keyword; nobody can tell which it is without the root key.
fn mark(key: &[u8; 32], keyword: &str, hit: &Hit) -> Vec<u8> {
    // A MAC over SHA-256 takes keys of every length; the empty fallback is never reached.
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
    for part in [keyword, &hit.repo.key(), &hit.path, &hit.sha] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    let mut mark = mac.finalize().into_bytes().to_vec();
    mark.truncate(16);
    mark
}
