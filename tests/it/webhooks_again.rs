//! Stories of what is sent again, and of a developer who listens: resends, replays over a crash, `listen --forward-to`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::{Home, on_every_engine};
use crate::harness::receiver::{Received, Receiver};
use crate::harness::server::{Server, gitleads, output};

on_every_engine!(
    a_delivery_is_sent_again_when_it_is_asked_for_and_a_paused_endpoint_keeps_the_wish,
    a_replay_tells_how_far_it_is_and_goes_on_after_a_crash,
    a_developer_listens_to_what_happens_and_nothing_is_kept_of_it
);

fn start(home: &Home, key: Option<&str>) -> Server {
    let config = generous(home.folder(), None);
    Server::start(home, key, &["--config", config.to_str().unwrap()])
}

/// Adds an endpoint that hears of new leads; its path in the API.
async fn subscribe(server: &Server, receiver: &Receiver) -> String {
    let endpoint = json!({"url": receiver.url(), "events": ["lead.created"]});
    let endpoint = server.post("/v1/webhooks", endpoint, 201).await;
    format!("/v1/webhooks/{}", endpoint["id"].as_str().unwrap())
}

/// Has so many people do something; who of them became a lead.
async fn live(home: &Home, server: &Server, people: usize) -> BTreeSet<String> {
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    let hour = hour(people);
    let fed = output(home, &["backfill", "-"], hour.text.as_bytes());
    assert!(fed.status.success(), "{}", String::from_utf8_lossy(&fed.stderr));
    hour.stargazers
}

/// What came of each event, by `webhook-id`.
fn by_id(receiver: &Receiver) -> BTreeMap<String, Vec<Received>> {
    let mut heard: BTreeMap<String, Vec<Received>> = BTreeMap::new();
    for received in receiver.received() {
        let id = received.header("webhook-id").to_owned();
        heard.entry(id).or_default().push(received);
    }
    heard
}

/// Waits until every one of so many events came so many times at least.
async fn all_came(receiver: &Receiver, events: usize, times: usize) -> BTreeMap<String, Vec<Received>> {
    eventually("every event came often enough", || async {
        let heard = by_id(receiver);
        let enough = heard.len() == events && heard.values().all(|received| received.len() >= times);
        enough.then_some(heard)
    })
    .await
}

/// The delivery as the list has it, and null before it has.
async fn delivery(server: &Server, endpoint: &str, id: &str) -> Value {
    let page = server.get(&format!("{endpoint}/deliveries?limit=100")).await;
    let mut rows = page["data"].as_array().unwrap().iter();
    rows.find(|row| row["id"] == id).cloned().unwrap_or_default()
}

async fn a_delivery_is_sent_again_when_it_is_asked_for_and_a_paused_endpoint_keeps_the_wish(home: Home) {
    let server = start(&home, None);
    let receiver = Receiver::start(200).await;
    let endpoint = subscribe(&server, &receiver).await;
    let people = live(&home, &server, 40).await;
    let heard = all_came(&receiver, people.len(), 1).await;
    let (id, first) = heard.first_key_value().unwrap();
    let resend = format!("{endpoint}/deliveries/{id}/resend");
    let recorded = async |attempts: usize| {
        eventually("the attempt is recorded", || async {
            let delivery = delivery(&server, &endpoint, id).await;
            let made = delivery["attempts"].as_array().map_or(0, Vec::len);
            (delivery["status"] == "delivered" && made == attempts).then_some(())
        })
        .await;
    };
    recorded(1).await;
    let waits = server.post(&resend, json!({}), 202).await;
    assert_eq!(waits, json!({"id": id, "status": "waiting"}));
    recorded(2).await;
    // A wish that nobody can fulfil for the time being is kept, and seen to wait.
    server.post(&format!("{endpoint}/pause"), json!({}), 200).await;
    let key = server.key();
    assert!(server.terminate());
    let server = start(&home, Some(&key));
    server.post(&resend, json!({}), 202).await;
    assert_eq!(delivery(&server, &endpoint, id).await["status"], "waiting");
    server.kill();
    let server = start(&home, Some(&key));
    assert_eq!(delivery(&server, &endpoint, id).await["status"], "waiting");
    eventually("it is resumed, once the read models are this server's", || async {
        let answer = server
            .ask("POST", &format!("{endpoint}/resume"), Some(json!({})), None)
            .await;
        (answer.status == 200).then_some(())
    })
    .await;
    let again = eventually("it came a third time", || async {
        let heard = by_id(&receiver);
        (heard[id].len() == 3).then_some(heard)
    })
    .await;
    for received in &again[id] {
        assert_eq!(
            (received.header("webhook-id"), &received.body),
            (id.as_str(), &first[0].body)
        );
    }
    let others = again.iter().filter(|(other, _)| *other != id);
    assert!(others.clone().all(|(_, received)| received.len() == 1));
    assert_eq!(others.count(), people.len() - 1);
    assert!(server.terminate());
}

