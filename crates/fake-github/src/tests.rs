//! The server as a client meets it, over a plain socket, so that broken answers can be looked at byte by byte.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

const AT: &str = "2026-11-22T16:00:00Z";

/// An answer, as far as it came.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends one request and reads until the server closes.
async fn raw(fake: &FakeGithub, method: &str, target: &str, headers: &str) -> String {
    let address = fake.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

async fn get_with(fake: &FakeGithub, target: &str, headers: &str) -> Answer {
    let text = raw(fake, "GET", target, &format!("User-Agent: test\r\n{headers}")).await;
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

async fn get(fake: &FakeGithub, target: &str) -> Answer {
    get_with(fake, target, "").await
}

fn ada() -> User {
    User {
        name: Some("Ada Example".into()),
        company: Some("Example Ltd".into()),
        followers: 12,
        ..User::new(1001, "ada-example")
    }
}

async fn fake() -> FakeGithub {
    let fake = FakeGithub::start().await.unwrap();
    fake.change(|world| {
        world.put_user(ada());
        world.put_repo(
            Repo::new(7, "acme-corp/rival-sdk")
                .with_language("Rust", 900)
                .with_language("C", 100),
        );
    });
    fake
}

const FEED: &str = "/repos/acme-corp/rival-sdk/events";

#[tokio::test]
async fn a_feed_is_newest_first_and_its_pages_are_linked() {
    let fake = fake().await;
    fake.change(|world| {
        for number in 0..5 {
            world.star(
                "acme-corp/rival-sdk",
                &User::new(2000 + number, &format!("fan-{number}")),
                AT,
            );
        }
    });
    let first = get(&fake, &format!("{FEED}?per_page=2")).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-poll-interval"), Some("60"));
    assert_eq!(first.header("content-type"), Some("application/json; charset=utf-8"));
    let events = first.json();
    assert_eq!(events.as_array().unwrap().len(), 2);
    assert_eq!(events[0]["type"], "WatchEvent");
    assert_eq!(events[0]["actor"]["login"], "fan-4");
    assert_eq!(events[0]["repo"]["name"], "acme-corp/rival-sdk");
    assert_eq!(events[0]["payload"]["action"], "started");
    assert_eq!(events[0]["created_at"], AT);

    let base = fake.url();
    let link = first.header("link").unwrap();
    assert!(
        link.contains(&format!(
            "<{base}/repositories/7/events?per_page=2&page=2>; rel=\"next\""
        )),
        "{link}"
    );
    assert!(
        link.contains(&format!(
            "<{base}/repositories/7/events?per_page=2&page=3>; rel=\"last\""
        )),
        "{link}"
    );
    let last = get(&fake, "/repositories/7/events?per_page=2&page=3").await;
    assert_eq!(last.json()[0]["actor"]["login"], "fan-0");
    assert_eq!(
        get(&fake, "/repos/acme-corp/rival-sdk").await.json()["stargazers_count"],
        5
    );
}

#[tokio::test]
async fn a_feed_ends_after_three_hundred_events() {
    let fake = fake().await;
    fake.change(|world| (0..310).for_each(|_| drop(world.star("acme-corp/rival-sdk", &ada(), AT))));
    let first = get(&fake, &format!("{FEED}?per_page=100")).await;
    assert!(first.header("link").unwrap().contains("page=3>; rel=\"last\""));
    assert_eq!(
        get(&fake, &format!("{FEED}?per_page=100&page=3"))
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        100
    );
    assert_eq!(get(&fake, &format!("{FEED}?per_page=100&page=4")).await.status, 422);
    assert_eq!(get(&fake, FEED).await.json().as_array().unwrap().len(), 15);
}

#[tokio::test]
async fn an_unchanged_answer_is_a_304_that_costs_nothing_until_something_happens() {
    let fake = fake().await;
    let first = get(&fake, FEED).await;
    let tag = first.header("etag").unwrap();
    assert_eq!(first.header("x-ratelimit-remaining"), Some("4999"));

    let asking = format!("If-None-Match: {tag}\r\n");
    let again = get_with(&fake, FEED, &asking).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some(tag));
    assert_eq!(again.header("x-poll-interval"), Some("60"));
    assert_eq!(again.header("x-ratelimit-remaining"), Some("4999"));

    fake.change(|world| world.star("acme-corp/rival-sdk", &ada(), AT));
    let changed = get_with(&fake, FEED, &asking).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag));
    assert_eq!(changed.header("x-ratelimit-remaining"), Some("4998"));
}

