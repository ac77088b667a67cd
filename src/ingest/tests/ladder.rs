//! The ladder of sources, at a GitHub with a clock of its own that shows each caller what it may see.

use std::collections::BTreeSet;

use domain::{SourceReason, SourceState};
use fake_github::{FakeGithub, GraphqlLimits, Misbehaviour, Post, Refusal, Repo, Token, User};

use super::*;
use crate::commands::{track_keyword, track_repo};
use crate::ingest::scheduler::Scheduler;
use crate::ingest::shards::Whose;

pub const SECRET: &str = "token";
/// Whose the token is.
pub const OWNER: u64 = 900;

/// A whole ingestion with its scheduler, and the GitHub that it asks.
pub struct Story {
    pub room: Room,
    pub github: FakeGithub,
    scheduler: Scheduler,
}

impl Story {
    /// With the token of somebody who owns `own/sdk`.
    pub async fn new() -> Self {
        let room = Room::new().await;
        let clock = room.clock.clone();
        let seconds = move || u64::try_from(clock.now().secs()).unwrap();
        let github = FakeGithub::start_at(seconds).await.unwrap();
        github.change(|world| {
            world.put_user(User::new(OWNER, "own"));
            world.put_token(SECRET, Token::new(OWNER));
            world.put_repo(Repo::new(1, "own/sdk"));
            world.put_repo(Repo::new(2, "acme/kit"));
        });
        let scheduler = Self::scheduler(&room, &github, Some(SECRET));
        Self {
            room,
            github,
            scheduler,
        }
    }

    fn scheduler(room: &Room, github: &FakeGithub, token: Option<&str>) -> Scheduler {
        let client = room.client(github.url(), token);
        Scheduler::new(room.ingest.clone(), client, Whose::Host(Arc::default()), Leases::sole())
    }

    /// As after a restart.
    pub async fn restart(&mut self) {
        self.restart_with(Some(SECRET)).await;
    }

    /// As after a restart with this token, or none.
    pub async fn restart_with(&mut self, token: Option<&str>) {
        self.room.settle().await;
        self.scheduler = Self::scheduler(&self.room, &self.github, token);
    }

    /// Works for so long by the clock.
    pub async fn work(&mut self, span: Duration) {
        let end = self.room.clock.now().plus(span);
        loop {
            let now = self.room.clock.now();
            if now >= end {
                return;
            }
            if let Some(until) = self.scheduler.step().await.unwrap() {
                let wait = until.min(end).since(now).max(Duration::from_millis(1));
                self.room.clock.advance(wait);
                self.room.settle().await;
                let lease = Room::lease().await;
                while enrich::follow(&self.room.ingest, &lease).await.unwrap() {}
            } else {
                // A request takes its time.
                self.room.clock.advance(Duration::from_millis(50));
            }
        }
    }

    pub async fn own(&self) {
        let relation = Some(domain::RepoRelation::Own);
        let repo = "own/sdk".parse().unwrap();
        track_repo(&self.room.writer, self.room.account, repo, relation)
            .await
            .unwrap();
        self.room.settle().await;
    }

    /// `ids` star the repository now, so that its feed tells of them.
    pub fn star(&self, repo: &str, ids: std::ops::RangeInclusive<u64>) {
        let at = self.room.clock.now().to_string();
        self.github.change(|world| {
            for id in ids {
                world.star(repo, &User::new(id, &format!("fan-{id}")), &at);
            }
        });
    }

    /// What the log says of that source, oldest first.
    pub async fn told(&self, collector: Collector) -> Vec<(SourceState, SourceReason)> {
        let events = self.room.events().await.into_iter();
        let told = events.filter_map(|recorded| match recorded.event {
            Event::SourceStateChanged(changed) if changed.collector == collector => {
                Some((changed.state, changed.reason))
            }
            _ => None,
        });
        told.collect()
    }

    async fn unattributed(&self) -> Vec<(u64, u64, u64)> {
        let events = self.room.events().await.into_iter();
        let told = events.filter_map(|recorded| match recorded.event {
            Event::StarsUnattributed(told) => Some((told.growth, told.captured, told.unattributed)),
            _ => None,
        });
        told.collect()
    }

