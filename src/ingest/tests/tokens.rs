//! Tokens of accounts, each used for its account alone, and those that a GitHub App gets.

use domain::SourceReason;
use std::collections::BTreeSet;

use fake_github::{FakeGithub, Repo, Token, User};

use super::ladder::post;
use super::*;
use crate::commands::open_account;
use crate::github::Installation;
use crate::ingest::scheduler::Scheduler;
use crate::ingest::shards::Whose;

const HOST: &str = "host-token";
const OWN: &str = "own-token";
const KEY: &str = include_str!("../../../tests/fixtures/github_app_test_key.pem");

/// An account that the host's token serves, and one with a token of its own.
struct Town {
    room: Room,
    github: FakeGithub,
    other: AccountId,
    schedulers: Vec<Scheduler>,
}

impl Town {
    async fn new() -> Self {
        let room = Room::new().await;
        let clock = room.clock.clone();
        let seconds = move || u64::try_from(clock.now().secs()).unwrap();
        let github = FakeGithub::start_at(seconds).await.unwrap();
        github.change(|world| {
            world.put_user(User::new(900, "own"));
            world.put_user(User::new(901, "host"));
            world.put_token(HOST, Token::new(901));
            world.put_token(OWN, Token::new(900));
            world.put_repo(Repo::new(1, "own/sdk"));
            world.put_repo(Repo::new(2, "acme/kit"));
            world.put_repo(Repo {
                private: true,
                ..Repo::new(3, "own/secret")
            });
            world.put_repo(Repo::new(4, "own/tool"));
        });
        let other = open_account(&room.writer, "other".into(), "agency".parse().unwrap())
            .await
            .unwrap()
            .value;
        room.settle().await;
        Self {
            room,
            github,
            other,
            schedulers: Vec::new(),
        }
    }

    fn scheduler(&self, whose: Whose, authorization: Authorization) -> Scheduler {
        let client = self.room.client_with(self.github.url(), authorization);
        Scheduler::new(self.room.ingest.clone(), client, whose, Leases::sole())
    }

    /// The host's token and one of the other account's own.
    fn with_tokens(mut self) -> Self {
        let host = Whose::Host(Arc::new([self.other].into()));
        self.schedulers = vec![
            self.scheduler(host, Authorization::token(HOST).unwrap()),
            self.scheduler(Whose::Account(self.other), Authorization::token(OWN).unwrap()),
        ];
        self
    }

    async fn work(&mut self, span: Duration) {
        let end = self.room.clock.now().plus(span);
        loop {
            let now = self.room.clock.now();
            if now >= end {
                return;
            }
            let mut wait = end.since(now);
            for scheduler in &mut self.schedulers {
                match scheduler.step().await.unwrap() {
                    Some(until) => wait = wait.min(until.since(now)),
                    None => wait = Duration::ZERO,
                }
            }
            self.room.clock.advance(wait.max(Duration::from_millis(50)));
            if !wait.is_zero() {
                self.room.settle().await;
                let lease = Room::lease().await;
                while enrich::follow(&self.room.ingest, &lease).await.unwrap() {}
            }
        }
    }

    fn star(&self, repo: &str, ids: std::ops::RangeInclusive<u64>) {
        let at = self.room.clock.now().to_string();
        self.github.change(|world| {
            for id in ids {
                let fan = User::new(id, &format!("fan-{id}"));
                world.put_user(fan.clone());
                world.star(repo, &fan, &at);
            }
        });
    }

    /// Whose leads there are, with the ids of the people.
    async fn leads(&self, account: AccountId) -> BTreeSet<u64> {
        let mut leads = BTreeSet::new();
        for recorded in self.room.events().await {
            if let Event::LeadCaptured(captured) = &recorded.event
                && recorded.account() == account
            {
                let person = recorded.stream.person().unwrap();
                let keys = self.room.writer.vault.keys(account, &[person]).await.unwrap();
                let signal: domain::SignalPerson = keys.open(person, recorded.id, &captured.signal.person).unwrap();
                leads.insert(signal.user_id);
            }
        }
        leads
    }

