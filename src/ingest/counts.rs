//! Counts the stars of all tracked repositories, many to a query, so that feeds are read where something moved.
//!
//! A repository that moved is counted every five minutes, one that stands still less and less often. What it is called by
//! now, and how much of its growth was captured, is put down along the way; that it is private or not there is told. While GraphQL
//! does not answer, own repositories are counted one by one: what is shown of them alone is read only where they are public.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::{RepoName, SourceSubject, Timestamp};

use super::accept::Ingest;
use super::coverage::Coverage;
use super::outage::Outage;
use super::plan::SHORTEST_SWEEP;
use super::poll_repos::Tracked;
use super::shards::Part;
use super::source_cursor::of_repo;
use super::standing;
use super::star_count::{self, Counted};
use super::width::Width;
use crate::commands::rename_repo;
use crate::github::counts::{self, Counted as Told};
use crate::github::repository::{self, Repository};
use crate::github::{self, Answer, Client, Resource};

/// A repository that stands still is counted so often at least.
const LONGEST: Duration = Duration::from_hours(1);
/// Repositories in a query at most; GitHub has answered more, at times.
const MOST: usize = 100;

/// What a query told besides numbers, each by the repositories that it was told of.
#[derive(Debug, Default)]
pub struct Swept {
    /// Their numbers moved.
    pub moved: Vec<String>,
    /// They are private.
    pub hidden: Vec<String>,
    /// They were private or not there, and are public by now.
    pub shown: Vec<String>,
    /// There are none of that name, or they are hidden from us.
    pub absent: Vec<String>,
}

/// The sweep.
pub struct Counts {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    coverage: Coverage,
    known: HashMap<String, Counted>,
    /// What each repository was last said to be called.
    called: HashMap<String, RepoName>,
    /// Those that are private.
    hidden: HashSet<String>,
    width: Width,
    /// GitHub asked to wait, or refuses.
    until: Option<Timestamp>,
    outage: Outage,
    outage_of_one: Outage,
    /// How often in a row repositories could not be counted by themselves.
    failed: HashMap<String, u32>,
}

