//! Reads the stargazer lists of an account's own repositories, the newest stars first, as far as the token may. Used by the
//! scheduler.
//!
//! A list is read back to where it was read before, the first time to its beginning; broken off, it goes on at the page
//! where it was. REST numbers its pages from the oldest star on, so that new stars move none of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::{Collector, RepoRelation, Timestamp};
use serde::{Deserialize, Serialize};

use super::accept::Ingest;
use super::counts::spread;
use super::poll_repos::Tracked;
use super::shards::Part;
use super::source_cursor::{self, SourceCursor, of_repo};
use super::standing::{Look, Standings};
use crate::github::stargazers::{self, LAST_PAGE, Page};
use crate::github::{Answer, Client, Told};

/// A list that tells nothing new is read so often; where stars move it is read at once.
const PACE: Duration = Duration::from_hours(6);
/// A list that is refused is tried again after so long.
const REFUSED: Duration = Duration::from_hours(24);
const FIRST_BACKOFF: Duration = Duration::from_mins(1);
/// Pages that are read in one go, so that a long list leaves others their turn.
const IN_ONE_GO: u32 = 10;

/// How far a list was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// Everything up to this star was read.
    #[serde(default)]
    through: Option<Timestamp>,
    /// A reading that is under way.
    #[serde(default)]
    under_way: Option<UnderWay>,
}

/// A reading that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UnderWay {
    /// The newest star when it began.
    newest: Option<Timestamp>,
    /// The next page to read.
    next: Next,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    /// The number of a page, from the oldest star on.
    Rest(u32),
    /// The mark that GraphQL gave; none: the newest page.
    Graphql(Option<String>),
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
    standings: Standings,
    cursors: HashMap<String, SourceCursor>,
}

