//! A running node: its socket, its connections, and the switches that a test turns.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;

use crate::cluster::Cluster;
use crate::misbehaviour::Misbehaviour;
use crate::socket::Socket;
use crate::tls;
use crate::wire::event_store::client::gossip::gossip_server::GossipServer;
use crate::wire::event_store::client::server_features::server_features_server::ServerFeaturesServer;
use crate::wire::event_store::client::streams::streams_server::StreamsServer;

/// A running node; it stops when this is dropped.
pub struct Node {
    service: Service,
    task: JoinHandle<()>,
}

/// What answers: a node as its connections see it.
#[derive(Clone)]
pub(crate) struct Service {
    pub cluster: Arc<Cluster>,
    pub own: Arc<Own>,
}

/// What a node has for itself.
pub(crate) struct Own {
    pub address: SocketAddr,
    misbehaviours: Mutex<VecDeque<Misbehaviour>>,
    line: watch::Sender<Line>,
}

/// The state of a node's connections.
#[derive(Clone, Copy, Default)]
struct Line {
    /// Raised to break those that are open.
    cut: u64,
    /// New ones are closed at once.
    down: bool,
}

impl Node {
    /// Starts a cluster of one node with a fresh log.
    pub async fn start() -> io::Result<Self> {
        Self::listen(None, |address| Arc::new(Cluster::new(address))).await
    }

    /// Starts one that encrypts, and writes the certificate that a client must trust to this file.
    pub async fn start_encrypted(certificate: &Path) -> io::Result<Self> {
        let acceptor = tls::acceptor(certificate)?;
        Self::listen(Some(acceptor), |address| Arc::new(Cluster::new(address))).await
    }

    /// Starts a further node of this one's cluster; it follows.
    pub async fn join(&self) -> io::Result<Self> {
        Self::listen(None, |address| {
            self.service.cluster.members().all.push(address);
            Arc::clone(&self.service.cluster)
        })
        .await
    }

    async fn listen(
        acceptor: Option<TlsAcceptor>,
        cluster: impl FnOnce(SocketAddr) -> Arc<Cluster> + Send,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let service = Service {
            cluster: cluster(address),
            own: Arc::new(Own {
                address,
                misbehaviours: Mutex::default(),
                line: watch::Sender::default(),
            }),
        };
        let task = tokio::spawn(accept(listener, acceptor, service.clone()));
        Ok(Self { service, task })
    }

    /// What a client connects to that knows of this node only.
    pub fn url(&self) -> String {
        cluster_url(&[self])
    }

    /// The same for one that encrypts, with the certificate to trust.
    pub fn encrypted_url(&self, certificate: &Path) -> String {
        let tls = format!("tls=true&tlsCaFile={}", certificate.display());
        self.url().replace("tls=false", &tls)
    }

    /// From now on this node leads.
    pub fn take_the_lead(&self) {
        self.service.cluster.members().leader = self.service.own.address;
    }

    /// Tells what befalls the next append; several told one after the other befall one each.
    pub fn misbehave(&self, next: Misbehaviour) {
        self.service.own.misbehaviours().push_back(next);
    }

    /// Breaks all connections and takes no new ones.
    pub fn go_down(&self) {
        self.service.own.line.send_modify(|line| line.down = true);
        self.service.own.cut();
    }

    /// Takes connections again.
    pub fn come_back(&self) {
        self.service.own.line.send_modify(|line| line.down = false);
    }

    /// Ends every subscription of the cluster with an error.
    pub fn drop_subscriptions(&self) {
        self.service.cluster.dropped.send_modify(|dropped| *dropped += 1);
    }

    /// Returns once so many subscriptions are open.
    pub async fn until_subscriptions(&self, wanted: usize) {
        let mut open = self.service.cluster.subscriptions.subscribe();
        // The sender lives as long as this node.
        let _ = open.wait_for(|open| *open == wanted).await;
    }

    /// Writes a JSON event as another application does.
    pub fn write(&self, stream: &str, kind: &str, json: &str) {
        let cluster = &self.service.cluster;
        cluster.change(|log| log.write_as_other(stream, kind, json.as_bytes()));
    }

    /// The position where the log ends, which grows with the length of its records.
    pub fn end(&self) -> u64 {
        self.service.cluster.log().end()
    }

    /// The custom metadata of a stream's events, as stored.
    pub fn metadata(&self, stream: &str) -> Vec<Bytes> {
        let log = self.service.cluster.log();
        let metadata = log.stream(stream).iter().map(|record| record.event.metadata.clone());
        metadata.collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
        self.service.own.cut();
    }
}

/// What a client connects to that knows of these nodes. It looks for them without a pause, as tests have no time.
pub fn cluster_url(nodes: &[&Node]) -> String {
    let hosts = nodes.iter().map(|node| node.service.own.address.to_string());
    let hosts = hosts.collect::<Vec<_>>().join(",");
    format!("kurrentdb://{hosts}?tls=false&discoveryInterval=1")
}

impl Own {
    pub fn next_misbehaviour(&self) -> Option<Misbehaviour> {
        self.misbehaviours().pop_front()
    }

    fn misbehaviours(&self) -> std::sync::MutexGuard<'_, VecDeque<Misbehaviour>> {
        self.misbehaviours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks all connections that are open.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cut += 1);
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, service: Service) {
    let routes = Routes::new(StreamsServer::new(service.clone()))
        .add_service(GossipServer::new(service.clone()))
        .add_service(ServerFeaturesServer::new(service.clone()))
        .prepare();
    while let Ok((socket, _)) = listener.accept().await {
        let line = service.own.line.subscribe();
        let Ok(socket) = Socket::new(socket) else { continue };
        if line.borrow().down {
            continue;
        }
        let routes = routes.clone();
        match acceptor.clone() {
            None => drop(tokio::spawn(serve(socket, routes, line))),
            Some(acceptor) => drop(tokio::spawn(async move {
                // A client that does not trust us goes away.
                if let Ok(socket) = acceptor.accept(socket).await {
                    serve(socket, routes, line).await;
                }
            })),
        }
    }
}

async fn serve(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Routes,
    mut line: watch::Receiver<Line>,
) {
    let cut = line.borrow_and_update().cut;
    let connection = Builder::new(TokioExecutor::new()).http2_only();
    let connection = connection.serve_connection(TokioIo::new(socket), TowerToHyperService::new(routes));
    tokio::select! {
        // First, so that no answer slips out once the connection is to break.
        biased;
        _ = line.wait_for(|line| line.cut > cut) => {}
        // A client that goes away is no fault of the server's.
        _ = connection => {}
    }
}
