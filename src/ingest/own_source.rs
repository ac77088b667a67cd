//! A source that GitHub shows of own repositories alone, to a token that may see it: how far each of them was read, when it is due,
//! and how long one that is refused is left alone. Used by the collectors of such sources, `lists` and `missed`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::Statement;
use domain::{Collector, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::accept::Ingest;
use super::counts::spread;
use super::poll_repos::Tracked;
use super::shards::Part;
use super::source_cursor::{self, SourceCursor, of_repo, repo_of};
use super::standing::{Look, Standings, Tracker};
use crate::github::{Answer, Client, Resource};

/// One that is refused is tried again after so long.
const REFUSED: Duration = Duration::from_hours(24);
const FIRST_BACKOFF: Duration = Duration::from_mins(1);

/// Why nothing was read, and the time to wait if GitHub named one, or the reader of the source has one of its own.
pub type Not = (Look, Option<Timestamp>);

/// The source, for the repositories of a part.
pub struct OwnSource {
    collector: Collector,
    /// The sources that it tells of: itself first.
    own: Vec<Collector>,
    pace: Duration,
    ingest: Arc<Ingest>,
    part: Part,
    standings: Standings,
    cursors: HashMap<String, SourceCursor>,
}

impl OwnSource {
    /// Goes on where the cursors stand; what tells nothing new is read once a `pace`. It tells of itself, and may of `other`s.
    pub async fn open(
        ingest: Arc<Ingest>,
        part: Part,
        (collector, other): (Collector, &[Collector]),
        pace: Duration,
    ) -> anyhow::Result<Self> {
        let cursors = source_cursor::all(&*ingest.store)
            .await
            .context("reading how far sources were read")?;
        let own = cursors
            .into_iter()
            .filter(|cursor| cursor.collector == collector && part.has(&cursor.subject));
        let tells_of = [&[collector], other].concat();
        Ok(Self {
            cursors: own.map(|cursor| (cursor.subject.clone(), cursor)).collect(),
            standings: Standings::open(ingest.clone(), part.clone(), &tells_of).await?,
            own: tells_of,
            collector,
            pace,
            ingest,
            part,
        })
    }

    /// When each own repository is due.
    pub fn due<'a>(&'a self, tracked: &'a HashMap<String, Tracked>) -> impl Iterator<Item = (&'a str, Timestamp)> {
        let own = tracked.iter().filter(|(_, tracked)| tracked.is_own());
        own.map(|(repo, tracked)| {
            let cursor = self.cursors.get(&of_repo(repo));
            (repo.as_str(), cursor.map_or(tracked.since, |cursor| cursor.next_at))
        })
    }

    /// There is something new: the repository is due at once, if the source is shown to us.
    pub fn hurry(&mut self, repo: &str, now: Timestamp) {
        if let Some(cursor) = self.cursors.get_mut(&of_repo(repo))
            && cursor.failures == 0
        {
            cursor.next_at = cursor.next_at.min(now);
        }
    }

    /// The repository is private or not there, as `look` says: its source is not for us, and whoever tracks it is told so of what was
    /// read before.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn hide(&mut self, (repo, tracked): (&str, &Tracked), look: Look, now: Timestamp) -> anyhow::Result<()> {
        for collector in self.own.clone() {
            if self.standings.last_look(&of_repo(repo), collector).is_some() {
                self.saw((repo, tracked), collector, look, now).await?;
            }
        }
        Ok(())
    }

    /// What the last look at the source of a repository showed.
    pub fn last_look(&self, repo: &str) -> Option<Look> {
        self.standings.last_look(&of_repo(repo), self.collector)
    }

    /// Drops what nobody tracks any more, and with it what `beside` deletes of a repository.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn keep(
        &mut self,
        tracked: &HashMap<String, Tracked>,
        beside: impl Fn(&str) -> Option<Statement>,
    ) -> anyhow::Result<()> {
        let kept: HashSet<String> = tracked.keys().map(|repo| of_repo(repo)).collect();
        let left = self.cursors.keys().filter(|subject| !kept.contains(*subject));
        for subject in left.cloned().collect::<Vec<_>>() {
            let delete = Statement::sql(
                "DELETE FROM source_cursor WHERE subject = $1 AND collector = $2",
                vec![subject.as_str().into(), self.collector.as_str().into()],
            );
            let beside = repo_of(&subject).and_then(&beside);
            let deletes = std::iter::once(delete).chain(beside).collect();
            self.part
                .write(&*self.ingest.store, [subject.as_str()], deletes)
                .await
                .context("dropping how far a source was read")?;
            self.standings.forget(&subject).await?;
            self.cursors.remove(&subject);
        }
        let now = self.ingest.writer.clock.now();
        self.standings.tell_others(|subject| trackers_of(tracked, subject), now);
        Ok(())
    }

    /// How far the repository was read, for a reading that begins.
    pub fn begin<R: DeserializeOwned + Default>(&self, repo: &str, now: Timestamp) -> (SourceCursor, R) {
        let subject = of_repo(repo);
        let known = self.cursors.get(&subject).cloned();
        let cursor = known.unwrap_or_else(|| SourceCursor::new(subject, self.collector, now, self.pace));
        let reached = cursor
            .reached
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        (cursor, reached.unwrap_or_default())
    }

    /// How far each repository was read, by its name among all that sources feed.
    pub fn reached<R: DeserializeOwned>(&self) -> impl Iterator<Item = (&str, R)> {
        let read = |cursor: &SourceCursor| serde_json::from_str(cursor.reached.as_deref()?).ok();
        let cursors = self.cursors.iter();
        cursors.filter_map(move |(subject, cursor)| Some((subject.as_str(), read(cursor)?)))
    }

    /// Puts down how far the reading came. `outcome`: whether there is more to read at once, or why nothing was read: then a time to
    /// wait counts if GitHub or the reader named one; otherwise a minute that doubles with each failure, and a day if it refuses.
    ///
    /// # Errors
    /// If storage fails; the cursor then stays where it was.
    pub async fn end<R: Serialize>(
        &mut self,
        mut cursor: SourceCursor,
        reached: &R,
        outcome: Result<bool, Not>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        match outcome {
            Ok(has_more) => {
                cursor.failures = 0;
                cursor.last_success_at = Some(now);
                let pause = || spread(self.pace, self.ingest.writer.clock.entropy());
                cursor.next_at = if has_more { now } else { now.plus(pause()) };
            }
            Err((look, Some(wait))) => {
                cursor.next_at = wait;
                // The reader knows better than a count of failures; where something is new it may be read before.
                if look == Look::SILENT {
                    cursor.failures = 0;
                }
            }
            Err((look, None)) => {
                let doubled = FIRST_BACKOFF.saturating_mul(1 << cursor.failures.min(10));
                let is_refused = look != Look::SILENT;
                cursor.failures = cursor.failures.saturating_add(1);
                cursor.next_at = now.plus(if is_refused { REFUSED } else { doubled.min(REFUSED) });
            }
        }
        self.put_down(cursor, reached).await
    }

    /// Puts down how far a source is to be taken as read, and when it is due.
    ///
    /// # Errors
    /// If storage fails; the cursor then stays where it was.
    pub async fn put_down<R: Serialize>(&mut self, mut cursor: SourceCursor, reached: &R) -> anyhow::Result<()> {
        cursor.reached = Some(serde_json::to_string(reached).context("writing how far a source was read")?);
        self.part
            .write(&*self.ingest.store, [cursor.subject.as_str()], vec![cursor.save()])
            .await
            .context("keeping how far a source was read")?;
        self.cursors.insert(cursor.subject.clone(), cursor);
        Ok(())
    }

    /// Tells what is news by now of looks that were made a while ago.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn tell(&mut self, tracked: &HashMap<String, Tracked>, now: Timestamp) -> anyhow::Result<()> {
        self.standings.tell(|subject| trackers_of(tracked, subject), now).await
    }

    /// GitHub does not take the token that the source is to be read with: that is told of all repositories that are due.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn refused(
        &mut self,
        tracked: &HashMap<String, Tracked>,
        is_hidden: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let due = self.due(tracked).filter(|(repo, at)| *at <= now && !is_hidden(repo));
        let due: Vec<_> = due.filter_map(|(repo, _)| tracked.get_key_value(repo)).collect();
        for (repo, Tracked { trackers, .. }) in due {
            self.standings
                .refused(&of_repo(repo), self.collector, trackers, now)
                .await?;
        }
        Ok(())
    }

    /// Notes how a look went, at this source or at another that it tells of.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn saw(
        &mut self,
        (repo, tracked): (&str, &Tracked),
        collector: Collector,
        look: Look,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let subject = of_repo(repo);
        self.standings
            .saw(&subject, collector, look, &tracked.trackers, now)
            .await
    }
}

