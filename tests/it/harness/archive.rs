//! An invented archive hour: lines as GH Archive has them, of people that do not exist.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

/// An hour, and what a right reading of it must find.
pub struct Hour {
    /// The lines.
    pub text: String,
    /// Logins of those who starred [`STARRED`].
    pub stargazers: BTreeSet<String>,
    /// Logins of those who wrote `docker` in an issue or a comment on one.
    pub issue_writers: BTreeSet<String>,
    /// Logins of those who wrote `docker` in a pull request or a comment on one.
    pub pr_writers: BTreeSet<String>,
}

/// The repository to track.
pub const STARRED: &str = "Acme-Corp/rival-sdk";

/// `https://github.com/…` of an item.
fn page(rest: &str) -> String {
    format!("https://github.com/{rest}")
}

fn line(number: usize, kind: &str, actor: (u64, &str), repo: &str, payload: &Value) -> String {
    json!({
        "id": format!("{}", 2_489_368_000_u64 + number as u64), "type": kind,
        "actor": {"id": actor.0, "login": actor.1, "url": format!("https://api.github.com/users/{}", actor.1)},
        "repo": {"id": 1, "name": repo}, "payload": payload, "public": true,
        "created_at": format!("2026-01-01T00:{:02}:{:02}Z", number / 60 % 60, number % 60),
    })
    .to_string()
}

fn user(id: u64, login: &str) -> Value {
    json!({"id": id, "login": login, "type": "User"})
}

/// An hour of `people` people who each do one thing, some of them twice, among noise and two broken lines.
pub fn hour(people: usize) -> Hour {
    let mut hour = Hour {
        text: String::new(),
        stargazers: BTreeSet::new(),
        issue_writers: BTreeSet::new(),
        pr_writers: BTreeSet::new(),
    };
    for number in 0..people {
        let (id, login) = (700_000 + number as u64, format!("ada-example-{number}"));
        let text = if number % 8 < 4 {
            "We run it in Docker, mostly."
        } else {
            "dockerised things only"
        };
        let matches = number % 8 < 4;
        let own;
        let (kind, repo, payload) = match number % 4 {
            0 | 1 if number % 16 < 8 => {
                hour.stargazers.insert(login.clone());
                ("WatchEvent", STARRED, json!({"action": "started"}))
            }
            0 => ("WatchEvent", "acme-corp/unrelated", json!({"action": "started"})),
            1 => (
                "PushEvent",
                "acme-corp/unrelated",
                json!({"size": 1, "commits": [{"message": "docker"}]}),
            ),
            2 => {
                if matches {
                    hour.issue_writers.insert(login.clone());
                }
                let url = page(&format!("globex/app/issues/{number}"));
                let issue = json!({"title": "A question", "body": text, "html_url": url, "user": user(id, &login), "created_at": "2026-01-01T00:00:01Z"});
                // People write in repositories of their own, too.
                own = format!("{login}/dotfiles");
                let repo = if number % 16 == 2 { own.as_str() } else { "globex/app" };
                ("IssuesEvent", repo, json!({"action": "opened", "issue": issue}))
            }
            _ => {
                if matches {
                    hour.pr_writers.insert(login.clone());
                }
                let url = page(&format!("globex/app/pull/1#issuecomment-{number}"));
                let issue = json!({"title": "t", "html_url": page("globex/app/pull/1"), "pull_request": {}, "user": user(1, "globex-owner")});
                let comment = json!({"body": text, "html_url": url, "user": user(id, &login), "created_at": "2026-01-01T00:00:02Z"});
                (
                    "IssueCommentEvent",
                    "globex/app",
                    json!({"action": "created", "issue": issue, "comment": comment}),
                )
            }
        };
        let text = line(number, kind, (id, &login), repo, &payload);
        writeln!(hour.text, "{text}").unwrap();
        if number % 10 == 0 {
            writeln!(hour.text, "{text}").unwrap();
        }
    }
    let bot = line(
        people,
        "WatchEvent",
        (9, "helper[bot]"),
        STARRED,
        &json!({"action": "started"}),
    );
    writeln!(
        hour.text,
        "{bot}\n{{\"type\":\"WatchEvent\",\"actor\":\nnot json at all"
    )
    .unwrap();
    hour
}
