//! Looks for tracked keywords all over GitHub, as many to a search as GitHub takes. Used by the scheduler.
//!
//! Each keyword knows since when it was looked for. A search takes those that have been due for longest, looks from the
//! earliest of these moments on, a little before it, and leaves it to the door to say who asked for what was found. The
//! search for code knows no times and takes one keyword: what is new among the files [`super::code_hits`] says.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::Statement;
use domain::{AccountId, Collector, KeywordId, ScanTarget, SourceSubject, Timestamp};
use event_log::Position;
use projections::tracked_keywords;

use super::accept::Ingest;
use super::code_hits;
use super::counts::spread;
use super::packs;
use super::plan::SHORTEST_SWEEP;
use super::shards::Part;
use super::sighting::unreadable;
use super::source_cursor::{self, SourceCursor, of_keyword};
use super::standing::{Look, Standings, Tracker};
use super::suspects::Suspects;
use super::unanswered::{Not, limited, not_fresh, silent};
use crate::github::code::{self, Hit};
use crate::github::search::{self, Page};
use crate::github::{self, Answer, Client, Resource};

/// A keyword for which nothing is found is looked for so often at least.
const LONGEST: Duration = Duration::from_hours(1);
/// What was written so long before the keyword was tracked is looked for too.
const BEFORE: Duration = Duration::from_hours(7 * 24);
/// Searches overlap by so much: an item is found only some time after it was written.
const OVERLAP: Duration = Duration::from_mins(10);
const FIRST_BACKOFF: Duration = Duration::from_mins(1);
/// A search that was broken off so often in a row is not read anew any more.
const IN_VAIN: u32 = 4;
/// A search that is cut off brought as much at least: ten pages, of 50 discussions each.
const FEWEST: usize = 500;
/// Pages that are read of a search for code: of 300 files, those that were indexed last.
const PAGES_OF_CODE: u32 = 3;

/// Which search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// That for issues and pull requests.
    Issues,
    /// That for discussions.
    Discussions,
    /// That for code.
    Code,
}

impl Kind {
    const fn targets(self) -> &'static [ScanTarget] {
        match self {
            Self::Issues => &[ScanTarget::Issues, ScanTarget::Prs],
            Self::Discussions => &[ScanTarget::Discussions],
            Self::Code => &[ScanTarget::Code],
        }
    }

    /// How many keywords a search takes at most.
    const fn at_once(self) -> usize {
        match self {
            Self::Issues | Self::Discussions => packs::MOST,
            Self::Code => 1,
        }
    }

    const fn collector(self) -> Collector {
        match self {
            Self::Issues => Collector::IssueSearch,
            Self::Discussions => Collector::DiscussionSearch,
            Self::Code => Collector::CodeSearch,
        }
    }

    /// What it counts against.
    pub const fn resource(self) -> Resource {
        match self {
            Self::Issues => Resource::Search,
            Self::Discussions => Resource::Graphql,
            Self::Code => Resource::CodeSearch,
        }
    }
}

/// A keyword that some account tracks.
#[derive(Default)]
struct Phrase {
    /// Where each of them looks for it, and since when they do at the latest.
    wanted: BTreeMap<(KeywordId, ScanTarget), Timestamp>,
    /// When the first of them began to track it.
    tracked_at: Option<Timestamp>,
    trackers: Vec<Tracker>,
}

impl Phrase {
    fn is_wanted_in(&self, target: ScanTarget) -> bool {
        self.wanted.keys().any(|(_, wanted)| *wanted == target)
    }

    /// When the last of those began to look for it there who did not before: by what was known of it then, or else by the moment up to
    /// which was looked for it.
    fn news(&self, before: Option<&Self>, reached: Timestamp) -> Option<Timestamp> {
        let is_news = |(who, since): &(&(KeywordId, ScanTarget), &Timestamp)| match before {
            Some(before) => !before.wanted.contains_key(who),
            None => **since > reached,
        };
        self.wanted.iter().filter(is_news).map(|(_, since)| *since).max()
    }
}

/// What a search came to.
enum Found {
    /// All of it was read, up to then.
    Until(Timestamp, usize),
    /// What GitHub showed before it broke off, and up to when, if it showed anything.
    Partly(Option<Timestamp>),
    /// Nothing, and why.
    Not(Not),
}