#[tokio::test]
async fn an_issue_and_a_comment_on_it_carry_their_text_and_author() {
    let fake = fake().await;
    let issue = Issue {
        number: 3,
        author: ada(),
        title: "Crash".into(),
        body: "We look for a hosted version".into(),
    };
    fake.change(|world| {
        world.open_issue("acme-corp/rival-sdk", &issue, AT);
        world.comment(
            "acme-corp/rival-sdk",
            &issue,
            &User::new(1002, "ben-example"),
            "Me too",
            AT,
        );
    });
    let events = get(&fake, FEED).await.json();
    assert_eq!(events[1]["payload"]["issue"]["body"], issue.body);
    assert_eq!(
        events[1]["payload"]["issue"]["html_url"],
        "https://github.com/acme-corp/rival-sdk/issues/3"
    );
    assert_eq!(events[0]["type"], "IssueCommentEvent");
    assert_eq!(events[0]["payload"]["comment"]["user"]["login"], "ben-example");
    assert_eq!(events[0]["payload"]["issue"]["user"]["login"], "ada-example");
}

#[tokio::test]
async fn a_profile_is_found_by_login_in_any_case_and_by_id_after_a_rename() {
    let fake = fake().await;
    let profile = get(&fake, "/users/Ada-Example").await;
    assert_eq!(profile.json()["name"], "Ada Example");
    assert_eq!(profile.json()["type"], "User");
    assert_eq!(profile.json()["email"], Value::Null);
    fake.change(|world| {
        world.put_user(User {
            login: "ada-renamed".into(),
            ..ada()
        });
    });
    assert_eq!(get(&fake, "/users/ada-example").await.status, 404);
    assert_eq!(get(&fake, "/user/1001").await.json()["login"], "ada-renamed");
}

