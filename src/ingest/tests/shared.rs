//! Several nodes that share what is asked of GitHub with one token, on both engines, with a clock that is told the time.

use std::collections::BTreeMap;

use fake_github::{FakeGithub, Misbehaviour, Post, Repo, Token, User};

use super::*;
use crate::engines::{Store, on_both_engines};
use crate::ingest::scheduler::Scheduler;
use crate::ingest::shards::Whose;

on_both_engines!(
    two_nodes_share_the_polls_and_ask_for_nothing_twice,
    what_a_node_had_that_ended_without_a_word_is_taken_over_after_its_lease,
    a_node_that_was_paused_in_a_request_puts_nothing_down_of_what_another_took_over,
);

const SECRET: &str = "token";
/// After so long without a word others may take over, and so often a node says that it lives.
const TTL: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_secs(2);

/// The room's time, and the name of a node: who shares what follows from the names.
struct Named {
    clock: Arc<TestClock>,
    name: u128,
}

impl Clock for Named {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn entropy(&self) -> u128 {
        self.clock.entropy()
    }

    fn ulid(&self) -> ulid::Ulid {
        ulid::Ulid(self.name)
    }
}

/// A node.
struct Engine {
    leases: Leases,
    scheduler: Scheduler,
    beaten_at: Timestamp,
    /// The places of its requests among all.
    asked: Vec<usize>,
    is_alive: bool,
}

/// Several nodes and the GitHub that they ask.
struct Town {
    room: Room,
    github: FakeGithub,
    engines: Vec<Engine>,
}

impl Town {
    async fn new(store: Store, nodes: usize) -> Self {
        let room = Room::over(store, tempfile::tempdir().unwrap(), "agency").await;
        let clock = room.clock.clone();
        let seconds = move || u64::try_from(clock.now().secs()).unwrap();
        let github = FakeGithub::start_at(seconds).await.unwrap();
        github.change(|world| {
            world.put_user(User::new(900, "own"));
            world.put_token(SECRET, Token::new(900));
        });
        let mut town = Self {
            room,
            github,
            engines: Vec::new(),
        };
        for _ in 0..nodes {
            town.join().await;
        }
        town
    }

    async fn join(&mut self) {
        let store = self.room.ingest.store.clone();
        let clock = Arc::new(Named {
            clock: self.room.clock.clone(),
            name: u128::try_from(self.engines.len()).unwrap(),
        });
        let leases = Leases::join(store, clock, &Roles::default()).await;
        let leases = leases.unwrap();
        let client = self.room.client(self.github.url(), Some(SECRET));
        self.engines.push(Engine {
            scheduler: Scheduler::new(
                self.room.ingest.clone(),
                client,
                Whose::Host(Arc::default()),
                leases.clone(),
            ),
            leases,
            beaten_at: self.now(),
            asked: Vec::new(),
            is_alive: true,
        });
    }

    fn now(&self) -> Timestamp {
        self.room.clock.now()
    }

    async fn track(&self, repos: std::ops::Range<u64>) {
        for number in repos {
            self.github
                .change(|world| world.put_repo(Repo::new(1_000 + number, &repo(number))));
            self.room.track(&repo(number)).await;
        }
    }

    /// Everybody who lives does what comes next; the clock goes on.
    async fn turn(&mut self) {
        let now = self.now();
        let mut wait = Duration::from_secs(1);
        for engine in self.engines.iter_mut().filter(|engine| engine.is_alive) {
            if now.since(engine.beaten_at) >= BEAT {
                engine.leases.beat().await.unwrap();
                engine.beaten_at = now;
            }
            let before = self.github.ledger(<[_]>::len);
            match engine.scheduler.step().await.unwrap() {
                Some(until) => wait = wait.min(until.since(now)),
                None => wait = Duration::ZERO,
            }
            engine.asked.extend(before..self.github.ledger(<[_]>::len));
        }
        self.room.clock.advance(wait.max(Duration::from_millis(50)));
        if !wait.is_zero() {
            self.room.settle().await;
        }
    }

    async fn work(&mut self, span: Duration) {
        let end = self.now().plus(span);
        while self.now() < end {
            self.turn().await;
        }
    }

    /// When each repository's feed was asked for, and by which node.
    fn feeds(&self) -> BTreeMap<String, Vec<(u64, usize)>> {
        let mut feeds: BTreeMap<String, Vec<(u64, usize)>> = BTreeMap::new();
        self.github.ledger(|requests| {
            for (place, request) in requests.iter().enumerate() {
                let by = self.engines.iter().position(|engine| engine.asked.contains(&place));
                if let (Some(repo), Some(by)) = (request.path.strip_suffix("/events"), by) {
                    let repo = repo.strip_prefix("/repos/").unwrap().to_owned();
                    feeds.entry(repo).or_default().push((request.at, by));
                }
            }
        });
        feeds
    }

    /// No feed was asked for sooner than GitHub allows, whoever asked.
    fn expect_no_feed_twice(&self) {
        for (repo, asked) in self.feeds() {
            for pair in asked.windows(2) {
                assert!(pair[1].0 - pair[0].0 >= 59, "{repo}: {asked:?}");
            }
        }
        assert_eq!(self.github.exceeded(), []);
    }
}

