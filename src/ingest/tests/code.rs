//! Keywords in code: what is found, whose it is, and how little is asked for it.

use domain::{Attribution, SignalPerson, SourceReason, SourceState};
use fake_github::{Bucket, Misbehaviour, Repo, User, UserKind, World};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::ladder::Story;
use super::*;
use crate::commands::{open_account, track_keyword};
use crate::ingest::source_cursor;

async fn look_in_code(story: &Story, keyword: &str) {
    let (writer, account) = (&story.room.writer, story.room.account);
    let targets = Some("code".parse().unwrap());
    track_keyword(writer, account, keyword.parse().unwrap(), targets)
        .await
        .unwrap();
    story.room.settle().await;
}

fn ada() -> User {
    User::new(11, "ada-example")
}

fn bot() -> User {
    User {
        kind: UserKind::Bot,
        ..User::new(900_001, "ci[bot]")
    }
}

/// What was recorded of the files, by the id of the person.
async fn found(story: &Story) -> Vec<SignalPerson> {
    let mut found = Vec::new();
    for recorded in story.room.events().await {
        if matches!(recorded.event.name(), "LeadCaptured" | "SignalRecorded") {
            found.push(person_of(&story.room, &recorded).await);
        }
    }
    found.sort_by_key(|person| person.user_id);
    found
}

/// So many files of one repository with "docker" in them, each by another author.
fn put_files(world: &mut World, count: u64, at: &str) {
    for number in 0..count {
        let author = User::new(100 + number, &format!("writer-{number}"));
        world.put_file("acme/kit", &format!("src/{number}.rs"), "docker", &author, at);
    }
}

fn followed_up(story: &Story) -> usize {
    let is_commits = |request: &&fake_github::Request| request.path.ends_with("/commits");
    story.github.ledger(|all| all.iter().filter(is_commits).count())
}

#[tokio::test]
async fn a_file_is_its_last_authors_or_else_its_owners_and_the_rule_is_recorded() {
    let figures = PrometheusBuilder::new().build_recorder();
    let _kept = ::metrics::set_default_local_recorder(&figures);
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.put_user(ada());
        world.put_repo(Repo::new(20, "ada-example/engine"));
        world.put_repo(Repo::new(21, "ada-example/loom"));
        let (ben, cid) = (User::new(12, "ben-example"), User::new(13, "cid-example"));
        world.put_file("ada-example/engine", "deploy/a file.yml", "We use Docker.", &cid, &at);
        world.put_file(
            "ada-example/engine",
            "deploy/a file.yml",
            "We use Docker here.",
            &ben,
            &at,
        );
        world.put_file("acme/kit", "README", "docker for all", &cid, &at);
        world.put_file("ada-example/loom", "Makefile", "docker build", &bot(), &at);
        world.put_file("acme/kit", "Makefile", "docker build", &bot(), &at);
        world.put_file(
            "acme/kit",
            "other",
            "dockers and dockerise",
            &User::new(14, "dan-example"),
            &at,
        );
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_mins(30)).await;
    let found = found(&story).await;
    let told: Vec<(u64, &str, Option<Attribution>)> = found
        .iter()
        .map(|person| (person.user_id, person.url.as_deref().unwrap(), person.attribution))
        .collect();
    let author = Some(Attribution::CommitAuthor);
    assert_eq!(
        told,
        [
            (
                11,
                "https://github.com/ada-example/loom/blob/HEAD/Makefile",
                Some(Attribution::RepoOwner)
            ),
            (
                12,
                "https://github.com/ada-example/engine/blob/HEAD/deploy/a%20file.yml",
                author
            ),
            (13, "https://github.com/acme/kit/blob/HEAD/README", author),
        ]
    );
    assert_eq!(found[1].snippet.as_deref(), Some("We use Docker here."));
    let figures = figures.handle().render();
    let nobodys = r#"gitleads_signals_total{outcome="unattributed"} 1"#;
    assert!(figures.contains(nobodys), "{figures}");
    for recorded in story.room.events().await {
        if let Event::LeadCaptured(captured) = recorded.event {
            assert_eq!(captured.signal.collector, Collector::CodeSearch);
            assert_eq!(captured.signal.kind, domain::SignalKind::KeywordCode);
        }
    }
    let told = story.told(Collector::CodeSearch).await;
    assert_eq!(told, [(SourceState::Active, SourceReason::Answered)]);
}

