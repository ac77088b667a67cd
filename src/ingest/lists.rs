//! Reads the stargazer lists of an account's own repositories, the newest stars first, as far as the token may. Used by the
//! scheduler.
//!
//! A list is read back to where it was read before, the first time to its beginning; broken off, it goes on at the page
//! where it was. REST numbers its pages from the oldest star on, so that new stars move none of them.
//!
//! A page that fails again and again ends a reading: the next one begins at the newest star, and tries that page once more behind
//! what was read before it. A list that has no end is left alone for a day.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{Collector, Timestamp};
use serde::{Deserialize, Serialize};

use super::accept::Ingest;
use super::own_source::{self, Not, OwnSource};
use super::poll_repos::Tracked;
use super::shards::Part;
use super::sighting::unreadable;
use super::source_cursor::repo_of;
use super::standing::Look;
use crate::github::stargazers::{self, LAST_PAGE, Page};
use crate::github::{Answer, Client, Resource, Told};

/// A list that tells nothing new is read so often; where stars move it is read at once.
const PACE: Duration = Duration::from_hours(6);
/// Pages that are read in one go, so that a long list leaves others their turn.
const IN_ONE_GO: u32 = 10;
/// A page that fails so often in a row ends a reading.
const FAILURES: u32 = 3;
/// A list without an end is left alone for so long, and what was read before a page that fails is not read again for so long.
const LONG: Duration = Duration::from_hours(24);

/// How far a list was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// Everything up to this star was read.
    #[serde(default)]
    through: Option<Timestamp>,
    /// Whoever tracks it since then at the latest has what was read.
    #[serde(default)]
    serves: Option<Timestamp>,
    /// A reading that is under way.
    #[serde(default)]
    under_way: Option<UnderWay>,
    /// Where the last reading was given up.
    #[serde(default)]
    behind: Option<Behind>,
    /// The list had no end: it is left alone until then. Kept until a reading comes to an end.
    #[serde(default)]
    endless_until: Option<Timestamp>,
}

/// A page that could not be read, and what was read before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Behind {
    /// Everything between this star and the page was read.
    newest: Option<Timestamp>,
    /// The page.
    next: Next,
    /// From then on all is read again: other pages may be read where this one never is.
    until: Timestamp,
}

/// A reading that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UnderWay {
    /// The newest star when it began.
    newest: Option<Timestamp>,
    /// The next page to read.
    next: Next,
    /// Pages that were read.
    #[serde(default)]
    pages: u64,
    /// How often in a row the next page failed.
    #[serde(default)]
    failures: u32,
    /// It has passed over what was read before, and is behind that.
    #[serde(default)]
    is_behind: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    /// The number of a page, from the oldest star on; then the one before it.
    Rest(u32),
    /// The same, and then the one after it: it is not known which is the last.
    Onward(u32),
    /// The mark that GraphQL gave; none: the newest page.
    Graphql(Option<String>),
}

impl Reached {
    /// Until when the list is left alone.
    fn rests(&self, now: Timestamp) -> Option<Timestamp> {
        self.endless_until.filter(|until| *until > now)
    }

    /// Whether the list could not be read to its end, and that has not changed yet.
    const fn is_broken(&self) -> bool {
        self.under_way.is_some() && (self.behind.is_some() || self.endless_until.is_some())
    }

    /// What the next page is asked of.
    fn resource(&self) -> Resource {
        let next = self.under_way.as_ref().map(|under_way| &under_way.next);
        next.map_or(Resource::Core, Next::resource)
    }

    /// A page was read: the reading goes on, or has come to its end.
    fn go_on(&mut self, under_way: &UnderWay, page: &Page, now: Timestamp) {
        let (newest, oldest) = (under_way.newest.max(page.newest()), page.oldest());
        let is_before = |star: Option<Timestamp>| matches!((oldest, star), (Some(oldest), Some(star)) if oldest < star);
        let is_newest_first = !matches!(under_way.next, Next::Onward(_));
        let next = under_way.next.after(page);
        let Some(next) = next.filter(|_| !(is_newest_first && is_before(self.through))) else {
            *self = Self {
                through: newest.max(self.through),
                ..Self::default()
            };
            return;
        };
        let behind = self
            .behind
            .as_ref()
            .filter(|behind| is_newest_first && !under_way.is_behind && behind.until > now && is_before(behind.newest));
        self.under_way = Some(UnderWay {
            newest,
            pages: under_way.pages + 1,
            // A page that failed before has one more try.
            failures: if behind.is_some() { FAILURES - 1 } else { 0 },
            is_behind: under_way.is_behind || behind.is_some(),
            next: behind.map_or(next, |behind| behind.next.clone()),
        });
    }

