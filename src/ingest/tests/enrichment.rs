//! Profiles of captured people, looked up and looked up again.

use database::Statement;
use domain::{Profile, ProfileField};
use fake_github::{FakeGithub, Misbehaviour, Repo, User};

use super::*;
use crate::ingest::enrich::Enrichment;
use crate::ingest::release::release;

struct Story {
    room: Room,
    github: FakeGithub,
    client: Arc<Client>,
    enrichment: Mutex<Enrichment>,
}

fn ada() -> User {
    User {
        name: Some("Ada Example".into()),
        followers: 3,
        ..User::new(1, "ada-example")
    }
}

impl Story {
    async fn on_plan(plan: &str) -> Self {
        let (room, github) = (Room::on_plan(plan).await, FakeGithub::start().await.unwrap());
        github.change(|world| {
            world.put_user(ada());
            world.put_repo(
                Repo::new(1, "ada-example/engine")
                    .with_language("Rust", 700)
                    .with_language("C", 20),
            );
            world.put_repo(Repo::new(2, "ada-example/loom").with_language("C", 90));
            world.put_repo(Repo {
                fork: true,
                ..Repo::new(3, "ada-example/fork").with_language("Java", 9_000)
            });
        });
        room.track("acme/sdk").await;
        let client = room.client(github.url(), Some("token"));
        let enrichment = Mutex::new(Enrichment::new(
            Arc::clone(&room.ingest),
            Arc::clone(&client),
            Room::lease().await,
        ));
        Self {
            room,
            github,
            client,
            enrichment,
        }
    }

    async fn accept(&self, ids: std::ops::RangeInclusive<u64>) {
        let stars = ids.map(|id| star(id, "acme/sdk")).collect();
        self.room.ingest.accept(stars).await.unwrap();
        self.room.settle().await;
    }

    async fn follow(&self) {
        while self.enrichment.lock().await.follow().await.unwrap() {}
    }

    /// Follows the log and looks up whoever is due.
    async fn enrich(&self) {
        self.follow().await;
        while self.enrichment.lock().await.next().await.unwrap().is_none() {}
    }

    async fn profiles(&self) -> Vec<(Profile, Vec<ProfileField>)> {
        let mut profiles = Vec::new();
        for recorded in self.room.events().await {
            let Event::LeadEnriched(enriched) = recorded.event else {
                continue;
            };
            let person = recorded.stream.person().unwrap();
            let keys = self.room.writer.vault.keys(self.room.account, &[person]).await.unwrap();
            let profile = keys.open(person, recorded.id, &enriched.profile).unwrap();
            profiles.push((profile, enriched.changed));
        }
        profiles
    }
}

#[tokio::test]
async fn a_captured_person_is_looked_up_once_and_again_after_a_week_only_for_what_changed() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=1).await;
    story.enrich().await;
    let (first, _) = story.profiles().await.pop().unwrap();
    assert_eq!(
        (first.login.as_str(), first.name.as_deref()),
        ("ada-example", Some("Ada Example"))
    );
    assert_eq!(first.top_languages, ["Rust", "C"]);
    assert_eq!(first.provenance[&ProfileField::Name].source, "github_rest");
    let asked = story.github.requests().len();
    story.enrich().await;
    assert_eq!(story.github.requests().len(), asked, "nobody is due");

    story.room.clock.advance(Duration::from_hours(7 * 24));
    story.enrich().await;
    assert_eq!(
        (story.profiles().await.len(), story.github.requests().len()),
        (1, asked + 1)
    );

    story.github.change(|world| {
        world.put_user(User {
            login: "ada-renamed".into(),
            followers: 4,
            ..ada()
        });
    });
    story.room.clock.advance(Duration::from_hours(7 * 24));
    story.enrich().await;
    let (second, changed) = story.profiles().await.pop().unwrap();
    assert!(changed.contains(&ProfileField::Login) && changed.contains(&ProfileField::Followers));
    assert!(!changed.contains(&ProfileField::Name));
    assert_eq!(
        second.provenance[&ProfileField::Name],
        first.provenance[&ProfileField::Name]
    );
    assert!(
        second.provenance[&ProfileField::Followers].observed_at > first.provenance[&ProfileField::Name].observed_at
    );
}