impl Counts {
    /// Goes on with what was counted before.
    pub async fn open(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> anyhow::Result<Self> {
        let known = star_count::all(&*ingest.store)
            .await
            .context("reading numbers of stars")?;
        let hidden = standing::hidden(&*ingest.store)
            .await
            .context("reading which repositories are private")?;
        let own = known.into_iter().filter(|row| part.has(&of_repo(&row.repo)));
        Ok(Self {
            known: own.map(|row| (row.repo.clone(), row)).collect(),
            coverage: Coverage::open(ingest.clone()).await?,
            ingest,
            client,
            part,
            called: HashMap::new(),
            hidden,
            width: Width::up_to(MOST),
            until: None,
            outage: Outage::none("count of stars"),
            outage_of_one: Outage::none("count of one repository's stars"),
            failed: HashMap::new(),
        })
    }

    /// Drops what nobody tracks any more.
    pub async fn keep(&mut self, tracked: &HashMap<String, Tracked>) -> anyhow::Result<()> {
        let left: Vec<String> = self
            .known
            .keys()
            .filter(|repo| !tracked.contains_key(*repo))
            .cloned()
            .collect();
        for repo in left {
            let delete = database::Statement::sql("DELETE FROM star_count WHERE repo = $1", vec![repo.as_str().into()]);
            self.part
                .write(&*self.ingest.store, [of_repo(&repo).as_str()], vec![delete])
                .await
                .context("dropping a number of stars")?;
            self.known.remove(&repo);
            self.called.remove(&repo);
            self.hidden.remove(&repo);
            self.failed.remove(&repo);
        }
        Ok(())
    }

    /// Whether the repository is private, so that nothing of it is to be read.
    pub fn is_hidden(&self, repo: &str) -> bool {
        self.hidden.contains(repo)
    }

    /// Whether it was said to be public: unlike feeds, what only a token with rights is shown does not say so.
    pub fn is_public(&self, repo: &str) -> bool {
        self.known.get(repo).is_some_and(|known| known.is_public) && !self.is_hidden(repo)
    }

    /// The repository's number of stars, if it was counted.
    pub fn stars(&self, repo: &str) -> Option<u64> {
        self.known.get(repo).map(|known| known.stars)
    }

    /// When the next query is due; never without a token, or with nothing to count.
    pub fn due_at(&self, tracked: &HashMap<String, Tracked>, now: Timestamp) -> Option<Timestamp> {
        if !self.client.has_token() {
            return None;
        }
        let next = if tracked.len() > self.known.len() {
            Timestamp::from_micros(0)
        } else {
            self.known.values().map(|known| known.next_at).min()?
        };
        Some(
            next.max(self.until.unwrap_or(next))
                .max(self.outage.pausing(now).unwrap_or(next)),
        )
    }

    /// When the next own repository is to be counted by itself, since GraphQL does not tell.
    pub fn one_due_at(&self, tracked: &HashMap<String, Tracked>, now: Timestamp) -> Option<Timestamp> {
        let is_away = self.until.is_some_and(|until| until > now) || self.outage.pausing(now).is_some();
        if !is_away || !self.client.has_token() {
            return None;
        }
        let (at, _) = self.one(tracked, now)?;
        Some(at.max(self.outage_of_one.pausing(now).unwrap_or(at)))
    }

    /// The own repository that failed least often and has been due for longest, by itself once an hour at most, and since when.
    fn one<'a>(&self, tracked: &'a HashMap<String, Tracked>, now: Timestamp) -> Option<(Timestamp, &'a str)> {
        let own = tracked.iter().filter(|(_, tracked)| tracked.is_own());
        let own = own.map(|(repo, _)| {
            let known = self.known.get(repo);
            let at = known.map_or(Timestamp::from_micros(0), |known| {
                known.next_at.max(known.counted_at.plus(LONGEST))
            });
            (at > now, self.failed.get(repo).copied(), at, repo.as_str())
        });
        own.min().map(|(.., at, repo)| (at, repo))
    }

    /// Counts the own repository that has been due for longest.
    ///
    /// # Errors
    /// If storage fails; what was not put down is counted again.
    pub async fn count_one(&mut self, tracked: &HashMap<String, Tracked>, now: Timestamp) -> anyhow::Result<Swept> {
        let Some((repo, watched)) = self.one(tracked, now).and_then(|(_, repo)| tracked.get_key_value(repo)) else {
            return Ok(Swept::default());
        };
        let told = match self.client.get(&repository::path(&watched.name), None).await {
            Answer::Fresh(fresh) => match repository::read(&fresh.body) {
                Some(Repository {
                    full_name: name,
                    stars: Some(stars),
                    is_private: Some(is_private),
                }) => Told::Here {
                    name,
                    stars,
                    is_private,
                },
                _ => return Ok(self.failed(repo, "no repository with a number of stars", now)),
            },
            Answer::NotFound | Answer::Denied(_) => Told::Absent,
            // The ledger knows until when.
            Answer::Limited { .. } => return Ok(Swept::default()),
            Answer::Failed(reason) => return Ok(self.failed(repo, &reason, now)),
            Answer::Invalid(_) | Answer::Moved | Answer::NotModified { .. } => {
                return Ok(self.failed(repo, "no answer to this", now));
            }
        };
        self.outage_of_one.over();
        self.failed.remove(repo);
        let asked = vec![(repo.clone(), watched.name.clone())];
        self.take(asked, vec![told], tracked, now).await
    }

    /// The repository could not be counted by itself: others come before it.
    fn failed(&mut self, repo: &str, reason: &str, now: Timestamp) -> Swept {
        *self.failed.entry(repo.to_owned()).or_default() += 1;
        self.outage_of_one.failed(reason, now);
        Swept::default()
    }

    /// One that was never counted is due since ever.
    fn next_at(&self, repo: &str) -> Timestamp {
        self.known
            .get(repo)
            .map_or(Timestamp::from_micros(0), |known| known.next_at)
    }

