//! How sources work, look by look, and telling it to the accounts that they feed. Used by whatever reads a source.
//!
//! What every look shows is kept here; what is worth an event the aggregates decide ([`domain::source`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{ColumnError, Database, DatabaseError, Row, Statement};
use domain::source::SETTLE;
use domain::{AccountId, Collector, Observation, SourceReason, SourceState, SourceSubject, Timestamp};
use projections::sources;
use ulid::Ulid;

use super::accept::Ingest;
use super::shards::Part;
use super::source_cursor::repo_of;
use crate::commands::observe_source;

/// An account that tracks something, and what that is to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracker {
    /// The account.
    pub account: AccountId,
    /// What it tracks.
    pub subject: SourceSubject,
}

impl Tracker {
    const fn id(&self) -> Ulid {
        match &self.subject {
            SourceSubject::Repo { id, .. } => id.ulid(),
            SourceSubject::Keyword { id, .. } => id.ulid(),
        }
    }
}

/// How a look at a source went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How it works.
    pub state: SourceState,
    /// Why.
    pub reason: SourceReason,
}

impl Look {
    /// It was read.
    pub const READ: Self = Self {
        state: SourceState::Active,
        reason: SourceReason::Answered,
    };
    /// GitHub asks to wait.
    pub const LIMITED: Self = Self {
        state: SourceState::RateLimited,
        reason: SourceReason::RateLimit,
    };
    /// No answer that can be used.
    pub const SILENT: Self = Self {
        state: SourceState::Unavailable,
        reason: SourceReason::NoAnswer,
    };
    /// The list is empty though the count is not zero.
    pub const EMPTY: Self = Self {
        state: SourceState::Restricted,
        reason: SourceReason::Empty,
    };
    /// There is no such thing, or it is hidden.
    pub const ABSENT: Self = Self {
        state: SourceState::Unavailable,
        reason: SourceReason::NotFound,
    };
    /// Nobody gave us a token that it would be shown to.
    pub const NO_TOKEN: Self = Self {
        state: SourceState::Restricted,
        reason: SourceReason::NoToken,
    };
    /// It is private.
    pub const PRIVATE: Self = Self {
        state: SourceState::Unavailable,
        reason: SourceReason::Private,
    };

    /// GitHub refuses to show it, with that status.
    pub const fn refused(status: u16) -> Self {
        let reason = match status {
            401 => SourceReason::Unauthorized,
            404 | 410 => SourceReason::NotFound,
            451 => SourceReason::Legal,
            _ => SourceReason::Forbidden,
        };
        Self {
            state: SourceState::Restricted,
            reason,
        }
    }
}

/// What should have settled and was no news is tried again after so long.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// A source of something, by its name among all that sources feed.
type Place = (String, Collector);
/// What every look has shown since then.
type Held = (Look, Timestamp);

/// What the looks show, and what the accounts were told of it.
pub struct Standings {
    ingest: Arc<Ingest>,
    part: Part,
    looks: HashMap<Place, Held>,
    told: HashMap<(AccountId, Ulid, Collector), Look>,
    /// Changes that were no news yet, and when they are by what is known now, whether or not there was another look.
    untold: HashMap<Place, Timestamp>,
}

impl Standings {
    /// Goes on with what was seen and told before of these sources.
    pub async fn open(ingest: Arc<Ingest>, part: Part, own: &[Collector]) -> anyhow::Result<Self> {
        let query = Statement::sql(
            "SELECT subject, collector, state, reason, since FROM source_look",
            Vec::new(),
        );
        let rows = ingest.store.read(query).await.context("reading how sources work")?;
        let mut looks: HashMap<Place, Held> = rows.iter().map(look).collect::<Result<_, _>>()?;
        looks.retain(|(subject, collector), _| own.contains(collector) && part.has(subject));
        // What was not told before the end is told if no look has shown otherwise by then.
        let settled = ingest.writer.clock.now().plus(SETTLE);
        let told = sources::all(&*ingest.views)
            .await
            .context("reading what was told of sources")?;
        let told = told.into_iter().map(|row| {
            let (state, reason) = (row.state, row.reason);
            ((row.account, row.subject, row.collector), Look { state, reason })
        });
        Ok(Self {
            told: told.collect(),
            untold: looks.keys().map(|place| (place.clone(), settled)).collect(),
            ingest,
            part,
            looks,
        })
    }