/// One of the searches.
pub struct Searches {
    kind: Kind,
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    standings: Standings,
    /// By the folded keyword.
    phrases: BTreeMap<String, Phrase>,
    /// How far the read model was that they were read from.
    read_from: Option<Position>,
    cursors: HashMap<String, SourceCursor>,
    suspects: Suspects,
}

impl Searches {
    /// Goes on where the cursors stand.
    pub async fn open(kind: Kind, ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        let cursors = source_cursor::all(&*ingest.store)
            .await
            .context("reading how far was searched")?;
        let own = cursors
            .into_iter()
            .filter(|cursor| cursor.collector == kind.collector() && part.has(&cursor.subject));
        Ok(Self {
            kind,
            cursors: own.map(|cursor| (cursor.subject.clone(), cursor)).collect(),
            standings: Standings::open(ingest.clone(), part.clone()).await?,
            ingest,
            client,
            part,
            phrases: BTreeMap::new(),
            read_from: None,
            suspects: Suspects::default(),
        })
    }

    /// Takes up new keywords and drops those that nobody tracks any more. Whether there were any.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn refresh(&mut self) -> anyhow::Result<bool> {
        let from = self.ingest.freshness.changed_at("tracked_keywords");
        if self.read_from == Some(from) {
            return Ok(false);
        }
        let rows = tracked_keywords::all(&*self.ingest.views)
            .await
            .context("reading the tracked keywords")?;
        let before = std::mem::take(&mut self.phrases);
        for row in rows {
            let wanted = self.kind.targets().iter().copied();
            let wanted: Vec<ScanTarget> = wanted.filter(|target| row.scan_targets.contains(*target)).collect();
            let is_own = self.part.serves(row.account) && self.part.has(&self.subject(row.keyword.folded()));
            if wanted.is_empty() || !is_own {
                continue;
            }
            let phrase = self.phrases.entry(row.keyword.folded().to_owned()).or_default();
            let wanted = wanted.into_iter().map(|target| (row.keyword_id, target));
            phrase.wanted.extend(wanted.map(|wanted| (wanted, row.targets_since)));
            let first = phrase.tracked_at.unwrap_or(row.created_at);
            phrase.tracked_at = Some(first.min(row.created_at));
            phrase.trackers.push(Tracker {
                account: row.account,
                subject: SourceSubject::Keyword {
                    id: row.keyword_id,
                    keyword: row.keyword,
                },
            });
        }
        self.drop_untracked().await?;
        self.look_back(&before).await?;
        self.read_from = Some(from);
        Ok(true)
    }

    async fn drop_untracked(&mut self) -> anyhow::Result<()> {
        let tracked: std::collections::HashSet<String> =
            self.phrases.keys().map(|phrase| self.subject(phrase)).collect();
        let left: Vec<String> = self
            .cursors
            .keys()
            .filter(|key| !tracked.contains(*key))
            .cloned()
            .collect();
        for subject in left {
            let delete = Statement::sql(
                "DELETE FROM source_cursor WHERE subject = $1 AND collector = $2",
                vec![subject.as_str().into(), self.kind.collector().as_str().into()],
            );
            self.part
                .write(&*self.ingest.store, [subject.as_str()], vec![delete])
                .await
                .context("dropping how far was searched")?;
            self.standings.forget(&subject).await?;
            self.cursors.remove(&subject);
        }
        Ok(())
    }

    /// Has keywords looked for at once, and as far back as new ones, that somebody wants as well by now, or in more places.
    async fn look_back(&mut self, before: &BTreeMap<String, Phrase>) -> anyhow::Result<()> {
        let mut cursors = Vec::new();
        for (phrase, known) in &self.phrases {
            let Some(cursor) = self.cursors.get(&self.subject(phrase)) else {
                continue;
            };
            let Some(reached) = reached(cursor) else {
                continue;
            };
            if let Some(since) = known.news(before.get(phrase), reached) {
                let asked_at = since.max(reached);
                let mut cursor = cursor.clone();
                cursor.reached = Some(minus(asked_at, BEFORE).plus(OVERLAP).min(reached).to_string());
                cursor.next_at = cursor.next_at.min(asked_at);
                cursors.push(cursor);
            }
        }
        if cursors.is_empty() {
            return Ok(());
        }
        self.save(cursors).await
    }

    /// When the next search is due, whether it is for a keyword that was never looked for, and for whom it is. None: there is
    /// nothing to look for, or no way to.
    pub fn due(&self) -> Option<(Timestamp, bool, impl Iterator<Item = AccountId>)> {
        // Without a token GitHub searches nothing else.
        if self.kind != Kind::Issues && !self.client.has_token() {
            return None;
        }
        let is_new = self.phrases.len() > self.cursors.len();
        let (at, phrase) = if is_new {
            let mut phrases = self
                .phrases
                .keys()
                .map(|phrase| (self.next_at(phrase), phrase.as_str()));
            phrases.find(|(at, _)| *at == Timestamp::from_micros(0))?
        } else {
            let next = self
                .cursors
                .values()
                .min_by_key(|cursor| (cursor.next_at, &cursor.subject))?;
            (next.next_at, source_cursor::keyword_of(&next.subject)?)
        };
        let trackers = self.phrases.get(phrase)?.trackers.iter();
        Some((at, is_new, trackers.map(|tracker| tracker.account)))
    }

    fn subject(&self, phrase: &str) -> String {
        of_keyword(&self.part.key(phrase))
    }

    /// One that was never looked for is due since ever.
    fn next_at(&self, phrase: &str) -> Timestamp {
        let cursor = self.cursors.get(&self.subject(phrase));
        cursor.map_or(Timestamp::from_micros(0), |cursor| cursor.next_at)
    }

    /// The keywords that have been due for longest, as many as one search takes.
    fn pack(&self) -> Vec<String> {
        let mut waiting: Vec<(Timestamp, &str)> = self
            .phrases
            .keys()
            .map(|phrase| (self.next_at(phrase), phrase.as_str()))
            .collect();
        waiting.sort_unstable();
        // Those that are not due yet fill the search up: they cost nothing.
        let phrases = waiting.iter().map(|(_, phrase)| *phrase);
        let chosen = self.suspects.choose(phrases, self.kind.at_once());
        let (_, taken) = packs::pack(chosen.iter().copied());
        chosen.into_iter().take(taken).map(str::to_owned).collect()
    }

    /// Looks in texts for the keywords that have been due for longest.
    ///
    /// # Errors
    /// If storage fails; what was not put down is looked for again.
    pub async fn search(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let pack = self.pack();
        let mut until = now;
        let (mut hits, mut broken_off) = (0, Vec::new());
        for target in self.kind.targets() {
            let wanted = |phrase: &&String| {
                self.phrases
                    .get(*phrase)
                    .is_some_and(|known| known.is_wanted_in(*target))
            };
            let part: Vec<&String> = pack.iter().filter(wanted).collect();
            let Some(since) = part.iter().map(|phrase| self.since(phrase)).min() else {
                continue;
            };
            let (packed, _) = packs::pack(part.iter().map(|phrase| phrase.as_str()));
            match self.look(&packed, *target, since, now).await? {
                Found::Until(at, items) => {
                    until = until.min(at);
                    hits += items;
                }
                Found::Partly(at) => broken_off.push(at),
                Found::Not(not) => return self.put_off(&pack, not, now).await,
            }
        }
        // From where it stands on, so that what was not shown is found then.
        if !broken_off.is_empty() {
            let shown = broken_off.into_iter().flatten().min();
            self.give_up(&pack, shown.map(|at| at.min(until)));
            return self.put_off(&pack, Not::of(Look::SILENT), now).await;
        }
        self.succeeded(&pack, until, hits, now).await
    }

    /// A search for one keyword that GitHub breaks off each time goes on behind what it shows: otherwise that would be as much as
    /// a search ever shows in the end, and nothing newer.
    fn give_up(&mut self, pack: &[String], shown: Option<Timestamp>) {
        let ([phrase], Some(shown)) = (pack, shown) else {
            return;
        };
        let subject = self.subject(phrase);
        if let Some(cursor) = self
            .cursors
            .get_mut(&subject)
            .filter(|cursor| cursor.failures >= IN_VAIN)
        {
            cursor.reached = reached(cursor).max(Some(shown)).map(|at| at.to_string());
        }
    }

    /// Looks in code for the keyword that has been due for longest; the answer is its key, and what was found for it.
    ///
    /// # Errors
    /// If storage fails; what was not put down is looked for again.
    pub async fn search_code(&mut self, now: Timestamp) -> anyhow::Result<Option<(String, Vec<Hit>)>> {
        let pack = self.pack();
        let Some(phrase) = pack.first() else {
            return Ok(None);
        };
        let (quoted, _) = packs::pack([phrase.as_str()]);
        let (mut files, mut new, mut failed) = (Vec::new(), 0, None);
        for number in 1..=PAGES_OF_CODE {
            let (page, has_next) = match self.page_of_code(&quoted, number).await {
                Ok(page) => page,
                Err(not) => {
                    failed = Some(not);
                    break;
                }
            };
            unreadable(Collector::CodeSearch, page.broken);
            let (unseen, seen) = code_hits::unseen(&self.ingest, &self.part.key(phrase), page.hits).await?;
            // Behind a page that is known everything is, unless GitHub broke off or one behind it failed the last time.
            let is_known = unseen.is_empty() && !page.is_incomplete && !self.has_failed(phrase);
            new += unseen.len();
            files.extend(unseen.into_iter().chain(seen));
            if is_known || !has_next {
                break;
            }
        }
        match failed {
            Some(not) => self.put_off(&pack, not, now).await?,
            None => self.succeeded(&pack, now, new, now).await?,
        }
        Ok(Some((self.part.key(phrase), files)))
    }

    async fn page_of_code(&self, quoted: &str, number: u32) -> Result<(code::Page, bool), Not> {
        let path = code::path(quoted, number);
        match self.client.get_as(&path, None, Some(code::ACCEPT)).await {
            Answer::Fresh(fresh) => Ok((
                code::read(&fresh.body).map_err(|reason| silent(&reason))?,
                fresh.has_next,
            )),
            other => Err(not_fresh(other)),
        }
    }

    /// Puts down that all of it was read, up to then.
    async fn succeeded(
        &mut self,
        pack: &[String],
        until: Timestamp,
        hits: usize,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.suspects.clear(pack);
        let mut cursors = Vec::with_capacity(pack.len());
        for phrase in pack {
            let subject = self.subject(phrase);
            let known = self.cursors.get(&subject).cloned();
            let new = || SourceCursor::new(subject.clone(), self.kind.collector(), now, SHORTEST_SWEEP);
            let mut cursor = known.unwrap_or_else(new);
            cursor.pace = if hits > 0 || cursor.reached.is_none() {
                SHORTEST_SWEEP
            } else {
                (cursor.pace + cursor.pace / 2).min(LONGEST)
            };
            cursor.reached = Some(until.to_string());
            cursor.last_success_at = Some(now);
            cursor.failures = 0;
            // Broken off at GitHub's thousandth result: the rest is to be had at once.
            cursor.next_at = if until < now {
                now
            } else {
                now.plus(spread(cursor.pace, self.ingest.writer.clock.entropy()))
            };
            cursors.push(cursor);
        }
        self.save(cursors).await?;
        self.tell(pack, Look::READ, now).await
    }

    /// From when on the keyword is looked for.
    fn since(&self, phrase: &str) -> Timestamp {
        let cursor = self.cursors.get(&self.subject(phrase));
        if let Some(reached) = cursor.and_then(reached) {
            return minus(reached, OVERLAP);
        }
        let tracked_at = self.phrases.get(phrase).and_then(|known| known.tracked_at);
        minus(tracked_at.unwrap_or_default(), BEFORE)
    }

    /// Reads page after page of what was written since then; each goes through the door before the next is asked for.
    async fn look(&self, packed: &str, target: ScanTarget, since: Timestamp, now: Timestamp) -> anyhow::Result<Found> {
        let (mut items, mut newest, mut after) = (0, None, None);
        let (mut is_whole, mut is_cut) = (true, false);
        for number in 1..=search::PAGES {
            let page = match self.page(packed, target, since, number, after.as_deref()).await {
                Ok(page) => page,
                Err(not) => return Ok(Found::Not(not)),
            };
            let (page, has_next) = page;
            unreadable(self.kind.collector(), page.broken);
            items += page.items;
            is_whole &= !page.is_incomplete;
            newest = page.newest.max(newest);
            after = page.next;
            self.ingest.accept_for(self.part.account(), page.activities).await?;
            is_cut = has_next || items >= search::MOST;
            if !has_next {
                break;
            }
        }
        // The oldest come first; where a thousand were written within the overlap, the rest of them is given up.
        let is_full = is_cut && items >= FEWEST;
        let least = since.plus(if is_full { OVERLAP * 2 } else { Duration::ZERO });
        let shown = newest.map(|newest| newest.max(least).min(now));
        Ok(match shown {
            _ if !is_whole => Found::Partly(shown),
            _ if !is_cut => Found::Until(now, items),
            Some(shown) if is_full => Found::Until(shown, items),
            _ => Found::Not(silent("it does not come to an end")),
        })
    }

    /// A page, and whether another follows.
    async fn page(
        &self,
        packed: &str,
        target: ScanTarget,
        since: Timestamp,
        number: u32,
        after: Option<&str>,
    ) -> Result<(Page, bool), Not> {
        if self.kind == Kind::Discussions {
            let variables = search::discussions(packed, since, after);
            return match self.client.graphql(search::DISCUSSIONS, &variables).await {
                github::Told::Data { data, .. } => {
                    let page = search::read_discussions(data).map_err(|reason| silent(&reason))?;
                    let has_next = page.next.is_some();
                    Ok((page, has_next))
                }
                github::Told::Limited(until) => Err(limited(until)),
                github::Told::Denied(status) => Err(Not::of(Look::refused(status.as_u16()))),
                github::Told::TooMuch => Err(silent("too much for GraphQL")),
                github::Told::Failed(reason) => Err(silent(&reason)),
            };
        }
        match self
            .client
            .get(&search::issues_path(packed, target, since, number), None)
            .await
        {
            Answer::Fresh(fresh) => {
                let page = search::read_issues(&fresh.body).map_err(|reason| silent(&reason))?;
                Ok((page, fresh.has_next))
            }
            other => Err(not_fresh(other)),
        }
    }

    /// Nothing was found out: again when GitHub says so, or after a minute that doubles each time. A query of several keywords that
    /// GitHub does not take is asked again at once, in halves; one that it cannot answer twice, after that time.
    async fn put_off(
        &mut self,
        pack: &[String],
        Not { look, wait, is_refused }: Not,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        if is_refused {
            self.suspects.halve(pack);
            if pack.len() > 1 {
                return Ok(());
            }
        } else if look == Look::SILENT && wait.is_none() && pack.iter().all(|phrase| self.has_failed(phrase)) {
            self.suspects.halve(pack);
        }
        let mut cursors = Vec::with_capacity(pack.len());
        for phrase in pack {
            let subject = self.subject(phrase);
            let known = self.cursors.get(&subject).cloned();
            let new = || SourceCursor::new(subject.clone(), self.kind.collector(), now, SHORTEST_SWEEP);
            let mut cursor = known.unwrap_or_else(new);
            let doubled = FIRST_BACKOFF.saturating_mul(1 << cursor.failures.min(6)).min(LONGEST);
            if wait.is_none() {
                cursor.failures = cursor.failures.saturating_add(1);
            }
            cursor.next_at = wait.unwrap_or_else(|| now.plus(doubled));
            cursors.push(cursor);
        }
        self.save(cursors).await?;
        self.tell(pack, look, now).await
    }

    /// Whether the last search for it came to nothing.
    fn has_failed(&self, phrase: &str) -> bool {
        let cursor = self.cursors.get(&self.subject(phrase));
        cursor.is_some_and(|cursor| cursor.failures > 0)
    }

    async fn tell(&mut self, pack: &[String], look: Look, now: Timestamp) -> anyhow::Result<()> {
        for phrase in pack {
            if let Some(known) = self.phrases.get(phrase) {
                let subject = self.subject(phrase);
                self.standings
                    .saw(&subject, self.kind.collector(), look, &known.trackers, now)
                    .await?;
            }
        }
        Ok(())
    }

    async fn save(&mut self, cursors: Vec<SourceCursor>) -> anyhow::Result<()> {
        let subjects = cursors.iter().map(|cursor| cursor.subject.as_str());
        let statements = cursors.iter().map(SourceCursor::save).collect();
        self.part
            .write(&*self.ingest.store, subjects, statements)
            .await
            .context("keeping how far was searched")?;
        let cursors = cursors.into_iter().map(|cursor| (cursor.subject.clone(), cursor));
        self.cursors.extend(cursors);
        Ok(())
    }
}

/// Up to when was looked for the keyword.
fn reached(cursor: &SourceCursor) -> Option<Timestamp> {
    cursor.reached.as_ref()?.parse().ok()
}

fn minus(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_sub(micros))
}