    /// Counts those that have been due for longest, as many as one query takes.
    ///
    /// # Errors
    /// If storage fails; what was not put down is counted again.
    pub async fn count(&mut self, tracked: &HashMap<String, Tracked>, now: Timestamp) -> anyhow::Result<Swept> {
        // Those that are nearly due fill the query up: they cost nothing, and come together from then on.
        let is_near = |(at, repo): &(Timestamp, &String)| {
            let pace = self.known.get(*repo).map_or(Duration::ZERO, |known| known.pace);
            *at <= now.plus(pace / 2)
        };
        let mut due: Vec<(Timestamp, &String)> = tracked
            .keys()
            .map(|repo| (self.next_at(repo), repo))
            .filter(is_near)
            .collect();
        due.sort_unstable();
        due.truncate(self.width.get());
        let asked: Vec<(String, RepoName)> = due
            .into_iter()
            .filter_map(|(_, repo)| Some((repo.clone(), tracked.get(repo)?.name.clone())))
            .collect();
        let names: Vec<RepoName> = asked.iter().map(|(_, name)| name.clone()).collect();
        let (query, variables) = counts::query(&names);
        let told = match self.client.graphql(&query, &variables).await {
            github::Told::Data {
                data, absent, is_cut, ..
            } => {
                self.width_after(is_cut, names.len());
                counts::read(data, &absent, names.len())
            }
            github::Told::Limited(until) => {
                self.until = Some(until);
                return Ok(Swept::default());
            }
            github::Told::TooMuch => {
                if !self.width.too_much() {
                    self.outage.failed("too much for GraphQL, even one at a time", now);
                }
                return Ok(Swept::default());
            }
            github::Told::Denied(status) => {
                tracing::warn!(status = status.as_u16(), "GitHub does not let the token use GraphQL");
                // That may be all of GitHub, for a while.
                let ledger = self.client.ledger();
                let refused = ledger
                    .blocked(Resource::Graphql, now)
                    .filter(|_| ledger.is_refused(Resource::Graphql, now));
                self.until = Some(refused.unwrap_or(now.plus(LONGEST)));
                return Ok(Swept::default());
            }
            github::Told::Failed(reason) => {
                self.outage.failed(&reason, now);
                return Ok(Swept::default());
            }
        };
        self.outage.over();
        self.take(asked, told, tracked, now).await
    }

    /// Puts down what was told of the repositories that were asked for.
    async fn take(
        &mut self,
        asked: Vec<(String, RepoName)>,
        told: Vec<Told>,
        tracked: &HashMap<String, Tracked>,
        now: Timestamp,
    ) -> anyhow::Result<Swept> {
        let (mut swept, mut statements, mut subjects) = (Swept::default(), Vec::new(), Vec::new());
        let is_cut = told.contains(&Told::Untold) && told.iter().any(|told| *told != Told::Untold);
        for ((repo, name), told) in asked.into_iter().zip(told) {
            let Some(watched) = tracked.get(&repo) else {
                continue;
            };
            // What was not told stays due, and is asked for again at once.
            if is_cut && told == Told::Untold {
                continue;
            }
            if matches!(&told, Told::Here { name: called, .. } if *called == name) {
                // Where the name was sent on to before is another repository.
                self.client.forget_move(&name);
            }
            self.note(&repo, &told, &mut swept);
            let before = self.known.get(&repo).map(|known| known.stars);
            let counted = self.put_down(&repo, (&name, watched), told, now).await?;
            statements.push(counted.save());
            subjects.push(of_repo(&repo));
            if before.is_some_and(|before| before != counted.stars) {
                swept.moved.push(repo.clone());
            }
            self.known.insert(repo, counted);
        }
        self.part
            .write(&*self.ingest.store, subjects.iter().map(String::as_str), statements)
            .await
            .context("keeping numbers of stars")?;
        Ok(swept)
    }

