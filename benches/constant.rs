//! Answers `GET /` with the bytes of one file, through the server that GitLeads itself uses: the ceiling that
//! `benches/http.sh` holds the API against. `cargo bench --bench constant -- FILE`
//!
//! To everything else it says that the rate limit is used up: as a GitHub it keeps GitLeads from polling and enriching.

#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::routing::get;
use bytes::Bytes;
use gitleads::clock::SystemClock;
use gitleads::http::server::{Limits, serve};
use tokio::net::TcpListener;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo bench` adds flags of its own.
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("no file given: cargo bench --bench constant -- FILE");
        return Ok(());
    };
    let body = Bytes::from(std::fs::read(&path)?);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    let answer = move || std::future::ready(([(CONTENT_TYPE, JSON)], body.clone()));
    let used_up = || async { (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "86400")]) };
    let router = Router::new().route("/", get(answer)).fallback(used_up);
    let clock = Arc::new(SystemClock);
    serve(&listener, router, clock, Limits::default(), std::future::pending()).await;
    Ok(())
}