    /// The paths that were asked for with that token.
    fn asked_with(&self, token: &str) -> BTreeSet<String> {
        self.github.ledger(|all| {
            let with = all.iter().filter(|request| request.token.as_deref() == Some(token));
            with.map(|request| request.path.clone()).collect()
        })
    }
}

fn ids(ids: std::ops::RangeInclusive<u64>) -> BTreeSet<u64> {
    ids.collect()
}

#[tokio::test]
async fn an_accounts_own_token_works_for_that_account_alone() {
    let mut town = Town::new().await.with_tokens();
    let (first, other) = (town.room.account, town.other);
    town.room.track("acme/kit").await;
    town.room.track("own/sdk").await;
    town.room.track("own/secret").await;
    for repo in ["own/sdk", "own/secret", "own/tool"] {
        let relation = Some(domain::RepoRelation::Own);
        commands::track_repo(&town.room.writer, other, repo.parse().unwrap(), relation)
            .await
            .unwrap();
    }
    town.room.settle().await;
    town.star("acme/kit", 1..=3);
    town.star("own/sdk", 4..=6);
    town.star("own/secret", 7..=9);
    town.star("own/tool", 10..=12);
    town.work(Duration::from_hours(1)).await;

    assert_eq!(town.leads(first).await, ids(1..=6));
    let of_other: BTreeSet<u64> = (4..=6).chain(10..=12).collect();
    assert_eq!(town.leads(other).await, of_other, "a private one is nobody's");
    let (host, own) = (town.asked_with(HOST), town.asked_with(OWN));
    assert!(host.contains("/repos/acme/kit/events") && host.contains("/repos/own/sdk/events"));
    assert!(own.contains("/repos/own/sdk/stargazers") && own.contains("/repos/own/tool/events"));
    assert!(!own.contains("/repos/acme/kit/events"), "{own:?}");
    assert!(!host.contains("/repos/own/sdk/stargazers"), "{host:?}");
    assert_eq!(town.github.exceeded(), []);
    // Profiles of each account's people, with its token.
    assert_eq!(town.room.count("LeadEnriched").await, 12);
    let queries = |token: &str| {
        town.github.ledger(|all| {
            let with = all.iter().filter(|request| request.token.as_deref() == Some(token));
            with.filter(|request| request.body.contains("fan-11")).count()
        })
    };
    assert_eq!((queries(HOST), queries(OWN)), (0, 1));
    let budgets = budgets::all(town.room.store()).await.unwrap();
    let tokens: BTreeSet<String> = budgets.into_iter().map(|row| row.token).collect();
    assert_eq!(tokens, BTreeSet::from(["host".to_owned(), other.to_string()]));
}

#[tokio::test]
async fn what_is_private_is_nobodys_signal_whoever_the_token_shows_it() {
    let mut town = Town::new().await.with_tokens();
    let other = town.other;
    let relation = Some(domain::RepoRelation::Own);
    let secret = "own/secret".parse().unwrap();
    commands::track_repo(&town.room.writer, other, secret, relation)
        .await
        .unwrap();
    let targets = Some("issues,prs,discussions,code".parse().unwrap());
    commands::track_keyword(&town.room.writer, other, "docker".parse().unwrap(), targets)
        .await
        .unwrap();
    town.room.settle().await;
    town.star("own/secret", 7..=9);
    let at = town.room.clock.now().to_string();
    town.github.change(|world| {
        for (number, repo) in ["own/secret", "own/sdk"].into_iter().enumerate() {
            let number = u64::try_from(number).unwrap();
            let post = |id| post(id, 100 * id + number, "docker is slow");
            world.open_issue(repo, &post(1), &at);
            world.open_pull(repo, &post(2), &at);
            world.open_discussion(repo, &post(3), &at);
            let author = User::new(400 + number, &format!("writer-{number}"));
            world.put_file(repo, "Makefile", "docker build", &author, &at);
        }
    });
    town.work(Duration::from_hours(2)).await;
    assert_eq!(town.leads(other).await, BTreeSet::from([101, 201, 301, 401]));
    let told = town.room.events().await.into_iter();
    let told = told.filter_map(|recorded| match recorded.event {
        Event::SourceStateChanged(changed) => Some(changed.reason),
        _ => None,
    });
    assert!(told.into_iter().any(|reason| reason == SourceReason::Private));
}

