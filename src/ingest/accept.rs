//! The one door: public activity in, recorded signals out. Whatever brings activity comes through here.

use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use ::metrics::counter;
use anyhow::Context as _;
use database::Database;
use domain::{AccountId, Plans, RepoName, SignalKind, SignalPerson};
use event_log::Position;
use projections::freshness::Freshness;
use projections::tracked_repos::{self, TrackedRepoRow};
use projections::{accounts, monthly_usage, tracked_keywords};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::activity::{Act, Activity, ActorKind};
use super::matcher::{Found, Match, Watchlist};
use super::sighting;
use crate::commands::{
    Allowance, CommandError, RecordedSignals, Sighting, StarGone, Writer, record_signals, take_star_back,
};
use crate::lease::{Lease, Leases};
use crate::metrics;

/// How long the read models may lag before a capped account's batch is given up; whoever brought it brings it again.
const LAG: Duration = Duration::from_secs(30);
/// How long a capped account's batch waits for its turn among the nodes, and how often it asks.
const LONGEST_QUEUE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(20);
/// A log that is full of waiting writes is asked again after these.
const BUSY_WAITS: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// What a batch came to. Captured, withheld, joined, known and erased count once an account and activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Accepted {
    /// Activities brought.
    pub activities: u64,
    /// New people, captured as leads.
    pub captured: u64,
    /// New people, withheld since the month's quota is used up.
    pub withheld: u64,
    /// Further signals of known people.
    pub joined: u64,
    /// Signals that were recorded before.
    pub known: u64,
    /// Signals of people who were erased; nothing of them is kept.
    pub erased: u64,
    /// Stars of known leads that were taken back.
    pub taken_back: u64,
    /// Activities of bots, passed over.
    pub bots: u64,
    /// Activities of organisations, passed over.
    pub organizations: u64,
    /// Activities that no account asked for.
    pub unmatched: u64,
}

impl AddAssign for Accepted {
    fn add_assign(&mut self, other: Self) {
        self.activities += other.activities;
        self.captured += other.captured;
        self.withheld += other.withheld;
        self.joined += other.joined;
        self.known += other.known;
        self.erased += other.erased;
        self.taken_back += other.taken_back;
        self.bots += other.bots;
        self.organizations += other.organizations;
        self.unmatched += other.unmatched;
    }
}

/// What the door stands on.
pub struct Ingest {
    pub(super) writer: Arc<Writer>,
    pub(super) views: Arc<dyn Database>,
    pub(super) freshness: Freshness,
    pub(super) store: Arc<dyn Database>,
    plans: Arc<Plans>,
    leases: Leases,
    watchlist: StdMutex<Option<Built>>,
    turns: StdMutex<HashMap<AccountId, Arc<Mutex<()>>>>,
}

/// An account's turn to capture and release.
pub(super) struct Turn {
    _on_this_node: OwnedMutexGuard<()>,
    /// None: there is no cap that two nodes could exceed together.
    among_nodes: Option<Lease>,
}

impl Turn {
    /// Refuses to go on if the turn may be another node's by now. To be asked right before the append: the log takes no
    /// fence, so that a process that is paused in between, for longer than a lease outlives its holder, appends once more.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let is_ours = self.among_nodes.as_ref().is_none_or(Lease::is_held);
        anyhow::ensure!(is_ours, "the account's turn to capture was lost to another node");
        Ok(())
    }
}

/// A watchlist, and how far the read models were that it was built from.
#[derive(Clone)]
struct Built {
    from: [Position; 2],
    list: Arc<Watchlist>,
}

impl Ingest {
    /// The door to `writer`'s log. `views` are its read models, `store` the database with the poll cursors.
    pub fn new(
        writer: Arc<Writer>,
        views: Arc<dyn Database>,
        freshness: Freshness,
        plans: Arc<Plans>,
        store: Arc<dyn Database>,
        leases: Leases,
    ) -> Self {
        Self {
            writer,
            views,
            freshness,
            store,
            plans,
            leases,
            watchlist: StdMutex::default(),
            turns: StdMutex::default(),
        }
    }

    /// Records what accounts asked for. Bringing the same again changes nothing, so after an error bring all of it.
    ///
    /// # Errors
    /// If storage fails or the read models lag too far behind for a quota to be counted.
    pub async fn accept(&self, activities: Vec<Activity>) -> anyhow::Result<Accepted> {
        self.accept_for(None, activities).await
    }

