//! An archive file, whole, broken, cut off, and again.

use std::io::{Cursor, Write as _};
use std::sync::Mutex as StdMutex;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn line(number: u64, kind: &str, login: &str, payload: &str) -> String {
    format!(
        r#"{{"id":"{number}","type":"{kind}","actor":{{"id":{number},"login":"{login}"}},"repo":{{"id":1,"name":"acme/sdk"}},"payload":{payload},"created_at":"2015-01-01T00:00:00Z"}}"#
    )
}

fn watch(number: u64) -> String {
    line(
        number,
        "WatchEvent",
        &format!("fan-{number}"),
        r#"{"action":"started"}"#,
    )
}

fn issue(number: u64, body: &str) -> String {
    let payload = format!(
        r#"{{"action":"opened","issue":{{"html_url":"https://github.com/acme/sdk/issues/{number}","title":"A question","body":"{body}","user":{{"id":{number},"login":"fan-{number}","type":"User"}}}}}}"#
    );
    line(number, "IssuesEvent", "somebody-else", &payload)
}

fn packed(lines: &[String]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(lines.join("\n").as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn hour() -> Vec<u8> {
    let mut lines: Vec<String> = (1..=1_000).map(watch).collect();
    lines.push(line(2_000, "PushEvent", "pusher", "{}"));
    lines.push("{ broken".to_owned());
    lines.push(line(2_001, "WatchEvent", "helper[bot]", r#"{"action":"started"}"#));
    lines.push(issue(5, "How do I use docker?"));
    lines.push(issue(3_000, "docker?"));
    lines.push(issue(3_001, "Something else"));
    packed(&lines)
}

async fn run(room: &Room, file: Vec<u8>) -> Summary {
    backfill(&room.ingest, Cursor::new(file), "hour.json.gz", |_| ())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_file_is_told_of_line_by_line_and_the_same_file_again_adds_no_event() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    room.track_keyword("docker").await;
    let size = hour().len() as u64;
    let last = StdMutex::new(Progress::default());
    let summary = backfill(&room.ingest, Cursor::new(hour()), "hour.json.gz", |progress| {
        *last.lock().unwrap() = *progress;
    })
    .await
    .unwrap();
    assert_eq!(
        (summary.lines, summary.broken, summary.cut_short.as_deref()),
        (1_006, 1, None)
    );
    assert_eq!(summary.broken_lines[0].0, 1_002);
    assert_eq!(summary.events[&"WatchEvent"], 1_001);
    let expected = Accepted {
        activities: 1_004,
        captured: 1_001,
        joined: 1,
        bots: 1,
        unmatched: 1,
        ..Accepted::default()
    };
    assert_eq!(summary.accepted, expected);
    let last = last.into_inner().unwrap();
    assert_eq!((last.read, last.lines), (size, 1_006));

    let head = room.head().await;
    let again = run(&room, hour()).await;
    assert_eq!((again.accepted.captured, again.accepted.known), (0, 1_002));
    assert_eq!(room.head().await, head);
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_recorded_as_far_as_it_goes_and_says_so() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    let mut cut = hour();
    cut.truncate(cut.len() - 30);
    let summary = run(&room, cut).await;
    assert!(summary.cut_short.is_some());
    assert!(summary.accepted.captured > 0);
    assert_eq!(
        run(&room, hour()).await.accepted.captured + summary.accepted.captured,
        1_000
    );
}

#[tokio::test]
async fn a_file_of_another_kind_is_known_from_one_with_a_few_broken_lines() {
    let room = Room::new().await;
    let broken = "this is\nno archive\n".to_owned();
    for (name, file, unreadable) in [
        ("a.json", broken.clone().into_bytes(), Some("all its lines are broken")),
        (
            "a.json.gz",
            broken.clone().into_bytes(),
            Some("its name ends in .gz, but it is not gzip"),
        ),
        (
            "a.json.gz",
            packed(std::slice::from_ref(&broken)),
            Some("all its lines are broken"),
        ),
        (
            "a.json.GZ",
            Vec::new(),
            Some("its name ends in .gz, but it is not gzip"),
        ),
        ("a.json", Vec::new(), None),
        ("a.json.gz", (watch(1) + "\n" + &broken).into_bytes(), None),
        ("a.json.gz", hour(), None),
    ] {
        let summary = backfill(&room.ingest, Cursor::new(file), name, |_| ()).await.unwrap();
        assert_eq!(summary.unreadable(), unreadable, "{name} {}", summary.lines);
    }
}

#[tokio::test]
async fn plain_lines_serve_as_well_and_a_quota_holds_over_the_whole_file() {
    let room = Room::on_plan("tiny").await;
    room.track("acme/sdk").await;
    let plain: String = (1..=1_200).map(|number| watch(number) + "\n").collect();
    let summary = run(&room, plain.into_bytes()).await;
    assert_eq!((summary.accepted.captured, summary.accepted.withheld), (2, 1_198));
}

#[tokio::test]
async fn a_file_does_not_bring_an_erased_person_back() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    room.track_keyword("docker").await;
    run(&room, packed(&[watch(5), watch(6)])).await;
    room.erase(5).await;
    let writers = [issue(5, "How do I use docker?"), issue(6, "docker?")];
    let again = run(&room, packed(&writers)).await.accepted;
    assert_eq!((again.erased, again.joined), (1, 1));
    assert_eq!(room.history(5).await, ["LeadCaptured", "LeadErased"]);
}