#[tokio::test]
async fn a_withheld_person_is_looked_up_only_after_the_release() {
    let story = Story::on_plan("tiny").await;
    story.github.change(|world| {
        for id in 2..=3 {
            world.put_user(User::new(id, &format!("fan-{id}")));
        }
    });
    story.accept(1..=3).await;
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/3").len(), 0);
    story.room.clock.advance(Duration::from_hours(30 * 24));
    release(&story.room.ingest).await.unwrap();
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/3").len(), 1);
}

#[tokio::test]
async fn whoever_left_github_is_asked_for_again_after_a_week_and_may_have_come_back() {
    let story = Story::on_plan("agency").await;
    story.accept(9..=9).await;
    story.enrich().await;
    story.room.clock.advance(Duration::from_hours(6 * 24));
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/9").len(), 1);
    story.github.change(|world| world.put_user(User::new(9, "fan-9")));
    story.room.clock.advance(Duration::from_hours(24));
    story.enrich().await;
    assert_eq!(
        (story.github.requests_to("/user/9").len(), story.profiles().await.len()),
        (2, 1)
    );
}

#[tokio::test]
async fn languages_that_cannot_be_looked_up_cost_nobody_the_profile_nor_what_was_known_of_them() {
    const REPOS: &str = "/users/ada-example/repos";
    const LANGUAGES: &str = "/repos/ada-example/engine/languages";
    for (path, fault) in [
        (REPOS, Misbehaviour::Status(404)),
        (REPOS, Misbehaviour::Status(502)),
        (REPOS, Misbehaviour::Html),
        (LANGUAGES, Misbehaviour::Truncated),
        (LANGUAGES, Misbehaviour::Html),
    ] {
        let story = Story::on_plan("agency").await;
        story.accept(1..=1).await;
        story.github.change(|world| world.misbehave(path, fault));
        story.enrich().await;
        let (first, _) = story.profiles().await.pop().unwrap();
        assert_eq!(
            (first.followers, first.top_languages.len()),
            (Some(3), 0),
            "{path} {fault:?}"
        );

        story.room.clock.advance(Duration::from_hours(7 * 24));
        story.enrich().await;
        let (second, changed) = story.profiles().await.pop().unwrap();
        assert_eq!(second.top_languages, ["Rust", "C"], "{path} {fault:?}");
        assert_eq!(changed, [ProfileField::TopLanguages], "{path} {fault:?}");

        story.github.change(|world| {
            world.put_user(User { followers: 4, ..ada() });
            world.misbehave(path, fault);
        });
        story.room.clock.advance(Duration::from_hours(7 * 24));
        story.enrich().await;
        let (third, changed) = story.profiles().await.pop().unwrap();
        assert_eq!(third.top_languages, ["Rust", "C"], "{path} {fault:?}");
        assert_eq!(changed, [ProfileField::Followers], "{path} {fault:?}");
        let languages = ProfileField::TopLanguages;
        assert_eq!(third.provenance[&languages], second.provenance[&languages]);
    }
}

#[tokio::test]
async fn a_repository_that_is_blocked_takes_no_language_from_the_others() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=1).await;
    let blocked = Misbehaviour::Status(451);
    story
        .github
        .change(|world| world.misbehave("/repos/ada-example/engine/languages", blocked));
    story.enrich().await;
    assert_eq!(story.profiles().await.pop().unwrap().0.top_languages, ["C"]);
}

#[tokio::test]
async fn while_github_fails_nobody_is_asked_for_and_each_try_is_one_request() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=5).await;
    story.github.change(|world| {
        for id in 1..=5 {
            world.put_user(User::new(id, &format!("fan-{id}")));
            world.misbehave(&format!("/user/{id}"), Misbehaviour::Status(502));
        }
    });
    for (minutes, asked) in [(0, 1), (1, 2), (1, 2), (1, 3), (4, 4), (8, 5), (15, 5)] {
        story.room.clock.advance(Duration::from_mins(minutes));
        story.enrich().await;
        assert_eq!(story.github.requests().len(), asked, "{minutes}");
    }
    story.room.clock.advance(Duration::from_mins(1));
    story.enrich().await;
    assert_eq!(story.profiles().await.len(), 5);
}