#[tokio::test]
async fn a_file_is_followed_up_once_and_again_when_it_is_changed() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| put_files(world, 150, &at));
    look_in_code(&story, "docker").await;
    story.work(Duration::from_mins(30)).await;
    assert_eq!((found(&story).await.len(), followed_up(&story)), (150, 150));
    story.work(Duration::from_hours(4)).await;
    assert_eq!(followed_up(&story), 150);
    story.github.change(|world| {
        let author = User::new(300, "eve-example");
        world.put_file("acme/kit", "src/7.rs", "docker again", &author, &at);
    });
    story.work(Duration::from_hours(2)).await;
    assert_eq!((found(&story).await.len(), followed_up(&story)), (151, 151));
    assert_eq!(story.room.history(300).await, ["LeadCaptured"]);
}

#[tokio::test]
async fn files_that_wait_are_found_again_after_a_restart() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    let until = u64::try_from(story.room.clock.now().secs()).unwrap() + 3_600;
    story.github.change(|world| {
        put_files(world, 30, &at);
        world.outage_until("/repos/*/*/commits", Misbehaviour::Status(503), until);
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_mins(50)).await;
    assert!((1..=50).contains(&followed_up(&story)), "{}", followed_up(&story));
    story.restart().await;
    story.work(Duration::from_hours(3)).await;
    assert_eq!(found(&story).await.len(), 30);
}

/// A file of Ada's in which Ben wrote "docker" last, one of Cid's in another repository, and one of Dan's with another keyword.
async fn three_files(story: &Story) {
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.put_user(ada());
        world.put_repo(Repo::new(20, "ada-example/engine"));
        world.put_file(
            "ada-example/engine",
            "a.yml",
            "docker",
            &User::new(12, "ben-example"),
            &at,
        );
        world.put_file("acme/kit", "README", "docker", &User::new(13, "cid-example"), &at);
        world.put_file("acme/kit", "NOTES", "podman", &User::new(14, "dan-example"), &at);
    });
    look_in_code(story, "docker").await;
    look_in_code(story, "podman").await;
}

const COMMITS: &str = "/repos/ada-example/engine/commits";

#[tokio::test]
async fn a_file_that_cannot_be_followed_up_holds_up_nothing_and_is_its_owners_in_the_end() {
    let mut story = Story::new().await;
    story
        .github
        .change(|world| world.outage(COMMITS, Misbehaviour::Status(500), u64::MAX));
    three_files(&story).await;
    story.work(Duration::from_mins(5)).await;
    assert_eq!(story.room.history(13).await, ["LeadCaptured"]);
    assert_eq!(story.room.history(14).await, ["LeadCaptured"]);
    story.work(Duration::from_hours(3)).await;
    let found = found(&story).await;
    assert_eq!(
        (found[0].user_id, found[0].attribution),
        (11, Some(Attribution::RepoOwner))
    );
    assert_eq!(story.github.requests_to(COMMITS).len(), 8);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(story.github.requests_to(COMMITS).len(), 8);
}

#[tokio::test]
async fn three_files_that_cannot_be_followed_up_hold_up_the_others_for_a_minute() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.put_user(ada());
        world.put_file("acme/kit", "README", "docker", &User::new(13, "cid-example"), &at);
        for number in 0..3 {
            let repo = format!("ada-example/engine-{number}");
            world.put_repo(Repo::new(20 + number, &repo));
            world.put_file(&repo, "a.yml", "docker", &User::new(12, "ben-example"), &at);
            world.outage(&format!("/repos/{repo}/commits"), Misbehaviour::Status(500), u64::MAX);
        }
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_secs(90)).await;
    assert_eq!(story.room.history(13).await, ["LeadCaptured"]);
    assert_eq!(followed_up(&story), 7, "after a minute that one, and the three again");
}

