//! Serves a small world for `tests/github/run`: prints its address, and ends with its input or after ten minutes.

use std::io::Write as _;
use std::time::Duration;

use fake_github::{FakeGithub, Misbehaviour, Post, Repo, Token, User, UserKind, World, rfc3339};
use tokio::io::AsyncReadExt as _;

/// 2026-11-22T16:00:00Z.
const NOW: u64 = 1_795_363_200;
const AT: &str = "2026-11-22T16:00:00Z";
const SDK: &str = "acme-corp/rival-sdk";

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let fake = FakeGithub::start_at(|| NOW).await?;
    fake.change(fill);
    writeln!(std::io::stdout(), "{}", fake.url())?;
    let mut input = tokio::io::stdin();
    let mut nothing = Vec::new();
    let ended = input.read_to_end(&mut nothing);
    // The end of the input and the end of the time are the same to whoever started this.
    let _ = tokio::time::timeout(Duration::from_mins(10), ended).await;
    Ok(())
}

fn fill(world: &mut World) {
    let ada = User {
        name: Some("Ada Example".into()),
        company: Some("Example Ltd".into()),
        bio: Some("Builds things".into()),
        blog: "https://ada.example.com".into(),
        location: Some("Nowhere".into()),
        email: Some("ada@example.com".into()),
        followers: 12,
        public_repos: 1,
        ..User::new(1001, "ada-example")
    };
    let ben = User::new(1002, "ben-example");
    world.put_user(ada.clone());
    world.put_user(ben.clone());
    world.put_user(User {
        kind: UserKind::Organization,
        ..User::new(70, "acme-corp")
    });
    world.put_token("owner", Token::new(70));
    world.put_token("other", Token::new(1001));
    world.put_token(
        "suspended",
        Token {
            suspended: true,
            ..Token::new(1002)
        },
    );
    world.put_repo(Repo::new(7, "acme-corp/former-sdk").with_language("Rust", 900));
    world.rename_repo(7, SDK);
    world.put_repo(Repo {
        description: Some("Weaves".into()),
        ..Repo::new(8, "ada-example/loom").with_language("Go", 10)
    });
    write(world, &ada, &ben);
    deliver(world, &ada);
    world.misbehave("/users/limited", Misbehaviour::SecondaryRateLimit { retry_after: None });
    world.misbehave("/users/failing", Misbehaviour::Status(500));
}

/// Stars, texts, comments and files.
fn write(world: &mut World, ada: &User, ben: &User) {
    for number in 0..5 {
        let fan = User::new(5_000 + number, &format!("fan-{number}"));
        world.star(SDK, &fan, &rfc3339(NOW - 60 + number));
    }
    let post = |number, title: &str| Post {
        number,
        author: ada.clone(),
        title: title.into(),
        body: "We look for a hosted version".into(),
    };
    world.open_issue(SDK, &post(1, "Crash"), AT);
    world.comment(SDK, 1, ben, "Me too", AT);
    world.close(SDK, 1, ben, AT);
    world.open_pull(SDK, &post(2, "Add hosting"), AT);
    world.review_comment(SDK, 2, ben, "Typo", AT);
    world.comment(SDK, 2, ben, "Nice", AT);
    world.close(SDK, 2, ben, AT);
    world.open_discussion(SDK, &post(3, "Which host?"), AT);
    world.comment(SDK, 3, ben, "Ours", AT);
    world.put_file("ada-example/loom", "src/main.rs", "use rival_sdk::Client;", ada, AT);
}

fn deliver(world: &mut World, ada: &User) {
    let hook = world.put_hook(SDK, "https://leads.example.com/github/webhooks", &["star"]);
    for status in [200, 502, 0] {
        let payload = world.star_payload(SDK, ada, "created", AT);
        world.deliver(hook, "star", &payload, status);
    }
}
