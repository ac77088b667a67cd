//! Profiles of captured people, looked up and looked up again.

use database::Statement;
use domain::{Profile, ProfileField};
use fake_github::{FakeGithub, GraphqlLimits, Misbehaviour, Repo, User, UserKind};

use super::*;
use crate::github::Resource;
use crate::ingest::enrich::follow;
use crate::ingest::profiles::Profiles;
use crate::ingest::release::release;
use crate::ingest::schedule::Class;

struct Story {
    room: Room,
    github: FakeGithub,
    client: Arc<Client>,
    profiles: Mutex<Profiles>,
}

fn ada() -> User {
    User {
        name: Some("Ada Example".into()),
        followers: 3,
        ..User::new(1, "ada-example")
    }
}

impl Story {
    /// Without a token, so that people are looked up one by one.
    async fn on_plan(plan: &str) -> Self {
        Self::with(plan, None).await
    }

    async fn with(plan: &str, token: Option<&str>) -> Self {
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
        let client = room.client(github.url(), token);
        let profiles = Profiles::new(room.ingest.clone(), client.clone(), Room::part().await);
        Self {
            room,
            github,
            client,
            profiles: Mutex::new(profiles),
        }
    }

    async fn accept(&self, ids: std::ops::RangeInclusive<u64>) {
        let stars = ids.map(|id| star(id, "acme/sdk")).collect();
        self.room.ingest.accept(stars).await.unwrap();
        self.room.settle().await;
    }

    async fn follow(&self) {
        let lease = Room::lease().await;
        while follow(&self.room.ingest, &lease).await.unwrap() {}
    }

    /// Follows the log and looks up whoever is due, as far as the budget is not wanted for more urgent work.
    async fn enrich(&self) {
        self.follow().await;
        let mut profiles = self.profiles.lock().await;
        let now = self.room.clock.now();
        profiles.look_now().await.unwrap();
        loop {
            let may = |resource, at: Option<Timestamp>| {
                let spared = self.client.ledger().spared(resource, Class::Enrichment.leaves(), now);
                at.is_some_and(|at| at <= now) && spared.is_none()
            };
            if may(Resource::Graphql, profiles.many_due_at(now)) {
                profiles.many(now).await.unwrap();
            } else if may(Resource::Core, profiles.one_due_at(now)) {
                profiles.one(now).await.unwrap();
            } else {
                return;
            }
        }
    }