    /// The same for one account alone, whose token brought it: others shall not have what it was shown.
    ///
    /// # Errors
    /// As [`Ingest::accept`].
    pub async fn accept_for(&self, only: Option<AccountId>, activities: Vec<Activity>) -> anyhow::Result<Accepted> {
        let list = self.watchlist().await?;
        let mut accepted = Accepted {
            activities: activities.len() as u64,
            ..Accepted::default()
        };
        let mut by_account: BTreeMap<AccountId, Vec<Part>> = BTreeMap::new();
        for activity in activities {
            match activity.actor.kind {
                ActorKind::Bot => accepted.bots += 1,
                ActorKind::Organization => accepted.organizations += 1,
                ActorKind::User => {
                    let mut parts = parts(&list, &activity);
                    parts.retain(|(account, _)| only.is_none_or(|only| only == *account));
                    accepted.unmatched += u64::from(parts.is_empty());
                    for (account, part) in parts {
                        by_account.entry(account).or_default().push(part);
                    }
                }
            }
        }
        for (account, parts) in by_account {
            accepted += self.put_down(account, parts).await?;
        }
        Ok(accepted)
    }

    /// Puts down one account's part in the order in which it was brought.
    async fn put_down(&self, account: AccountId, parts: Vec<Part>) -> anyhow::Result<Accepted> {
        let mut accepted = Accepted::default();
        let mut sightings = Vec::new();
        for part in parts {
            match part {
                Part::Seen(sighting) => sightings.push(sighting),
                Part::Gone(gone) => {
                    accepted += self.record(account, std::mem::take(&mut sightings)).await?;
                    // What is told late holds no more if the star was given again meanwhile.
                    let signal = gone.signal(&self.writer, account);
                    let is_there = sighting::is_given_again(&*self.store, account, &signal, gone.at).await;
                    if is_there.context("looking whether a star was given again")? {
                        continue;
                    }
                    let is_news = take_star_back(&self.writer, account, &gone).await;
                    accepted.taken_back += u64::from(is_news.context("recording a star that was taken back")?);
                }
            }
        }
        accepted += self.record(account, sightings).await?;
        Ok(accepted)
    }

    /// What all accounts ask for now; built anew only when that changed.
    pub async fn watchlist(&self) -> anyhow::Result<Arc<Watchlist>> {
        let from = ["tracked_repos", "tracked_keywords"].map(|name| self.freshness.changed_at(name));
        let built = self.built().clone();
        if let Some(built) = built.filter(|built| built.from == from) {
            return Ok(built.list);
        }
        let repos = tracked_repos::all(&*self.views)
            .await
            .context("reading the tracked repositories")?;
        let called = |row: &TrackedRepoRow| {
            let called = row.called.clone().filter(|called| *called != row.full_name)?;
            Some((row.account, row.full_name.clone(), called))
        };
        let renamed: Vec<_> = repos.iter().filter_map(called).collect();
        let keywords = tracked_keywords::all(&*self.views)
            .await
            .context("reading the tracked keywords")?;
        let list = tokio::task::spawn_blocking(move || {
            let mut list = Watchlist::build(
                repos.into_iter().map(|row| (row.account, row.full_name)),
                keywords
                    .into_iter()
                    .map(|row| (row.account, row.keyword, row.scan_targets)),
            )?;
            for (account, tracked_as, called) in renamed {
                list.rename(account, tracked_as, &called);
            }
            anyhow::Ok(list)
        });
        let list = Arc::new(list.await.context("building the watchlist")??);
        *self.built() = Some(Built {
            from,
            list: Arc::clone(&list),
        });
        Ok(list)
    }

