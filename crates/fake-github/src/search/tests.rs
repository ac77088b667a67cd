//! The language of searches, and what it finds.

use serde_json::Value;

use super::parse::{Query, Refused};
use crate::tests::threads::post;
use crate::tests::{AT, Answer, SDK, ada, ben, fake, get, get_as, get_with};
use crate::{FakeGithub, Repo, Token, User};

async fn told() -> FakeGithub {
    let fake = fake().await;
    fake.change(|world| {
        world.open_issue(
            SDK,
            &post(1, "Crash on start", "The hosted version dies"),
            "2026-11-20T00:00:00Z",
        );
        world.open_pull(
            SDK,
            &post(2, "Hosted docs", "Explains self-hosting"),
            "2026-11-21T00:00:00Z",
        );
        world.open_issue("acme-corp/other", &post(1, "Prices", "Is there a hosted version?"), AT);
        world.open_discussion(SDK, &post(3, "Hosted where", "Which provider"), AT);
        world.comment(SDK, 1, &ben(), "Use Kubernetes, @carl-example", "2026-11-23T00:00:00Z");
        world.comment(SDK, 3, &ben(), "Use Nomad", AT);
    });
    fake
}

async fn search(fake: &FakeGithub, query: &str) -> Answer {
    let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    get(fake, &format!("/search/issues?q={encoded}")).await
}

async fn titles(fake: &FakeGithub, query: &str) -> Vec<String> {
    let found = search(fake, query).await.json();
    let title = |item: &Value| item["title"].as_str().unwrap().to_owned();
    found["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{query}: {found}"))
        .iter()
        .map(title)
        .collect()
}

