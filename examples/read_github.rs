//! Asks a GitHub with the program's own client and says what its readers make of the answers, for `tests/github/recordings`:
//! a JSON object a line in, one a line out.
//!
//! A question has `base` (where the API is), `at` (the time that it is) and `read`: `stargazers`, `events`, `issues`, `name`,
//! `hooks`, `deliveries` or `payload` of a repository (`repo`, `page`, or another `path`), `user` (`id`), `graphql` or
//! `discussions` (`query`, `variables`), or `nothing` (`path`).

#![expect(clippy::print_stdout, reason = "its findings are what it is for")]

use std::io::BufRead as _;
use std::sync::Arc;

use anyhow::Context as _;
use domain::{RepoName, ScanTarget, Timestamp};
use gitleads::clock::Clock;
use gitleads::github::users::{Looked, look_up};
use gitleads::github::{Answer, Authorization, Client, Told, events_feed, hooks, repository, search, stargazers};
use gitleads::ingest::{Act, Activity};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    base: String,
    at: Timestamp,
    read: String,
    #[serde(default)]
    repo: Option<RepoName>,
    #[serde(default)]
    page: Option<u32>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    id: u64,
    #[serde(default)]
    query: String,
    #[serde(default)]
    variables: Value,
}

/// A clock that stands still: recorded limits lie ahead only of the time when they were recorded.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn entropy(&self) -> u128 {
        0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let question: Question = serde_json::from_str(&line).with_context(|| format!("no question: {line}"))?;
        println!("{}", answer(&question).await?);
    }
    Ok(())
}

async fn answer(question: &Question) -> anyhow::Result<Value> {
    let token = Authorization::token("recorded")?;
    let client = Client::new(question.base.parse()?, token, Arc::new(Still(question.at)))?;
    Ok(match question.read.as_str() {
        "user" => user(look_up(&client, question.id, question.etag.as_deref(), question.at).await),
        "graphql" | "discussions" => {
            let told = client.graphql(&question.query, &question.variables).await;
            graphql(told, question.read == "discussions")
        }
        _ => {
            let path = match &question.path {
                Some(path) => path.clone(),
                None => path(question)?,
            };
            let accept = (question.read == "stargazers").then_some(stargazers::ACCEPT);
            rest(question, client.get_as(&path, question.etag.as_deref(), accept).await)?
        }
    })
}