#[tokio::test]
async fn a_users_repositories_come_last_pushed_first_with_their_languages() {
    let fake = fake().await;
    fake.change(|world| {
        for (id, name, day) in [(11, "old", 1), (12, "new", 3), (13, "middle", 2)] {
            let mut repo = Repo::new(id, &format!("ada-example/{name}")).with_language("Go", 10 * id);
            repo.pushed_at = format!("2026-11-0{day}T00:00:00Z");
            repo.fork = name == "old";
            world.put_repo(repo);
        }
    });
    let repos = get(&fake, "/users/ada-example/repos?type=owner&sort=pushed")
        .await
        .json();
    let names: Vec<&str> = repos
        .as_array()
        .unwrap()
        .iter()
        .map(|repo| repo["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["new", "middle", "old"]);
    assert_eq!((&repos[2]["fork"], &repos[0]["language"]), (&true.into(), &"Go".into()));
    let languages = repos[0]["languages_url"]
        .as_str()
        .unwrap()
        .strip_prefix(fake.url())
        .unwrap();
    assert_eq!(get(&fake, languages).await.json(), serde_json::json!({ "Go": 120 }));
}

#[tokio::test]
async fn a_renamed_repository_redirects_to_its_id() {
    let fake = fake().await;
    fake.change(|world| world.put_repo(Repo::new(7, "acme-corp/renamed-sdk")));
    let old = get(&fake, &format!("{FEED}?per_page=5")).await;
    let target = format!("{}/repositories/7/events?per_page=5", fake.url());
    assert_eq!((old.status, old.header("location")), (301, Some(target.as_str())));
    assert_eq!(
        get(&fake, "/repositories/7").await.json()["full_name"],
        "acme-corp/renamed-sdk"
    );
}

#[tokio::test]
async fn what_is_unknown_is_a_404_in_githubs_words() {
    let fake = fake().await;
    for path in [
        "/",
        "/users/nobody",
        "/user/5",
        "/repos/acme-corp/none",
        "/repositories/5/events",
        "/users/nobody/repos",
    ] {
        let answer = get(&fake, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["message"], "Not Found", "{path}");
    }
    let posted = raw(&fake, "POST", "/users/ada-example", "User-Agent: test\r\n").await;
    assert!(posted.starts_with("HTTP/1.1 404"), "{posted}");
}

#[tokio::test]
async fn a_wrong_token_and_a_missing_user_agent_are_refused() {
    let fake = fake().await;
    fake.change(|world| world.token = Some("ghp_example".into()));
    assert_eq!(get(&fake, FEED).await.status, 401);
    assert_eq!(
        get_with(&fake, FEED, "Authorization: Bearer other\r\n").await.status,
        401
    );
    assert_eq!(
        get_with(&fake, FEED, "Authorization: Bearer ghp_example\r\n")
            .await
            .status,
        200
    );
    assert_eq!(
        get_with(&fake, FEED, "Authorization: token ghp_example\r\n")
            .await
            .status,
        200
    );
    assert!(raw(&fake, "GET", FEED, "").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn a_used_up_rate_limit_refuses_until_it_is_set_back() {
    let fake = fake().await;
    fake.change(|world| {
        world.rate = RateLimit {
            limit: 1,
            used: 0,
            reset: 1_800_000_000,
        }
    });
    assert_eq!(get(&fake, FEED).await.header("x-ratelimit-remaining"), Some("0"));
    let refused = get(&fake, FEED).await;
    assert_eq!(
        (refused.status, refused.header("x-ratelimit-reset")),
        (403, Some("1800000000"))
    );
    fake.change(|world| world.rate.used = 0);
    assert_eq!(get(&fake, FEED).await.status, 200);
}

#[tokio::test]
async fn refusals_come_in_the_order_they_were_queued_and_then_it_behaves() {
    let fake = fake().await;
    let queue = [
        Misbehaviour::Status(502),
        Misbehaviour::Suspended,
        Misbehaviour::RateLimited { reset: 1_800_000_000 },
        Misbehaviour::TooManyRequests { retry_after: 7 },
        Misbehaviour::SecondaryRateLimit { retry_after: None },
        Misbehaviour::Html,
    ];
    fake.change(|world| queue.iter().for_each(|one| world.misbehave(FEED, *one)));
    assert_eq!(
        get(&fake, "/users/ada-example").await.status,
        200,
        "another path is left alone"
    );

    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(get(&fake, FEED).await);
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [502, 403, 403, 429, 403, 200, 200]);
    let header = |index: usize, name: &str| answers[index].header(name).map(str::to_owned);
    assert!(header(0, "x-ratelimit-remaining").is_some());
    assert_eq!(header(1, "x-ratelimit-remaining"), None);
    assert_eq!(header(2, "x-ratelimit-remaining").as_deref(), Some("0"));
    assert_eq!(header(2, "x-ratelimit-reset").as_deref(), Some("1800000000"));
    assert_eq!(header(3, "retry-after").as_deref(), Some("7"));
    assert!(answers[4].body.contains("secondary rate limit"));
    assert_ne!(header(4, "x-ratelimit-remaining").as_deref(), Some("0"));
    assert_eq!(header(5, "content-type").as_deref(), Some("text/html; charset=utf-8"));
    assert!(answers[6].json().is_array());
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_comes_and_a_dropped_one_says_nothing() {
    let fake = fake().await;
    fake.change(|world| {
        world.star("acme-corp/rival-sdk", &ada(), AT);
        world.misbehave(FEED, Misbehaviour::Truncated);
        world.misbehave(FEED, Misbehaviour::Dropped);
    });
    let cut = get(&fake, FEED).await;
    let promised: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!((cut.status, cut.body.len()), (200, promised / 2));
    assert_eq!(raw(&fake, "GET", FEED, "User-Agent: test\r\n").await, "");
    assert_eq!(get(&fake, FEED).await.body.len(), promised);
}

#[tokio::test]
async fn requests_are_noted_with_their_query_and_headers_and_can_be_waited_for() {
    let fake = fake().await;
    let asked = fake.asked(FEED, 2);
    let asking = async {
        get_with(&fake, &format!("{FEED}?page=2"), "If-None-Match: \"x\"\r\n").await;
        get(&fake, "/users/ada-example").await;
        get(&fake, FEED).await;
    };
    let (seen, ()) = tokio::join!(asked, asking);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].method.as_str(), seen[0].query.as_str()), ("GET", "page=2"));
    assert_eq!(seen[0].header("if-none-match"), Some("\"x\""));
    assert_eq!(fake.requests().len(), 3);
}
