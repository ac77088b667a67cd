//! A subscriber of webhooks with a page that shows what arrived; a customer's server in small.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::deliver::sign::Secret;

/// So many deliveries are shown.
const SHOWN: usize = 50;
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1b1f24}\
    h1{font-size:1.4rem;margin:0}p{margin:.3rem 0 1rem;color:#57606a}table{border-collapse:collapse;width:100%}\
    th,td{text-align:left;padding:.45rem .6rem;border-bottom:1px solid #d8dee4;vertical-align:top}\
    th{font-weight:600;color:#57606a}small{color:#57606a;white-space:nowrap}.yes{color:#1a7f37}.no{color:#cf222e}";

/// A delivery that arrived.
struct Arrived {
    verified: bool,
    id: String,
    body: Value,
}

#[derive(Default)]
struct Inbox {
    newest_first: VecDeque<Arrived>,
    count: u64,
}

struct Shared {
    secret: Secret,
    inbox: Mutex<Inbox>,
}

/// A running subscriber; it stops when this is dropped.
pub struct Receiver {
    url: String,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free loopback port; what is signed otherwise than with `secret` is shown as such.
    pub async fn start(secret: Secret) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            secret,
            inbox: Mutex::default(),
        });
        let router = Router::new()
            .route("/", get(page))
            .route("/hook", post(receive))
            .with_state(shared);
        let task = tokio::spawn(async move {
            // It ends with the process at the latest.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, task })
    }

    /// The page.
    pub fn page(&self) -> String {
        format!("{}/", self.url)
    }

    /// Where deliveries go.
    pub fn hook(&self) -> String {
        format!("{}/hook", self.url)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let verified = is_genuine(
        &shared.secret,
        text("webhook-id"),
        text("webhook-timestamp"),
        text("webhook-signature"),
        &body,
    );
    let arrived = Arrived {
        verified,
        id: text("webhook-id").to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let mut inbox = shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    inbox.newest_first.push_front(arrived);
    inbox.newest_first.truncate(SHOWN);
    inbox.count += 1;
    if verified {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    }
}

/// Whether one of the signatures is the HMAC-SHA256 of id, time and body (Standard Webhooks, "Signature scheme").
fn is_genuine(secret: &Secret, id: &str, at: &str, signatures: &str, body: &[u8]) -> bool {
    let key = secret
        .as_str()
        .strip_prefix("whsec_")
        .and_then(|rest| STANDARD.decode(rest).ok());
    let Some(mac) = key.and_then(|key| Hmac::<Sha256>::new_from_slice(&key).ok()) else {
        return false;
    };
    let mac = mac.chain_update(format!("{id}.{at}.")).chain_update(body);
    let tokens = signatures.split(' ').filter_map(|token| token.strip_prefix("v1,"));
    tokens
        .filter_map(|token| STANDARD.decode(token).ok())
        .any(|signature| mac.clone().verify_slice(&signature).is_ok())
}

async fn page(State(shared): State<Arc<Shared>>) -> Html<String> {
    let inbox = shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rows = String::new();
    for arrived in &inbox.newest_first {
        row(&mut rows, arrived);
    }
    let none = if inbox.count == 0 {
        "<p>Nothing yet; the first arrive within seconds.</p>"
    } else {
        ""
    };
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">\
         <title>Webhooks received</title><style>{STYLE}</style><h1>{} webhooks received</h1>\
         <p>Each is a lead that GitLeads captured or learnt more about, its signature checked here. Newest first.</p>{none}\
         <table><thead><tr><th>Event<th>Person<th>Because of<th>Signature<th>Delivery</thead>{rows}</table></html>",
        inbox.count
    ))
}

fn row(rows: &mut String, arrived: &Arrived) {
    let text = |place: &str| escaped(arrived.body.pointer(place).and_then(Value::as_str).unwrap_or_default());
    let (class, word) = if arrived.verified {
        ("yes", "✓ verified")
    } else {
        ("no", "✗ not genuine")
    };
    // Writing to a string cannot fail.
    let _ = write!(
        rows,
        "<tr><td>{}<br><small>{}</small><td>{} <small>{}</small><br><small>{}</small>\
         <td>{}<br><small>{}</small><td class=\"{class}\">{word}<td><small>{}</small>",
        text("/event"),
        text("/timestamp"),
        text("/data/name"),
        text("/data/github_username"),
        text("/data/company"),
        text("/data/signal_source"),
        text("/data/signal_type"),
        escaped(&arrived.id)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