    /// The most requests that were sent in one minute.
    pub fn busiest_minute(&self) -> usize {
        self.github.ledger(|requests| {
            let mut minutes = std::collections::BTreeMap::<u64, usize>::new();
            for request in requests {
                *minutes.entry(request.at / 60).or_default() += 1;
            }
            minutes.into_values().max().unwrap_or(0)
        })
    }
}

pub fn post(number: u64, author: u64, title: &str) -> Post {
    Post {
        number,
        author: User::new(author, &format!("writer-{author}")),
        title: title.into(),
        body: String::new(),
    }
}

#[tokio::test]
async fn a_feed_is_read_where_the_number_of_stars_moved() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    story.room.track("own/sdk").await;
    story.work(Duration::from_hours(12)).await;
    let before = story.github.requests().len();
    story.star("acme/kit", 1..=3);
    story.work(Duration::from_mins(70)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 3);
    let feeds = |repo: &str| {
        let path = format!("/repos/{repo}/events");
        story
            .github
            .requests()
            .iter()
            .skip(before)
            .filter(|request| request.path == path)
            .count()
    };
    assert!(
        feeds("acme/kit") > feeds("own/sdk"),
        "{} {}",
        feeds("acme/kit"),
        feeds("own/sdk")
    );
    assert_eq!(story.github.exceeded(), []);
    assert_eq!(
        story.told(Collector::EventsFeed).await,
        [(SourceState::Active, SourceReason::Answered); 2]
    );
}

#[tokio::test]
async fn stars_that_nobody_tells_of_are_counted_and_full_coverage_is_silent() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    story.star("acme/kit", 1..=5);
    story.work(Duration::from_mins(10)).await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        for id in 100..104 {
            world.star_unseen("acme/kit", &User::new(id, &format!("fan-{id}")), &at);
        }
    });
    story.star("acme/kit", 6..=8);
    story.work(Duration::from_hours(40)).await;
    assert_eq!(story.unattributed().await, [(7, 3, 4)]);
    assert_eq!(story.room.count("StarsCounted").await, 1);

    // They turn up in an archive.
    let late = (100..104).map(|id| Activity {
        occurred_at: at.parse().unwrap(),
        ..star(id, "acme/kit")
    });
    story.room.ingest.accept(late.collect()).await.unwrap();
    story.work(Duration::from_hours(40)).await;
    assert_eq!(story.unattributed().await, [(7, 3, 4), (7, 7, 0)]);
}

#[tokio::test]
async fn the_list_of_an_own_repository_is_read_to_its_beginning_and_then_only_what_is_new() {
    let mut story = Story::new().await;
    let from = story.room.clock.now().secs() - 1_000;
    story.github.change(|world| {
        for id in 1..=450 {
            let at = fake_github::rfc3339(u64::try_from(from).unwrap() + id);
            world.star("own/sdk", &User::new(id, &format!("fan-{id}")), &at);
        }
    });
    story.own().await;
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 450);
    let lists = |story: &Story| story.github.requests_to("/repos/own/sdk/stargazers").len();
    assert_eq!(
        lists(&story),
        6,
        "the first page tells of five; they are read from the last on"
    );
    story.star("own/sdk", 451..=452);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 452);
    assert!(lists(&story) <= 10, "{}", lists(&story));
    assert_eq!(
        story.told(Collector::StargazerList).await,
        [(SourceState::Active, SourceReason::Answered)]
    );
}

#[tokio::test]
async fn a_list_that_does_not_tell_its_last_page_is_read_on_to_its_end() {
    let mut story = Story::new().await;
    story.own().await;
    for id in 1..=450 {
        let at = format!("2026-04-0{}T10:{:02}:{:02}Z", 1 + id / 100, id % 100 / 60, id % 60);
        let fan = User::new(id, &format!("fan-{id}"));
        story.github.change(|world| world.star_unseen("own/sdk", &fan, &at));
    }
    let list = "/repos/own/sdk/stargazers";
    story
        .github
        .change(|world| world.outage(list, Misbehaviour::NoLastPage, 100));
    story.work(Duration::from_mins(2)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 450);
    assert_eq!(story.github.requests_to(list).len(), 5);
}

