//! Prints every GraphQL query that GitHub is asked, with its variables, as a line of JSON each: `tests/github/run` holds them
//! against GitHub's schema. Where a query is as wide as what it asks for, it is for two.
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use domain::{RepoName, Timestamp};
use gitleads::github::profiles::Wanted;
use gitleads::github::pulls::Bare;
use gitleads::github::{counts, profiles, pulls, search, stargazers};
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let repos: [RepoName; 2] = ["acme-corp/former-sdk".parse()?, "ada-example/loom".parse()?];
    let people = [(1001, "ada-example"), (1002, "ben-example")].map(|(user_id, login)| Wanted {
        user_id,
        login: login.to_owned(),
    });
    let pulls = [&repos[0]; 2].map(|repo| Bare {
        repo: repo.clone(),
        number: 2,
    });
    let since = Timestamp::from_secs(1_767_225_600);
    let fixed = |query: &str, variables| (query.to_owned(), variables);
    let queries: [(&str, (String, Value)); 5] = [
        ("counts", counts::query(&repos)),
        ("profiles", profiles::query(&people)),
        ("pull requests", pulls::query(&pulls)),
        (
            "stargazers",
            fixed(stargazers::QUERY, stargazers::variables(&repos[0], None)),
        ),
        (
            "discussions",
            fixed(search::DISCUSSIONS, search::discussions("hosted", since, None)),
        ),
    ];
    for (name, (query, variables)) in queries {
        println!("{}", json!({ "name": name, "query": query, "variables": variables }));
    }
    Ok(())
}