/// Who tracks a repository that is somebody's own.
fn trackers_of<'a>(tracked: &'a HashMap<String, Tracked>, subject: &str) -> Option<&'a [Tracker]> {
    let own = tracked.get(repo_of(subject)?)?;
    own.is_own().then_some(own.trackers.as_slice())
}

/// While GitHub does not take the token at all, that says nothing of the source: it is asked for once the token is tried again.
pub fn of_the_token((look, wait): Not, client: &Client, now: Timestamp) -> Not {
    let ledger = client.ledger();
    let until = ledger.blocked(Resource::Core, now);
    (look, wait.or(until.filter(|_| ledger.is_refused(Resource::Core, now))))
}

/// GitHub told nothing that can be read.
pub fn silent(collector: Collector, repo: &Tracked, reason: &str) -> Not {
    tracing::warn!(repo_id = repo.id(), %collector, reason, "a source of an own repository cannot be read");
    (Look::SILENT, None)
}

/// Why there is no fresh answer.
pub fn refused(collector: Collector, repo: &Tracked, answer: &Answer) -> Not {
    match answer {
        Answer::Limited { until } => (Look::LIMITED, Some(*until)),
        Answer::Denied(status) => (Look::refused(status.as_u16()), None),
        // Who may not see it is told that there is none.
        Answer::NotFound => (Look::refused(404), None),
        Answer::Failed(reason) => silent(collector, repo, reason),
        Answer::Invalid(status) => silent(collector, repo, &format!("answered {}", status.as_u16())),
        Answer::Fresh(_) | Answer::NotModified { .. } | Answer::Moved => silent(collector, repo, "no answer to this"),
    }
}
