//! Stories of what GitHub grants and refuses: told by `gitleads doctor`, by the API and by a webhook.

use fake_github::{FakeGithub, Refusal, Repo, Token, User};
use gitleads::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::home::{Home, on_every_database};
use crate::harness::receiver::Receiver;
use crate::harness::server::{Server, run};

on_every_database!(a_refused_source_is_told_to_those_who_asked_and_by_the_doctor_with_what_github_grants);

const SECRET: &str = "planted-token";
const OWNER: u64 = 900;

/// A GitHub whose list of stargazers even the owner's token may not see.
async fn github() -> FakeGithub {
    let seconds = || u64::try_from(SystemClock.now().secs()).unwrap();
    let github = FakeGithub::start_at(seconds).await.unwrap();
    let at = SystemClock.now().to_string();
    github.change(|world| {
        world.put_user(User::new(OWNER, "own"));
        let stargazers = Some(Refusal::Forbidden);
        world.put_token(
            SECRET,
            Token {
                stargazers,
                ..Token::new(OWNER)
            },
        );
        world.put_repo(Repo::new(1, "own/sdk"));
        world.star("own/sdk", &User::new(1, "ada-example"), &at);
    });
    github
}

/// What the doctor says, line by line.
fn doctor(home: &Home, token: &str) -> Vec<String> {
    let told = run(home, &["doctor", "--github-token", token]);
    assert!(!told.contains(SECRET), "{told}");
    told.lines().map(str::to_owned).collect()
}

/// A time as the doctor writes it, at the end of a line that begins so.
fn time_behind(lines: &[String], beginning: &str) -> bool {
    let found = lines.iter().find_map(|line| line.strip_prefix(beginning));
    found.is_some_and(|time| time.starts_with("20") && time.ends_with('Z'))
}

async fn a_refused_source_is_told_to_those_who_asked_and_by_the_doctor_with_what_github_grants(home: Home) {
    // The first start makes what commands work on.
    let first = Server::start(&home, None, &[]);
    let key = first.key();
    assert!(first.terminate());
    let untouched = doctor(&home, SECRET);
    assert_eq!(
        untouched,
        [
            "Token: one, for all accounts.",
            "Plan: nothing is tracked.",
            "Sources that do not work: 0."
        ]
    );
    run(&home, &["track", "repo", "own/sdk", "--type", "own"]);
    run(&home, &["track", "keyword", "docker"]);
    let (github, receiver) = (github().await, Receiver::start(200).await);
    let arguments = ["--github-api-url", github.url(), "--github-token", SECRET];
    let server = Server::start(&home, Some(&key), &arguments);
    let endpoint = json!({
        "url": receiver.url(), "events": ["source.degraded"], "start_from": "beginning",
    });
    let endpoint = server.post("/v1/webhooks", endpoint, 201).await;

    let told = eventually("the refusal is told", async || receiver.received().into_iter().next()).await;
    let library = standardwebhooks::Webhook::new(endpoint["secret"].as_str().unwrap()).unwrap();
    library.verify(&told.body, &told.headers).unwrap();
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    let data = &body["data"];
    assert_eq!(body["event"], "source.degraded");
    assert_eq!(
        (
            &data["tracked_repo"]["full_name"],
            &data["collector"],
            &data["state"],
            &data["reason"]
        ),
        (
            &json!("own/sdk"),
            &json!("stargazer_list"),
            &json!("restricted"),
            &json!("forbidden")
        )
    );

    let path = format!("/v1/tracked-repos/{}", data["tracked_repo"]["id"].as_str().unwrap());
    let repo = eventually("the feed is read", async || {
        let repo = server.get(&path).await;
        (repo["sources"][0]["state"] == "ok" && !repo["coverage"].is_null()).then_some(repo)
    })
    .await;
    assert_eq!(repo["status"], "active", "the feed takes the place of the list");
    let core = eventually("the budget is known", async || {
        let usage = server.get("/v1/usage").await;
        let mut budgets = usage["github"].as_array().unwrap().iter();
        budgets.find(|budget| budget["resource"] == "core").cloned()
    })
    .await;
    let left = core["remaining"].as_u64().unwrap();
    assert!(
        left < 5_000 && core["limit"] == 5_000 && core["token"] == "host",
        "{core}"
    );
    assert!(
        core["resets_at"].is_string() && core["blocked_until"].is_null(),
        "{core}"
    );

    let with_server = doctor(&home, SECRET);
    assert!(server.terminate());
    let of_another = doctor(&home, "another-token");
    assert!(
        !of_another.iter().any(|line| line.starts_with("  host ")),
        "{of_another:?}"
    );
    // What GitHub granted is known after the end, too.
    for lines in [with_server, doctor(&home, SECRET)] {
        assert_eq!(lines[0], "Token: one, for all accounts.");
        let core = lines.iter().find(|line| line.starts_with("  host core: ")).unwrap();
        let (left, rest) = core
            .strip_prefix("  host core: ")
            .unwrap()
            .split_once(" of 5000 left, ")
            .unwrap();
        assert!(
            left.parse::<u64>().unwrap() < 5_000 && rest.starts_with("anew at 20"),
            "{core}"
        );
        assert!(
            lines.contains(
                &"Plan: 1 repositories: events feeds every 1 min; 1 repositories: numbers of stars every 5 min; \
                  2 searches in issues and pull requests every 5 min; 1 searches in discussions every 5 min."
                    .to_owned()
            ),
            "{lines:?}"
        );
        assert!(lines.contains(&"Sources that do not work: 1.".to_owned()), "{lines:?}");
        assert!(
            time_behind(&lines, "  own/sdk: stargazer_list is restricted (forbidden) since "),
            "{lines:?}"
        );
    }
}
