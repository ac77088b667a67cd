//! Receivers that mean harm, on loopback: each attempt ends as documented, and nothing else is ever dialled.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::deliver::connector::{Dialer, Resolver};

/// A server that does one thing with every connection.
async fn server<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(each(stream));
        }
    });
    address
}

/// Answers look-ups from a list, the last answer again and again; and connects to one server only, whatever is dialled.
struct Net {
    answers: Mutex<Vec<&'static str>>,
    dialled: Mutex<Vec<SocketAddr>>,
    leads_to: Option<SocketAddr>,
}

#[async_trait]
impl Resolver for Net {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0]
        };
        Ok(vec![answer.parse().unwrap()])
    }
}

#[async_trait]
impl Dialer for Net {
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.dialled.lock().unwrap().push(address);
        let real = self.leads_to.ok_or(io::ErrorKind::ConnectionRefused)?;
        TcpStream::connect(real).await
    }
}

fn net(answers: &[&'static str], leads_to: Option<SocketAddr>) -> Arc<Net> {
    Arc::new(Net {
        answers: Mutex::new(answers.to_vec()),
        dialled: Mutex::default(),
        leads_to,
    })
}

fn connector(policy: Policy, net: &Arc<Net>) -> Connector {
    Connector::new(policy, net.clone(), net.clone())
}

async fn within(deadline: Duration, url: &str) -> Outcome {
    let mut sender = sender(LAX);
    sender.deadline = deadline;
    sender.send(attempt(url), &secrets()).await
}

#[tokio::test]
async fn a_reset_is_a_broken_connection() {
    let address = server(|stream| async move {
        // A connection that is closed with something unread is reset.
        stream.readable().await.unwrap();
    })
    .await;
    let outcome = send(&format!("http://{address}/")).await;
    assert_eq!((outcome.status, outcome.failure), (None, Some(Failure::Broken)));
}

#[tokio::test]
async fn an_answer_that_trickles_runs_into_the_one_deadline() {
    let trickle = |first: &'static str, more: &'static str| {
        server(move |mut stream| async move {
            let _ = stream.read(&mut [0; 4_096]).await;
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            let mut part = first;
            while stream.write_all(part.as_bytes()).await.is_ok() {
                ticks.tick().await;
                part = more;
            }
        })
    };
    let headers = trickle("HTTP/1.1 200 OK\r\n", "x: y\r\n").await;
    let outcome = within(Duration::from_millis(200), &format!("http://{headers}/")).await;
    assert_eq!((outcome.status, outcome.failure), (None, Some(Failure::Timeout)));
    let body = trickle("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", "x").await;
    let outcome = within(Duration::from_millis(200), &format!("http://{body}/")).await;
    assert_eq!((outcome.status, outcome.failure), (Some(200), Some(Failure::Timeout)));
}

#[tokio::test]
async fn of_an_answer_of_a_gib_no_more_is_taken_than_lies_on_the_way() {
    let written = Arc::new(AtomicUsize::new(0));
    let seen = written.clone();
    let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let (seen, ended) = (seen.clone(), ended.clone());
        async move {
            let _ = stream.read(&mut [0; 4_096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1 << 30);
            stream.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..1 << 16 {
                if stream.write_all(&[b'x'; 1 << 14]).await.is_err() {
                    break;
                }
                seen.fetch_add(1 << 14, Ordering::SeqCst);
            }
            ended.send(()).unwrap();
        }
    })
    .await;
    let outcome = send(&format!("http://{address}/")).await;
    assert_eq!((outcome.status, outcome.failure), (Some(200), None));
    assert_eq!(outcome.answer.len(), KEEP);
    end.recv().await.unwrap();
    // What the kernel holds between the two.
    assert!(written.load(Ordering::SeqCst) < 64 << 20);
}

#[tokio::test]
async fn a_redirect_inside_is_not_followed_and_nothing_more_is_dialled() {
    for location in [
        "http://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "http://[::ffff:7f00:1]/",
    ] {
        let receiver = Receiver::start(move |_| {
            let redirect = Answer::builder().status(302).header("location", location);
            Some(redirect.body(Body::empty()).unwrap())
        })
        .await;
        let real = receiver.url().parse::<Uri>().unwrap();
        let net = net(&["93.184.216.34"], real.authority().unwrap().as_str().parse().ok());
        let sender = Sender::new(connector(LAX, &net)).unwrap();
        let outcome = sender.send(attempt("http://hooks.example.com/"), &secrets()).await;
        assert_eq!((outcome.status, outcome.failure), (Some(302), Some(Failure::Status)));
        assert_eq!(*net.dialled.lock().unwrap(), ["93.184.216.34:80".parse().unwrap()]);
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_the_inside_the_second_time_is_not_dialled_then() {
    for inside in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "64:ff9b::7f00:1",
        "::ffff:127.0.0.1",
    ] {
        let net = net(&["93.184.216.34", inside], None);
        let sender = Sender::new(connector(Policy::default(), &net)).unwrap();
        let mut failures = Vec::new();
        for _ in 0..2 {
            let outcome = sender.send(attempt("https://hooks.example.com/"), &secrets()).await;
            failures.push(outcome.failure);
        }
        assert_eq!(failures, [Some(Failure::Connect), Some(Failure::AddressNotAllowed)]);
        assert_eq!(*net.dialled.lock().unwrap(), ["93.184.216.34:443".parse().unwrap()]);
    }
}

#[tokio::test]
async fn garbage_in_place_of_tls_fails_the_handshake() {
    let address = server(|mut stream| async move {
        let _ = stream.write_all(&[0xA5; 4_096]).await;
        let _ = stream.read(&mut [0; 4_096]).await;
    })
    .await;
    let outcome = send(&format!("https://{address}/")).await;
    assert_eq!((outcome.status, outcome.failure), (None, Some(Failure::Tls)));
}

/// A server with a certificate for `hooks.example.com` of its own making that says which version of HTTP it heard.
async fn tls_server() -> (SocketAddr, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["hooks.example.com".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let version = service_fn(|request: Request<Incoming>| async move {
                let version = format!("{:?}", request.version());
                Ok::<_, std::convert::Infallible>(Answer::new(Full::new(Bytes::from(version))))
            });
            let served = auto::Builder::new(TokioExecutor::new());
            drop(served.serve_connection(TokioIo::new(stream), version).await);
        }
    })
    .await;
    (address, roots)
}

#[tokio::test]
async fn a_receiver_that_speaks_http_2_is_spoken_to_in_it_and_only_if_its_certificate_is_trusted() {
    let (address, roots) = tls_server().await;
    let net = net(&["93.184.216.34"], Some(address));
    let trusting = Sender::over(Tls::trusting(connector(LAX, &net), roots).unwrap());
    let secrets = secrets();
    let outcomes: Vec<Outcome> = stream::iter(0..8)
        .then(|_| trusting.send(attempt("https://hooks.example.com/"), &secrets))
        .collect()
        .await;
    assert!(outcomes.iter().all(|outcome| outcome.answer == b"HTTP/2.0"));
    // One connection carries them all.
    assert_eq!(net.dialled.lock().unwrap().len(), 1);
    let wary = Sender::new(connector(LAX, &net)).unwrap();
    let outcome = wary.send(attempt("https://hooks.example.com/"), &secrets).await;
    assert_eq!((outcome.status, outcome.failure), (None, Some(Failure::Tls)));
}
