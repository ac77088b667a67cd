//! The document that describes the contract, and the page that shows it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;

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

#[tokio::test]
async fn the_document_and_its_page_are_served_to_everyone_and_load_nothing_from_elsewhere() {
    let house = house().await;
    let document = house.call_openly("GET", "/openapi.json").await;
    assert_eq!(
        (document.status, document.body.as_str()),
        (StatusCode::OK, openapi_text())
    );
    let page = house.call_openly("GET", "/docs").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("/docs/scalar.js") && !page.body.contains("https://"),
        "{}",
        page.body
    );
    assert!(house.call_openly("GET", "/docs/scalar.js").await.body.len() > 1_000_000);
}
