//! Random requests of one account for what is another's. Each must be answered as if it did not exist. The suite makes some
//! thousands of them, `benches/isolation.rs` as many as it is told.

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const UNAUTHORIZED: &str = r#"{"error":"unauthorized","message":"Invalid or missing API key"}"#;

/// What an id is of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Lead,
    Repo,
    Keyword,
    Webhook,
    Key,
    Person,
}

/// Every route with an id: it stands at the end, or in the place of the braces.
const BY_ID: &[(&str, &str, Kind)] = &[
    ("GET", "/v1/leads/", Kind::Lead),
    ("PATCH", "/v1/leads/", Kind::Lead),
    ("GET", "/v1/people/", Kind::Person),
    ("DELETE", "/v1/people/", Kind::Person),
    ("GET", "/v1/tracked-repos/", Kind::Repo),
    ("DELETE", "/v1/tracked-repos/", Kind::Repo),
    ("GET", "/v1/tracked-keywords/", Kind::Keyword),
    ("DELETE", "/v1/tracked-keywords/", Kind::Keyword),
    ("GET", "/v1/webhooks/", Kind::Webhook),
    ("DELETE", "/v1/webhooks/", Kind::Webhook),
    ("GET", "/v1/webhooks/{}/secret", Kind::Webhook),
    ("GET", "/v1/webhooks/{}/deliveries", Kind::Webhook),
    ("POST", "/v1/webhooks/{}/test", Kind::Webhook),
    ("POST", "/v1/webhooks/{}/pause", Kind::Webhook),
    ("POST", "/v1/webhooks/{}/resume", Kind::Webhook),
    ("POST", "/v1/webhooks/{}/rotate-secret", Kind::Webhook),
    ("DELETE", "/v1/api-keys/", Kind::Key),
];

fn with_id(route: &str, id: &str) -> String {
    if route.contains("{}") {
        route.replace("{}", id)
    } else {
        format!("{route}{id}")
    }
}

/// Every route that tells an account of its own.
const LISTS: &[&str] = &[
    "/v1/leads?limit=100",
    "/v1/leads?limit=100&since=2020-01-01T00:00:00Z",
    "/v1/leads/export?format=csv",
    "/v1/leads/export?format=ndjson",
    "/v1/events?limit=100",
    "/v1/events?limit=100&type=LeadCaptured",
    "/v1/tracked-repos",
    "/v1/tracked-keywords",
    "/v1/webhooks",
    "/v1/api-keys",
    "/v1/account",
    "/v1/usage",
];

/// What the victim has.
pub struct Things {
    ids: [Vec<String>; 6],
    streams: Vec<String>,
    cursors: Vec<String>,
    /// What no answer to anybody else may hold.
    marks: Vec<String>,
}

/// An answer, as far as two of them are compared.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: String,
    /// All headers but those that differ between any two answers.
    headers: Vec<(String, String)>,
}

/// Somebody who asks.
pub struct Client<'a> {
    pub router: Router,
    pub key: String,
    /// Called before each request, so that the rate limit leaves room.
    pub between: &'a (dyn Fn() + Sync),
}

impl Client<'_> {
    async fn ask(&self, key: Option<&str>, method: &str, path: &str, body: Option<Value>) -> Answer {
        (self.between)();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let headers = parts.headers.iter();
        let headers = headers
            .filter(|(name, _)| !name.as_str().starts_with("x-r"))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Answer {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
        }
    }

    async fn own(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask(Some(&self.key), method, path, body).await
    }

    async fn json(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.own(method, path, body).await;
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }
}