    /// Takes note of a look at a source of `subject`, and tells those who track it what is news.
    ///
    /// # Errors
    /// If storage fails; the next look makes up for it.
    pub async fn saw(
        &mut self,
        subject: &str,
        collector: Collector,
        look: Look,
        trackers: &[Tracker],
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let key = (subject.to_owned(), collector);
        let since = match self.looks.get(&key) {
            Some((known, since)) if *known == look => *since,
            _ => {
                self.keep(&key, look, now).await?;
                now
            }
        };
        let mut is_told = true;
        for tracker in trackers {
            let place = (tracker.account, tracker.id(), collector);
            if self.told.get(&place) == Some(&look) {
                continue;
            }
            let seen = Observation {
                collector,
                state: look.state,
                reason: look.reason,
                since,
                seen_at: now,
            };
            let is_news = observe_source(&self.ingest.writer, tracker.account, &tracker.subject, seen).await;
            if is_news.context("recording how a source works")? {
                self.told.insert(place, look);
            } else {
                is_told = false;
            }
        }
        if is_told {
            self.untold.remove(&key);
        } else {
            let settled = since.plus(SETTLE);
            let again = if settled > now { settled } else { now.plus(TELL_AGAIN) };
            self.untold.insert(key, again);
        }
        Ok(())
    }

    /// Has what was seen told to those who began to track it since.
    pub fn tell_others<'a>(&mut self, trackers: impl Fn(&str) -> Option<&'a [Tracker]>, now: Timestamp) {
        for (place, (look, _)) in &self.looks {
            let is_told = |tracker: &Tracker| self.told.get(&(tracker.account, tracker.id(), place.1)) == Some(look);
            if !trackers(&place.0).unwrap_or_default().iter().all(is_told) {
                self.untold.entry(place.clone()).or_insert(now);
            }
        }
    }

    /// What the last look at the source showed, if there was one.
    pub fn last_look(&self, subject: &str, collector: Collector) -> Option<Look> {
        let known = self.looks.get(&(subject.to_owned(), collector));
        known.map(|(look, _)| *look)
    }

    /// Tells what was seen a while ago and is news by now; the next look may be hours away. `trackers` are those of a subject, if
    /// anybody tracks it.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn tell<'a>(
        &mut self,
        trackers: impl Fn(&str) -> Option<&'a [Tracker]>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let due = self.untold.iter().filter(|(_, at)| **at <= now);
        for place in due.map(|(place, _)| place.clone()).collect::<Vec<_>>() {
            let look = self.looks.get(&place).map(|(look, _)| *look);
            match (look, trackers(&place.0)) {
                (Some(look), Some(trackers)) => self.saw(&place.0, place.1, look, trackers, now).await?,
                _ => drop(self.untold.remove(&place)),
            }
        }
        Ok(())
    }

    /// Those who track the subject are refused what they would be shown of it now: GitHub does not take the token. One that is known
    /// to be refused otherwise stays so.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn refused(
        &mut self,
        subject: &str,
        collector: Collector,
        trackers: &[Tracker],
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let known = self.last_look(subject, collector);
        if known.is_some_and(|look| look.state == SourceState::Restricted) {
            return Ok(());
        }
        self.saw(subject, collector, Look::refused(401), trackers, now).await
    }

    /// Forgets what nobody tracks any more.
    pub async fn forget(&mut self, subject: &str) -> anyhow::Result<()> {
        self.looks.retain(|(known, _), _| known != subject);
        self.untold.retain(|(known, _), _| known != subject);
        let delete = Statement::sql("DELETE FROM source_look WHERE subject = $1", vec![subject.into()]);
        self.part
            .write(&*self.ingest.store, [subject], vec![delete])
            .await
            .context("forgetting how a source works")
    }

    async fn keep(&mut self, key: &Place, look: Look, now: Timestamp) -> anyhow::Result<()> {
        let statement = Statement::insert(
            "source_look (subject, collector, state, reason, since)",
            "ON CONFLICT (subject, collector) DO UPDATE SET state = excluded.state, reason = excluded.reason, \
             since = excluded.since",
            vec![
                key.0.as_str().into(),
                key.1.as_str().into(),
                look.state.as_str().into(),
                look.reason.as_str().into(),
                now.micros().into(),
            ],
        );
        self.part
            .write(&*self.ingest.store, [key.0.as_str()], vec![statement])
            .await
            .context("keeping how a source works")?;
        self.looks.insert(key.clone(), (look, now));
        Ok(())
    }
}

/// The repositories, by their names in lower case, that were private when they were last looked at.
pub(super) async fn hidden(store: &dyn Database) -> Result<HashSet<String>, DatabaseError> {
    let query = Statement::sql(
        "SELECT subject FROM source_look WHERE reason = $1",
        vec![SourceReason::Private.as_str().into()],
    );
    let mut hidden = HashSet::new();
    for row in store.read(query).await? {
        hidden.extend(repo_of(row.text(0)?).map(str::to_owned));
    }
    Ok(hidden)
}

fn look(row: &Row) -> Result<(Place, Held), ColumnError> {
    let word = |index, expected| move |_| ColumnError { index, expected };
    let look = Look {
        state: row.text(2)?.parse().map_err(word(2, "state of a source"))?,
        reason: row.text(3)?.parse().map_err(word(3, "reason for a source's state"))?,
    };
    let collector = row.text(1)?.parse().map_err(word(1, "collector"))?;
    let since = Timestamp::from_micros(row.int(4)?);
    Ok(((row.text(0)?.to_owned(), collector), (look, since)))
}
