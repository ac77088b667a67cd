//! A subscriber: receives webhooks, answers what the story says, keeps what came.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// The headers.
    pub headers: HeaderMap,
    /// The raw body.
    pub body: Bytes,
    /// What was answered.
    pub answered: u16,
}

impl Received {
    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Inbox {
    received: Vec<Received>,
    status: u16,
}

/// A running receiver.
#[derive(Clone)]
pub struct Receiver {
    inbox: Arc<Mutex<Inbox>>,
    url: String,
}

impl Receiver {
    /// Starts a receiver that answers `status`.
    pub async fn start(status: u16) -> Self {
        let inbox = Arc::new(Mutex::new(Inbox {
            received: Vec::new(),
            status,
        }));
        let router = Router::new()
            .route("/hook", post(receive))
            .route("/hook/v1/traces", post(receive))
            .with_state(Arc::clone(&inbox));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inbox, url }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers `status` from now on.
    pub fn answer(&self, status: u16) {
        self.inbox.lock().unwrap().status = status;
    }

    /// Everything that came so far.
    pub fn received(&self) -> Vec<Received> {
        self.inbox.lock().unwrap().received.clone()
    }
}

async fn receive(State(inbox): State<Arc<Mutex<Inbox>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut inbox = inbox.lock().unwrap();
    let answered = inbox.status;
    inbox.received.push(Received {
        headers,
        body,
        answered,
    });
    StatusCode::from_u16(answered).unwrap()
}