    /// Nothing was read. When to try again, if it is not for the source to say.
    fn fail(&mut self, (look, wait): Not, now: Timestamp) -> Not {
        let is_silent = look == Look::SILENT && wait.is_none();
        let Some(mut under_way) = self.under_way.take_if(|_| is_silent) else {
            return (look, wait);
        };
        under_way.failures = under_way.failures.saturating_add(1);
        if under_way.failures < FAILURES {
            self.under_way = Some(under_way);
            return (look, wait);
        }
        // The first page of REST holds the oldest stars: it alone is nothing to go on behind.
        let has_begun = under_way.pages > 1 && !matches!(under_way.next, Next::Onward(_));
        // New stars have waited all the while.
        let at_once = has_begun && !under_way.is_behind;
        if has_begun {
            let known = self.behind.as_ref().filter(|_| under_way.is_behind);
            self.behind = Some(Behind {
                until: known.map_or(now.plus(LONG), |behind| behind.until),
                newest: under_way.newest,
                next: under_way.next,
            });
        }
        (look, Some(if at_once { now } else { now.plus(PACE) }))
    }
}

impl UnderWay {
    /// A reading of which the first page was read.
    const fn begun(newest: Option<Timestamp>, next: Next) -> Self {
        Self {
            newest,
            next,
            pages: 1,
            failures: 0,
            is_behind: false,
        }
    }

    /// Whether more pages were read than a list with so many stars has, even if some are counted late or stand on pages of REST and of
    /// GraphQL.
    fn is_endless(&self, stars: Option<u64>) -> bool {
        let full = stars.unwrap_or_default() / 100 + 1;
        self.pages > full.saturating_mul(2) + u64::from(LAST_PAGE)
    }
}

impl Next {
    const fn resource(&self) -> Resource {
        match self {
            Self::Rest(_) | Self::Onward(_) => Resource::Core,
            Self::Graphql(_) => Resource::Graphql,
        }
    }

    /// What is read after this page; none: it was the last one. A list that leads to the same place again, or to nothing, has
    /// come to its end.
    fn after(&self, page: &Page) -> Option<Self> {
        match self {
            Self::Rest(number) => (*number > 1).then(|| Self::Rest(number - 1)),
            _ if page.items == 0 || !page.has_next => None,
            Self::Onward(number) if *number < LAST_PAGE => Some(Self::Onward(number + 1)),
            Self::Onward(_) => Some(Self::Graphql(None)),
            Self::Graphql(mark) if page.next == *mark => None,
            Self::Graphql(_) => page.next.clone().map(|mark| Self::Graphql(Some(mark))),
        }
    }
}

/// How a page was read.
enum Paged {
    Page(Page),
    Not(Look, Option<Timestamp>),
}

/// The stargazer lists.
pub struct Lists {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    source: OwnSource,
    /// Those whose next page is GraphQL's.
    of_graphql: HashSet<String>,
}

