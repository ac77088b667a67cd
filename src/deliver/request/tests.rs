//! One attempt against a real receiver: what it sends, and how each answer is judged.

use axum::body::Body;
use axum::http::Response as Answer;
use futures_util::stream;
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::deliver::guard::Policy;
use crate::deliver::receiver::{Receiver, status};
use crate::deliver::sign::Secret;

mod hostile;

const LAX: Policy = Policy {
    allow_private: true,
    allow_http: true,
};

const SECRET: [u8; 32] = [7; 32];

fn secrets() -> Secrets {
    Secret::generate(SECRET).into()
}

fn attempt(url: &str) -> Attempt {
    Attempt {
        uri: url.parse().unwrap(),
        event_type: WebhookEventType::LeadCreated,
        event_id: EventId::new(Ulid::from_parts(1, 2)),
        sequence: Some(Position::new(40_213)),
        delivery: Ulid::from_parts(3, 4),
        number: 2,
        at: SystemClock.now(),
        body: Bytes::from_static(br#"{"event":"lead.created"}"#),
    }
}

fn sender(policy: Policy) -> Sender {
    Sender::new(Connector::system(policy).unwrap()).unwrap()
}

async fn send(url: &str) -> Outcome {
    sender(LAX).send(attempt(url), &secrets()).await
}

#[tokio::test]
async fn a_delivery_carries_its_headers_and_verifies_both_ways() {
    let receiver = Receiver::start(|_| status(204)).await;
    let attempt = attempt(receiver.url());
    let (id, at) = (attempt.event_id, attempt.at);
    let outcome = sender(LAX).send(attempt, &secrets()).await;
    assert_eq!((outcome.status, outcome.failure), (Some(204), None));
    let heard = receiver.hears(1).await.remove(0);
    assert_eq!(heard.path, "/hook");
    assert_eq!(heard.header("content-type"), "application/json");
    assert_eq!(heard.header("user-agent"), "GitLeads-Webhooks/0.1.0");
    assert_eq!(heard.header("x-gitleads-event"), "lead.created");
    assert_eq!(heard.header("x-gitleads-attempt"), "2");
    assert_eq!(heard.header("x-gitleads-sequence"), "40213");
    assert_eq!(
        heard.header("x-gitleads-delivery"),
        format!("dlv_{}", Ulid::from_parts(3, 4))
    );
    assert_eq!(heard.header("webhook-id"), id.to_string());
    assert_eq!(heard.header("webhook-timestamp"), at.secs().to_string());
    let library = Webhook::new(Secret::generate(SECRET).as_str()).unwrap();
    library.verify(heard.body.as_bytes(), &heard.headers).unwrap();
    let ours = secrets().sign(&id.to_string(), at, heard.body.as_bytes());
    assert_eq!(heard.header("x-gitleads-signature"), ours.gitleads);
    assert!(!heard.headers.contains_key("x-gitleads-signature-next"));
}

#[tokio::test]
async fn after_a_rotation_a_delivery_verifies_with_the_old_secret_and_the_new_one() {
    let receiver = Receiver::start(|_| status(204)).await;
    let attempt = attempt(receiver.url());
    let (old, new) = (Secret::generate([1; 32]), Secret::generate([2; 32]));
    let until = attempt.at.plus(Duration::from_secs(1));
    let secrets = Secrets::new(new.clone(), Some((old.clone(), until)));
    let expected = secrets.sign(&attempt.event_id.to_string(), attempt.at, &attempt.body);
    sender(LAX).send(attempt, &secrets).await;
    let heard = receiver.hears(1).await.remove(0);
    for secret in [&old, &new] {
        let library = Webhook::new(secret.as_str()).unwrap();
        library.verify(heard.body.as_bytes(), &heard.headers).unwrap();
    }
    assert_eq!(heard.header("x-gitleads-signature"), expected.gitleads);
    assert_eq!(
        Some(heard.header("x-gitleads-signature-next")),
        expected.gitleads_next.as_deref()
    );
}

#[tokio::test]
async fn the_host_comes_first_and_names_begin_with_capitals() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reading = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.windows(4).any(|window| window == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0);
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&read).into_owned()
    });
    assert_eq!(send(&format!("http://{address}/hook")).await.failure, None);
    let head = reading.await.unwrap();
    let lines: Vec<&str> = head.lines().collect();
    assert_eq!(&lines[..2], ["POST /hook HTTP/1.1", &format!("Host: {address}")]);
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.to_lowercase().starts_with("host:"))
            .count(),
        1
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("X-Gitleads-Signature: sha256=")),
        "{head}"
    );
}

