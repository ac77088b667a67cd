//! Stories of an archive hour: who becomes a lead, what a second run does, and what a crash in the middle does.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::harness::archive::{Hour, STARRED, hour};
use crate::harness::config::generous;
use crate::harness::home::{Home, on_every_engine};
use crate::harness::server::{Server, gitleads, output, run};

on_every_engine!(
    an_archive_hour_gives_exactly_its_people_and_a_second_time_nothing,
    commands_reach_a_running_server_and_its_leads_appear,
    a_backfill_killed_at_several_points_and_run_again_ends_like_one_that_was_not
);

fn gzip(path: &Path, text: &str) {
    let mut encoder = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
}

fn logins(leads: &[Value]) -> BTreeSet<String> {
    leads
        .iter()
        .map(|lead| lead["github_username"].as_str().unwrap().to_owned())
        .collect()
}

/// Tracks what the hour is about.
fn track(home: &Home) {
    run(home, &["track", "repo", STARRED]);
    run(home, &["track", "keyword", "docker", "--in", "issues,prs"]);
}

fn count_events(home: &Home) -> usize {
    run(home, &["events", "--json"]).lines().count()
}

async fn expect_leads(server: &Server, hour: &Hour) {
    let stargazers = server.leads(&format!("repo={STARRED}")).await;
    assert_eq!(logins(&stargazers), hour.stargazers);
    assert_eq!(stargazers.len(), hour.stargazers.len(), "a person twice");
    assert_eq!(
        logins(&server.leads("signal_type=keyword_issue").await),
        hour.issue_writers
    );
    assert_eq!(logins(&server.leads("signal_type=keyword_pr").await), hour.pr_writers);
    let all = server.leads("").await.len();
    assert_eq!(
        all,
        hour.stargazers.len() + hour.issue_writers.len() + hour.pr_writers.len()
    );
}

async fn an_archive_hour_gives_exactly_its_people_and_a_second_time_nothing(home: Home) {
    let hour = hour(400);
    let file = home.folder().join("hour.json.gz");
    gzip(&file, &hour.text);
    track(&home);
    let first = output(&home, &["backfill", file.to_str().unwrap()], b"");
    let summary = String::from_utf8_lossy(&first.stdout).into_owned() + &String::from_utf8_lossy(&first.stderr);
    assert!(first.status.success(), "{summary}");
    let lines = hour.text.lines().count();
    for broken in [lines - 1, lines] {
        assert!(
            summary.contains(&format!("line {broken}")),
            "broken line {broken} is not reported: {summary}"
        );
    }
    let events = count_events(&home);
    run(&home, &["backfill", file.to_str().unwrap()]);
    assert!(output(&home, &["backfill", "-"], hour.text.as_bytes()).status.success());
    assert_eq!(count_events(&home), events);
    let config = generous(home.folder(), None);
    let key = run(&home, &["keys", "create"]);
    let key = key
        .split_whitespace()
        .find(|word| word.starts_with("gl_live_"))
        .unwrap()
        .to_owned();
    let server = Server::start(&home, Some(&key), &["--config", config.to_str().unwrap()]);
    expect_leads(&server, &hour).await;
}

async fn commands_reach_a_running_server_and_its_leads_appear(home: Home) {
    let config = generous(home.folder(), None);
    let server = Server::start(&home, None, &["--config", config.to_str().unwrap()]);
    track(&home);
    let hour = hour(200);
    assert!(output(&home, &["backfill", "-"], hour.text.as_bytes()).status.success());
    expect_leads(&server, &hour).await;
    run(&home, &["replay", "--all"]);
    expect_leads(&server, &hour).await;
    assert!(server.terminate());
}

/// What the read models say, without what differs from run to run: ids, and when we recorded.
async fn digest(home: &Home, key: &str, config: &str) -> Vec<Value> {
    let server = Server::start(home, Some(key), &["--config", config]);
    let mut leads = Vec::new();
    for lead in server.leads("").await {
        let mut detail = server.get(&format!("/v1/leads/{}", lead["id"].as_str().unwrap())).await;
        for field in ["id", "captured_at", "updated_at"] {
            detail.as_object_mut().unwrap().remove(field);
        }
        // Before the profile is read, the login's provenance is the signal, with the time at which it was recorded.
        detail["provenance"]["github_username"]
            .as_object_mut()
            .unwrap()
            .remove("observed_at");
        for signal in detail["signals"].as_array_mut().unwrap() {
            signal.as_object_mut().unwrap().remove("recorded_at");
        }
        leads.push(detail);
    }
    leads.sort_by_key(|lead| lead["github_username"].to_string());
    leads
}

async fn a_backfill_killed_at_several_points_and_run_again_ends_like_one_that_was_not(home: Home) {
    let config = generous(home.folder(), None);
    let hour = hour(6_000);
    let file = home.folder().join("hour.json");
    std::fs::write(&file, &hour.text).unwrap();
    let mut outcomes = Vec::new();
    for kills in [0, 6] {
        let home = home.another().await;
        track(&home);
        let key = run(&home, &["keys", "create"]);
        let key = key
            .split_whitespace()
            .find(|word| word.starts_with("gl_live_"))
            .unwrap()
            .to_owned();
        for kill in 0..kills {
            kill_in_the_middle(&home, &file, kill).await;
        }
        run(&home, &["backfill", file.to_str().unwrap()]);
        outcomes.push(digest(&home, &key, config.to_str().unwrap()).await);
    }
    let expected = hour.stargazers.len() + hour.issue_writers.len() + hour.pr_writers.len();
    assert_eq!(outcomes[0].len(), expected);
    let differing = outcomes[0].iter().zip(&outcomes[1]).find(|(a, b)| a != b);
    assert!(
        outcomes[0].len() == outcomes[1].len() && differing.is_none(),
        "{differing:?}"
    );
}

/// Starts a backfill, waits until the log grew past a point that moves on from kill to kill, and kills it.
async fn kill_in_the_middle(home: &Home, file: &Path, nth: u64) {
    let mut child = gitleads(home)
        .args(["backfill", file.to_str().unwrap()])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let enough = 60_000 * (nth + 1);
    while child.try_wait().unwrap().is_none() && home.log_size().await < enough {
        std::thread::yield_now();
    }
    drop(child.kill());
    child.wait().unwrap();
}
