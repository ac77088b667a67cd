//! The texts of pull requests, many at once by GraphQL: since October 2025 GitHub's events tell only their numbers.

use domain::{Collector, RepoName, ScanTarget, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::search::{Author, text};
use crate::ingest::activity::{Act, Activity};

/// A pull request that an event told of by its number alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// The repository, as it is tracked.
    pub repo: RepoName,
    /// Its number there.
    pub number: u64,
}

/// What is told of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pull {
    /// What was written.
    Wrote(Box<Activity>),
    /// Nothing that could be of use: it is gone, or has no text or no author.
    Nothing,
    /// To be asked again.
    Untold,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    pull_request: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    created_at: Option<Timestamp>,
    #[serde(default)]
    author: Option<Author>,
}

/// The query for these pull requests, an alias each, and its variables.
pub fn query(pulls: &[Bare]) -> (String, Value) {
    let mut declared = Vec::new();
    let mut asked = Vec::new();
    let mut variables = Map::new();
    for (index, pull) in pulls.iter().enumerate() {
        let (owner, name) = pull.repo.as_str().split_once('/').unwrap_or_default();
        declared.push(format!("$o{index}:String!,$n{index}:String!,$i{index}:Int!"));
        asked.push(format!(
            "p{index}:repository(owner:$o{index},name:$n{index},followRenames:true){{pullRequest(number:$i{index})\
             {{title body url createdAt author{{__typename login ...on User{{databaseId}}}}}}}}"
        ));
        variables.insert(format!("o{index}"), json!(owner));
        variables.insert(format!("n{index}"), json!(name));
        variables.insert(format!("i{index}"), json!(pull.number));
    }
    let query = format!("query({}){{{}}}", declared.join(","), asked.join(" "));
    (query, Value::Object(variables))
}

/// What was told of each, in the order in which they were asked for.
pub fn read(mut data: Map<String, Value>, absent: &[String], pulls: &[Bare]) -> Vec<Pull> {
    let told = |(index, pull): (usize, &Bare)| {
        let alias = format!("p{index}");
        if absent.contains(&alias) {
            return Pull::Nothing;
        }
        match data.remove(&alias).map(serde_json::from_value::<Repository>) {
            Some(Ok(Repository {
                pull_request: Some(told),
            })) => wrote(pull, told).map_or(Pull::Nothing, |activity| Pull::Wrote(Box::new(activity))),
            _ => Pull::Untold,
        }
    };
    pulls.iter().enumerate().map(told).collect()
}

fn wrote(pull: &Bare, told: Value) -> Option<Activity> {
    let told: Text = serde_json::from_value(told).ok()?;
    Some(Activity {
        act: Act::Wrote {
            target: ScanTarget::Prs,
            text: text(told.title, told.body)?,
            url: told.url?,
        },
        repo: pull.repo.as_str().to_owned(),
        actor: told.author?.actor()?,
        occurred_at: told.created_at?,
        collector: Collector::EventsFeed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_pull_requests_come_with_their_authors() {
        let bare = |number| Bare {
            repo: "acme/sdk".parse().unwrap(),
            number,
        };
        let pulls = [bare(7), bare(8), bare(9), bare(10)];
        let (query, variables) = query(&pulls);
        assert!(
            query.contains("p3:repository(owner:$o3,name:$n3,followRenames:true){pullRequest(number:$i3)"),
            "{query}"
        );
        assert_eq!(
            (variables["i1"].as_u64(), variables["o1"].as_str()),
            (Some(8), Some("acme"))
        );
        let pull = |author: Value| {
            json!({ "pullRequest": {
                "title": "Use docker", "body": "", "url": "https://github.com/acme/sdk/pull/7",
                "createdAt": "2026-04-10T12:00:00Z", "author": author,
            }})
        };
        let data = json!({
            "p0": pull(json!({ "__typename": "User", "login": "ada-example", "databaseId": 5 })),
            "p1": pull(json!(null)),
            "p2": { "pullRequest": null },
            "p3": null,
        });
        let told = read(data.as_object().unwrap().clone(), &["p2".to_owned()], &pulls);
        let Pull::Wrote(activity) = &told[0] else {
            panic!("{told:?}");
        };
        assert_eq!((activity.actor.id, activity.repo.as_str()), (5, "acme/sdk"));
        assert_eq!(told[1..], [Pull::Nothing, Pull::Nothing, Pull::Untold]);
    }
}