#[tokio::test]
async fn a_delivery_that_an_accounts_own_token_brought_is_left_for_the_others() {
    let mut town = Town::new().await.with_tokens();
    let (first, other) = (town.room.account, town.other);
    for account in [first, other] {
        let relation = Some(domain::RepoRelation::Own);
        commands::track_repo(&town.room.writer, account, "own/sdk".parse().unwrap(), relation)
            .await
            .unwrap();
    }
    town.room.settle().await;
    let at = town.room.clock.now().to_string();
    town.github.change(|world| {
        world.put_token(HOST, Token::new(900));
        let hook = world.put_hook("own/sdk", "https://leads.example.com/github/webhooks", &["star"]);
        let payload = world.star_payload("own/sdk", &User::new(1, "ada-example"), "created", &at);
        world.deliver(hook, "star", &payload, 0).unwrap();
    });
    // The account's token is the first to find it.
    let own = town.schedulers.pop().unwrap();
    let host = std::mem::replace(&mut town.schedulers, vec![own]);
    town.work(Duration::from_hours(1)).await;
    assert_eq!(
        (town.leads(first).await, town.leads(other).await),
        (BTreeSet::new(), ids(1..=1))
    );
    town.schedulers.extend(host);
    town.work(Duration::from_hours(1)).await;
    assert_eq!(
        (town.leads(first).await, town.leads(other).await),
        (ids(1..=1), ids(1..=1))
    );
    let payloads = town.github.ledger(|all| {
        let is_one = |request: &&fake_github::Request| request.path.contains("/deliveries/");
        all.iter().filter(is_one).count()
    });
    assert_eq!(payloads, 2, "each token's once");
}

#[tokio::test]
async fn an_app_gets_tokens_for_its_installation_before_they_end_and_goes_on_within_its_limits() {
    let mut town = Town::new().await;
    town.github.change(|world| {
        world.put_app(77, crate::github::app::tests::is_signed);
        world.install_app(77, 5, Token::new(900));
    });
    let installation = Installation::new(77, 5, KEY).unwrap();
    let authorization = Authorization::Installation(Box::new(installation));
    let whose = Whose::Account(town.other);
    town.schedulers = vec![town.scheduler(whose, authorization)];
    let relation = Some(domain::RepoRelation::Own);
    commands::track_repo(&town.room.writer, town.other, "own/sdk".parse().unwrap(), relation)
        .await
        .unwrap();
    town.room.settle().await;
    town.star("own/sdk", 1..=3);
    town.work(Duration::from_hours(5)).await;
    assert_eq!(town.leads(town.other).await, ids(1..=3));
    let tokens = town.github.requests_to("/app/installations/5/access_tokens");
    assert!(
        (5..=6).contains(&tokens.len()),
        "one in each fifty-five minutes at most: {}",
        tokens.len()
    );
    assert!(tokens.iter().all(|request| request.status == Some(201)));
    let refused = |request: &&fake_github::Request| request.status == Some(401);
    assert_eq!(town.github.ledger(|all| all.iter().filter(refused).count()), 0);
    assert_eq!(town.github.exceeded(), []);

    // Taken away, it asks little; given back, it goes on.
    town.github.change(|world| world.uninstall_app(5));
    let before = town.github.requests().len();
    town.work(Duration::from_hours(2)).await;
    let asked = town.github.requests().len() - before;
    assert!((2..=130).contains(&asked), "{asked}");
    let refused = town.room.events().await.into_iter().any(|recorded| {
        matches!(recorded.event, Event::SourceStateChanged(changed) if changed.reason == SourceReason::Unauthorized)
    });
    assert!(refused, "it is told");
    town.github.change(|world| world.install_app(77, 5, Token::new(900)));
    town.star("own/sdk", 4..=4);
    town.work(Duration::from_hours(8)).await;
    assert_eq!(town.leads(town.other).await, ids(1..=4));
}