#[tokio::test]
async fn words_phrases_operators_and_qualifiers_find_what_they_say() {
    let fake = told().await;
    for (query, expected) in [
        ("hosted", &["Prices", "Hosted docs", "Crash on start"][..]),
        ("\"hosted version\"", &["Prices", "Crash on start"]),
        ("KUBERNETES", &["Crash on start"]),
        ("kubernetes OR prices", &["Prices", "Crash on start"]),
        ("hosted -docs", &["Prices", "Crash on start"]),
        ("hosted NOT (docs OR prices)", &["Crash on start"]),
        ("hosted repo:acme-corp/rival-sdk", &["Hosted docs", "Crash on start"]),
        (
            "(repo:acme-corp/rival-sdk OR repo:acme-corp/other) version",
            &["Prices", "Crash on start"],
        ),
        ("hosted is:pr", &["Hosted docs"]),
        ("hosted is:issue created:>=2026-11-22", &["Prices"]),
        ("hosted updated:>=2026-11-22T16:00:01Z", &["Crash on start"]),
        ("created:2026-11-20..2026-11-21", &["Hosted docs", "Crash on start"]),
        ("involves:ben-example", &["Crash on start"]),
        ("involves:carl-example", &["Crash on start"]),
        ("author:ada-example is:issue", &["Prices", "Crash on start"]),
        ("commenter:ada-example", &[]),
        ("hosted in:title", &["Hosted docs"]),
        ("hosted in:comments", &[]),
        ("nomad", &[]),
        ("hosting", &["Hosted docs"]),
        ("org:acme-corp prices", &["Prices"]),
    ] {
        assert_eq!(titles(&fake, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn results_are_sorted_paged_and_show_where_they_match() {
    let fake = told().await;
    let sorted = get(&fake, "/search/issues?q=hosted&sort=updated&order=desc&per_page=1").await;
    assert_eq!(sorted.json()["items"][0]["title"], "Crash on start");
    assert_eq!(sorted.json()["total_count"], 3);
    let link = sorted.header("link").unwrap();
    let next = format!(
        "<{}/search/issues?q=hosted&sort=updated&order=desc&per_page=1&page=2>; rel=\"next\"",
        fake.url()
    );
    assert!(link.contains(&next), "{link}");
    let accept = "Accept: application/vnd.github.text-match+json\r\n";
    let shown = get_with(&fake, "/search/issues?q=kubernetes", accept).await.json();
    let found = &shown["items"][0]["text_matches"];
    assert_eq!(found[0]["property"], "body");
    assert_eq!(found[0]["fragment"], "Use Kubernetes, @carl-example");
    assert_eq!(
        found[0]["matches"][0],
        serde_json::json!({ "text": "Kubernetes", "indices": [4, 14] })
    );
}

#[tokio::test]
async fn what_github_does_not_search_is_a_422() {
    let fake = told().await;
    let app = Token {
        app: true,
        ..Token::new(1001)
    };
    fake.change(|world| {
        world.put_repo(Repo {
            private: true,
            ..Repo::new(9, "acme-corp/secret")
        });
        world.put_repo(Repo::new(10, "acme-corp/former"));
        world.rename_repo(10, "acme-corp/later");
        world.put_token("app", app);
        world.put_token("user", Token::new(1001));
    });
    let long = "a".repeat(257);
    for query in [
        "",
        &long,
        "a OR b OR c OR d OR e OR f OR g",
        "(a OR b",
        "repo:no/where a",
        "repo:acme-corp/secret a",
        "repo:acme-corp/former a",
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer = get_as(&fake, "user", &format!("/search/issues?q={encoded}")).await;
        assert_eq!(answer.status, 422, "{query}");
        assert_eq!(answer.json()["message"], "Validation Failed", "{query}");
    }
    assert_eq!(
        get_as(&fake, "user", "/search/issues?q=a+OR+b+OR+c+OR+d+OR+e+OR+f")
            .await
            .status,
        200
    );
    assert_eq!(get_as(&fake, "app", "/search/issues?q=hosted").await.status, 422);
    assert_eq!(
        get_as(&fake, "app", "/search/issues?q=hosted+is:issue").await.status,
        200
    );
}

#[tokio::test]
async fn no_more_than_a_thousand_results_are_answered() {
    let fake = fake().await;
    fake.change(|world| {
        for number in 1..=1_100 {
            world.open_issue(SDK, &post(number, "Same", "word"), AT);
        }
    });
    let last = get(&fake, "/search/issues?q=word&per_page=100&page=10").await;
    assert_eq!(
        (
            last.json()["total_count"].as_u64(),
            last.json()["items"].as_array().unwrap().len()
        ),
        (Some(1_100), 100)
    );
    assert!(!last.header("link").unwrap().contains("rel=\"next\""));
    assert_eq!(
        get(&fake, "/search/issues?q=word&per_page=100&page=11").await.status,
        422
    );
}

#[tokio::test]
async fn code_is_found_by_its_words_and_where_it_lies() {
    let fake = fake().await;
    fake.change(|world| {
        world.put_file(SDK, "src/client.rs", "use rival_sdk::Client;", &ada(), AT);
        world.put_file(
            "fan/app",
            "package.json",
            "{ \"rival-sdk\": \"1\" }",
            &User::new(9, "fan"),
            AT,
        );
    });
    let accept = "Accept: application/vnd.github.text-match+json\r\n";
    for (query, paths) in [
        ("rival", &["src/client.rs", "package.json"][..]),
        ("rival+repo:fan/app", &["package.json"]),
        ("rival+extension:rs", &["src/client.rs"]),
        ("client+in:path", &["src/client.rs"]),
        ("rival+filename:package.json", &["package.json"]),
    ] {
        let found = get_with(&fake, &format!("/search/code?q={query}"), accept).await.json();
        let path = |item: &Value| item["path"].as_str().unwrap().to_owned();
        let shown: Vec<String> = found["items"].as_array().unwrap().iter().map(path).collect();
        assert_eq!(shown, paths, "{query}");
    }
    let found = get_with(&fake, "/search/code?q=%22rival-sdk%22+repo:fan/app", accept)
        .await
        .json();
    assert_eq!(found["items"][0]["text_matches"][0]["matches"][0]["text"], "rival-sdk");
    assert_eq!(found["items"][0]["repository"]["full_name"], "fan/app");
    assert_eq!(
        get(&fake, "/search/code?q=repo:fan/app").await.status,
        422,
        "no word to look for"
    );
}

#[test]
fn and_binds_more_tightly_than_or() {
    let word = |word: &str| Query::Phrase(vec![word.to_owned()]);
    assert_eq!(
        Query::parse("a OR b c:d"),
        Ok(Query::Any(vec![
            word("a"),
            Query::All(vec![word("b"), Query::Qualifier("c".into(), "d".into())])
        ]))
    );
    assert_eq!(
        Query::parse("self-hosted"),
        Ok(Query::Phrase(vec!["self".into(), "hosted".into()]))
    );
    assert_eq!(Query::parse("a )"), Err(Refused::Unbalanced));
    assert_eq!(Query::parse("a AND"), Err(Refused::Unbalanced));
}