impl Things {
    /// Has the victim make something of every kind beside its leads, and takes stock of all of it.
    pub async fn of(victim: &Client<'_>) -> Self {
        for number in 0..5 {
            let repo = json!({ "full_name": format!("victim-corp/secret-{number}") });
            victim.json("POST", "/v1/tracked-repos", Some(repo)).await;
            let keyword = json!({ "keyword": format!("hidden phrase {number}") });
            victim.json("POST", "/v1/tracked-keywords", Some(keyword)).await;
            let hook = json!({ "url": format!("https://victim.example.com/{number}") });
            victim.json("POST", "/v1/webhooks", Some(hook)).await;
            let key = json!({ "label": format!("victims key {number}") });
            victim.json("POST", "/v1/api-keys", Some(key)).await;
        }
        let mut ids: [Vec<String>; 6] = Default::default();
        let mut people = Vec::new();
        let lists = [
            "/v1/leads?limit=100",
            "/v1/tracked-repos",
            "/v1/tracked-keywords",
            "/v1/webhooks",
            "/v1/api-keys",
        ];
        let mut marks = vec!["victim".to_owned(), "hidden phrase".to_owned()];
        for (ids, path) in ids.iter_mut().zip(lists) {
            let list = victim.json("GET", path, None).await;
            let rows = list["data"].as_array().unwrap();
            ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            people.extend(
                rows.iter()
                    .filter_map(|row| Some(row["github_username"].as_str()?.to_owned())),
            );
        }
        ids[Kind::Person as usize] = people;
        let page = victim.json("GET", "/v1/leads?limit=1", None).await;
        let events = victim.json("GET", "/v1/events?limit=100", None).await;
        let mut streams: Vec<String> = events["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["stream"].as_str().unwrap().to_owned())
            .collect();
        streams.sort_unstable();
        streams.dedup();
        let account = victim.json("GET", "/v1/account", None).await;
        marks.push(account["id"].as_str().unwrap().to_owned());
        marks.extend(ids.iter().flatten().cloned());
        Self {
            ids,
            streams,
            cursors: vec![page["next_cursor"].as_str().unwrap().to_owned()],
            marks,
        }
    }

    /// Whether all of it is still there for the victim.
    pub async fn are_untouched(&self, victim: &Client<'_>) {
        for (method, prefix, kind) in BY_ID.iter().filter(|(method, ..)| *method == "GET") {
            for id in &self.ids[*kind as usize] {
                let answer = victim.own(method, &with_id(prefix, id), None).await;
                assert_eq!(answer.status, 200, "{prefix}{id}");
            }
        }
        let keys = victim.json("GET", "/v1/api-keys", None).await;
        let keys = keys["data"].as_array().unwrap();
        assert!(keys.iter().all(|key| key["revoked_at"].is_null()));
        assert_eq!(keys.len(), self.ids[Kind::Key as usize].len());
    }

    fn leak_nothing(&self, path: &str, answer: &Answer) {
        for mark in &self.marks {
            assert!(!answer.body.contains(mark), "{path} tells {mark}: {}", answer.body);
            let told = answer.headers.iter().any(|(_, value)| value.contains(mark));
            assert!(!told, "{path} tells {mark}: {answer:?}");
        }
    }
}

/// xorshift64: the same requests every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % sides as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.roll(among.len())]
    }

    /// The id with other characters behind its prefix: it names nothing.
    fn nobodys(&mut self, id: &str) -> String {
        let Some((prefix, rest)) = id.rsplit_once('_') else {
            return format!("{id}-not");
        };
        let mut other = String::from("7");
        while other.len() < rest.len() {
            other.push(char::from(*self.pick(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")));
        }
        format!("{prefix}_{other}")
    }
}

/// So many requests of a stranger; how many of them were answered with each status.
pub async fn attack(stranger: &Client<'_>, things: &Things, count: usize, seed: u64) -> Vec<(u16, usize)> {
    let mut dice = Dice(seed);
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..count {
        let status = match dice.roll(10) {
            0..=4 => by_id(stranger, things, &mut dice).await,
            5 => by_odd_id(stranger, things, &mut dice).await,
            6 => by_handle(stranger, things, &mut dice).await,
            7 => list(stranger, things, &mut dice).await,
            _ => without_key(stranger, things, &mut dice).await,
        };
        *statuses.entry(status).or_default() += 1;
    }
    statuses.into_iter().collect()
}

/// What goes with a request of that method.
fn body(method: &str) -> Option<Value> {
    (method == "PATCH").then(|| json!({ "status": "contacted" }))
}

/// The victim's thing, and one that does not exist: the answers are the same.
async fn by_id(stranger: &Client<'_>, things: &Things, dice: &mut Dice) -> u16 {
    let (method, prefix, kind) = dice.pick(BY_ID);
    let id = dice.pick(&things.ids[*kind as usize]);
    let query = if matches!((*method, kind), ("GET", Kind::Lead)) && dice.roll(2) == 0 {
        "?as_of=2026-04-24T10:31:00Z"
    } else {
        ""
    };
    let path = with_id(prefix, id) + query;
    let theirs = stranger.own(method, &path, body(method)).await;
    let nobodys = with_id(prefix, &dice.nobodys(id)) + query;
    assert_eq!(theirs.status, 404, "{method} {path}: {theirs:?}");
    assert_eq!(
        theirs,
        stranger.own(method, &nobodys, body(method)).await,
        "{method} {path}"
    );
    things.leak_nothing(&path, &theirs);
    theirs.status
}

/// An id in another spelling, of another kind, or with something before or behind it.
async fn by_odd_id(stranger: &Client<'_>, things: &Things, dice: &mut Dice) -> u16 {
    let (method, prefix, _) = dice.pick(BY_ID);
    let kind = dice.roll(6);
    let id = dice.pick(&things.ids[kind]);
    let odd = match dice.roll(5) {
        0 => id.to_ascii_lowercase(),
        1 => format!("{id}%20"),
        2 => id.replace('_', "%5F"),
        3 => format!("..%2F{id}"),
        _ => format!("{id}/"),
    };
    let path = with_id(prefix, &odd);
    let answer = stranger.own(method, &path, body(method)).await;
    assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    things.leak_nothing(&path, &answer);
    answer.status
}

/// A stream's name or a page's cursor that the victim was given.
async fn by_handle(stranger: &Client<'_>, things: &Things, dice: &mut Dice) -> u16 {
    let (path, nobodys) = if dice.roll(2) == 0 {
        let stream = dice.pick(&things.streams);
        let mut other = stream.clone();
        let at = stream.find("acct_").unwrap() + "acct_".len();
        other.replace_range(at..at + 26, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        (
            format!("/v1/events?stream={stream}"),
            format!("/v1/events?stream={other}"),
        )
    } else {
        let cursor = dice.pick(&things.cursors);
        (
            format!("/v1/leads?limit=1&cursor={cursor}"),
            "/v1/leads?limit=1&cursor=cursor_x".to_owned(),
        )
    };
    let theirs = stranger.own("GET", &path, None).await;
    assert_eq!(theirs, stranger.own("GET", &nobodys, None).await, "{path}");
    things.leak_nothing(&path, &theirs);
    theirs.status
}

/// What the stranger may read: its own, and nothing of the victim's in it.
async fn list(stranger: &Client<'_>, things: &Things, dice: &mut Dice) -> u16 {
    if dice.roll(8) == 0 {
        let (path, body) = ("/v1/tracked-keywords/dry-run", json!({ "keyword": "event sourcing" }));
        let answer = stranger.own("POST", path, Some(body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        things.leak_nothing(path, &answer);
        return answer.status;
    }
    let path = dice.pick(LISTS);
    let answer = stranger.own("GET", path, None).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    things.leak_nothing(path, &answer);
    answer.status
}

/// No key, one that was mistyped, or an id in the place of one.
async fn without_key(stranger: &Client<'_>, things: &Things, dice: &mut Dice) -> u16 {
    let (method, prefix, kind) = dice.pick(BY_ID);
    let path = match dice.roll(3) {
        0 => (*dice.pick(LISTS)).to_owned(),
        _ => with_id(prefix, dice.pick::<String>(&things.ids[*kind as usize])),
    };
    let key = match dice.roll(4) {
        0 => None,
        1 => Some(dice.pick(&things.ids[Kind::Key as usize]).clone()),
        2 => Some(stranger.key.to_ascii_lowercase()),
        _ => Some(format!("{}0", stranger.key)),
    };
    let answer = stranger.ask(key.as_deref(), method, &path, None).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (401, UNAUTHORIZED),
        "{method} {path}"
    );
    answer.status
}
