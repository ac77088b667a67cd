//! A receiver on loopback that answers at once, or never, and notes when it heard of whom.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A run that lasts longer has failed.
const PATIENCE: Duration = Duration::from_mins(5);

/// A request to a healthy endpoint.
#[derive(Debug, Clone)]
pub struct Heard {
    pub at: Instant,
    pub login: String,
}

#[derive(Default)]
struct Notes {
    heard: Vec<(Instant, Bytes)>,
    awaited: Option<usize>,
}

pub struct Sink {
    address: SocketAddr,
    notes: Mutex<Notes>,
    last_body: Mutex<Bytes>,
    enough: Notify,
}

impl Sink {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            notes: Mutex::default(),
            last_body: Mutex::default(),
            enough: Notify::new(),
        });
        let serving = sink.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let sink = serving.clone();
                let each = service_fn(move |request| answer(sink.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), each));
            }
        });
        sink
    }

    pub fn url(&self, endpoint: usize) -> String {
        format!("http://{}/{endpoint}", self.address)
    }

    pub fn hanging_url(&self, endpoint: usize) -> String {
        format!("http://{}/hang/{endpoint}", self.address)
    }

    /// Begins anew.
    pub fn forget(&self) {
        *self.notes.lock().unwrap() = Notes::default();
    }

    /// Waits until so much was heard; the time from the first to the last of it.
    pub async fn hears(&self, count: usize) -> Duration {
        self.notes.lock().unwrap().awaited = Some(count);
        loop {
            let enough = self.enough.notified();
            if let Some(span) = self.span(count) {
                return span;
            }
            let waited = timeout(PATIENCE, enough).await;
            assert!(waited.is_ok(), "{} of {count}", self.notes.lock().unwrap().heard.len());
        }
    }

    fn span(&self, count: usize) -> Option<Duration> {
        let notes = self.notes.lock().unwrap();
        let ((last, _), (first, _)) = (notes.heard.get(count - 1)?, notes.heard.first()?);
        Some(last.saturating_duration_since(*first))
    }

    pub fn heard(&self) -> Vec<Heard> {
        let notes = self.notes.lock().unwrap();
        notes
            .heard
            .iter()
            .map(|(at, body)| Heard {
                at: *at,
                login: login(body),
            })
            .collect()
    }

    pub fn last_body(&self) -> Bytes {
        self.last_body.lock().unwrap().clone()
    }
}

fn login(body: &Bytes) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    body["data"]["github_username"].as_str().unwrap().to_owned()
}

async fn answer(sink: Arc<Sink>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let hangs = request.uri().path().starts_with("/hang/");
    let body = request.into_body().collect().await;
    if hangs {
        std::future::pending::<()>().await;
    }
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut notes = sink.notes.lock().unwrap();
    notes.heard.push((Instant::now(), body.clone()));
    if notes.awaited == Some(notes.heard.len()) {
        sink.enough.notify_one();
    }
    drop(notes);
    *sink.last_body.lock().unwrap() = body;
    Ok(Response::new(Empty::new()))
}