#[tokio::test]
async fn a_repository_whose_files_cannot_be_followed_up_holds_up_no_other() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        world.put_user(ada());
        world.put_file("acme/kit", "README", "docker", &User::new(13, "cid-example"), &at);
        world.put_repo(Repo::new(20, "ada-example/engine"));
        for number in 0..30 {
            let path = format!("{number}.yml");
            world.put_file(
                "ada-example/engine",
                &path,
                "docker",
                &User::new(12, "ben-example"),
                &at,
            );
        }
        world.outage(COMMITS, Misbehaviour::Status(502), u64::MAX);
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_secs(30)).await;
    assert_eq!(story.room.history(13).await, ["LeadCaptured"]);
    story.work(Duration::from_hours(12)).await;
    assert_eq!(found(&story).await[0].attribution, Some(Attribution::RepoOwner));
}

#[tokio::test]
async fn a_limit_between_two_pages_loses_neither_and_nor_does_a_restart() {
    for is_restarted in [false, true] {
        let mut story = Story::new().await;
        let at = story.room.clock.now().to_string();
        story.github.change(|world| {
            put_files(world, 250, &at);
            // The first page is answered.
            world.misbehave("/search/code", Misbehaviour::NoLastPage);
            if is_restarted {
                let until = u64::try_from(story.room.clock.now().secs()).unwrap() + 300;
                world.outage_until("/repos/*/*/commits", Misbehaviour::Status(502), until);
            } else {
                world.misbehave("/search/code", Misbehaviour::TooManyRequests { retry_after: 20 });
            }
        });
        look_in_code(&story, "docker").await;
        if is_restarted {
            story.work(Duration::from_mins(4)).await;
            story.restart().await;
        }
        story.work(Duration::from_hours(2)).await;
        assert_eq!(found(&story).await.len(), 250, "{is_restarted}");
    }
}

#[tokio::test]
async fn while_no_file_can_be_followed_up_few_are_asked_for() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        put_files(world, 90, &at);
        world.outage("/repos/*/*/commits", Misbehaviour::Status(503), u64::MAX);
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_mins(30)).await;
    assert!((9..=31).contains(&followed_up(&story)), "{}", followed_up(&story));
    story.github.change(World::behave);
    story.work(Duration::from_hours(2)).await;
    assert_eq!(found(&story).await.len(), 90);
}

#[tokio::test]
async fn files_on_a_page_are_captured_though_the_next_page_fails_and_that_one_is_read_later() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        put_files(world, 150, &at);
        // The first page is answered.
        world.misbehave("/search/code", Misbehaviour::NoLastPage);
        world.misbehave("/search/code", Misbehaviour::Status(503));
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_secs(30)).await;
    assert_eq!(found(&story).await.len(), 100);
    story.work(Duration::from_mins(10)).await;
    assert_eq!(found(&story).await.len(), 150);
}

#[tokio::test]
async fn a_file_that_waits_for_one_keyword_is_not_lost_to_another() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    let soon = u64::try_from(story.room.clock.now().secs()).unwrap() + 180;
    story.github.change(|world| {
        for number in 0..100 {
            let author = User::new(100 + number, &format!("writer-{number}"));
            world.put_file("acme/kit", &format!("src/{number}.rs"), "podman", &author, &at);
        }
        world.put_repo(Repo::new(20, "acme/old"));
        // On the second page, each keyword in a fragment of its own.
        let text = format!("docker{}\npodman", "\nand so on".repeat(100));
        world.put_file("acme/old", "a.rs", &text, &User::new(99, "writer"), &at);
        world.outage_until("/repos/acme/old/commits", Misbehaviour::Status(500), soon);
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_secs(30)).await;
    let opened = open_account(&story.room.writer, "other".into(), "agency".parse().unwrap()).await;
    let targets = Some("code".parse().unwrap());
    let other = opened.unwrap().value;
    track_keyword(&story.room.writer, other, "podman".parse().unwrap(), targets)
        .await
        .unwrap();
    story.room.settle().await;
    story.work(Duration::from_hours(1)).await;
    assert_eq!(
        story.room.count("LeadCaptured").await,
        102,
        "one of them in both accounts"
    );
}