impl Lists {
    /// Goes on where the cursors stand.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        let source = OwnSource::open(ingest.clone(), part.clone(), (Collector::StargazerList, &[]), PACE).await?;
        let of_graphql = source.reached::<Reached>().filter_map(|(subject, reached)| {
            let repo = repo_of(subject).filter(|_| reached.resource() == Resource::Graphql);
            repo.map(str::to_owned)
        });
        Ok(Self {
            of_graphql: of_graphql.collect(),
            source,
            ingest,
            client,
            part,
        })
    }

    /// When each list is due that may be shown to us: those of own repositories, with a token.
    pub fn due<'a>(&'a self, tracked: &'a HashMap<String, Tracked>) -> impl Iterator<Item = (&'a str, Timestamp)> {
        self.source.due(tracked).filter(|_| self.client.has_token())
    }

    /// What the next page of a list is asked of.
    pub fn resource(&self, repo: &str) -> Resource {
        if self.of_graphql.contains(repo) {
            Resource::Graphql
        } else {
            Resource::Core
        }
    }

    /// The number of stars moved: the list is read at once, if it is shown to us.
    pub fn hurry(&mut self, repo: &str, now: Timestamp) {
        let (_, reached) = self.source.begin::<Reached>(repo, now);
        if reached.rests(now).is_none() {
            self.source.hurry(repo, now);
        }
    }

    /// The repository is private or not there: whoever tracks it is told so if its list was read before.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn hide(&mut self, named: (&str, &Tracked), look: Look, now: Timestamp) -> anyhow::Result<()> {
        self.source.hide(named, look, now).await
    }

    /// Tells what is news by now; without a token there are no lists.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn tell(&mut self, tracked: &HashMap<String, Tracked>, now: Timestamp) -> anyhow::Result<()> {
        if self.client.has_token() {
            return self.source.tell(tracked, now).await;
        }
        for (repo, tracked) in tracked.iter().filter(|(_, tracked)| tracked.is_own()) {
            self.source
                .saw((repo, tracked), Collector::StargazerList, Look::NO_TOKEN, now)
                .await?;
        }
        Ok(())
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
        self.of_graphql.retain(|repo| tracked.contains_key(repo));
        self.source.keep(tracked, |_| None).await?;
        self.begin_anew(tracked).await
    }

    /// Has a list read from its beginning for those who began to track it since it was read.
    async fn begin_anew(&mut self, tracked: &HashMap<String, Tracked>) -> anyhow::Result<()> {
        let now = self.ingest.writer.clock.now();
        for (repo, tracked) in tracked.iter().filter(|(_, tracked)| tracked.is_own()) {
            let (mut cursor, reached) = self.source.begin::<Reached>(repo, now);
            if reached.serves.is_some_and(|serves| serves < tracked.since) {
                let anew = Reached {
                    serves: Some(tracked.since),
                    endless_until: reached.endless_until,
                    ..Reached::default()
                };
                if cursor.failures == 0 {
                    cursor.next_at = cursor.next_at.min(now);
                }
                self.source.put_down(cursor, &anew).await?;
                self.of_graphql.remove(repo);
            }
        }
        Ok(())
    }

    /// Reads a list, ten pages at most. `stars` is GitHub's public number, if it was counted.
    ///
    /// # Errors
    /// If storage fails; the cursor then stays where it was.
    pub async fn read(
        &mut self,
        (repo, tracked): (&str, &Tracked),
        stars: Option<u64>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let (cursor, mut reached) = self.source.begin::<Reached>(repo, now);
        let serves = reached.serves.or(Some(tracked.since));
        let outcome = match reached.rests(now) {
            Some(until) => Err((Look::SILENT, Some(until))),
            None => self.pages(tracked, &mut reached, stars, now).await?,
        };
        let outcome = outcome.map_err(|not| reached.fail(own_source::of_the_token(not, &self.client, now), now));
        reached.serves = reached.serves.or(serves);
        let more = outcome.map(|()| reached.under_way.is_some());
        self.source.end(cursor, &reached, more, now).await?;
        if reached.resource() == Resource::Graphql {
            self.of_graphql.insert(repo.to_owned());
        } else {
            self.of_graphql.remove(repo);
        }
        let look = match outcome {
            Err((look, _)) => look,
            // Whether it can be read by now is not known before the end.
            Ok(()) if reached.is_broken() => Look::SILENT,
            Ok(()) => Look::READ,
        };
        self.source
            .saw((repo, tracked), Collector::StargazerList, look, now)
            .await
    }

    /// Reads on from where it is, and not on from REST to GraphQL in one go, whose budget may be left to others. What `reached`
    /// says afterwards is recorded.
    async fn pages(
        &self,
        repo: &Tracked,
        reached: &mut Reached,
        stars: Option<u64>,
        now: Timestamp,
    ) -> anyhow::Result<Result<(), Not>> {
        let resource = reached.resource();
        if reached.under_way.is_none() {
            // The first page of REST tells how many there are; if it is the only one, it is all.
            let (first, last) = match self.of_rest(repo, 1).await {
                Ok(first) => first,
                Err(not) => return Ok(Err(not)),
            };
            if first.items == 0 && stars.is_some_and(|stars| stars > 0) {
                return Ok(Err((Look::EMPTY, None)));
            }
            let newest = first.newest();
            let next = match last {
                Some(last) if last < LAST_PAGE => Next::Rest(last),
                Some(_) => Next::Graphql(None),
                None => {
                    unreadable(Collector::StargazerList, first.items.saturating_sub(first.stars.len()));
                    self.ingest.accept_for(self.part.account(), first.stars).await?;
                    if !first.has_next {
                        *reached = Reached {
                            through: newest.max(reached.through),
                            ..Reached::default()
                        };
                        return Ok(Ok(()));
                    }
                    Next::Onward(2)
                }
            };
            reached.under_way = Some(UnderWay::begun(newest, next));
        }
        for _ in 0..IN_ONE_GO {
            let Some(under_way) = reached.under_way.clone() else {
                break;
            };
            if under_way.next.resource() != resource {
                break;
            }
            if under_way.is_endless(stars) {
                *reached = Reached {
                    through: reached.through,
                    endless_until: Some(now.plus(LONG)),
                    ..Reached::default()
                };
                let (look, _) = silent(repo, "the list has no end");
                return Ok(Err((look, reached.rests(now))));
            }
            let mut page = match self.page(repo, &under_way.next).await {
                Paged::Page(page) => page,
                Paged::Not(look, wait) => return Ok(Err((look, wait))),
            };
            unreadable(Collector::StargazerList, page.items.saturating_sub(page.stars.len()));
            reached.go_on(&under_way, &page, now);
            let stars = std::mem::take(&mut page.stars);
            self.ingest.accept_for(self.part.account(), stars).await?;
        }
        Ok(Ok(()))
    }

    /// A page of REST, and which is the last, if that is told.
    async fn of_rest(&self, repo: &Tracked, number: u32) -> Result<(Page, Option<u32>), Not> {
        let path = stargazers::path(&repo.name, number);
        match self.client.get_as(&path, None, Some(stargazers::ACCEPT)).await {
            Answer::Fresh(fresh) => {
                let page = stargazers::read(&fresh.body, &repo.name).map_err(|reason| silent(repo, &reason))?;
                let has_next = fresh.has_next;
                Ok((Page { has_next, ..page }, fresh.last_page))
            }
            other => Err(refused(repo, &other)),
        }
    }

    async fn page(&self, repo: &Tracked, next: &Next) -> Paged {
        match next {
            Next::Rest(number) | Next::Onward(number) => match self.of_rest(repo, *number).await {
                Ok((page, _)) => Paged::Page(page),
                Err(not) => Paged::from(not),
            },
            Next::Graphql(after) => {
                let variables = stargazers::variables(&repo.name, after.as_deref());
                match self.client.graphql(stargazers::QUERY, &variables).await {
                    Told::Data { is_cut: true, .. } => Paged::from(silent(repo, "GraphQL broke off")),
                    Told::Data {
                        data,
                        absent,
                        is_denied,
                        ..
                    } => match stargazers::read_graphql(data, &repo.name) {
                        Some(page) => Paged::Page(page),
                        None if is_denied => Paged::Not(Look::refused(403), None),
                        None if !absent.is_empty() => Paged::Not(Look::refused(404), None),
                        None => Paged::from(silent(repo, "no page of GraphQL")),
                    },
                    Told::Limited(until) => Paged::Not(Look::LIMITED, Some(until)),
                    Told::Denied(status) => Paged::Not(Look::refused(status.as_u16()), None),
                    Told::TooMuch => Paged::from(silent(repo, "too much for GraphQL")),
                    Told::Failed(reason) => Paged::from(silent(repo, &reason)),
                }
            }
        }
    }
}