impl Lists {
    /// Goes on where the cursors stand.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        let cursors = source_cursor::all(&*ingest.store)
            .await
            .context("reading how far lists were read")?;
        let own = cursors
            .into_iter()
            .filter(|cursor| cursor.collector == Collector::StargazerList && part.has(&cursor.subject));
        Ok(Self {
            cursors: own.map(|cursor| (cursor.subject.clone(), cursor)).collect(),
            standings: Standings::open(ingest.clone(), part.clone()).await?,
            ingest,
            client,
            part,
        })
    }

    /// When each list is due that may be shown to us: those of own repositories, with a token.
    pub fn due<'a>(&'a self, tracked: &'a HashMap<String, Tracked>) -> impl Iterator<Item = (&'a str, Timestamp)> {
        let own = tracked
            .iter()
            .filter(|(_, tracked)| tracked.relations.contains(&RepoRelation::Own));
        own.filter(|_| self.client.has_token()).map(|(repo, tracked)| {
            let cursor = self.cursors.get(&of_repo(repo));
            (repo.as_str(), cursor.map_or(tracked.since, |cursor| cursor.next_at))
        })
    }

    /// The number of stars moved: the list is read at once, if it is shown to us.
    pub fn hurry(&mut self, repo: &str, now: Timestamp) {
        if let Some(cursor) = self.cursors.get_mut(&of_repo(repo))
            && cursor.failures == 0
        {
            cursor.next_at = cursor.next_at.min(now);
        }
    }

    /// The repository is private: its list is not for us, and whoever tracks it is told so if it was read before.
    ///
    /// # Errors
    /// If storage fails; to be told again.
    pub async fn hide(&mut self, (repo, tracked): (&str, &Tracked), now: Timestamp) -> anyhow::Result<()> {
        let subject = of_repo(repo);
        if !self.cursors.contains_key(&subject) {
            return Ok(());
        }
        self.standings
            .saw(
                &subject,
                Collector::StargazerList,
                Look::PRIVATE,
                &tracked.trackers,
                now,
            )
            .await
    }

    /// Drops what nobody tracks any more.
    pub async fn keep(&mut self, tracked: &HashMap<String, Tracked>) -> anyhow::Result<()> {
        let kept: std::collections::HashSet<String> = tracked.keys().map(|repo| of_repo(repo)).collect();
        let left: Vec<String> = self
            .cursors
            .keys()
            .filter(|subject| !kept.contains(*subject))
            .cloned()
            .collect();
        for subject in left {
            let delete = database::Statement::sql(
                "DELETE FROM source_cursor WHERE subject = $1 AND collector = $2",
                vec![subject.as_str().into(), Collector::StargazerList.as_str().into()],
            );
            self.part
                .write(&*self.ingest.store, [subject.as_str()], vec![delete])
                .await
                .context("dropping how far a list was read")?;
            self.standings.forget(&subject).await?;
            self.cursors.remove(&subject);
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
        let subject = of_repo(repo);
        let known = self.cursors.get(&subject).cloned();
        let mut cursor =
            known.unwrap_or_else(|| SourceCursor::new(subject.clone(), Collector::StargazerList, now, PACE));
        let mut reached: Reached = cursor
            .reached
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let look = self.pages(tracked, &mut reached, stars).await?;
        let (look, wait) = match look {
            Ok(()) => (Look::READ, None),
            Err((look, wait)) => (look, wait),
        };
        if look == Look::READ {
            cursor.failures = 0;
            cursor.last_success_at = Some(now);
            cursor.next_at = match reached.under_way {
                Some(_) => now,
                None => now.plus(spread(PACE, self.ingest.writer.clock.entropy())),
            };
        } else {
            let doubled = FIRST_BACKOFF.saturating_mul(1 << cursor.failures.min(10)).min(REFUSED);
            let is_refused = look != Look::SILENT;
            if wait.is_none() {
                cursor.failures = cursor.failures.saturating_add(1);
            }
            cursor.next_at = wait.unwrap_or_else(|| now.plus(if is_refused { REFUSED } else { doubled }));
        }
        cursor.reached = Some(serde_json::to_string(&reached).context("writing how far a list was read")?);
        self.part
            .write(&*self.ingest.store, [subject.as_str()], vec![cursor.save()])
            .await
            .context("keeping how far a list was read")?;
        self.cursors.insert(subject.clone(), cursor);
        self.standings
            .saw(&subject, Collector::StargazerList, look, &tracked.trackers, now)
            .await
    }

    /// Reads on from where it is. What `reached` says afterwards is recorded.
    async fn pages(
        &self,
        repo: &Tracked,
        reached: &mut Reached,
        stars: Option<u64>,
    ) -> anyhow::Result<Result<(), (Look, Option<Timestamp>)>> {
        if reached.under_way.is_none() {
            // The first page of REST tells how many there are; if it is the only one, it is all.
            let (first, last) = match self.first(repo).await {
                Ok(first) => first,
                Err(not) => return Ok(Err(not)),
            };
            if first.items == 0 && stars.is_some_and(|stars| stars > 0) {
                return Ok(Err((Look::EMPTY, None)));
            }
            let Some(last) = last else {
                reached.through = first.newest().max(reached.through);
                self.ingest.accept_for(self.part.account(), first.stars).await?;
                return Ok(Ok(()));
            };
            reached.under_way = Some(UnderWay {
                newest: None,
                next: if last < LAST_PAGE {
                    Next::Rest(last)
                } else {
                    Next::Graphql(None)
                },
            });
        }
        for _ in 0..IN_ONE_GO {
            let Some(under_way) = reached.under_way.clone() else {
                break;
            };
            let page = match self.page(repo, &under_way.next).await {
                Paged::Page(page) => page,
                Paged::Not(look, wait) => return Ok(Err((look, wait))),
            };
            let newest = under_way.newest.max(page.newest());
            let is_known =
                matches!((page.oldest(), reached.through), (Some(oldest), Some(through)) if oldest < through);
            let next = match (&under_way.next, page.next.clone()) {
                (Next::Rest(number), _) if *number > 1 => Some(Next::Rest(number - 1)),
                (Next::Rest(_), _) => None,
                (Next::Graphql(_), mark) => mark.map(|mark| Next::Graphql(Some(mark))),
            };
            self.ingest.accept_for(self.part.account(), page.stars).await?;
            match next.filter(|_| !is_known) {
                Some(next) => reached.under_way = Some(UnderWay { newest, next }),
                None => {
                    *reached = Reached {
                        through: newest.max(reached.through),
                        under_way: None,
                    };
                }
            }
        }
        Ok(Ok(()))
    }

    async fn first(&self, repo: &Tracked) -> Result<(Page, Option<u32>), (Look, Option<Timestamp>)> {
        let path = stargazers::path(&repo.name, 1);
        match self.client.get_as(&path, None, Some(stargazers::ACCEPT)).await {
            Answer::Fresh(fresh) => {
                let last = fresh.last_page;
                let page = stargazers::read(&fresh.body, &repo.name).map_err(|reason| silent(repo, &reason))?;
                Ok((page, last))
            }
            other => Err(refused(repo, &other)),
        }
    }

    async fn page(&self, repo: &Tracked, next: &Next) -> Paged {
        match next {
            Next::Rest(number) => {
                let path = stargazers::path(&repo.name, *number);
                match self.client.get_as(&path, None, Some(stargazers::ACCEPT)).await {
                    Answer::Fresh(fresh) => match stargazers::read(&fresh.body, &repo.name) {
                        Ok(page) => Paged::Page(page),
                        Err(reason) => Paged::from(silent(repo, &reason)),
                    },
                    other => Paged::from(refused(repo, &other)),
                }
            }
            Next::Graphql(after) => {
                let variables = stargazers::variables(&repo.name, after.as_deref());
                match self.client.graphql(stargazers::QUERY, &variables).await {
                    Told::Data { data, .. } => match stargazers::read_graphql(data, &repo.name) {
                        Some(page) => Paged::Page(page),
                        None => Paged::Not(Look::refused(403), None),
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

impl From<(Look, Option<Timestamp>)> for Paged {
    fn from((look, wait): (Look, Option<Timestamp>)) -> Self {
        Self::Not(look, wait)
    }
}

fn silent(repo: &Tracked, reason: &str) -> (Look, Option<Timestamp>) {
    tracing::warn!(repo_id = repo.id(), reason, "the stargazer list cannot be read");
    (Look::SILENT, None)
}

fn refused(repo: &Tracked, answer: &Answer) -> (Look, Option<Timestamp>) {
    match answer {
        Answer::Limited { until } => (Look::LIMITED, Some(*until)),
        Answer::Denied(status) => (Look::refused(status.as_u16()), None),
        // Who may not see a list is told that there is none.
        Answer::NotFound => (Look::refused(404), None),
        Answer::Failed(reason) => silent(repo, reason),
        Answer::Fresh(_) | Answer::NotModified { .. } | Answer::Moved => silent(repo, "no list"),
    }
}