    /// Takes note of what was told besides the number.
    fn note(&mut self, repo: &str, told: &Told, swept: &mut Swept) {
        match told {
            Told::Here { is_private: true, .. } => {
                self.hidden.insert(repo.to_owned());
                swept.hidden.push(repo.to_owned());
            }
            Told::Here { .. } => {
                let was_known = self.known.get(repo).is_some_and(|known| !known.is_public);
                if self.hidden.remove(repo) || was_known {
                    swept.shown.push(repo.to_owned());
                }
            }
            // One that is private may be hidden from us by now: it stays so until it is shown as public.
            Told::Absent if !self.is_hidden(repo) => swept.absent.push(repo.to_owned()),
            Told::Absent | Told::Untold => {}
        }
    }

    /// The next query is narrower where GitHub broke off.
    fn width_after(&mut self, is_cut: bool, asked: usize) {
        if is_cut {
            self.width.too_much();
        } else {
            self.width.answered(asked);
        }
    }

    /// What is known of the repository's number from now on.
    async fn put_down(
        &mut self,
        repo: &str,
        (name, watched): (&RepoName, &Tracked),
        told: Told,
        now: Timestamp,
    ) -> anyhow::Result<Counted> {
        let before = self.known.get(repo).cloned();
        let (stars, called) = match &told {
            Told::Here {
                name,
                stars,
                is_private: false,
            } => (*stars, name.clone()),
            // Whether it is gone the feed tells; the number of a private one is not public.
            Told::Here { .. } | Told::Absent | Told::Untold => {
                let Some(known) = before else {
                    return Ok(Counted::first(repo, 0, now, LONGEST));
                };
                let pace = (known.pace * 2).min(LONGEST);
                return Ok(Counted {
                    pace,
                    next_at: now.plus(pace),
                    is_public: known.is_public && told == Told::Untold,
                    ..known
                });
            }
        };
        self.rename(repo, name, watched, called).await?;
        let mut counted = before
            .clone()
            .unwrap_or_else(|| Counted::first(repo, stars, now, SHORTEST_SWEEP));
        counted.is_public = true;
        let is_new = before.as_ref().is_some_and(|before| before.stars != stars);
        counted.pace = if is_new || before.is_none() {
            SHORTEST_SWEEP
        } else {
            (counted.pace + counted.pace / 2).min(LONGEST)
        };
        counted.next_at = now.plus(spread(counted.pace, self.ingest.writer.clock.entropy()));
        self.coverage
            .counted(&mut counted, stars, &watched.trackers, now)
            .await?;
        Ok(counted)
    }

    /// Puts down what the repository is called by now, if that was not said yet.
    async fn rename(&mut self, repo: &str, name: &RepoName, watched: &Tracked, called: RepoName) -> anyhow::Result<()> {
        if self.called.get(repo).unwrap_or(name) == &called {
            return Ok(());
        }
        put_down_name(&self.ingest, watched, &called).await?;
        self.called.insert(repo.to_owned(), called);
        Ok(())
    }
}

/// Puts down for all who track a repository what it is called by now.
pub(super) async fn put_down_name(ingest: &Ingest, watched: &Tracked, called: &RepoName) -> anyhow::Result<()> {
    for tracker in &watched.trackers {
        if let SourceSubject::Repo { id, full_name } = &tracker.subject {
            rename_repo(&ingest.writer, tracker.account, (*id, full_name), called.clone())
                .await
                .context("recording another name of a repository")?;
        }
    }
    Ok(())
}

/// Up to a tenth more, so that what began together does not stay together.
pub(super) fn spread(pace: Duration, entropy: u128) -> Duration {
    let tenth = pace / 10;
    let permille = u32::try_from(entropy % 1_000).unwrap_or(0);
    pace + tenth * permille / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_a_tenth_at_most() {
        let pace = Duration::from_mins(10);
        assert_eq!(spread(pace, 0), pace);
        assert_eq!(spread(pace, 500), pace + Duration::from_secs(30));
        assert!(spread(pace, u128::MAX) < pace + Duration::from_mins(1));
    }
}