#[tokio::test]
async fn http_that_is_not_allowed_is_no_failure_of_tls() {
    let strict = Policy {
        allow_private: true,
        allow_http: false,
    };
    let outcome = sender(strict).send(attempt("http://127.0.0.1:9/"), &secrets()).await;
    assert_eq!(outcome.failure, Some(Failure::AddressNotAllowed));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_nobody_follows_it() {
    let receiver = Receiver::start(|_| {
        let redirect = Answer::builder().status(307).header("location", "/elsewhere");
        Some(redirect.body(Body::empty()).unwrap())
    })
    .await;
    let outcome = send(receiver.url()).await;
    assert_eq!((outcome.status, outcome.failure), (Some(307), Some(Failure::Status)));
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn the_wish_to_be_left_alone_is_heard() {
    let receiver = Receiver::start(|_| {
        let busy = Answer::builder().status(503).header("retry-after", "120");
        Some(busy.body(Body::empty()).unwrap())
    })
    .await;
    let outcome = send(receiver.url()).await;
    assert_eq!(outcome.asked_to_wait, Some(Duration::from_mins(2)));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_its_start_is_kept() {
    let receiver = Receiver::start(|_| {
        let chunks = stream::repeat_with(|| Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 600])));
        Some(Answer::new(Body::from_stream(chunks)))
    })
    .await;
    let outcome = send(receiver.url()).await;
    assert_eq!((outcome.status, outcome.failure), (Some(200), None));
    assert_eq!(outcome.answer, [b'x'; 1_024]);
}

#[tokio::test]
async fn a_receiver_that_never_answers_runs_into_the_deadline() {
    let receiver = Receiver::start(|_| None).await;
    let mut sender = sender(LAX);
    sender.deadline = Duration::from_millis(50);
    let outcome = sender.send(attempt(receiver.url()), &secrets()).await;
    assert_eq!((outcome.status, outcome.failure), (None, Some(Failure::Timeout)));
}

#[tokio::test]
async fn an_answer_that_never_ends_runs_into_the_deadline() {
    let receiver = Receiver::start(|_| {
        let body = stream::pending::<Result<Bytes, std::convert::Infallible>>();
        Some(Answer::new(Body::from_stream(body)))
    })
    .await;
    let mut sender = sender(LAX);
    sender.deadline = Duration::from_millis(200);
    let outcome = sender.send(attempt(receiver.url()), &secrets()).await;
    assert_eq!((outcome.status, outcome.failure), (Some(200), Some(Failure::Timeout)));
}

#[tokio::test]
async fn what_is_not_http_is_a_broken_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 64]).await;
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
    });
    assert_eq!(send(&url).await.failure, Some(Failure::Broken));
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_fails_the_handshake() {
    let receiver = Receiver::start(|_| status(200)).await;
    let outcome = send(&receiver.url().replace("http:", "https:")).await;
    assert_eq!(outcome.failure, Some(Failure::Tls));
}

#[tokio::test]
async fn the_policy_holds_for_every_request() {
    let receiver = Receiver::start(|_| status(200)).await;
    let url = receiver.url().replace("http:", "https:");
    let outcome = sender(Policy::default()).send(attempt(&url), &secrets()).await;
    assert_eq!(outcome.failure, Some(Failure::AddressNotAllowed));
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(send(&url).await.failure, Some(Failure::Connect));
}
