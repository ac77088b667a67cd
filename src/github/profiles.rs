//! The public profiles of many people at once, by GraphQL, with the languages of their own repositories. Used by the
//! enrichment.
//!
//! GraphQL finds people by their login only, which may be another's by now: who is told of is who was asked for if the
//! numeric id says so.

use std::collections::HashMap;

use domain::{Profile, Provenance, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::users;

/// A query for one person, which GitHub's schema is held against, and behind it what is asked of each.
const TEXT: &str = include_str!("profiles.graphql");

/// Whom to look for.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The numeric id.
    pub user_id: u64,
    /// The login when the person was last seen.
    pub login: String,
}

/// What GraphQL said of a person.
#[derive(PartialEq, Eq)]
pub enum Told {
    /// The profile as it is now.
    Found {
        /// The profile.
        profile: Box<Profile>,
        /// Whether the languages were told; if not, the profile names none.
        languages_known: bool,
    },
    /// Nobody of that login is a person, or somebody else is.
    Elsewhere,
    /// Nothing; to be asked again.
    Untold,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    database_id: Option<u64>,
    login: String,
    name: Option<String>,
    email: Option<String>,
    bio: Option<String>,
    company: Option<String>,
    location: Option<String>,
    created_at: Option<Timestamp>,
    followers: Option<Count>,
    all: Option<Count>,
    recent: Option<Nodes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    total_count: u64,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Option<Repository>>,
}

#[derive(Deserialize)]
struct Repository {
    languages: Option<Languages>,
}

#[derive(Deserialize)]
struct Languages {
    edges: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    size: u64,
    node: Language,
}

#[derive(Deserialize)]
struct Language {
    name: String,
}

/// The query for these people, an alias each, and its variables.
pub fn query(people: &[Wanted]) -> (String, Value) {
    let (_, fragment) = TEXT.split_once("\nfragment ").unwrap_or_default();
    let mut declared = Vec::with_capacity(people.len());
    let mut asked = Vec::with_capacity(people.len());
    let mut variables = Map::new();
    for (index, person) in people.iter().enumerate() {
        declared.push(format!("$l{index}:String!"));
        asked.push(format!("u{index}:user(login:$l{index}){{...Profile}}"));
        variables.insert(format!("l{index}"), json!(person.login));
    }
    let query = format!(
        "query({}){{{}}} fragment {fragment}",
        declared.join(","),
        asked.join(" ")
    );
    (query, Value::Object(variables))
}

/// What was told of each, in their order. `address` is that of the GraphQL API, `now` when it was asked.
pub fn read(
    mut data: Map<String, Value>,
    absent: &[String],
    people: &[Wanted],
    (address, now): (&str, Timestamp),
) -> Vec<Told> {
    let told = |(index, person): (usize, &Wanted)| {
        let alias = format!("u{index}");
        match data.remove(&alias).map(serde_json::from_value::<User>) {
            Some(Ok(user)) if user.database_id == Some(person.user_id) => found(user, address, now),
            Some(Ok(_)) => Told::Elsewhere,
            _ if absent.contains(&alias) => Told::Elsewhere,
            _ => Told::Untold,
        }
    };
    people.iter().enumerate().map(told).collect()
}

fn found(user: User, address: &str, now: Timestamp) -> Told {
    let languages_known = user.recent.is_some();
    let mut bytes: HashMap<String, u64> = HashMap::new();
    let repos = user.recent.into_iter().flat_map(|recent| recent.nodes).flatten();
    for edge in repos
        .filter_map(|repo| repo.languages)
        .flat_map(|languages| languages.edges)
    {
        *bytes.entry(edge.node.name).or_default() += edge.size;
    }
    let filled = users::filled;
    let mut profile = Profile {
        login: user.login,
        name: filled(user.name),
        email: filled(user.email),
        bio: filled(user.bio),
        company: filled(user.company),
        location: filled(user.location),
        followers: user.followers.map(|count| count.total_count),
        public_repos: user.all.map(|count| count.total_count),
        account_created_at: user.created_at,
        top_languages: users::top(bytes),
        ..Profile::default()
    };
    let source = Provenance {
        source: "github_graphql".to_owned(),
        url: address.to_owned(),
        observed_at: now,
    };
    let known = profile.changed_fields(&Profile::default());
    profile.provenance = known.into_iter().map(|field| (field, source.clone())).collect();
    Told::Found {
        profile: Box::new(profile),
        languages_known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(user_id: u64, login: &str) -> Wanted {
        Wanted {
            user_id,
            login: login.to_owned(),
        }
    }

    #[test]
    fn each_person_is_asked_for_by_an_alias_with_one_text_for_all() {
        let (query, variables) = query(&[wanted(1, "ada-example"), wanted(2, "ben-example")]);
        assert!(
            query.starts_with(
                "query($l0:String!,$l1:String!){u0:user(login:$l0){...Profile} u1:user(login:$l1){...Profile}} \
                 fragment Profile on User {"
            ),
            "{query}"
        );
        assert_eq!(variables, json!({ "l0": "ada-example", "l1": "ben-example" }));
    }

    #[test]
    fn who_has_the_login_now_is_told_from_who_had_it() {
        let user = |id: u64| {
            json!({
                "databaseId": id, "login": "ada-example", "name": " Ada Example ", "email": "", "bio": null,
                "company": null, "location": null, "createdAt": "2020-01-02T03:04:05Z",
                "followers": { "totalCount": 3 }, "all": { "totalCount": 4 },
                "recent": { "nodes": [
                    { "languages": { "edges": [{ "size": 700, "node": { "name": "Rust" } }, { "size": 20, "node": { "name": "C" } }] } },
                    null,
                    { "languages": { "edges": [{ "size": 900, "node": { "name": "C" } }] } },
                ] },
            })
        };
        let data = json!({ "u0": user(1), "u1": user(9), "u2": null, "u3": null });
        let people = [
            wanted(1, "ada-example"),
            wanted(2, "ada-example"),
            wanted(3, "x"),
            wanted(4, "y"),
        ];
        let told = read(
            data.as_object().unwrap().clone(),
            &["u2".to_owned()],
            &people,
            ("https://api.github.com/graphql", Timestamp::from_secs(7)),
        );
        let [
            Told::Found {
                profile,
                languages_known: true,
            },
            Told::Elsewhere,
            Told::Elsewhere,
            Told::Untold,
        ] = told.as_slice()
        else {
            panic!("told otherwise");
        };
        assert_eq!(
            (profile.name.as_deref(), profile.email.as_deref(), profile.public_repos),
            (Some("Ada Example"), None, Some(4))
        );
        assert_eq!(profile.top_languages, ["C", "Rust"]);
        let known = profile.changed_fields(&Profile::default());
        assert_eq!(profile.provenance.keys().copied().collect::<Vec<_>>(), known);
    }
}
