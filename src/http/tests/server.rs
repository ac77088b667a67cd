//! The server on a real socket: slow clients, broken bytes, and the end.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::house;
use crate::http::server::{Limits, serve};

struct Running {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
    house: super::House,
}

async fn run(limits: Limits) -> Running {
    run_in(house().await, limits).await
}

/// Everything that a server on the house says to one request with its key.
pub async fn served(house: super::House, path: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        house.key
    );
    run_in(house, Limits::default()).await.say(&request).await
}

async fn run_in(house: super::House, limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (router, clock) = (house.router.clone(), house.clock.clone());
    let ended = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        serve(&listener, router, clock, limits, stop).await;
    });
    Running {
        address,
        stop: Some(stop),
        ended,
        house,
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that the server says to these bytes until it closes.
    async fn say(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        to_end(&mut stream).await
    }
}

async fn to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    // A reset is an end as well.
    let _ = read.await.expect("the server closes");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_request_is_answered() {
    let server = run(Limits::default()).await;
    let answer = server
        .say("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
}

#[tokio::test]
async fn a_client_that_dribbles_its_headers_is_cut_off() {
    let short = Limits {
        header_read: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = run(short).await;
    assert_eq!(server.say("GET /healthz HTTP/1.1\r\nx-slow: ").await, "");
    assert_eq!(server.say("").await, "");
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_its_answers_is_cut_off() {
    let short = Limits {
        write_stall: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = run(short).await;
    let mut stream = server.connect().await;
    // Ask until nothing goes in any more: the server then waits for us to read, and gives up.
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let asked = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_mins(1), asked)
        .await
        .expect("the server closes");
}

/// Checks an answer that hyper gives by itself.
#[track_caller]
fn is_explained(answer: &str, status: &str, error: &str, message: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some(format!("HTTP/1.1 {status}").as_str()));
    let headers: std::collections::BTreeMap<&str, &str> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let names: Vec<&str> = headers.keys().copied().collect();
    assert_eq!(
        names,
        ["connection", "content-length", "content-type", "date", "x-request-id"]
    );
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["content-length"], body.len().to_string());
    assert_eq!(headers["x-request-id"].len(), 26);
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, serde_json::json!({ "error": error, "message": message }));
}

#[tokio::test]
async fn a_target_beyond_all_bounds_gets_414() {
    let server = run(Limits {
        header_bytes: 128 * 1024,
        ..Limits::default()
    });
    let answer = server
        .await
        .say(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000)))
        .await;
    let message = "Path and query must not be longer than 8192 bytes";
    is_explained(&answer, "414 URI Too Long", "uri_too_long", message);
}

#[tokio::test]
async fn bytes_that_are_no_http_get_400() {
    let server = run(Limits::default()).await;
    for broken in [
        "rubbish\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "GET / HTTP/1.1\r\nx: \u{1}\r\n\r\n",
    ] {
        let answer = server.say(broken).await;
        is_explained(
            &answer,
            "400 Bad Request",
            "bad_request",
            "The request is not well-formed HTTP/1.1",
        );
    }
}

#[tokio::test]
async fn too_many_or_too_large_headers_get_431() {
    let server = run(Limits::default()).await;
    let many = (0..150).map(|nth| format!("x-{nth}: 1\r\n")).collect::<String>();
    let answer = server
        .say(&format!("GET /healthz HTTP/1.1\r\nconnection: close\r\n{many}\r\n"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(answer.contains("headers_too_large"), "{answer}");
    let large = format!("x-large: {}\r\n", "x".repeat(100_000));
    let answer = server
        .say(&format!("GET /healthz HTTP/1.1\r\nconnection: close\r\n{large}\r\n"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(answer.contains("headers_too_large"), "{answer}");
    let beyond = (0..400).map(|nth| format!("x-{nth}: 1\r\n")).collect::<String>();
    let answer = server.say(&format!("GET /healthz HTTP/1.1\r\n{beyond}\r\n")).await;
    let message = "A request may have 100 headers and 16384 bytes of them at most";
    is_explained(
        &answer,
        "431 Request Header Fields Too Large",
        "headers_too_large",
        message,
    );
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_their_turn() {
    let one = Limits {
        connections: 1,
        ..Limits::default()
    };
    let server = run(one).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    second.write_all(request).await.unwrap();
    first.write_all(request).await.unwrap();
    assert!(to_end(&mut first).await.starts_with("HTTP/1.1 200"));
    assert!(to_end(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_end_waits_for_requests_in_flight_and_not_for_idle_connections() {
    let mut server = run(Limits::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();

    let mut busy = server.connect().await;
    let key = server.house.key.clone();
    let head = format!(
        "POST /v1/tracked-repos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 19\r\nexpect: 100-continue\r\n\r\n"
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is in flight.
    let mut asked = [0; 12];
    busy.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");

    server.stop.take().unwrap().send(()).unwrap();
    assert!(to_end(&mut idle).await.contains("200 OK") || byte == *b"H");
    busy.write_all(br#"{"full_name":"a/b"}"#).await.unwrap();
    let answer = to_end(&mut busy).await;
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), server.ended)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn the_end_does_not_wait_for_who_has_not_asked() {
    let patient = Limits {
        header_read: Duration::from_mins(10),
        drain: Duration::from_mins(10),
        ..Limits::default()
    };
    let mut server = run(patient).await;
    let mut silent = server.connect().await;
    let mut halfway = server.connect().await;
    halfway.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await.unwrap();
    // Accepted in their order: once this one is answered, those before are in.
    server
        .say("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(to_end(&mut silent).await, "");
    assert_eq!(to_end(&mut halfway).await, "");
    tokio::time::timeout(Duration::from_secs(5), server.ended)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_stream_of_events_ends_whole_with_the_process() {
    let patient = Limits {
        drain: Duration::from_mins(10),
        ..Limits::default()
    };
    let mut server = run(patient).await;
    let mut following = server.connect().await;
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n\r\n",
        server.house.key
    );
    following.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("event: ApiKeyIssued") {
        assert_ne!(following.read_buf(&mut said).await.unwrap(), 0);
    }
    server.house.end.send_replace(true);
    server.stop.take().unwrap().send(()).unwrap();
    assert!(to_end(&mut following).await.ends_with("0\r\n\r\n"));
    tokio::time::timeout(Duration::from_secs(5), server.ended)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let short = Limits {
        drain: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut server = run(short).await;
    let mut stuck = server.connect().await;
    let key = &server.house.key;
    let head = format!(
        "POST /v1/tracked-repos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 19\r\nexpect: 100-continue\r\n\r\n"
    );
    stuck.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 12];
    stuck.read_exact(&mut asked).await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server.ended)
        .await
        .unwrap()
        .unwrap();
}
