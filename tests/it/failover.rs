//! Stories of a database server that crashes, and of one that is lost for good while a replica takes its place.

use serde_json::json;
use testbed::{Cluster, Replication};

use crate::harness::archive::{Hour, STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::Home;
use crate::harness::receiver::Receiver;
use crate::harness::server::{Server, output, run};

/// A server that tracks the hour's repository and tells a receiver of each lead.
async fn tracking(home: &Home, receiver: &Receiver) -> Server {
    let config = generous(home.folder(), None);
    let server = Server::start(home, None, &["--config", config.to_str().unwrap()]);
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    let hook = json!({"url": receiver.url(), "events": ["lead.created"]});
    server.post("/v1/webhooks", hook, 201).await;
    server
}

/// Feeds the hour again until it goes through; what is recorded already is known.
async fn feed(home: &Home, text: &str) {
    eventually("the hour goes through", || async {
        output(home, &["backfill", "-"], text.as_bytes())
            .status
            .success()
            .then_some(())
    })
    .await;
}

/// Everybody is a lead, once, and was delivered; asked of a server that nobody started again.
async fn expect_everybody(server: &Server, receiver: &Receiver, hour: &Hour) {
    eventually("the server answers again and shows everybody", || async {
        let (status, _) = server.request("GET", "/v1/leads?limit=1", None).await;
        (status == 200 && server.leads("").await.len() == hour.stargazers.len()).then_some(())
    })
    .await;
    eventually("everybody was delivered", || async {
        let taken = receiver.received();
        let ids: std::collections::BTreeSet<&str> = taken
            .iter()
            .filter(|taken| taken.answered == 200)
            .map(|taken| taken.header("webhook-id"))
            .collect();
        (ids.len() == hour.stargazers.len()).then_some(())
    })
    .await;
}

/// The positions and ids of the log, as `gitleads events` tells them.
fn events(home: &Home) -> Vec<(u64, String)> {
    let lines = run(home, &["events", "--json"]);
    let pair = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let position = event["position"].as_u64().unwrap();
        (position, event["id"].as_str().unwrap().to_owned())
    };
    lines.lines().map(pair).collect()
}

#[tokio::test]
async fn a_crash_of_the_database_server_loses_nothing_and_the_server_goes_on_by_itself() {
    let cluster = Cluster::start();
    let home = Home::at(cluster.url("postgres"));
    let receiver = Receiver::start(200).await;
    let server = tracking(&home, &receiver).await;
    let hour = hour(400);
    let lines: Vec<&str> = hour.text.lines().collect();
    for (round, part) in lines.chunks(lines.len() / 3 + 1).enumerate() {
        feed(&home, &part.join("\n")).await;
        let acknowledged = events(&home);
        // While deliveries and projections are at it.
        cluster.stop_immediate();
        if round == 1 {
            let (status, _) = server.request("GET", "/v1/leads?limit=1", None).await;
            assert!(matches!(status, 500 | 503), "{status}");
        }
        cluster.start_again();
        let after = events(&home);
        assert!(after.starts_with(&acknowledged), "an acknowledged event is gone");
    }
    expect_everybody(&server, &receiver, &hour).await;
    assert!(run(&home, &["log", "verify"]).contains("whole"));
    assert!(server.terminate());
}

#[tokio::test]
async fn a_promoted_replica_has_every_acknowledged_event_and_the_server_finds_it_by_itself() {
    let primary = Cluster::start();
    let replica = primary.replica(Replication::Synchronous).await;
    let host = |url: String| {
        let rest = url.split_once('@').unwrap().1.to_owned();
        rest.split_once('/').unwrap().0.to_owned()
    };
    let (first, second) = (host(primary.url("postgres")), host(replica.url("postgres")));
    let home = Home::at(format!("postgres://postgres@{first},{second}/postgres"));
    let receiver = Receiver::start(200).await;
    let server = tracking(&home, &receiver).await;
    let hour = hour(200);
    let lines: Vec<&str> = hour.text.lines().collect();
    feed(&home, &lines[..lines.len() / 2].join("\n")).await;
    let acknowledged = events(&home);
    primary.stop_immediate();
    replica.promote();
    let after = events(&home);
    assert!(after.starts_with(&acknowledged), "an acknowledged event is gone");
    feed(&home, &hour.text).await;
    expect_everybody(&server, &receiver, &hour).await;
    assert!(run(&home, &["log", "verify"]).contains("whole"));
    assert!(server.terminate());
}
