//! The story of a month that is full: nothing is lost, and a raised plan releases what was withheld.

use serde_json::json;

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::eventually;
use crate::harness::home::{Home, on_every_engine};
use crate::harness::receiver::Receiver;
use crate::harness::server::{Server, output, run};

on_every_engine!(people_over_the_cap_are_withheld_and_a_raised_plan_releases_and_delivers_them);

async fn people_over_the_cap_are_withheld_and_a_raised_plan_releases_and_delivers_them(home: Home) {
    let config = generous(home.folder(), Some(5));
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str("[plans.large]\napi = true\nrequests_per_minute = 10000000\n");
    std::fs::write(&config, text).unwrap();
    // On a shared database a command is a process of its own, which has to know the plans as well.
    let config = ["--config", config.to_str().unwrap()];
    let server = Server::start(&home, None, &config);
    let receiver = Receiver::start(200).await;
    server
        .post(
            "/v1/webhooks",
            json!({"url": receiver.url(), "events": ["lead.created"]}),
            201,
        )
        .await;
    server
        .post("/v1/tracked-repos", json!({"full_name": STARRED}), 201)
        .await;
    let hour = hour(64);
    let backfill = [&config[..], &["backfill", "-"]].concat();
    assert!(output(&home, &backfill, hour.text.as_bytes()).status.success());
    assert_eq!(server.leads("").await.len(), 5);
    eventually("the five are delivered", || async {
        (receiver.received().len() == 5).then_some(())
    })
    .await;
    run(&home, &[&config[..], &["plan", "set", "large"]].concat());
    eventually("all are released", || async {
        (server.leads("").await.len() == hour.stargazers.len()).then_some(())
    })
    .await;
    eventually("all are delivered", || async {
        (receiver.received().len() == hour.stargazers.len()).then_some(())
    })
    .await;
    assert!(server.terminate());
}