    /// How many people each GraphQL query asked for, in their order.
    fn widths(&self) -> Vec<usize> {
        let asked = self.github.requests_to("/graphql");
        let width = |request: &fake_github::Request| request.body.matches(":user(login:").count();
        asked.iter().map(width).collect()
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
async fn whoever_shows_up_with_another_login_is_looked_up_at_once() {
    let story = Story::on_plan("agency").await;
    story.accept(1..=1).await;
    story.enrich().await;
    story.github.change(|world| {
        world.put_user(User {
            login: "ada-renamed".into(),
            ..ada()
        });
    });
    for (repo, login, profiles) in [("acme/kit", "fan-1", 1), ("acme/loom", "ada-renamed", 2)] {
        story.room.track(repo).await;
        let mut again = star(1, repo);
        again.actor.login = login.to_owned();
        story.room.ingest.accept(vec![again]).await.unwrap();
        story.room.settle().await;
        story.enrich().await;
        assert_eq!(story.profiles().await.len(), profiles, "{login}");
    }
    assert_eq!(story.profiles().await[1].0.login, "ada-renamed");
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

/// People of these ids with the logins that they starred with.
fn fans(story: &Story, ids: std::ops::RangeInclusive<u64>) {
    story.github.change(|world| {
        for id in ids {
            world.put_user(User {
                name: Some(format!("Fan {id}")),
                ..User::new(id, &format!("fan-{id}"))
            });
        }
    });
}

#[tokio::test]
async fn with_a_token_many_are_looked_up_at_once_and_again_after_a_week() {
    let story = Story::with("agency", Some("token")).await;
    fans(&story, 1..=60);
    story
        .github
        .change(|world| world.put_repo(Repo::new(9, "fan-7/loom").with_language("Go", 5)));
    story.accept(1..=60).await;
    story.enrich().await;
    assert_eq!(story.widths(), [25, 32, 3]);
    assert_eq!(story.github.requests().len(), 3, "nobody is asked for one by one");
    let profiles = story.profiles().await;
    assert_eq!(profiles.len(), 60);
    for (profile, _) in &profiles {
        assert_eq!(profile.provenance[&ProfileField::Name].source, "github_graphql");
        let languages: &[&str] = if profile.login == "fan-7" { &["Go"] } else { &[] };
        assert_eq!(profile.top_languages, languages);
    }
    story.room.clock.advance(Duration::from_hours(6 * 24));
    story.enrich().await;
    assert_eq!(story.widths().len(), 3, "nobody is due");

    story.github.change(|world| {
        world.put_user(User {
            followers: 8,
            ..User::new(7, "fan-7")
        });
    });
    story.room.clock.advance(Duration::from_hours(24));
    story.enrich().await;
    assert_eq!(story.widths()[3..], [40, 20]);
    let profiles = story.profiles().await;
    assert_eq!(profiles.len(), 61, "only what changed is an event");
    assert_eq!(profiles[60].1, [ProfileField::Name, ProfileField::Followers]);
}

#[tokio::test]
async fn a_query_for_too_many_people_is_asked_again_for_fewer() {
    for (bad_gateway_above, resources_above) in [(Some(7), None), (None, Some(7))] {
        let story = Story::with("agency", Some("token")).await;
        story.github.change(|world| {
            world.graphql = GraphqlLimits {
                bad_gateway_above,
                resources_above,
            };
        });
        fans(&story, 1..=60);
        story.accept(1..=60).await;
        story.enrich().await;
        assert_eq!(story.profiles().await.len(), 60, "{resources_above:?}");
        assert_eq!(story.widths()[..3], [25, 12, 6], "{resources_above:?}");
        assert!(story.widths().len() < 20, "{:?}", story.widths());
        assert_eq!(story.github.requests().len(), story.widths().len());
    }
}

#[tokio::test]
async fn who_is_called_otherwise_is_found_by_the_id_and_asked_for_at_no_cost_while_nothing_changes() {
    let story = Story::with("agency", Some("token")).await;
    fans(&story, 4..=4);
    story.github.change(|world| {
        // Person 1 is Ada now, and somebody else has the login of person 2.
        world.put_user(User::new(99, "fan-2"));
        world.put_user(User {
            kind: UserKind::Organization,
            ..User::new(3, "fan-3")
        });
    });
    story.accept(1..=4).await;
    story.enrich().await;
    let logins: Vec<String> = story
        .profiles()
        .await
        .into_iter()
        .map(|(profile, _)| profile.login)
        .collect();
    assert_eq!(logins, ["fan-4", "ada-example"]);
    assert_eq!(story.widths(), [4]);
    for id in 1..=4 {
        let asked = story.github.requests_to(&format!("/user/{id}")).len();
        assert_eq!(asked, usize::from(id != 4), "{id}");
    }
    story.room.clock.advance(Duration::from_hours(7 * 24));
    story.enrich().await;
    assert_eq!((story.widths(), story.profiles().await.len()), (vec![4, 1], 2));
    let again = story.github.requests_to("/user/1").pop().unwrap();
    assert_eq!((again.status, again.cost), (Some(304), 0));
}

#[tokio::test]
async fn where_graphql_refuses_people_are_looked_up_one_by_one_for_an_hour() {
    let story = Story::with("agency", Some("token")).await;
    fans(&story, 2..=4);
    let refused = Misbehaviour::GraphqlError("INSUFFICIENT_SCOPES");
    story.github.change(|world| world.misbehave("/graphql", refused));
    story.accept(2..=3).await;
    story.enrich().await;
    assert_eq!(story.profiles().await.len(), 2);
    assert_eq!(story.widths(), [2]);
    assert_eq!(story.github.requests_to("/user/3").len(), 1);
    story.room.clock.advance(Duration::from_hours(1));
    story.accept(4..=4).await;
    story.enrich().await;
    assert_eq!((story.widths(), story.profiles().await.len()), (vec![2, 1], 3));
    assert_eq!(story.github.requests_to("/user/4").len(), 0);
}

#[tokio::test]
async fn whoever_was_erased_is_in_no_query() {
    let story = Story::with("agency", Some("token")).await;
    fans(&story, 1..=2);
    story.accept(1..=2).await;
    story.follow().await;
    let vault = &story.room.writer.vault;
    let person = vault.person_ref(story.room.account, 1);
    vault.destroy(story.room.account, person).await.unwrap();
    story.enrich().await;
    let [asked] = story.github.requests_to("/graphql").try_into().unwrap();
    assert!(
        asked.body.contains("fan-2") && !asked.body.contains("fan-1"),
        "{}",
        asked.body
    );
    assert_eq!(story.profiles().await.len(), 1);
}

/// What is logged on this thread, as text.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let warnings = text.lines().filter(|line| line.contains("WARN"));
        warnings.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn that_nothing_is_told_of_many_people_is_logged_once() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let story = Story::with("agency", Some("token")).await;
    fans(&story, 1..=60);
    story.accept(1..=60).await;
    story
        .github
        .change(|world| world.outage("/graphql", Misbehaviour::GraphqlNothing, 8));
    for _ in 0..8 {
        story.enrich().await;
        story.room.clock.advance(Duration::from_hours(2));
    }
    assert_eq!(story.widths().len(), 8, "a pause after each");
    assert_eq!(lines.warnings().len(), 1, "{:?}", lines.warnings());
    for _ in 0..3 {
        story.enrich().await;
        story.room.clock.advance(Duration::from_hours(24));
    }
    assert_eq!(story.profiles().await.len(), 60);
}