async fn a_replay_tells_how_far_it_is_and_goes_on_after_a_crash(home: Home) {
    let server = start(&home, None);
    let receiver = Receiver::start(200).await;
    let endpoint = subscribe(&server, &receiver).await;
    let people = live(&home, &server, 1_600).await;
    let heard = all_came(&receiver, people.len(), 1).await;
    let bodies: BTreeMap<&String, &Received> = heard.iter().map(|(id, received)| (id, &received[0])).collect();
    let replays = async |server: &Server| server.get(&format!("{endpoint}/replays")).await["data"].clone();
    assert_eq!(replays(&server).await, json!([]));

    let before = receiver.received().len();
    let span = json!({"since": "2026-01-01T00:00:00Z"});
    let asked = server.post(&format!("{endpoint}/replay"), span, 202).await;
    assert_eq!((&asked["status"], &asked["percent"]), (&json!("waiting"), &json!(0)));
    eventually("the replay is under way", || async {
        (receiver.received().len() > before + 20).then_some(())
    })
    .await;
    let key = server.key();
    server.kill();
    let server = start(&home, Some(&key));
    let percents = RefCell::new(Vec::new());
    eventually("the replay is done", || async {
        let now = replays(&server).await;
        assert_eq!((now.as_array().unwrap().len(), &now[0]["id"]), (1, &asked["id"]));
        let percent = now[0]["percent"].as_u64().unwrap();
        percents.borrow_mut().push(percent);
        let is_done = now[0]["status"] == "done";
        assert_eq!(is_done, percent == 100, "{now}");
        is_done.then_some(())
    })
    .await;
    assert!(percents.borrow().is_sorted(), "{percents:?}");
    let again = all_came(&receiver, people.len(), 2).await;
    for (id, received) in &again {
        assert!(received.iter().all(|received| received.body == bodies[id].body), "{id}");
    }
    assert!(server.terminate());
}

/// `gitleads listen`, until it is dropped.
struct Listening {
    child: Child,
    secret: String,
}

impl Listening {
    /// Starts it and waits until it listens.
    fn start(home: &Home, url: &str) -> Self {
        let mut command = gitleads(home);
        command.args(["listen", "--forward-to", url]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || lines.next().expect("the listener did not start").unwrap();
        let secret = next();
        let secret = secret.strip_prefix("Deliveries are signed with ").unwrap().to_owned();
        let waiting = next();
        assert_eq!(waiting, format!("Waiting for events to post to {url}; Ctrl-C ends it."));
        // Keep reading, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, secret }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn a_developer_listens_to_what_happens_and_nothing_is_kept_of_it(home: Home) {
    let server = start(&home, None);
    let receiver = Receiver::start(500).await;
    let listening = Listening::start(&home, receiver.url());
    let people = live(&home, &server, 80).await;
    // One attempt each, whatever the answer.
    let heard = all_came(&receiver, people.len(), 1).await;
    let library = standardwebhooks::Webhook::new(&listening.secret).unwrap();
    let mut told = BTreeSet::new();
    for times in heard.values() {
        let [once] = times.as_slice() else {
            panic!("it came {} times", times.len())
        };
        library.verify(&once.body, &once.headers).unwrap();
        let body: Value = serde_json::from_slice(&once.body).unwrap();
        assert_eq!(body["event"], "lead.created");
        told.insert(body["data"]["github_username"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, people);
    assert_eq!(server.get("/v1/webhooks").await["data"], json!([]));
    drop(listening);
    assert!(server.terminate());
}