/// Where the program looks for it.
fn path(question: &Question) -> anyhow::Result<String> {
    let page = question.page.unwrap_or(1);
    if question.read == "issues" {
        let since = Timestamp::from_secs(0);
        return Ok(search::issues_path(r#""compile""#, ScanTarget::Issues, since, page));
    }
    let repo = question.repo.as_ref().context("no repository")?;
    Ok(match question.read.as_str() {
        "stargazers" => stargazers::path(repo, page),
        "events" => events_feed::path(repo, page),
        "repository" => repository::path(repo),
        "hooks" => hooks::hooks_path(repo),
        "deliveries" => hooks::deliveries_path(repo, question.id, None),
        other => anyhow::bail!("{other} has no path of its own"),
    })
}

fn rest(question: &Question, answer: Answer) -> anyhow::Result<Value> {
    let fresh = match answer {
        Answer::Fresh(fresh) => fresh,
        Answer::NotModified { .. } => return Ok(json!({ "answer": "same" })),
        Answer::Limited { until } => return Ok(json!({ "answer": "limited", "until": until })),
        Answer::Denied(_) => return Ok(json!({ "answer": "denied" })),
        Answer::NotFound => return Ok(json!({ "answer": "not_found" })),
        Answer::Moved => return Ok(json!({ "answer": "moved" })),
        Answer::Invalid(status) => {
            let reason = format!("answered {}", status.as_u16());
            return Ok(json!({ "answer": "failed", "reason": reason }));
        }
        Answer::Failed(reason) => return Ok(json!({ "answer": "failed", "reason": reason })),
    };
    let mut told = json!({
        "answer": "fresh",
        "etag": fresh.etag,
        "has_next": fresh.has_next,
        "last_page": fresh.last_page,
        "is_moved": fresh.is_moved,
    });
    let read = read(question, &fresh.body).unwrap_or_else(|error| json!({ "error": error.to_string() }));
    told.as_object_mut().context("no object")?.insert("read".into(), read);
    Ok(told)
}

fn read(question: &Question, body: &[u8]) -> anyhow::Result<Value> {
    let repo = || question.repo.as_ref().context("no repository");
    let said = anyhow::Error::msg::<String>;
    Ok(match question.read.as_str() {
        "nothing" => Value::Null,
        "stargazers" => {
            let page = stargazers::read(body, repo()?).map_err(said)?;
            json!({ "items": page.items, "activities": activities(&page.stars) })
        }
        "events" => {
            let page = events_feed::read(body, repo()?, question.at)?;
            json!({
                "items": page.items, "marks": page.marks.len(), "broken": page.broken, "bare": page.bare.len(),
                "activities": activities(&page.activities),
            })
        }
        "issues" => searched(&search::read_issues(body).map_err(said)?),
        "repository" => {
            let read = repository::read(body);
            json!(read.map(|read| json!([read.full_name, read.stars, read.is_private])))
        }
        "hooks" => json!(hooks::read_hooks(body).map_err(said)?),
        "deliveries" => {
            let (attempts, _) = hooks::read_deliveries(body).map_err(said)?;
            let told = attempts
                .iter()
                .map(|one| json!([one.id, one.guid, one.at, one.event, one.arrived, one.is_of_use]));
            told.collect()
        }
        "payload" => match hooks::read_payload(body).map_err(said)? {
            Some(payload) => serde_json::from_slice(payload)?,
            None => Value::Null,
        },
        other => anyhow::bail!("nothing reads {other}"),
    })
}

fn searched(page: &search::Page) -> Value {
    json!({
        "items": page.items, "newest": page.newest, "is_incomplete": page.is_incomplete,
        "activities": activities(&page.activities),
    })
}

fn activities(activities: &[Activity]) -> Vec<Value> {
    let told = |activity: &Activity| {
        let act = match &activity.act {
            Act::Starred => json!("starred"),
            Act::Unstarred => json!("unstarred"),
            Act::Wrote { target, text, url } => json!([target.as_str(), text, url]),
            Act::Holds { text, url, .. } => json!(["code", text, url]),
        };
        let actor = &activity.actor;
        json!([
            act,
            activity.repo,
            actor.id,
            actor.login,
            format!("{:?}", actor.kind),
            activity.occurred_at
        ])
    };
    activities.iter().map(told).collect()
}

fn user(looked: Looked) -> Value {
    match looked {
        Looked::Found {
            profile,
            languages_known,
            etag,
        } => json!({ "answer": "fresh", "read": profile, "languages_known": languages_known, "etag": etag }),
        Looked::Same => json!({ "answer": "same" }),
        Looked::Gone => json!({ "answer": "not_found" }),
        Looked::Later(until) => json!({ "answer": "limited", "until": until }),
        Looked::Denied(_) => json!({ "answer": "denied" }),
        Looked::Failed(reason) => json!({ "answer": "failed", "reason": reason }),
    }
}

fn graphql(told: Told, are_discussions: bool) -> Value {
    let read = |data: Map<String, Value>| match search::read_discussions(data) {
        Ok(page) => searched(&page),
        Err(error) => json!({ "error": error }),
    };
    match told {
        Told::Data { data, .. } if are_discussions => json!({ "answer": "fresh", "read": read(data) }),
        Told::Data { data, absent, .. } => json!({ "answer": "fresh", "read": data, "absent": absent }),
        Told::Limited(until) => json!({ "answer": "limited", "until": until }),
        Told::TooMuch => json!({ "answer": "too_much" }),
        Told::Denied(_) => json!({ "answer": "denied" }),
        Told::Failed(reason) => json!({ "answer": "failed", "reason": reason }),
    }
}