impl From<Not> for Paged {
    fn from((look, wait): Not) -> Self {
        Self::Not(look, wait)
    }
}

fn silent(repo: &Tracked, reason: &str) -> Not {
    own_source::silent(Collector::StargazerList, repo, reason)
}

fn refused(repo: &Tracked, answer: &Answer) -> Not {
    own_source::refused(Collector::StargazerList, repo, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_it_leads_nowhere() {
        let page = |items, has_next, next: Option<&str>| Page {
            items,
            has_next,
            next: next.map(str::to_owned),
            ..Page::default()
        };
        let marked = |mark: &str| Next::Graphql(Some(mark.to_owned()));
        let first = Next::Graphql(None);
        assert_eq!(first.after(&page(1, true, Some("a"))), Some(marked("a")));
        assert_eq!(first.after(&page(1, true, None)), None);
        assert_eq!(marked("a").after(&page(1, true, Some("b"))), Some(marked("b")));
        assert_eq!(marked("a").after(&page(1, true, Some("a"))), None, "the same again");
        assert_eq!(marked("a").after(&page(0, true, Some("b"))), None, "nothing on it");

        let (mut next, mut pages) = (first.clone(), 1);
        let under_way = |next: &Next, pages| UnderWay {
            pages,
            ..UnderWay::begun(None, next.clone())
        };
        while !under_way(&next, pages).is_endless(Some(40_000)) {
            next = next.after(&page(100, true, Some(&format!("mark {pages}")))).unwrap();
            pages += 1;
        }
        assert!(
            (800..2_000).contains(&pages),
            "a mark that is another each time: {pages}"
        );

        let full = page(100, true, None);
        assert_eq!(Next::Onward(2).after(&full), Some(Next::Onward(3)));
        assert_eq!(Next::Onward(2).after(&page(0, true, None)), None);
        assert_eq!(Next::Onward(2).after(&page(100, false, None)), None);
        assert_eq!(
            Next::Onward(LAST_PAGE).after(&full),
            Some(first),
            "the rest is GraphQL's"
        );

        assert_eq!(Next::Rest(2).after(&page(0, false, None)), Some(Next::Rest(1)));
        assert_eq!(Next::Rest(1).after(&full), None);
    }
}