#[tokio::test]
async fn a_list_that_is_refused_in_any_way_leaves_the_stars_to_the_feed() {
    for (refusal, reason) in [
        (Refusal::Unauthorized, SourceReason::Unauthorized),
        (Refusal::Forbidden, SourceReason::Forbidden),
        (Refusal::NotFound, SourceReason::NotFound),
        (Refusal::Empty, SourceReason::Empty),
    ] {
        let mut story = Story::new().await;
        story.github.change(|world| {
            let stargazers = Some(refusal);
            world.put_token(
                SECRET,
                Token {
                    stargazers,
                    ..Token::new(OWNER)
                },
            );
        });
        story.star("own/sdk", 1..=3);
        story.own().await;
        // An empty list says something only once the stars were counted.
        story.work(Duration::from_hours(8)).await;
        let told = story.told(Collector::StargazerList).await;
        assert_eq!(
            told.last(),
            Some(&(SourceState::Restricted, reason)),
            "{refusal:?}: {told:?}"
        );
        assert_eq!(story.room.count("LeadCaptured").await, 3, "{refusal:?}");
        assert_eq!(story.github.exceeded(), [], "{refusal:?}");

        // Once it is shown, it is read.
        story.github.change(|world| {
            world.put_token(SECRET, Token::new(OWNER));
        });
        story.work(Duration::from_hours(26)).await;
        let told = story.told(Collector::StargazerList).await;
        assert_eq!(
            told.last(),
            Some(&(SourceState::Active, SourceReason::Answered)),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn keywords_are_found_all_over_github_by_who_wrote_them() {
    let mut story = Story::new().await;
    for number in 0..7 {
        story.room.track_keyword(&format!("framework {number}")).await;
    }
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.open_issue("some/where", &post(1, 11, "Slow with Framework 3"), &at);
        world.open_pull("some/where", &post(2, 12, "Use framework 6"), &at);
        world.open_discussion("some/where", &post(3, 13, "framework 0 or framework 1?"), &at);
        world.open_issue("some/where", &post(4, 14, "frameworks 5"), &at);
    });
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 3);
    for (id, written) in [(11, true), (12, true), (13, true), (14, false)] {
        assert_eq!(!story.room.history(id).await.is_empty(), written, "{id}");
    }
    assert_eq!(story.github.exceeded(), []);
    for collector in [Collector::IssueSearch, Collector::DiscussionSearch] {
        let told = story.told(collector).await;
        assert_eq!(told, [(SourceState::Active, SourceReason::Answered); 7], "{collector}");
    }
}

#[tokio::test]
async fn an_account_that_looks_in_one_place_hears_of_that_place_only() {
    let mut story = Story::new().await;
    let (writer, account) = (&story.room.writer, story.room.account);
    let targets = Some("prs".parse().unwrap());
    track_keyword(writer, account, "docker".parse().unwrap(), targets)
        .await
        .unwrap();
    story.room.settle().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.open_issue("some/where", &post(1, 11, "docker"), &at);
        world.open_pull("some/where", &post(2, 12, "docker"), &at);
    });
    story.work(Duration::from_mins(10)).await;
    assert_eq!(story.room.history(11).await, Vec::<&str>::new());
    assert_eq!(story.room.history(12).await, ["LeadCaptured"]);
    assert_eq!(story.told(Collector::DiscussionSearch).await, []);
}

#[tokio::test]
async fn a_pull_request_that_the_feed_tells_by_number_is_read_with_its_text() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    let (writer, account) = (&story.room.writer, story.room.account);
    let targets = Some("prs".parse().unwrap());
    track_keyword(writer, account, "docker".parse().unwrap(), targets)
        .await
        .unwrap();
    story.room.settle().await;
    story.github.change(|world| {
        // The search is away, so that only the feed can tell.
        world.outage("/search/issues", Misbehaviour::Status(503), 1_000);
    });
    let at = story.room.clock.now().to_string();
    story
        .github
        .change(|world| world.open_pull("acme/kit", &post(7, 12, "Use docker"), &at));
    story.work(Duration::from_mins(30)).await;
    assert_eq!(story.room.history(12).await, ["LeadCaptured"]);
}

