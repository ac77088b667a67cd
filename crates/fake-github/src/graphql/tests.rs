//! Queries as a collector sends them: the texts in `tests/github/queries`, and what fails.

use serde_json::{Value, json};

use super::document::Document;
use crate::tests::threads::post;
use crate::tests::{AT, Answer, NOW, SDK, ada, ben, fake, send, with_clock};
use crate::{FakeGithub, Refusal, Repo, Token, User, UserKind, rfc3339};

const REPOSITORIES: &str = include_str!("../../../../tests/github/queries/repositories.graphql");
const STARGAZERS: &str = include_str!("../../../../tests/github/queries/stargazers.graphql");
const PROFILES: &str = include_str!("../../../../tests/github/queries/profiles.graphql");
const DISCUSSIONS: &str = include_str!("../../../../tests/github/queries/discussions.graphql");
const PULL_REQUESTS: &str = include_str!("../../../../tests/github/queries/pull_requests.graphql");

async fn answer(fake: &FakeGithub, token: &str, query: &str, variables: Value) -> Answer {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    send(fake, "POST", "/graphql", &headers, &body).await
}

async fn ask(fake: &FakeGithub, query: &str, variables: Value) -> Value {
    let answer = answer(fake, "owner", query, variables).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn roles(fake: &FakeGithub) {
    fake.change(|world| {
        world.put_user(User {
            kind: UserKind::Organization,
            ..User::new(70, "acme-corp")
        });
        world.put_token("owner", Token::new(70));
        world.put_token("other", Token::new(1001));
    });
}

#[tokio::test]
async fn repositories_by_alias_are_counted_and_who_is_unknown_is_null_beside_an_error() {
    let fake = fake().await;
    roles(&fake);
    fake.change(|world| {
        world.star(SDK, &ada(), AT);
        world.rename_repo(7, "acme-corp/renamed");
    });
    let variables = json!({ "owner0": "acme-corp", "name0": "rival-sdk", "owner1": "no", "name1": "where" });
    let found = ask(&fake, REPOSITORIES, variables).await;
    let first = &found["data"]["r0"];
    assert_eq!(
        (&first["nameWithOwner"], &first["stargazerCount"]),
        (&"acme-corp/renamed".into(), &1.into())
    );
    assert_eq!(
        first["owner"],
        json!({ "__typename": "Organization", "id": "U_fake70", "login": "acme-corp", "databaseId": 70 })
    );
    assert_eq!(found["data"]["r1"], Value::Null);
    assert_eq!(found["errors"][0]["type"], "NOT_FOUND");
    assert_eq!(found["errors"][0]["path"], json!(["r1"]));
    assert_eq!(found["errors"][0]["locations"], json!([{ "line": 4, "column": 3 }]));
    assert_eq!(found["data"]["rateLimit"]["remaining"], 4_999);
}

#[tokio::test]
async fn stargazers_come_newest_first_and_are_read_on_where_they_were_left() {
    let fake = fake().await;
    roles(&fake);
    let fan = |number: u64| User::new(5_000 + number, &format!("fan-{number}"));
    fake.change(|world| (0..5).for_each(|number| drop(world.star(SDK, &fan(number), &rfc3339(NOW + number)))));
    let page = |after: Value| json!({ "owner": "acme-corp", "name": "rival-sdk", "first": 2, "after": after });
    let first = ask(&fake, STARGAZERS, page(Value::Null)).await["data"]["repository"]["stargazers"].clone();
    assert_eq!(first["edges"][0]["node"]["databaseId"], 5_004);
    assert_eq!(first["edges"][1]["starredAt"], rfc3339(NOW + 3));
    assert_eq!(
        (&first["totalCount"], &first["pageInfo"]["hasNextPage"]),
        (&5.into(), &true.into())
    );
    // The list grows at its front meanwhile.
    fake.change(|world| world.star(SDK, &fan(9), &rfc3339(NOW + 9)));
    let mut cursor = first["pageInfo"]["endCursor"].clone();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let next = ask(&fake, STARGAZERS, page(cursor)).await["data"]["repository"]["stargazers"].clone();
        let edges = next["edges"].as_array().unwrap().iter();
        seen.extend(edges.map(|edge| edge["node"]["login"].as_str().unwrap().to_owned()));
        assert_eq!(next["pageInfo"]["hasNextPage"], seen.len() < 3);
        cursor = next["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen, ["fan-2", "fan-1", "fan-0"]);
}

#[tokio::test]
async fn stargazers_are_refused_with_an_error_or_an_empty_list() {
    let fake = fake().await;
    roles(&fake);
    fake.change(|world| world.star(SDK, &ada(), AT));
    let variables = json!({ "owner": "acme-corp", "name": "rival-sdk", "first": 2 });
    let refused = answer(&fake, "other", STARGAZERS, variables.clone()).await.json();
    assert_eq!(refused["data"]["repository"], Value::Null);
    assert_eq!(refused["errors"][0]["type"], "FORBIDDEN");
    assert_eq!(refused["errors"][0]["path"], json!(["repository", "stargazers"]));
    assert!(refused["data"]["rateLimit"]["cost"].is_u64());
    fake.change(|world| world.stargazers_for_others = Refusal::Empty);
    let empty = answer(&fake, "other", STARGAZERS, variables).await.json();
    assert_eq!(empty["data"]["repository"]["stargazers"]["edges"], json!([]));
    assert_eq!(empty["data"]["repository"]["stargazerCount"], 1);
}

#[tokio::test]
async fn profiles_come_by_login_and_by_id_and_organisations_are_no_users() {
    let fake = fake().await;
    roles(&fake);
    fake.change(|world| {
        for (id, name, fork) in [(20, "loom", false), (21, "fork", true)] {
            world.put_repo(Repo {
                fork,
                ..Repo::new(id, &format!("ada-example/{name}"))
                    .with_language("Go", 5)
                    .with_language("Rust", 9)
            });
        }
    });
    let variables = json!({ "login0": "Ada-Example", "ids": ["U_fake1001", "U_fake70", "U_fake5", "nonsense"] });
    let found = ask(&fake, PROFILES, variables).await;
    let ada = &found["data"]["u0"];
    assert_eq!(
        (&ada["name"], &ada["email"], &ada["websiteUrl"]),
        (&"Ada Example".into(), &"".into(), &Value::Null)
    );
    assert_eq!(ada["followers"]["totalCount"], 12);
    let repos = &ada["repositories"];
    assert_eq!(
        (&repos["totalCount"], &repos["nodes"][0]["nameWithOwner"]),
        (&1.into(), &"ada-example/loom".into())
    );
    assert_eq!(
        repos["nodes"][0]["languages"]["edges"][0],
        json!({ "size": 9, "node": { "name": "Rust" } })
    );
    assert_eq!(found["data"]["nodes"][0]["login"], "ada-example");
    assert_eq!(found["data"]["nodes"][1], json!({ "__typename": "Organization" }));
    assert_eq!(found["data"]["nodes"][2], Value::Null);
    let paths: Vec<&Value> = found["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["path"])
        .collect();
    assert_eq!(paths, [&json!(["nodes", 2]), &json!(["nodes", 3])]);
    assert_eq!(
        ask(&fake, "{ user(login: \"acme-corp\") { id } }", json!({})).await["errors"][0]["type"],
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn discussions_and_pull_requests_are_read_with_their_texts() {
    let fake = fake().await;
    roles(&fake);
    fake.change(|world| {
        world.open_discussion(SDK, &post(1, "Hosted where", "Which provider"), AT);
        world.comment(SDK, 1, &ben(), "Use Nomad", AT);
        world.open_pull(SDK, &post(2, "Add hosting", "Closes"), AT);
    });
    let found = ask(&fake, DISCUSSIONS, json!({ "query": "nomad", "first": 10 })).await;
    let found = &found["data"]["search"];
    assert_eq!(
        (&found["discussionCount"], &found["nodes"][0]["title"]),
        (&1.into(), &"Hosted where".into())
    );
    assert_eq!(found["nodes"][0]["comments"]["nodes"][0]["author"]["databaseId"], 1_002);
    let none = ask(&fake, DISCUSSIONS, json!({ "query": "hosting", "first": 10 })).await;
    assert_eq!(
        none["data"]["search"]["nodes"],
        json!([]),
        "a pull request is no discussion"
    );

    let variables = json!({ "owner": "acme-corp", "name": "rival-sdk", "number": 2, "ids": ["PR_fake3000000001", "I_fake3000000001"] });
    let read = ask(&fake, PULL_REQUESTS, variables).await;
    assert_eq!(read["data"]["repository"]["pullRequest"]["body"], "Closes");
    assert_eq!(read["data"]["nodes"][0]["author"]["login"], "ada-example");
    assert_eq!(
        read["data"]["nodes"][1],
        Value::Null,
        "no issue has a pull request's id"
    );
}

#[tokio::test]
async fn too_wide_a_query_is_a_bad_gateway_or_partial() {
    let fake = fake().await;
    roles(&fake);
    let query =
        "{ a: user(login: \"ada-example\") { id } b: user(login: \"ada-example\") { id } c: rateLimit { cost } }";
    fake.change(|world| world.graphql.resources_above = Some(2));
    let partial = ask(&fake, query, json!({})).await;
    assert_eq!(
        (&partial["data"]["b"]["id"], &partial["data"]["c"]),
        (&"U_fake1001".into(), &Value::Null)
    );
    assert_eq!(partial["errors"][0]["type"], "RESOURCE_LIMITS_EXCEEDED");
    fake.change(|world| world.graphql.bad_gateway_above = Some(2));
    assert_eq!(answer(&fake, "owner", query, json!({})).await.status, 502);
}

#[tokio::test]
async fn points_are_spent_by_what_a_query_asks_for_and_end_with_an_error_that_is_a_200() {
    let (fake, clock) = with_clock().await;
    roles(&fake);
    let query = "{ user(login: \"ada-example\") { repositories(first: 100) { nodes { stargazers(first: 100) { totalCount } \
                 issues(first: 50) { nodes { comments(first: 1) { totalCount } } } } } } rateLimit { cost nodeCount } }";
    let spent = ask(&fake, query, json!({})).await;
    // 1 + 100 + 100 + 5,000 requests; 100 + 10,000 + 5,000 + 5,000 nodes.
    assert_eq!(spent["data"]["rateLimit"], json!({ "cost": 52, "nodeCount": 20_100 }));
    assert_eq!(fake.requests()[0].cost, 52);
    let left = fake
        .change(|world| world.rate_of("owner", crate::Bucket::Graphql))
        .unwrap();
    assert_eq!((left.used, left.reset), (52, NOW + 3_600));
    fake.change(|world| {
        world.set_rate(
            "owner",
            crate::Bucket::Graphql,
            crate::RateLimit { used: 5_000, ..left },
        );
    });
    let over = answer(&fake, "owner", query, json!({})).await;
    assert_eq!((over.status, over.header("x-ratelimit-remaining")), (200, Some("0")));
    assert_eq!(over.json()["errors"][0]["type"], "RATE_LIMITED");
    assert_eq!(fake.exceeded().len(), 1);
    crate::tests::advance(&clock, 3_600);
    assert!(ask(&fake, query, json!({})).await["data"].is_object());
}

#[tokio::test]
async fn what_is_no_query_is_told_with_a_200_and_without_data() {
    let fake = fake().await;
    for (query, expected) in [
        ("{ user(login: \"ada-example\") { id ", "Parse error"),
        (
            "{ user(login: \"ada-example\") { shoeSize } }",
            "Field 'shoeSize' doesn't exist on type 'User'",
        ),
        ("{ user(login: \"ada-example\") { ...Gone } }", "Fragment Gone"),
        ("query($a: String!) { user(login: $a) { id } }", "Variable $a"),
        ("mutation { addStar(input: {}) { clientMutationId } }", "mutation"),
        (
            "{ user(login: \"ada-example\") { repositories { nodes { id } } } }",
            "`first` or `last`",
        ),
        (
            "{ user(login: \"ada-example\") { repositories(first: 101) { nodes { id } } } }",
            "exceeds the `first` limit",
        ),
    ] {
        let refused = ask(&fake, query, json!({})).await;
        assert!(refused["data"].is_null(), "{query}");
        let text = refused["errors"][0]["message"].as_str().unwrap();
        assert!(text.contains(expected), "{query}: {text}");
    }
    assert_eq!(send(&fake, "POST", "/graphql", "", "{").await.status, 400);
    assert_eq!(send(&fake, "POST", "/graphql", "", "{\"query\": 1}").await.status, 400);
}

#[tokio::test]
async fn aliases_directives_and_defaults_are_kept() {
    let fake = fake().await;
    let query = "query Q($login: String = \"ada-example\", $no: Boolean = false) {\n  # who\n  me: user(login: $login) { \
                 login name @include(if: $no) id @skip(if: true) ... { kind: __typename } } }";
    let found = ask(&fake, query, json!({})).await;
    assert_eq!(
        found,
        json!({ "data": { "me": { "login": "ada-example", "kind": "User" } } })
    );
    assert!(Document::parse("{ a(b: [1, 2.5, {c: $d}], e: \"x\\ny\", f: \"\"\"block\"\"\") }").is_ok());
}
