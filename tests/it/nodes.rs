//! Stories of several nodes on one database: what each of them shows, what they share, and what is left of one that dies,
//! leaves, or is paused and comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fake_github::{FakeGithub, Repo, Token, User};
use serde_json::{Value, json};

use crate::harness::archive::{Hour, STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::Home;
use crate::harness::receiver::Receiver;
use crate::harness::server::{Server, output, run};

/// Several servers on one database.
struct Nodes {
    home: Home,
    config: PathBuf,
    key: Option<String>,
}

impl Nodes {
    /// None yet; with a rate limit that no story runs into.
    async fn new() -> Self {
        let home = Home::on_postgres().await;
        let config = generous(home.folder(), None);
        Self {
            home,
            config,
            key: None,
        }
    }

    /// One more node.
    fn start(&mut self, arguments: &[&str]) -> Server {
        let mut all = vec!["--config", self.config.to_str().unwrap()];
        all.extend(arguments);
        let server = Server::start(&self.home, self.key.as_deref(), &all);
        self.key = Some(server.key());
        server
    }

    /// Feeds the lines of an archive hour by the command line, which is one more process on the database.
    fn feed(&self, lines: &[&str]) {
        let fed = output(&self.home, &["backfill", "-"], lines.join("\n").as_bytes());
        assert!(fed.status.success(), "{}", String::from_utf8_lossy(&fed.stderr));
    }

    /// Every projection is, row by row, what a rebuild from the beginning of the log makes of it.
    fn rows_equal_a_rebuild(&self) {
        let told = run(&self.home, &["replay", "--all", "--verify"]);
        assert!(told.contains("all the same"), "{told}");
    }

    /// Deliveries that are recorded more than once as taken.
    async fn recorded_twice(&self) -> i64 {
        let twice = "SELECT count(*) FROM (SELECT endpoint, event_id FROM webhook_attempt \
                     WHERE outcome = 'delivered' GROUP BY endpoint, event_id HAVING count(*) > 1) AS twice";
        self.home.number(twice).await
    }
}

/// How many read models there are, each with a lease.
fn read_models() -> u64 {
    projections::all().len() as u64
}

/// In so many parts all that is asked of GitHub is divided among the nodes.
const SHARDS: u64 = 8;

/// How many leases of the kind the node holds.
async fn holds(node: &Server, kind: &str) -> u64 {
    node.ready().await["leases"][kind].as_u64().unwrap_or(0)
}

/// Waits until the node does everything that one node at a time does.
async fn holds_everything(node: &Server, endpoints: u64) {
    eventually("one node holds everything", || async {
        let leases = node.ready().await["leases"].clone();
        let all = [
            ("projection", read_models()),
            ("polls", SHARDS),
            ("releases", 1),
            ("webhook", endpoints),
        ];
        let held = |(kind, count): &(&str, u64)| leases[kind].as_u64().unwrap_or(0) == *count;
        all.iter().all(held).then_some(())
    })
    .await;
}

async fn subscribe(node: &Server, count: usize) -> Vec<Receiver> {
    let mut receivers = Vec::new();
    for _ in 0..count {
        let receiver = Receiver::start(200).await;
        let endpoint = json!({"url": receiver.url(), "events": ["lead.created"]});
        node.post("/v1/webhooks", endpoint, 201).await;
        receivers.push(receiver);
    }
    receivers
}

/// How often each event came.
fn times(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for received in receiver.received() {
        *times.entry(received.header("webhook-id").to_owned()).or_default() += 1;
    }
    times
}

/// Waits until every receiver was told of so many leads.
async fn all_told(receivers: &[Receiver], leads: usize) {
    eventually("every receiver was told of every lead", || async {
        let told = |receiver: &Receiver| times(receiver).len() == leads;
        receivers.iter().all(told).then_some(())
    })
    .await;
}

async fn track(node: &Server) {
    node.post("/v1/tracked-repos", json!({"full_name": STARRED}), 201).await;
}

/// Those among the lines who starred the tracked repository.
fn stargazers<'a>(hour: &'a Hour, lines: &[&str]) -> BTreeSet<&'a str> {
    let all = hour.stargazers.iter().map(String::as_str);
    let starred = |login: &&str| {
        let actor = format!("\"login\":\"{login}\"");
        lines.iter().any(|line| line.contains(&actor) && line.contains(STARRED))
    };
    all.filter(starred).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_on_one_node_is_read_on_the_other_by_its_position() {
    let mut nodes = Nodes::new().await;
    let (a, b) = (nodes.start(&[]), nodes.start(&[]));
    for number in 0..20 {
        let (written, read) = if number % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let repo = json!({"full_name": format!("acme/sdk-{number}")});
        let answer = written.ask("POST", "/v1/tracked-repos", Some(repo), None).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let position = answer.header("gitleads-position");
        let answer = read.ask("GET", "/v1/tracked-repos", None, Some(position)).await;
        assert_eq!(answer.json()["data"].as_array().unwrap().len(), number + 1);
    }
    assert!(a.terminate() && b.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_together_grant_exactly_the_limit() {
    let mut nodes = Nodes::new().await;
    let text = std::fs::read_to_string(&nodes.config).unwrap();
    std::fs::write(&nodes.config, text.replace("10000000", "150")).unwrap();
    let (a, b) = (nodes.start(&[]), nodes.start(&[]));
    // Of each minute that was asked in: how many were granted, and what was left when; a minute may end in between.
    let mut minutes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    while minutes.values().all(|(_, refused)| *refused == 0) {
        let asked = (0..40).map(|number| if number % 3 == 0 { &a } else { &b });
        let asked = asked.map(|node| node.ask("GET", "/v1/tracked-keywords", None, None));
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.header("x-ratelimit-limit"), "150");
            let minute = minutes
                .entry(answer.header("x-ratelimit-reset").to_owned())
                .or_default();
            match answer.status {
                200 => minute.0 += 1,
                429 => {
                    minute.1 += 1;
                    assert_eq!(answer.header("x-ratelimit-remaining"), "0");
                    assert!(!answer.header("retry-after").is_empty());
                }
                other => panic!("{other}: {}", answer.body),
            }
        }
    }
    for (granted, refused) in minutes.values() {
        assert!(
            *granted == 150 || (*refused == 0 && *granted < 150),
            "{granted} {refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_endpoints_and_one_that_leaves_hands_over_without_a_delivery_too_many() {
    let mut nodes = Nodes::new().await;
    let (a, b) = (nodes.start(&[]), nodes.start(&[]));
    // Which node one belongs to is drawn: of twelve both have some.
    let receivers = subscribe(&a, 12).await;
    track(&b).await;
    eventually("both deliver", || async {
        let (of_a, of_b) = (holds(&a, "webhook").await, holds(&b, "webhook").await);
        (of_a > 0 && of_b > 0 && of_a + of_b == 12).then_some(())
    })
    .await;
    let hour = hour(480);
    let lines: Vec<&str> = hour.text.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    nodes.feed(first);
    all_told(&receivers, stargazers(&hour, first).len()).await;
    assert!(a.terminate());
    nodes.feed(second);
    all_told(&receivers, hour.stargazers.len()).await;
    for receiver in &receivers {
        assert!(times(receiver).values().all(|times| *times == 1));
    }
    assert_eq!(b.leads(&format!("repo={STARRED}")).await.len(), hour.stargazers.len());
    assert!(b.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_takes_over_everything_from_one_that_is_killed_and_nothing_is_lost() {
    let mut nodes = Nodes::new().await;
    let a = nodes.start(&[]);
    let receivers = subscribe(&a, 3).await;
    track(&a).await;
    holds_everything(&a, 3).await;
    let b = nodes.start(&["--roles", "api,ingest,project"]);
    let hour = hour(480);
    let lines: Vec<&str> = hour.text.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    nodes.feed(first);
    eventually("the deliveries have begun", || async {
        (!receivers[0].received().is_empty()).then_some(())
    })
    .await;
    a.kill();
    let c = nodes.start(&["--roles", "deliver"]);
    assert_eq!(c.ready().await["roles"], json!(["deliver"]));
    nodes.feed(second);
    all_told(&receivers, hour.stargazers.len()).await;
    eventually("every lead is shown", || async {
        (b.leads("").await.len() == hour.stargazers.len()).then_some(())
    })
    .await;
    // A command that was at work when the leases ran out may have had the read models first.
    eventually("the others do what it did", || async {
        let of_b = (holds(&b, "projection").await, holds(&b, "polls").await);
        (of_b == (read_models(), SHARDS) && holds(&c, "webhook").await == 3).then_some(())
    })
    .await;
    assert_eq!(nodes.recorded_twice().await, 0);
    nodes.rows_equal_a_rebuild();
    assert!(b.terminate() && c.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_that_comes_back_writes_nothing_of_what_another_took_over() {
    let mut nodes = Nodes::new().await;
    let a = nodes.start(&[]);
    let receivers = subscribe(&a, 3).await;
    track(&a).await;
    holds_everything(&a, 3).await;
    let hour = hour(1_600);
    let lines: Vec<&str> = hour.text.lines().collect();
    let (before, rest) = lines.split_at(lines.len() / 2);
    let (during, after) = rest.split_at(rest.len() / 2);
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| nodes.feed(before));
        // In the middle of projecting and delivering.
        while receivers[0].received().len() < 5 {
            std::thread::yield_now();
        }
        a.pause();
        feeding.join().unwrap();
    });

    let b = nodes.start(&[]);
    holds_everything(&b, 3).await;
    nodes.feed(during);
    all_told(
        &receivers,
        stargazers(&hour, &lines[..before.len() + during.len()]).len(),
    )
    .await;

    a.resume();
    nodes.feed(after);
    all_told(&receivers, hour.stargazers.len()).await;
    eventually("the paused node is well again and takes its part", || async {
        let ready = a.ready().await;
        (ready["status"] == "ready" && holds(&a, "webhook").await + holds(&b, "webhook").await == 3).then_some(())
    })
    .await;
    assert_eq!(
        (holds(&a, "projection").await, holds(&b, "projection").await),
        (0, read_models())
    );
    assert_eq!(nodes.recorded_twice().await, 0);
    let shown: BTreeSet<String> = logins(&a.leads("").await);
    assert!(shown.iter().eq(&hour.stargazers));
    nodes.rows_equal_a_rebuild();
    assert!(a.terminate() && b.terminate());
}

fn logins(leads: &[Value]) -> BTreeSet<String> {
    let login = |lead: &Value| lead["github_username"].as_str().unwrap().to_owned();
    leads.iter().map(login).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_role_each_are_a_whole_together() {
    let mut nodes = Nodes::new().await;
    let project = nodes.start(&["--roles", "project"]);
    let api = nodes.start(&["--roles", "api"]);
    let deliver = nodes.start(&["--roles", "deliver"]);
    let ingest = nodes.start(&["--roles", "ingest"]);
    for (node, role) in [
        (&project, "project"),
        (&api, "api"),
        (&deliver, "deliver"),
        (&ingest, "ingest"),
    ] {
        let ready = node.ready().await;
        assert_eq!((&ready["status"], &ready["roles"]), (&json!("ready"), &json!([role])));
    }
    let receivers = subscribe(&api, 1).await;
    track(&api).await;
    let hour = hour(160);
    nodes.feed(&hour.text.lines().collect::<Vec<_>>());
    all_told(&receivers, hour.stargazers.len()).await;
    eventually("the repository was polled", || async {
        let repos = api.get("/v1/tracked-repos").await;
        (repos["data"][0]["sources"][0]["state"] != "waiting").then_some(())
    })
    .await;
    assert_eq!(deliver.ask("GET", "/v1/leads", None, None).await.status, 404);
    assert_eq!(holds(&ingest, "polls").await, SHARDS);
    assert!(api.terminate() && deliver.terminate() && ingest.terminate() && project.terminate());
}

/// How often the feed of each of these repositories was asked for.
fn looks(github: &FakeGithub, repos: std::ops::Range<u64>) -> Vec<usize> {
    let path = |number| format!("/repos/acme/tool-{number}/events");
    repos.map(|number| github.requests_to(&path(number)).len()).collect()
}

/// Tracks repositories with these numbers and waits until the feed of each was looked at.
async fn track_tools(node: &Server, github: &FakeGithub, repos: std::ops::Range<u64>) {
    for number in repos.clone() {
        let name = format!("acme/tool-{number}");
        github.change(|world| world.put_repo(Repo::new(1_000 + number, &name)));
        node.post("/v1/tracked-repos", json!({"full_name": name}), 201).await;
    }
    eventually("each feed was looked at", || async {
        looks(github, repos.clone())
            .iter()
            .all(|looks| *looks > 0)
            .then_some(())
    })
    .await;
}

/// Requests to GitHub that the node has made.
async fn asked(node: &Server) -> u64 {
    let text = node.ask("GET", "/metrics", None, None).await.body;
    let counts = text
        .lines()
        .filter(|line| line.starts_with("gitleads_github_requests_total{"));
    counts
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_polls_and_what_a_killed_one_had_is_looked_at_by_the_other() {
    let github = FakeGithub::start().await.unwrap();
    github.change(|world| {
        world.put_user(User::new(900, "own"));
        world.put_token("host", Token::new(900));
    });
    let mut nodes = Nodes::new().await;
    let arguments = ["--github-api-url", github.url(), "--github-token", "host"];
    let (a, b) = (nodes.start(&arguments), nodes.start(&arguments));
    eventually("both hold some of the polls", || async {
        let (of_a, of_b) = (holds(&a, "polls").await, holds(&b, "polls").await);
        (of_a > 0 && of_b > 0 && of_a + of_b == SHARDS).then_some(())
    })
    .await;
    track_tools(&a, &github, 0..32).await;
    assert_eq!(looks(&github, 0..32), [1; 32], "nobody asks for what the other has");
    assert!(asked(&a).await > 0 && asked(&b).await > 0);
    a.kill();
    track_tools(&b, &github, 32..64).await;
    assert_eq!(looks(&github, 32..64), [1; 32]);
    assert_eq!(holds(&b, "polls").await, SHARDS);
    assert!(b.terminate());
}