#[tokio::test]
async fn a_query_that_is_too_wide_is_asked_again_narrower() {
    for limits in [
        GraphqlLimits {
            bad_gateway_above: Some(7),
            resources_above: None,
        },
        GraphqlLimits {
            bad_gateway_above: None,
            resources_above: Some(7),
        },
    ] {
        let mut story = Story::new().await;
        story.github.change(|world| world.graphql = limits);
        for number in 0..40 {
            let name = format!("acme/tool-{number}");
            story
                .github
                .change(|world| world.put_repo(Repo::new(100 + number, &name)));
            story.room.track(&name).await;
        }
        story.work(Duration::from_mins(5)).await;
        assert_eq!(story.room.count("StarsCounted").await, 40, "{limits:?}");
        assert_eq!(story.github.exceeded(), []);
    }
}

#[tokio::test]
async fn a_renamed_repository_says_so_and_a_deleted_one_becomes_unavailable() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    story.room.track("own/sdk").await;
    story.work(Duration::from_mins(10)).await;
    story.github.change(|world| {
        world.rename_repo(2, "acme/tool-kit");
        world.remove_repo(1);
    });
    story.work(Duration::from_hours(9)).await;
    let renamed = story
        .room
        .events()
        .await
        .into_iter()
        .find_map(|recorded| match recorded.event {
            Event::RepoRenamed(renamed) => Some(renamed.full_name.to_string()),
            _ => None,
        });
    assert_eq!(renamed.as_deref(), Some("acme/tool-kit"));
    let told = story.told(Collector::EventsFeed).await;
    assert_eq!(
        told.last(),
        Some(&(SourceState::Unavailable, SourceReason::NotFound)),
        "{told:?}"
    );
    story.star("acme/tool-kit", 1..=2);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 2);
}