#[tokio::test]
async fn a_search_for_code_that_is_broken_off_or_shows_too_little_says_so() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| put_files(world, 10, &at));
    look_in_code(&story, "docker").await;
    story.work(Duration::from_mins(10)).await;
    let gap = async |story: &Story| source_cursor::all(story.room.store()).await.unwrap()[0].last_gap_at;
    assert_eq!((found(&story).await.len(), gap(&story).await), (10, None));
    story.github.change(|world| put_files(world, 400, &at));
    story.work(Duration::from_mins(15)).await;
    assert!(gap(&story).await.is_some());
    assert!(found(&story).await.len() >= 300);

    story.github.change(|world| world.searches_break_off = true);
    story.work(Duration::from_hours(2)).await;
    let silent = (SourceState::Unavailable, SourceReason::NoAnswer);
    assert_eq!(story.told(Collector::CodeSearch).await.last(), Some(&silent));
}

#[tokio::test]
async fn a_page_that_always_fails_does_not_hide_the_files_behind_it() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    story.github.change(|world| {
        put_files(world, 250, &at);
        for _ in 0..2 {
            // The first page and the third are answered.
            world.misbehave("/search/code", Misbehaviour::NoLastPage);
            world.misbehave("/search/code", Misbehaviour::Status(503));
        }
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_secs(50)).await;
    assert_eq!(found(&story).await.len(), 150);
    story.work(Duration::from_mins(10)).await;
    assert_eq!(found(&story).await.len(), 250);
}

#[tokio::test]
async fn a_file_of_a_repository_that_is_gone_or_empty_is_its_owners_at_once() {
    for status in [404, 409, 422] {
        let mut story = Story::new().await;
        story
            .github
            .change(|world| world.outage(COMMITS, Misbehaviour::Status(status), u64::MAX));
        three_files(&story).await;
        story.work(Duration::from_mins(5)).await;
        let found = found(&story).await;
        let ids: Vec<u64> = found.iter().map(|person| person.user_id).collect();
        assert_eq!(ids, [11, 13, 14], "{status}");
        assert_eq!(found[0].attribution, Some(Attribution::RepoOwner), "{status}");
        assert_eq!(story.github.requests_to(COMMITS).len(), 1, "{status}");
    }
}

#[tokio::test]
async fn many_keywords_stay_within_what_github_grants_for_code() {
    let mut story = Story::new().await;
    let at = story.room.clock.now().to_string();
    for number in 0..40 {
        story.github.change(|world| {
            let author = User::new(100 + number, &format!("writer-{number}"));
            let text = format!("import framework{number}");
            world.put_file("acme/kit", &format!("src/{number}.rs"), &text, &author, &at);
        });
        look_in_code(&story, &format!("framework{number}")).await;
    }
    story.work(Duration::from_mins(20)).await;
    assert_eq!(found(&story).await.len(), 40);
    assert_eq!(story.github.exceeded(), []);
    let mut minutes = std::collections::BTreeMap::<u64, usize>::new();
    story.github.ledger(|all| {
        for request in all.iter().filter(|request| request.bucket == Bucket::CodeSearch) {
            *minutes.entry(request.at / 60).or_default() += 1;
        }
    });
    assert!(
        minutes.len() > 3 && minutes.values().all(|asked| *asked <= 20),
        "{minutes:?}"
    );
}
