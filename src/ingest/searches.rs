//! Looks for tracked keywords all over GitHub, as many to a search as GitHub takes. Used by the scheduler.
//!
//! Each keyword knows up to when it was looked for in each place. A search takes those that have been due for longest, looks from the
//! earliest of these moments on, a little before it, and leaves it to the door to say who asked for what was found. The oldest comes
//! first, so that what whole pages showed is done with, whatever becomes of the pages behind them. The search for code knows no times
//! and takes one keyword: what is new among the files [`super::code_hits`] says.

mod code;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::Statement;
use domain::{AccountId, ScanTarget, SourceSubject, Timestamp};
use event_log::Position;
use projections::tracked_keywords;

use super::accept::Ingest;
use super::counts::spread;
use super::packs;
use super::plan::SHORTEST_SWEEP;
use super::search_reach::Reach;
pub use super::search_wanted::Kind;
use super::search_wanted::Phrase;
use super::shards::Part;
use super::sighting::unreadable;
use super::source_cursor::{self, SourceCursor, of_keyword};
use super::standing::{Look, Standings, Tracker};
use super::suspects::Suspects;
use super::unanswered::{Not, limited, not_fresh, silent};
use crate::github::search::{self, Page};
use crate::github::{self, Answer, Client};

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

/// What a search came to.
struct Looked {
    /// Items that were shown.
    items: usize,
    /// All up to then was shown on whole pages; none: nothing was.
    shown: Option<Timestamp>,
    /// Whether something in between is given up.
    is_gap: bool,
    end: End,
}

