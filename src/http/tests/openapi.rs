//! The document that describes the contract, and the page that shows it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::http::openapi::forms::{CSV, NDJSON, STREAM};

fn document() -> Value {
    serde_json::from_str(openapi_text()).unwrap()
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == openapi_text(),
        "run: cargo run --example openapi > docs/openapi.json"
    );
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_described_answers() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].is_string(), "{method} {path}");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let described = answer["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(described || answer["$ref"].is_string(), "{method} {path} {status}");
            }
            let keyed = path.starts_with("/v1/");
            assert_eq!(keyed, operation["security"][0]["api_key"].is_array(), "{method} {path}");
        }
    }
}

/// Every `$ref` of the document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn what_a_path_or_a_query_holds_is_text_or_a_number() {
    let document = document();
    let operations = document["paths"].as_object().unwrap().values();
    let parameters = operations.flat_map(|item| item.as_object().unwrap().values());
    let parameters = parameters.flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let mut seen = 0;
    for parameter in parameters {
        let named = parameter["$ref"]
            .as_str()
            .map(|name| document.pointer(&name[1..]).unwrap());
        let parameter = named.unwrap_or(parameter);
        let mut schema = &parameter["schema"];
        // Of two schemas of one name the document has one.
        while let Some(name) = schema["$ref"].as_str() {
            schema = document.pointer(&name[1..]).unwrap();
        }
        assert!(schema["properties"].is_null(), "{parameter}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[tokio::test]
async fn the_document_and_its_page_are_served_to_everyone_and_load_nothing_from_elsewhere() {
    let house = house().await;
    let document = house.call_openly("GET", "/openapi.json").await;
    assert_eq!(
        (document.status, document.body.as_str()),
        (StatusCode::OK, openapi_text())
    );
    let short = house.call_openly("GET", "/llms.txt").await;
    assert!(short.body.starts_with("# GitLeads"), "{}", short.body);
    let page = house.call_openly("GET", "/docs").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("/docs/scalar.js") && !page.body.contains("https://"),
        "{}",
        page.body
    );
    assert!(house.call_openly("GET", "/docs/scalar.js").await.body.len() > 1_000_000);
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn examples_of_files_and_streams_are_made_as_answers_are() {
    let house = house().await;
    house.record([sighting(1, SignalKind::Stargazer, "acme/sdk")]).await;
    let csv = house.get("/v1/leads/export?format=csv").await;
    assert_eq!(
        CSV.split_once("\r\n").unwrap().0,
        csv.body.split_once("\r\n").unwrap().0
    );
    let mut rows = csv::Reader::from_reader(CSV.as_bytes());
    assert_eq!(rows.records().map(|row| row.unwrap().len()).collect::<Vec<_>>(), [12]);
    let ndjson = house.get("/v1/leads/export?format=ndjson").await;
    let [example, lead] = [NDJSON, &ndjson.body].map(|text| serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(names(&example), names(&lead));
    let repo = json!({ "full_name": "acme-corp/rival-sdk", "type": "competitor" });
    house.call("POST", "/v1/tracked-repos", Some(repo)).await;
    let events = house.get("/v1/events?type=RepoTracked").await.json();
    let event = &events["data"][0];
    let data = STREAM.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let example: Value = serde_json::from_str(data).unwrap();
    assert_eq!(names(&example), names(event));
    assert_eq!(names(&example["data"]), names(&event["data"]));
    for same in ["type", "schema", "version"] {
        assert_eq!(example[same], event[same], "{same}");
    }
    let [example, stream] = [&example, event].map(|event| event["stream"].as_str().unwrap().to_owned());
    assert_eq!(
        example,
        stream.replace(&house.account.to_string(), "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1")
    );
}

#[tokio::test]
async fn answers_have_the_headers_that_are_described_and_no_tag_or_position_else() {
    let house = house().await;
    let document = document();
    let bodies = [
        ("/v1/tracked-repos", json!({ "full_name": "acme/sdk" })),
        ("/v1/tracked-keywords", json!({ "keyword": "event sourcing" })),
        ("/v1/tracked-keywords/dry-run", json!({ "keyword": "event sourcing" })),
        ("/v1/webhooks", json!({ "url": "https://hooks.example.com/in" })),
        ("/v1/api-keys", json!({ "label": "second" })),
    ];
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") || path.contains('{') {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let body = bodies.iter().find(|(of, _)| of == path && method == "post");
            let query = if path.ends_with("/export") { "?format=csv" } else { "" };
            let method = method.to_uppercase();
            let answer = house
                .call(&method, &format!("{path}{query}"), body.map(|(_, body)| body.clone()))
                .await;
            assert!(answer.status.is_success(), "{method} {path}: {}", answer.body);
            let described = &operation["responses"][answer.status.as_str()]["headers"];
            for name in [
                "x-request-id",
                "x-ratelimit-limit",
                "etag",
                "gitleads-position",
                "content-disposition",
            ] {
                let is_described = names(described)
                    .iter()
                    .any(|described| described.eq_ignore_ascii_case(name));
                assert_eq!(
                    is_described,
                    answer.headers.contains_key(name),
                    "{method} {path} {name}"
                );
            }
        }
    }
}