#[tokio::test]
async fn who_is_denied_does_not_stop_the_others() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=2).await;
    story.github.change(|world| {
        world.put_user(User::new(2, "fan-2"));
        world.misbehave("/user/1", Misbehaviour::Status(451));
    });
    story.enrich().await;
    assert_eq!(story.profiles().await.len(), 1);
    story.room.clock.advance(Duration::from_mins(1));
    story.enrich().await;
    assert_eq!(story.profiles().await.len(), 2);
}

#[tokio::test]
async fn a_person_whose_row_does_not_open_does_not_stop_the_others() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=2).await;
    story.github.change(|world| world.put_user(User::new(2, "fan-2")));
    story.follow().await;
    let person = story.room.writer.vault.person_ref(story.room.account, 1);
    let spoil = Statement::sql(
        "UPDATE enrichment SET sealed = $1 WHERE person = $2",
        vec![vec![1_u8; 40].into(), person.bytes().as_slice().into()],
    );
    story.room.store().write(vec![spoil]).await.unwrap();
    story.enrich().await;
    assert_eq!(story.profiles().await.len(), 1);
    assert_eq!(story.github.requests_to("/user/1").len(), 0);
    let query = Statement::sql("SELECT failures FROM enrichment WHERE failures > 0", Vec::new());
    assert_eq!(story.room.store().read(query).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_was_erased_is_not_looked_up() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=1).await;
    story.follow().await;
    let vault = &story.room.writer.vault;
    vault
        .destroy(story.room.account, vault.person_ref(story.room.account, 1))
        .await
        .unwrap();
    story.enrich().await;
    assert_eq!(story.github.requests().len(), 0);
}

#[tokio::test]
async fn faults_are_tried_again_later_and_limits_waited_out() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=1).await;
    story.github.change(|world| {
        world.misbehave("/user/1", Misbehaviour::Status(502));
        world.misbehave("/user/1", Misbehaviour::TooManyRequests { retry_after: 100 });
    });
    story.enrich().await;
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/1").len(), 1);
    story.room.clock.advance(Duration::from_mins(1));
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/1").len(), 2);
    story.room.clock.advance(Duration::from_secs(99));
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/1").len(), 2);
    story.room.clock.advance(Duration::from_secs(1));
    story.enrich().await;
    assert_eq!(story.profiles().await.len(), 1);
}

#[tokio::test]
async fn the_polls_keep_their_part_of_the_budget() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=1).await;
    let reset = u64::try_from(story.room.clock.now().secs()).unwrap() + 600;
    story.github.change(|world| {
        world.rate.used = 4_500;
        world.rate.reset = reset;
    });
    story.client.get("/users/ada-example", None).await;
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/1").len(), 0);
    story.room.clock.advance(Duration::from_mins(10));
    story.enrich().await;
    assert_eq!(story.github.requests_to("/user/1").len(), 1);
}

#[tokio::test]
async fn every_known_field_says_where_it_comes_from() {
    let story = Story::on_plan("agency").await;
    story.github.change(|world| {
        world.put_user(User {
            email: Some("ada@example.com".into()),
            ..ada()
        });
    });
    story.accept(1..=1).await;
    story.enrich().await;
    let (profile, _) = story.profiles().await.pop().unwrap();
    let known = profile.changed_fields(&Profile::default());
    assert!(known.contains(&ProfileField::Login) && known.contains(&ProfileField::Email));
    assert_eq!(profile.provenance.keys().copied().collect::<Vec<_>>(), known);
}

#[tokio::test]
async fn an_erased_person_is_taken_off_the_list() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=2).await;
    story.follow().await;
    story.room.erase(1).await;
    story.follow().await;
    let query = Statement::sql("SELECT person FROM enrichment", Vec::new());
    let left = story.room.store().read(query).await.unwrap();
    let person = story.room.writer.vault.person_ref(story.room.account, 2);
    let left: Vec<&[u8]> = left.iter().map(|row| row.blob(0).unwrap()).collect();
    assert_eq!(left, [person.bytes()]);
}
