//! Keywords in code: what is found, whose it is, and how little is asked for it.

use domain::{Attribution, SignalPerson, SourceReason, SourceState};
use fake_github::{Bucket, Misbehaviour, Repo, User, UserKind};

use super::ladder::Story;
use super::*;
use crate::commands::track_keyword;

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

fn followed_up(story: &Story) -> usize {
    let is_commits = |request: &&fake_github::Request| request.path.ends_with("/commits");
    story.github.ledger(|all| all.iter().filter(is_commits).count())
}

#[tokio::test]
async fn a_file_is_its_last_authors_or_else_its_owners_and_the_rule_is_recorded() {
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
    story.github.change(|world| {
        for number in 0..150 {
            let author = User::new(100 + number, &format!("writer-{number}"));
            world.put_file("acme/kit", &format!("src/{number}.rs"), "docker", &author, &at);
        }
    });
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
        for number in 0..30 {
            let author = User::new(100 + number, &format!("writer-{number}"));
            world.put_file("acme/kit", &format!("src/{number}.rs"), "docker", &author, &at);
        }
        world.outage_until("/repos/*/*/commits", Misbehaviour::Status(503), until);
    });
    look_in_code(&story, "docker").await;
    story.work(Duration::from_mins(50)).await;
    assert!((1..=8).contains(&followed_up(&story)), "{}", followed_up(&story));
    story.restart().await;
    story.work(Duration::from_hours(3)).await;
    assert_eq!(found(&story).await.len(), 30);
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