/// How a search ended.
enum End {
    /// There is no more.
    Whole,
    /// GitHub shows no more of it at once.
    Cut,
    /// GitHub broke off before it had looked everywhere, and showed something up to then.
    BrokenOff(Option<Timestamp>),
    /// A page was not shown, and why.
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
    /// Where the last search that failed looked.
    failed_in: Option<ScanTarget>,
    /// How often in a row GitHub broke off there.
    broken_off: HashMap<(String, ScanTarget), u32>,
    /// Keywords of which all pages of code were read, and what was found there taken up.
    read_through: HashSet<String>,
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
            standings: Standings::open(ingest.clone(), part.clone(), &[kind.collector()]).await?,
            ingest,
            client,
            part,
            phrases: BTreeMap::new(),
            read_from: None,
            suspects: Suspects::default(),
            failed_in: None,
            broken_off: HashMap::new(),
            read_through: HashSet::new(),
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
        self.phrases.clear();
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
            phrase.trackers.push(Tracker {
                account: row.account,
                subject: SourceSubject::Keyword {
                    id: row.keyword_id,
                    keyword: row.keyword,
                },
            });
        }
        self.drop_untracked().await?;
        self.look_back().await?;
        let (phrases, now) = (&self.phrases, self.ingest.writer.clock.now());
        let trackers = |subject: &str| Some(phrases.get(source_cursor::keyword_of(subject)?)?.trackers.as_slice());
        self.standings.tell_others(trackers, now);
        self.read_from = Some(from);
        Ok(true)
    }

    async fn drop_untracked(&mut self) -> anyhow::Result<()> {
        let tracked: HashSet<String> = self.phrases.keys().map(|phrase| self.subject(phrase)).collect();
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
    async fn look_back(&mut self) -> anyhow::Result<()> {
        let now = self.ingest.writer.clock.now();
        let mut cursors = Vec::new();
        for (phrase, known) in &self.phrases {
            let (Some(cursor), Some(wanted)) = (self.cursors.get(&self.subject(phrase)), known.last_wanted()) else {
                continue;
            };
            let mut reach = self.reach(cursor);
            if reach.heed(wanted, minus(wanted, BEFORE).plus(OVERLAP)) {
                let mut cursor = cursor.clone();
                cursor.reached = Some(reach.text());
                cursor.next_at = cursor.next_at.min(now);
                cursors.push(cursor);
            }
        }
        if cursors.is_empty() {
            return Ok(());
        }
        self.save(cursors).await
    }

    fn reach(&self, cursor: &SourceCursor) -> Reach {
        Reach::read(cursor.reached.as_deref(), self.kind.targets())
    }

    /// How far the search for a keyword is; one that is new begins now.
    fn cursor(&self, phrase: &str, now: Timestamp) -> SourceCursor {
        let subject = self.subject(phrase);
        self.cursors.get(&subject).cloned().unwrap_or_else(|| {
            let wanted = self.phrases.get(phrase).and_then(Phrase::last_wanted);
            let mut cursor = SourceCursor::new(subject, self.kind.collector(), now, SHORTEST_SWEEP);
            cursor.reached = Some(Reach::nowhere(wanted).text());
            cursor
        })
    }

    /// When the next search is due, whether it is for a keyword that was never looked for, and for whom it is. None: there is
    /// nothing to look for, or no way to.
    pub fn due(&self) -> Option<(Timestamp, bool, impl Iterator<Item = AccountId>)> {
        if self.lacks_token() {
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

    /// Without a token GitHub searches issues and pull requests alone.
    fn lacks_token(&self) -> bool {
        self.kind != Kind::Issues && !self.client.has_token()
    }

    /// Tells what is news by now, and that without a token nothing can be looked for.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn tell_on(&mut self, now: Timestamp) -> anyhow::Result<()> {
        if self.lacks_token() {
            let all: Vec<String> = self.phrases.keys().cloned().collect();
            return self.tell(&all, Look::NO_TOKEN, now).await;
        }
        let phrases = &self.phrases;
        let trackers = |subject: &str| Some(phrases.get(source_cursor::keyword_of(subject)?)?.trackers.as_slice());
        self.standings.tell(trackers, now).await
    }

    /// GitHub does not take the token that keywords are due to be looked for with.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn refused(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let searched = self.phrases.keys().filter(|_| !self.lacks_token());
        let due: Vec<String> = searched.filter(|phrase| self.next_at(phrase) <= now).cloned().collect();
        for phrase in due {
            if let Some(known) = self.phrases.get(&phrase) {
                let (subject, search) = (self.subject(&phrase), self.kind.collector());
                self.standings.refused(&subject, search, &known.trackers, now).await?;
            }
        }
        Ok(())
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
        let (mut hits, mut is_cut, mut failed) = (0, false, None);
        for (since, target, part) in self.places(&pack, now) {
            let (packed, _) = packs::pack(part.iter().map(String::as_str));
            let mut looked = self.look(&packed, target, since, now).await?;
            // Where a thousand were written within the overlap, the rest of them is given up, once it is known for which keyword.
            let least = since.plus(OVERLAP * 2).min(now);
            if matches!(looked.end, End::Cut) && part.len() == 1 && looked.shown < Some(least) {
                (looked.shown, looked.is_gap) = (Some(least), true);
            }
            self.go_on(&part, target, &looked, now);
            hits += looked.items;
            match looked.end {
                End::Whole => {}
                End::Cut => is_cut |= looked.shown < Some(now),
                End::BrokenOff(_) => failed = failed.or(Some(Not::of(Look::SILENT))),
                // Elsewhere it may be the same; the next time that is asked first.
                End::Not(not) => {
                    let is_limited = not.wait.is_some();
                    self.failed_in = Some(target).filter(|_| !is_limited).or(self.failed_in);
                    failed = Some(not);
                    break;
                }
            }
        }
        match failed {
            Some(not) => self.put_off(&pack, not, now).await,
            None => self.succeeded(&pack, is_cut, hits, now).await,
        }
    }

    /// Where some of the keywords are looked for, from when on, and which: the place first that is furthest behind, and last the one
    /// where that failed.
    fn places(&self, pack: &[String], now: Timestamp) -> Vec<(Timestamp, ScanTarget, Vec<String>)> {
        let mut places = Vec::new();
        for target in self.kind.targets() {
            let since = |phrase: &String| Some((self.since(phrase, *target, now)?, phrase.clone()));
            let (since, part): (Vec<Timestamp>, Vec<String>) = pack.iter().filter_map(since).unzip();
            if let Some(since) = since.into_iter().min() {
                places.push((since, *target, part));
            }
        }
        places.sort_by_key(|(since, target, _)| (self.failed_in == Some(*target), *since));
        places
    }

    /// Takes note of what was shown, so that it is done with whatever comes next.
    fn go_on(&mut self, part: &[String], target: ScanTarget, looked: &Looked, now: Timestamp) {
        for phrase in part {
            let mut cursor = self.cursor(phrase, now);
            let broken_off = self.broken_off.entry((phrase.clone(), target)).or_default();
            *broken_off = match &looked.end {
                End::Whole | End::Cut => 0,
                End::BrokenOff(_) => *broken_off + 1,
                End::Not(_) => *broken_off,
            };
            let at = match &looked.end {
                End::Whole => Some(now),
                // One for which that happens each time goes on behind what is shown: otherwise that would be as much as a search ever
                // shows in the end, and nothing newer.
                End::BrokenOff(newest) if part.len() == 1 && *broken_off > IN_VAIN => {
                    cursor.last_gap_at = Some(now);
                    *newest
                }
                _ => looked.shown,
            };
            if looked.is_gap {
                cursor.last_gap_at = Some(now);
            }
            let mut reach = self.reach(&cursor);
            if let Some(at) = at {
                reach.go_to(target, at);
            }
            cursor.reached = Some(reach.text());
            self.cursors.insert(cursor.subject.clone(), cursor);
        }
    }

    /// Puts down that all of it was read, or as much as GitHub shows at once.
    async fn succeeded(&mut self, pack: &[String], is_cut: bool, hits: usize, now: Timestamp) -> anyhow::Result<()> {
        // One that fills the search by itself is not to keep the others from being looked for.
        if is_cut {
            self.suspects.halve(pack);
        } else {
            self.suspects.clear(pack);
        }
        let mut cursors = Vec::with_capacity(pack.len());
        for phrase in pack {
            let mut cursor = self.cursor(phrase, now);
            cursor.pace = if hits > 0 || cursor.last_success_at.is_none() {
                SHORTEST_SWEEP
            } else {
                (cursor.pace + cursor.pace / 2).min(LONGEST)
            };
            cursor.last_success_at = Some(now);
            cursor.failures = 0;
            // The rest is to be had at once.
            cursor.next_at = if is_cut {
                now
            } else {
                now.plus(spread(cursor.pace, self.ingest.writer.clock.entropy()))
            };
            cursors.push(cursor);
        }
        self.save(cursors).await?;
        self.tell(pack, Look::READ, now).await
    }

    /// From when on the keyword is looked for there; none: nobody wants it there.
    fn since(&self, phrase: &str, target: ScanTarget, now: Timestamp) -> Option<Timestamp> {
        let wanted = self.phrases.get(phrase)?.wanted_in(target)?;
        let cursor = self.cursors.get(&self.subject(phrase));
        let up_to = cursor.and_then(|cursor| self.reach(cursor).up_to(target));
        // The clock may have been put back since.
        let since = up_to.map_or_else(|| minus(wanted, BEFORE), |up_to| minus(up_to.min(now), OVERLAP));
        Some(since)
    }

    /// Reads page after page of what was written since then; each goes through the door before the next is asked for.
    async fn look(&self, packed: &str, target: ScanTarget, since: Timestamp, now: Timestamp) -> anyhow::Result<Looked> {
        let (mut newest, mut after) = (None, None);
        let (mut is_whole, mut is_cut) = (true, false);
        let mut looked = Looked {
            items: 0,
            shown: None,
            is_gap: false,
            end: End::Whole,
        };
        for number in 1..=search::PAGES {
            let page = match self.page(packed, target, since, number, after.as_deref()).await {
                Ok(page) => page,
                Err(not) => {
                    looked.end = End::Not(not);
                    return Ok(looked);
                }
            };
            let (page, has_next) = page;
            unreadable(self.kind.collector(), page.broken);
            looked.items += page.items;
            is_whole &= !page.is_incomplete;
            // A time that is yet to come tells nothing of how far was shown.
            newest = page.newest.map(|newest| newest.min(now)).max(newest);
            looked.shown = if is_whole { newest } else { looked.shown };
            after = page.next;
            self.ingest.accept_for(self.part.account(), page.activities).await?;
            is_cut = has_next || looked.items >= search::MOST;
            if !has_next {
                break;
            }
        }
        let is_full = is_cut && looked.items >= FEWEST;
        let newest = newest.map(|newest| newest.max(since));
        looked.end = if !is_whole {
            End::BrokenOff(newest)
        } else if !is_cut {
            End::Whole
        } else if is_full && newest.is_some() {
            looked.shown = newest;
            End::Cut
        } else {
            End::Not(silent("it does not come to an end"))
        };
        Ok(looked)
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
                github::Told::Data { data, is_cut, .. } => {
                    let mut page = search::read_discussions(data).map_err(|reason| silent(&reason))?;
                    page.is_incomplete = is_cut;
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
            let mut cursor = self.cursor(phrase, now);
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

fn minus(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_sub(micros))
}
