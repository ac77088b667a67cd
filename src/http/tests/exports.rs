//! Leads as a file.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use database::{DatabaseError, Row, Snapshot, Statement};
use domain::Profile;
use domain::SignalKind::{KeywordIssue, Stargazer};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::server::served;
use super::*;
use crate::commands::enrich_lead;

impl House {
    async fn crowd(&self, users: std::ops::Range<u64>) {
        let crowd = users.map(|user| sighting(user, Stargazer, "acme/sdk")).collect();
        let recorded = record_signals(&self.writer, self.account, crowd, Allowance::Unlimited).await;
        self.shown(recorded.unwrap().position).await;
        self.pass(Duration::from_secs(1));
    }

    async fn call_it(&self, user_id: u64, profile: Profile) {
        let person = self.writer.vault.person_ref(self.account, user_id);
        let position = enrich_lead(&self.writer, self.account, person, profile).await.unwrap();
        self.shown(position.unwrap()).await;
    }
}

/// The records of a file, read as a spreadsheet does.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    let records = reader.records().map(|record| record.unwrap());
    records
        .map(|record| record.iter().map(str::to_owned).collect())
        .collect()
}

#[tokio::test]
async fn a_csv_file_has_a_row_of_names_and_a_row_a_lead() {
    let house = house().await;
    house
        .record([
            sighting(1, Stargazer, "acme/sdk"),
            sighting(2, KeywordIssue, "Acme/docs"),
        ])
        .await;
    let profile = Profile {
        login: "ada-example".into(),
        name: Some("=HYPERLINK(\"https://example.com\",\"Ada\")".into()),
        email: Some("ada@example.com".into()),
        bio: Some("Builds, \"ships\"\nand sleeps".into()),
        company: Some("@acme".into()),
        location: Some("+49".into()),
        followers: Some(1842),
        top_languages: vec!["Rust".into(), "C++".into()],
        ..Profile::default()
    };
    house.call_it(1, profile).await;
    let answer = house.get("/v1/leads/export?format=csv").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"leads-2026-04-24.csv\""
    );
    assert!(answer.body.ends_with("\r\n"));
    let ids: Vec<Value> = house.get("/v1/leads").await.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lead| lead["id"].clone())
        .collect();
    let names = "id signal_type signal_source github_username name email bio company location followers \
                 top_languages captured_at";
    let names: Vec<&str> = names.split_whitespace().collect();
    let expected = [
        names,
        vec![
            ids[0].as_str().unwrap(),
            "keyword_issue",
            "Acme/docs",
            "ada-example-2",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "2026-04-24T10:31:02Z",
        ],
        vec![
            ids[1].as_str().unwrap(),
            "stargazer",
            "acme/sdk",
            "ada-example",
            "'=HYPERLINK(\"https://example.com\",\"Ada\")",
            "ada@example.com",
            "Builds, \"ships\"\nand sleeps",
            "'@acme",
            "'+49",
            "1842",
            "Rust; C++",
            "2026-04-24T10:31:01Z",
        ],
    ];
    assert_eq!(records(&answer.body), expected);
}