fn repo(number: u64) -> String {
    format!("acme/tool-{number}")
}

async fn two_nodes_share_the_polls_and_ask_for_nothing_twice(store: Store) {
    let mut town = Town::new(store, 2).await;
    town.track(0..40).await;
    for number in 0..14 {
        town.room.track_keyword(&format!("framework {number}")).await;
    }
    let at = town.now().to_string();
    town.github.change(|world| {
        for number in 0..40 {
            world.star(&repo(number), &User::new(number + 1, &format!("fan-{number}")), &at);
        }
        for number in 0..14 {
            let post = Post {
                number: number + 1,
                author: User::new(100 + number, &format!("writer-{number}")),
                title: format!("Slow with framework {number}"),
                body: String::new(),
            };
            world.open_issue("some/where", &post, &at);
        }
    });
    town.work(Duration::from_mins(12)).await;
    assert_eq!(town.room.count("LeadCaptured").await, 54);
    town.expect_no_feed_twice();
    let feeds = town.feeds();
    assert_eq!(feeds.len(), 40);
    for by in 0..2 {
        // At the very beginning the first node knew of no other.
        let is_own = |asked: &&Vec<(u64, usize)>| asked.iter().skip(1).all(|(_, one)| *one == by);
        let own = feeds.values().filter(is_own);
        assert!(own.count() >= 8, "{feeds:?}");
    }
    let searched = |engine: &Engine| {
        let places = &engine.asked;
        town.github
            .ledger(|all| places.iter().any(|place| all[*place].path == "/search/issues"))
    };
    assert!(town.engines.iter().all(searched), "both look for keywords");
}

async fn what_a_node_had_that_ended_without_a_word_is_taken_over_after_its_lease(store: Store) {
    let mut town = Town::new(store, 2).await;
    town.track(0..12).await;
    town.work(Duration::from_mins(2)).await;
    town.engines[0].is_alive = false;
    let killed_at = u64::try_from(town.now().secs()).unwrap();
    town.track(12..60).await;
    town.work(TTL * 2).await;
    let feeds = town.feeds();
    for number in 12..60 {
        let asked = &feeds[&repo(number)];
        assert!(asked.iter().all(|(_, by)| *by == 1), "{asked:?}");
        assert!(asked[0].0 <= killed_at + 17, "{asked:?}");
    }
    let late = (12..60)
        .filter(|number| feeds[&repo(*number)][0].0 >= killed_at + 7)
        .count();
    assert!(late >= 8, "what belonged to the other waited for its lease: {late}");
    town.expect_no_feed_twice();

    // One that comes takes its part, without a feed too many.
    town.join().await;
    town.track(60..100).await;
    town.work(Duration::from_mins(3)).await;
    let feeds = town.feeds();
    let of_new = (60..100).filter(|number| feeds[&repo(*number)][0].1 == 2).count();
    assert!((8..=32).contains(&of_new), "{of_new}");
    town.expect_no_feed_twice();
}

async fn a_node_that_was_paused_in_a_request_puts_nothing_down_of_what_another_took_over(store: Store) {
    let mut town = Town::new(store, 2).await;
    town.track(0..12).await;
    town.work(Duration::from_mins(3)).await;
    let feeds = town.feeds();
    let is_of_first = |(_, asked): &(&String, &Vec<(u64, usize)>)| asked.last().unwrap().1 == 0;
    let (name, _) = feeds.iter().find(is_of_first).unwrap();
    let path = format!("/repos/{name}/events");
    town.github.change(|world| world.misbehave(&path, Misbehaviour::Hang));
    let before = town.github.requests_to(&path).len();
    let mut paused = town.engines.remove(0);
    // Until it waits for that answer.
    loop {
        let mut step = Box::pin(paused.scheduler.step());
        let is_waiting = tokio::select! {
            biased;
            stepped = &mut step => {
                stepped.unwrap();
                false
            }
            _ = town.github.asked(&path, before + 1) => true,
        };
        if !is_waiting {
            drop(step);
            paused.leases.beat().await.unwrap();
            town.turn().await;
            continue;
        }
        town.work(TTL + Duration::from_secs(10)).await;
        assert_eq!(town.github.requests_to(&path).len(), before + 2, "another asked for it");
        let taken_over = poll_states(town.room.store()).await.unwrap();
        town.github.release();
        assert_eq!(step.await.unwrap(), None);
        assert_eq!(poll_states(town.room.store()).await.unwrap(), taken_over);
        break;
    }
    // It is one of two again, and nothing is asked for twice.
    town.engines.insert(0, paused);
    town.work(Duration::from_mins(10)).await;
    let last = |asked: &Vec<(u64, usize)>| asked.last().map(|(_, by)| *by);
    let by: Vec<Option<usize>> = town.feeds().values().map(last).collect();
    assert!(by.contains(&Some(0)) && by.contains(&Some(1)), "{by:?}");
}