#[tokio::test]
async fn while_github_is_away_little_is_asked_and_afterwards_nothing_is_missing() {
    for misbehaviour in [
        Misbehaviour::Status(503),
        Misbehaviour::Truncated,
        Misbehaviour::Html,
        Misbehaviour::Garbage,
        Misbehaviour::SecondaryRateLimit { retry_after: Some(90) },
        Misbehaviour::SecondaryRateLimit { retry_after: None },
        Misbehaviour::TooManyRequests { retry_after: 30 },
        Misbehaviour::Suspended,
    ] {
        let mut story = Story::new().await;
        for number in 0..30 {
            let name = format!("acme/tool-{number}");
            story
                .github
                .change(|world| world.put_repo(Repo::new(100 + number, &name)));
            story.room.track(&name).await;
        }
        story.room.track_keyword("docker").await;
        let until = u64::try_from(story.room.clock.now().secs()).unwrap() + 3 * 3600;
        story
            .github
            .change(|world| world.outage_until("/**", misbehaviour, until));
        let at = story.room.clock.now().to_string();
        for number in 0..30 {
            story.star(&format!("acme/tool-{number}"), number + 1..=number + 1);
        }
        story
            .github
            .change(|world| world.open_issue("some/where", &post(1, 77, "docker"), &at));
        story.work(Duration::from_hours(3)).await;
        let asked = story.github.requests().len();
        assert!(
            story.busiest_minute() <= 12,
            "{misbehaviour:?}: {}",
            story.busiest_minute()
        );
        assert!(asked <= 200, "{misbehaviour:?}: {asked}");
        assert_eq!(story.room.count("LeadCaptured").await, 0, "{misbehaviour:?}");
        story.work(Duration::from_hours(4)).await;
        assert_eq!(story.room.count("LeadCaptured").await, 31, "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn a_restart_goes_on_with_the_budget_and_the_cursors() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    story.room.track_keyword("docker").await;
    story.work(Duration::from_mins(20)).await;
    let before = story.github.requests().len();
    story.restart().await;
    story.work(Duration::from_secs(1)).await;
    assert_eq!(story.github.requests().len(), before, "nothing is due anew");
    let budgets = budgets::all(story.room.store()).await.unwrap();
    let known: BTreeSet<&str> = budgets.iter().map(|row| row.resource.as_str()).collect();
    assert_eq!(known, BTreeSet::from(["core", "graphql", "search"]));
}

/// What is put down of the budgets: whether GitHub refuses the token, for each of them that waits now.
async fn waiting(story: &Story) -> Vec<bool> {
    let (rows, now) = (budgets::all(story.room.store()).await.unwrap(), story.room.clock.now());
    let waiting = rows.into_iter().filter(|row| row.budget.blocked(now).is_some());
    waiting.map(|row| row.budget.is_refused).collect()
}

#[tokio::test]
async fn a_time_to_wait_outlives_a_restart_right_after_it_was_told() {
    let mut story = Story::new().await;
    story.room.track("acme/kit").await;
    story.work(Duration::from_secs(30)).await;
    let feed = "/repos/own/late/events";
    story.github.change(|world| {
        world.misbehave(feed, Misbehaviour::TooManyRequests { retry_after: 3_600 });
    });
    story.room.track("own/late").await;
    story.work(Duration::from_secs(5)).await;
    assert!(waiting(&story).await.contains(&false));
    assert_eq!(story.github.requests_to(feed).len(), 1);
    story.restart().await;
    story.work(Duration::from_mins(10)).await;
    assert_eq!(story.github.requests_to(feed).len(), 1);
}

#[tokio::test]
async fn what_github_asked_of_nobody_binds_no_token() {
    let mut story = Story::new().await;
    story.restart_with(None).await;
    story.room.track("acme/kit").await;
    story.star("acme/kit", 1..=3);
    let reset = u64::try_from(story.room.clock.now().secs()).unwrap() + 50 * 60;
    let feed = "/repos/acme/kit/events";
    story
        .github
        .change(|world| world.misbehave(feed, Misbehaviour::RateLimited { reset }));
    story.work(Duration::from_mins(2)).await;
    assert_eq!(
        (waiting(&story).await, story.github.requests_to(feed).len()),
        (vec![false], 1)
    );

    story.restart_with(None).await;
    story.work(Duration::from_mins(2)).await;
    assert_eq!(story.github.requests_to(feed).len(), 1, "it is the same nobody");

    story.restart().await;
    story.work(Duration::from_secs(10)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 3);
    assert_eq!(waiting(&story).await, [false; 0]);
}

#[tokio::test]
async fn a_refused_token_is_told_from_a_limit_and_binds_no_other() {
    let mut story = Story::new().await;
    story.own().await;
    story.star("own/sdk", 1..=3);
    let list = "/repos/own/sdk/stargazers";
    story.restart_with(Some("mistyped")).await;
    story.work(Duration::from_mins(2)).await;
    let refused = waiting(&story).await;
    assert!(
        !refused.is_empty() && refused.iter().all(|refused| *refused),
        "{refused:?}"
    );
    assert!(story.github.requests_to(list).len() <= 1);

    story.restart().await;
    story.work(Duration::from_secs(10)).await;
    assert_eq!(waiting(&story).await, [false; 0]);
    assert!(
        story
            .github
            .requests_to(list)
            .iter()
            .any(|request| request.token.as_deref() == Some(SECRET))
    );
}

#[tokio::test]
async fn a_search_with_more_results_than_github_shows_goes_on_where_it_was_cut_off() {
    let mut story = Story::new().await;
    let noon = story.room.clock.now().secs();
    story.github.change(|world| {
        for number in 1..=1_100_i64 {
            let at = Timestamp::from_secs(noon - 100_000 + number * 60).to_string();
            let id = u64::try_from(number).unwrap();
            world.open_issue("some/where", &post(id, 10_000 + id, "docker is slow"), &at);
        }
    });
    story.room.track_keyword("docker").await;
    story.work(Duration::from_mins(5)).await;
    assert_eq!(story.room.count("LeadCaptured").await, 1_100);
}

#[tokio::test]
async fn a_search_without_an_end_is_given_up_and_tried_again_later() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.open_issue("some/where", &post(1, 100, "docker is slow"), &at);
        world.outage("/search/issues", Misbehaviour::Endless, u64::MAX);
    });
    story.room.track_keyword("docker").await;
    story.work(Duration::from_hours(1)).await;
    // Ten pages of each attempt, which are at minutes 0, 1, 3, 7, 15 and 31.
    assert_eq!(story.github.requests_to("/search/issues").len(), 60);
    assert_eq!(story.room.count("LeadCaptured").await, 1);
    let told = story.told(Collector::IssueSearch).await;
    assert_eq!(told, [(SourceState::Unavailable, SourceReason::NoAnswer)]);
}
