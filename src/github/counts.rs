//! The public numbers of many repositories at once, by GraphQL: how many stars, and what they are called by now.

use domain::RepoName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What GitHub says of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// It is there.
    Here {
        /// Its name by now.
        name: RepoName,
        /// How many stars it has.
        stars: u64,
    },
    /// There is none of that name, or it is hidden.
    Absent,
    /// Nothing; to be asked again.
    Untold,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    name_with_owner: RepoName,
    stargazer_count: u64,
}

/// The query for these repositories, an alias each, and its variables.
pub fn query(names: &[RepoName]) -> (String, Value) {
    let mut declared = Vec::new();
    let mut asked = Vec::new();
    let mut variables = Map::new();
    for (index, name) in names.iter().enumerate() {
        let (owner, repo) = name.as_str().split_once('/').unwrap_or_default();
        declared.push(format!("$o{index}:String!,$n{index}:String!"));
        asked.push(format!(
            "r{index}:repository(owner:$o{index},name:$n{index},followRenames:true){{nameWithOwner stargazerCount}}"
        ));
        variables.insert(format!("o{index}"), json!(owner));
        variables.insert(format!("n{index}"), json!(repo));
    }
    let query = format!("query({}){{{}}}", declared.join(","), asked.join(" "));
    (query, Value::Object(variables))
}

/// What was told of each, in the order of the names that were asked for.
pub fn read(mut data: Map<String, Value>, absent: &[String], asked: usize) -> Vec<Counted> {
    let told = |index: usize| {
        let alias = format!("r{index}");
        match data.remove(&alias).map(serde_json::from_value::<Repository>) {
            Some(Ok(repository)) => Counted::Here {
                name: repository.name_with_owner,
                stars: repository.stargazer_count,
            },
            _ if absent.contains(&alias) => Counted::Absent,
            _ => Counted::Untold,
        }
    };
    (0..asked).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repository_is_asked_for_by_an_alias_and_told_of_in_its_place() {
        let names: Vec<RepoName> = ["acme/sdk", "old/name", "no/where", "odd/one"]
            .map(|name| name.parse().unwrap())
            .into();
        let (query, variables) = query(&names);
        assert!(query.starts_with("query($o0:String!,$n0:String!,$o1"), "{query}");
        assert_eq!(
            (variables["o0"].as_str(), variables["n2"].as_str()),
            (Some("acme"), Some("where"))
        );
        let data = json!({
            "r0": { "nameWithOwner": "acme/sdk", "stargazerCount": 7 },
            "r1": { "nameWithOwner": "new/name", "stargazerCount": 0 },
            "r2": null,
            "r3": null,
        });
        let here = |name: &str, stars| Counted::Here {
            name: name.parse().unwrap(),
            stars,
        };
        assert_eq!(
            read(data.as_object().unwrap().clone(), &["r2".to_owned()], 4),
            [
                here("acme/sdk", 7),
                here("new/name", 0),
                Counted::Absent,
                Counted::Untold
            ]
        );
    }
}
