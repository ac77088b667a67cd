//! A backfill by hours from a source on loopback: missing and broken hours, a break in the middle, and what is kept.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex as StdMutex;

use axum::Router;
use axum::extract::{Path, State};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use tokio::net::TcpListener;
use url::Url;

use super::*;
use crate::gharchive::{Archive, ArchiveHour};
use crate::ingest::backfill_hours::gaps;
use crate::ingest::{BackfillHours, HourOutcome};

/// What is answered for each file.
type Answers = BTreeMap<String, (StatusCode, Vec<u8>)>;

/// An archive of a few hours that counts what it is asked for.
#[derive(Clone, Default)]
struct Source {
    hours: Arc<StdMutex<Answers>>,
    asked: Arc<StdMutex<Vec<String>>>,
}

impl Source {
    async fn start(&self) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hours", listener.local_addr().unwrap());
        let answer = |Path(name): Path<String>, State(source): State<Self>| async move {
            source.asked.lock().unwrap().push(name.clone());
            let known = source.hours.lock().unwrap().get(&name).cloned();
            known.unwrap_or((StatusCode::NOT_FOUND, Vec::new()))
        };
        let routes = Router::new().route("/hours/{name}", axum::routing::get(answer));
        tokio::spawn(axum::serve(listener, routes.with_state(self.clone())).into_future());
        url.parse().unwrap()
    }

    fn set(&self, hour: u32, status: StatusCode, file: Vec<u8>) {
        let name = format!("2026-01-01-{hour}.json.gz");
        self.hours.lock().unwrap().insert(name, (status, file));
    }

    fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked
            .iter()
            .map(|name| name.replace("2026-01-01-", "").replace(".json.gz", ""))
            .collect()
    }
}

/// The stars of a hundred people in that hour.
fn stars(hour: u64) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for person in hour * 100..hour * 100 + 100 {
        writeln!(
            encoder,
            r#"{{"id":"{person}","type":"WatchEvent","actor":{{"id":{person},"login":"fan-{person}"}},"repo":{{"id":1,"name":"acme/sdk"}},"payload":{{"action":"started"}},"created_at":"2026-01-01T00:00:00Z"}}"#
        )
        .unwrap();
    }
    encoder.finish().unwrap()
}

fn hour(number: u32) -> ArchiveHour {
    format!("2026-01-01T{number:02}").parse().unwrap()
}

async fn run(room: &Room, archive: &Archive) -> anyhow::Result<Vec<(String, Option<String>, u64)>> {
    let mut run = BackfillHours::open(&room.ingest, archive, hour(9), hour(12)).await?;
    let mut told = Vec::new();
    while let Some((hour, outcome)) = run.step(|_, _| ()).await? {
        let captured = match &outcome {
            HourOutcome::Missing => 0,
            HourOutcome::Read(summary) => summary.accepted.captured,
        };
        told.push((hour.to_string(), outcome.gap(), captured));
    }
    Ok(told)
}

async fn reasons(room: &Room) -> Vec<(String, String)> {
    let gaps = gaps(&*room.ingest.store).await.unwrap();
    gaps.into_iter().map(|gap| (gap.hour.to_string(), gap.reason)).collect()
}

#[tokio::test]
async fn missing_and_broken_hours_are_put_down_and_stop_no_other() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    let source = Source::default();
    source.set(9, StatusCode::OK, stars(9));
    source.set(11, StatusCode::OK, stars(11).get(..200).unwrap().to_vec());
    source.set(12, StatusCode::OK, stars(12));
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::impatient(source.start().await, folder.path().join("archive"), u64::MAX);

    let told = run(&room, &archive).await.unwrap();
    let hours: Vec<&str> = told.iter().map(|(hour, _, _)| hour.as_str()).collect();
    assert_eq!(
        hours,
        ["2026-01-01T09", "2026-01-01T10", "2026-01-01T11", "2026-01-01T12"]
    );
    assert_eq!((told[0].1.as_deref(), told[0].2), (None, 100));
    assert_eq!(told[1].1.as_deref(), Some("the source has no such hour"));
    let cut = told[2].1.as_deref().unwrap();
    assert!(cut.starts_with("could not be read to its end: "), "{cut}");
    assert_eq!((told[3].1.as_deref(), told[3].2), (None, 100));
    let noted = reasons(&room).await;
    assert_eq!(
        noted,
        [
            ("2026-01-01T10".into(), told[1].1.clone().unwrap()),
            ("2026-01-01T11".into(), cut.to_owned())
        ]
    );
    assert_eq!(source.asked(), ["9", "10", "11", "12"]);

    // The same again: what was whole is kept, what was not is asked for anew, and nobody is captured twice.
    source.set(11, StatusCode::OK, stars(11));
    let before = told[2].2;
    let again = run(&room, &archive).await.unwrap();
    let captured: Vec<u64> = again.iter().map(|(_, _, captured)| *captured).collect();
    assert_eq!(captured, [0, 0, 100 - before, 0]);
    assert_eq!(source.asked(), ["10", "11"]);
    assert_eq!(reasons(&room).await, noted[..1]);
}

#[tokio::test]
async fn a_backfill_that_was_broken_off_goes_on_at_its_hour() {
    let room = Room::new().await;
    room.track("acme/sdk").await;
    let source = Source::default();
    for hour in [9, 10, 12] {
        source.set(hour, StatusCode::OK, stars(u64::from(hour)));
    }
    source.set(11, StatusCode::BAD_GATEWAY, Vec::new());
    let folder = tempfile::tempdir().unwrap();
    // Nothing is kept but the newest, so that what is asked for again is seen.
    let archive = Archive::impatient(source.start().await, folder.path().join("archive"), 0);
    let error = run(&room, &archive).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot fetch the hour 2026-01-01T11: the source answered 502 Bad Gateway"
    );
    assert_eq!(source.asked(), ["9", "10", "11"]);
    assert_eq!(
        reasons(&room).await,
        [],
        "an hour that could not be asked for is not missing"
    );

    source.set(11, StatusCode::OK, stars(11));
    let told = run(&room, &archive).await.unwrap();
    let hours: Vec<(&str, u64)> = told
        .iter()
        .map(|(hour, _, captured)| (hour.as_str(), *captured))
        .collect();
    assert_eq!(hours, [("2026-01-01T11", 100), ("2026-01-01T12", 100)]);
    assert_eq!(source.asked(), ["11", "12"]);

    let again = run(&room, &archive).await.unwrap();
    assert_eq!(again.len(), 4, "one that came to its end begins anew");
    assert!(again.iter().all(|(_, _, captured)| *captured == 0));
    let kept = std::fs::read_dir(folder.path().join("archive")).unwrap().count();
    assert_eq!(kept, 1, "the folder stays bounded");
}