    fn built(&self) -> std::sync::MutexGuard<'_, Option<Built>> {
        self.watchlist.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn record(&self, account: AccountId, sightings: Vec<Sighting>) -> anyhow::Result<Accepted> {
        if sightings.is_empty() {
            return Ok(Accepted::default());
        }
        let turn = self.turn(account).await?;
        let mut waits = BUSY_WAITS.into_iter();
        loop {
            let allowance = self.allowance(account).await?;
            turn.check()?;
            match record_signals(&self.writer, account, sightings.clone(), allowance).await {
                Ok(recorded) => {
                    count(&recorded);
                    sighting::note(&*self.store, account, &recorded, self.writer.clock.now())
                        .await
                        .context("noting what is known of signals besides")?;
                    return Ok(Accepted {
                        captured: recorded.captured,
                        withheld: recorded.withheld,
                        joined: recorded.joined,
                        known: recorded.known,
                        erased: recorded.erased,
                        ..Accepted::default()
                    });
                }
                Err(error @ (CommandError::Busy | CommandError::Contended)) => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error).context("recording signals"),
                },
                Err(error) => return Err(error).context("recording signals"),
            }
        }
    }

    /// One account's captures and releases come one after the other, on whichever node: two at once would both use the
    /// last room.
    pub(super) async fn turn(&self, account: AccountId) -> anyhow::Result<Turn> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(account).or_default())
        };
        let on_this_node = turn.lock_owned().await;
        let among_nodes = match self.cap(account).await? {
            None => None,
            Some(_) => Some(self.turn_among_nodes(account).await?),
        };
        Ok(Turn {
            _on_this_node: on_this_node,
            among_nodes,
        })
    }

    async fn turn_among_nodes(&self, account: AccountId) -> anyhow::Result<Lease> {
        let name = format!("captures:{account}");
        let asking = async {
            loop {
                if let Some(lease) = self.leases.try_acquire(&name).await? {
                    return anyhow::Ok(lease);
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        let asked = tokio::time::timeout(LONGEST_QUEUE, asking).await;
        asked.context("other nodes capture for the account all the time")?
    }

    /// How many new people the account's month has room for. Exact while the account's turn is held: it waits until
    /// the read models have counted everything that was appended before.
    pub(super) async fn allowance(&self, account: AccountId) -> anyhow::Result<Allowance> {
        if self.cap(account).await?.is_none() {
            return Ok(Allowance::Unlimited);
        }
        self.caught_up(LAG).await?;
        let Some(cap) = self.cap(account).await? else {
            return Ok(Allowance::Unlimited);
        };
        let month = self.writer.clock.now().month();
        let usage = monthly_usage::find(&*self.views, account, month).await?;
        let left = u64::from(cap).saturating_sub(usage.captured);
        Ok(Allowance::Room {
            left: u32::try_from(left).unwrap_or(u32::MAX),
            cap,
        })
    }

    /// The account's leads a month; `None` if there is no limit. A plan that the configuration no longer knows has no
    /// room: its leads are withheld, which can be undone.
    async fn cap(&self, account: AccountId) -> anyhow::Result<Option<u32>> {
        let row = accounts::find(&*self.views, account)
            .await
            .context("reading the account")?;
        let plan = row.and_then(|row| self.plans.find(&row.plan));
        Ok(plan.map_or(Some(0), |plan| plan.leads_per_month))
    }

    /// Waits until the read models hold what the log holds now.
    pub(super) async fn caught_up(&self, at_most: Duration) -> anyhow::Result<()> {
        let head = self.writer.log.head().await.context("reading the log")?;
        let reached = self.freshness.reached(head, at_most).await;
        anyhow::ensure!(reached, "the read models lag behind the log");
        Ok(())
    }
}

/// An account's part of what was brought.
enum Part {
    /// A signal.
    Seen(Sighting),
    /// A star that was taken back.
    Gone(StarGone),
}

/// What each account that asked for the activity is to record.
fn parts(list: &Watchlist, activity: &Activity) -> Vec<(AccountId, Part)> {
    let matches = list.matches(activity);
    if matches.is_empty() {
        return Vec::new();
    }
    // Names that GitHub cannot have stand in archives: repositories that were being deleted.
    let Ok(repo) = activity.repo.parse::<RepoName>() else {
        return Vec::new();
    };
    let part = |Match {
                    account,
                    found,
                    tracked_as,
                }: Match| {
        let repo = tracked_as.unwrap_or_else(|| repo.clone());
        (account, part(activity, repo, found))
    };
    matches.into_iter().map(part).collect()
}

fn part(activity: &Activity, repo: RepoName, found: Option<Found>) -> Part {
    let (kind, url, attribution) = match &activity.act {
        Act::Starred => (SignalKind::Stargazer, None, None),
        Act::Wrote { target, url, .. } => (target.signal_kind(), Some(url), None),
        Act::Holds { url, attribution, .. } => (SignalKind::KeywordCode, Some(url), Some(*attribution)),
        Act::Unstarred => {
            return Part::Gone(StarGone {
                user_id: activity.actor.id,
                repo,
                at: activity.occurred_at,
                collector: activity.collector,
            });
        }
    };
    let (keyword, snippet) = found.map(|found| (found.keyword, found.snippet)).unzip();
    Part::Seen(Sighting {
        kind,
        keyword,
        occurred_at: activity.occurred_at,
        collector: activity.collector,
        person: SignalPerson {
            user_id: activity.actor.id,
            login: activity.actor.login.clone(),
            repo,
            url: url.cloned(),
            snippet,
            attribution,
        },
    })
}

fn count(recorded: &RecordedSignals) {
    let outcomes = [
        ("captured", recorded.captured),
        ("withheld", recorded.withheld),
        ("joined", recorded.joined),
        ("known", recorded.known),
        ("erased", recorded.erased),
    ];
    for (outcome, signals) in outcomes {
        counter!(metrics::SIGNALS, "outcome" => outcome).increment(signals);
    }
}
