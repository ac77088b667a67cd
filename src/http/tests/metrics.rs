//! What `/metrics` shows, and that the committed dashboard asks for nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::metrics as names;

/// A scrape after something of everything has happened.
async fn scrape() -> String {
    names::start();
    let house = house().await;
    house.record([sighting(1, SignalKind::Stargazer, "acme/sdk")]).await;
    house.get("/v1/leads").await;
    let scraped = house.call_openly("GET", "/metrics").await;
    assert_eq!(scraped.status, StatusCode::OK, "{}", scraped.body);
    assert!(scraped.header("content-type").starts_with("text/plain"));
    scraped.body
}

#[tokio::test]
async fn a_scrape_tells_requests_by_route_and_never_by_path() {
    let body = scrape().await;
    let counted = "gitleads_http_requests_total{method=\"GET\",route=\"/v1/leads\",status=\"200\"}";
    assert!(body.contains(counted), "{body}");
    assert!(!body.contains("ada-example") && !body.contains("acme/sdk"));
}

#[tokio::test]
async fn a_scrape_tells_where_log_and_read_models_are() {
    let body = scrape().await;
    for line in [
        "gitleads_projection_position{projection=\"leads\"}",
        "gitleads_log_head_position ",
        "gitleads_projection_lag_seconds 0",
    ] {
        assert!(body.contains(line), "{line} is not in {body}");
    }
}

/// Every name of ours in the dashboard's queries.
fn asked_for() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/gitleads.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap();
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words
        .filter(|word| word.starts_with("gitleads_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_dashboard_asks_for_figures_that_exist_and_for_all_of_them() {
    let asked = asked_for();
    let base = |name: &str| name.trim_end_matches("_bucket").to_owned();
    let asked: BTreeSet<String> = asked.iter().map(|name| base(name)).collect();
    let kept: BTreeSet<String> = names::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(asked, kept);
}

#[tokio::test]
async fn every_figure_of_the_list_is_in_a_scrape_once_it_was_counted() {
    scrape().await;
    for name in names::NAMES {
        match name {
            name if name.ends_with("_total") => ::metrics::counter!(*name).increment(1),
            name if name.ends_with("_duration_seconds") => ::metrics::histogram!(*name).record(0.1),
            name => ::metrics::gauge!(*name).set(1.0),
        }
    }
    let body = names::render();
    for name in names::NAMES {
        assert!(
            body.contains(&format!("# HELP {name} ")),
            "{name} is not described in {body}"
        );
        assert!(body.lines().any(|line| line.starts_with(name)), "{name}");
    }
}
