//! A subscriber's server on loopback for the tests of this room: notes what it hears and answers as the test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

/// A request as the receiver got it.
#[derive(Debug, Clone)]
pub struct Heard {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Heard {
    /// A header's value, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `id` of the lead in the body.
    pub fn lead(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["data"]["id"].as_str().unwrap().to_owned()
    }
}

/// What to answer; none: nothing before the test lets go, and then 200.
type Script = dyn Fn(&Heard) -> Option<Response<Body>> + Send + Sync;

struct Shared {
    script: Box<Script>,
    heard: Mutex<Vec<Heard>>,
    news: Notify,
    let_go: watch::Sender<bool>,
}

pub struct Receiver {
    shared: Arc<Shared>,
    url: String,
}

impl Receiver {
    pub async fn start(script: impl Fn(&Heard) -> Option<Response<Body>> + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            script: Box::new(script),
            heard: Mutex::default(),
            news: Notify::new(),
            let_go: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(hear).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, url }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers whatever waits for its answer, and whatever would.
    pub fn let_go(&self) {
        self.shared.let_go.send_replace(true);
    }

    /// What was heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Waits until so much was heard, and gives it.
    pub async fn hears(&self, count: usize) -> Vec<Heard> {
        loop {
            let news = self.shared.news.notified();
            let heard = self.heard();
            if heard.len() >= count {
                return heard;
            }
            news.await;
        }
    }
}

async fn hear(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: String) -> Response<Body> {
    let heard = Heard {
        path: uri.path().to_owned(),
        headers,
        body,
    };
    let answer = (shared.script)(&heard);
    shared.heard.lock().unwrap().push(heard);
    shared.news.notify_waiters();
    if let Some(answer) = answer {
        return answer;
    }
    let mut let_go = shared.let_go.subscribe();
    let_go.wait_for(|let_go| *let_go).await.unwrap();
    Response::new(Body::empty())
}

/// An answer with nothing but a status.
#[expect(clippy::unnecessary_wraps, reason = "what a script returns")]
pub fn status(code: u16) -> Option<Response<Body>> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    Some(answer)
}