#[tokio::test]
async fn a_file_has_what_the_pages_have_under_every_filter() {
    let house = house().await;
    house.crowd(0..1_500).await;
    house.crowd(1_500..2_600).await;
    house
        .record([
            sighting(3, KeywordIssue, "acme/sdk"),
            sighting(9_000, KeywordIssue, "acme/docs"),
        ])
        .await;
    for (filters, count) in [
        ("", 2_601),
        ("&signal_type=keyword_issue", 2),
        ("&repo=ACME/sdk", 2_600),
        ("&repo=acme/sdk&signal_type=stargazer", 2_600),
        ("&since=2026-04-24T10:31:00.01Z", 1_101),
        ("&as_of=2026-04-24T10:31:00.01Z", 1_500),
        ("&repo=nobody/nothing", 0),
    ] {
        let mut leads = Vec::new();
        let mut cursor = String::new();
        loop {
            house.pass(Duration::from_secs(1));
            let page = house.get(&format!("/v1/leads?limit=100{filters}{cursor}")).await.json();
            leads.extend(page["data"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(leads.len(), count, "{filters}");
        let lines = house.get(&format!("/v1/leads/export?format=ndjson{filters}")).await;
        assert_eq!(lines.header("content-type"), "application/x-ndjson");
        let exported: Vec<Value> = lines
            .body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(exported == leads, "{filters}");
        let file = house.get(&format!("/v1/leads/export?format=csv{filters}")).await;
        let ids: Vec<String> = records(&file.body)
            .into_iter()
            .skip(1)
            .map(|mut row| row.remove(0))
            .collect();
        assert!(
            ids.iter().eq(leads.iter().map(|lead| lead["id"].as_str().unwrap())),
            "{filters}"
        );
    }
}

#[tokio::test]
async fn a_client_may_ask_for_the_file_at_the_address_of_the_list() {
    let house = house().await;
    house.crowd(0..30).await;
    for (accept, format, ending) in [("text/csv", "csv", "csv"), ("application/x-ndjson", "ndjson", "ndjson")] {
        let answer = house.get_with("/v1/leads", &[("accept", accept)]).await;
        assert_eq!(answer.headers()["vary"], "accept");
        let name = format!("attachment; filename=\"leads-2026-04-24.{ending}\"");
        assert_eq!(answer.headers()["content-disposition"], name.as_str());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let file = house.get(&format!("/v1/leads/export?format={format}")).await;
        assert_eq!(body, file.body.as_bytes());
    }
    let page = house
        .get_with("/v1/leads", &[("accept", "application/json, text/csv;q=0.9")])
        .await;
    assert_eq!(page.headers()["content-type"], "application/json");
    let refused = house.get_with("/v1/leads?limit=5", &[("accept", "text/csv")]).await;
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["message"],
        "limit: unknown query parameter; known are signal_type, repo, since, as_of"
    );
}

#[tokio::test]
async fn a_refused_export_names_the_parameter() {
    let house = house().await;
    let format = "format: must be one of csv, ndjson";
    for (query, message) in [
        ("", format),
        ("format=", format),
        ("format=xlsx", format),
        ("format=csv&repo=acme", "repo: must be owner/name"),
        ("format=csv&as_of=2030-01-01T00:00:00Z", "as_of: lies in the future"),
        (
            "format=csv&cursor=x",
            "cursor: unknown query parameter; known are format, signal_type, repo, since, as_of",
        ),
    ] {
        let answer = house.get(&format!("/v1/leads/export?{query}")).await;
        answer.is(400, "bad_request", message);
    }
    let (_, stranger) = house.another_account("agency").await;
    house.crowd(0..3).await;
    let theirs = house
        .call_as(&stranger, "GET", "/v1/leads/export?format=ndjson", None)
        .await;
    assert_eq!((theirs.status.as_u16(), theirs.body.as_str()), (200, ""));
}

/// Read models that fail once so many stretches of leads were read.
struct Failing {
    views: Arc<dyn Database>,
    stretches: AtomicUsize,
}

#[async_trait]
impl Database for Failing {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
        self.views.write(statements).await
    }

    async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
        let is_stretch = matches!(&query, Statement::Sql { text, .. } if text.contains("lead_facets"));
        if is_stretch && self.stretches.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(DatabaseError::Closed);
        }
        self.views.read(query).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
        self.views.snapshot().await
    }
}

/// A house with 2,500 leads whose read models fail after so many stretches.
async fn failing(stretches: usize) -> House {
    let mut house = house().await;
    house.crowd(0..2_500).await;
    house.router = router(Api {
        views: Arc::new(Failing {
            views: house.views.clone(),
            stretches: AtomicUsize::new(stretches),
        }),
        ..house.api(Leases::sole())
    });
    house
}

#[tokio::test]
async fn a_fault_in_the_middle_breaks_the_transfer_and_one_at_the_start_is_an_error() {
    for encoding in ["identity", "gzip"] {
        let house = failing(2).await;
        let headers = [("accept", "text/csv"), ("accept-encoding", encoding)];
        let answer = house.get_with("/v1/leads", &headers).await;
        assert_eq!(answer.status(), 200);
        let mut chunks = answer.into_body().into_data_stream();
        let mut sent = 0;
        let broke = loop {
            match chunks.next().await {
                Some(Ok(chunk)) => sent += chunk.len(),
                ended => break ended.is_some(),
            }
        };
        assert!(broke && sent > 0, "{encoding}");
    }
    let house = failing(0).await;
    let answer = house.get("/v1/leads/export?format=csv").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]),
        (500, &json!("internal_error"))
    );
}

#[tokio::test]
async fn a_client_sees_that_a_file_is_not_whole() {
    let path = "/v1/leads/export?format=ndjson";
    let whole = served(failing(9).await, path).await;
    assert!(whole.ends_with("0\r\n\r\n"), "the end of a transfer in chunks");
    let cut = served(failing(2).await, path).await;
    assert!(cut.starts_with("HTTP/1.1 200 OK"));
    assert!(!cut.ends_with("0\r\n\r\n"));
    assert!(cut.len() < whole.len());
}
