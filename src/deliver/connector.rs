//! Opens connections for deliveries, and only to addresses that [`super::guard`] allows: resolve, judge all answers,
//! dial a judged one, judge the far end again.
//!
//! It stands below [`super::tls`] in the HTTP client, where the address really connected to is known. Nothing here follows a
//! redirect or asks a proxy.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use super::guard::Policy;

/// The time that a look-up has.
const LOOK_UP: Duration = Duration::from_secs(2);

/// The time that connecting has, over all addresses that are tried.
const CONNECT: Duration = Duration::from_secs(5);

/// How many of a name's addresses are tried.
const ADDRESSES: usize = 4;

/// How long an answer of the DNS is kept at most, whatever its own lifetime.
const DNS_CACHE: Duration = Duration::from_mins(1);

/// Why there is no connection. The texts name no address: the customer reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The name has an address that is not allowed, or is one.
    #[error("address not allowed")]
    Forbidden,
    /// The name has no address, or nobody said so in time.
    #[error("the name could not be resolved")]
    Resolve,
    /// No address answered in time.
    #[error("no connection could be made")]
    Connect,
}

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address that the name has, of both families.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Opens TCP connections.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// A connection to exactly this address.
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream>;
}

/// The machine's own DNS configuration.
struct SystemResolver(TokioResolver);

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.0.lookup_ip(name).await.map_err(io::Error::other)?;
        Ok(found.iter().collect())
    }
}

/// The machine's own network.
struct SystemDialer;

#[async_trait]
impl Dialer for SystemDialer {
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }
}

/// Connects to what the policy allows, and to nothing else.
#[derive(Clone)]
pub struct Connector {
    policy: Policy,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
}

impl Connector {
    /// A connector that resolves and dials as it is told.
    pub fn new(policy: Policy, resolver: Arc<dyn Resolver>, dialer: Arc<dyn Dialer>) -> Self {
        Self {
            policy,
            resolver,
            dialer,
        }
    }

    /// A connector on the machine's own DNS configuration and network.
    pub fn system(policy: Policy) -> anyhow::Result<Self> {
        let mut builder = TokioResolver::builder_tokio().context("read the machine's DNS configuration")?;
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.positive_max_ttl = Some(DNS_CACHE);
        let resolver = builder.build().context("set up the DNS resolver")?;
        Ok(Self::new(
            policy,
            Arc::new(SystemResolver(resolver)),
            Arc::new(SystemDialer),
        ))
    }

    /// What it may connect to.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    async fn connect(self, uri: Uri) -> Result<TcpStream, ConnectError> {
        let host = uri.host().ok_or(ConnectError::Resolve)?;
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let addresses = self.vetted_addresses(host).await?;
        let tried: Vec<IpAddr> = addresses.into_iter().take(ADDRESSES).collect();
        // Shared out, so that one dead address does not cost the others their try.
        let budget = CONNECT / u32::try_from(tried.len().max(1)).unwrap_or(1);
        for address in tried {
            let dialled = timeout(budget, self.dialer.dial(SocketAddr::new(address, port))).await;
            let Ok(Ok(stream)) = dialled else { continue };
            // What was dialled and what answered can differ, by address translation or by a fault of ours.
            let peer = stream.peer_addr().map_err(|_| ConnectError::Connect)?;
            if !self.policy.allows(peer.ip()) {
                return Err(ConnectError::Forbidden);
            }
            // Latency only; a socket without it works too.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
        Err(ConnectError::Connect)
    }

    /// All addresses of the host, if every one is allowed: a name with a single forbidden address is somebody's trick.
    async fn vetted_addresses(&self, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match bare.parse() {
            Ok(literal) => vec![literal],
            Err(_) => timeout(LOOK_UP, self.resolver.resolve(host))
                .await
                .map_err(|_| ConnectError::Resolve)?
                .map_err(|_| ConnectError::Resolve)?,
        };
        if addresses.is_empty() {
            return Err(ConnectError::Resolve);
        }
        if addresses.iter().all(|address| self.policy.allows(*address)) {
            Ok(addresses)
        } else {
            Err(ConnectError::Forbidden)
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await.map(TokioIo::new) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    use super::*;

    /// Answers look-ups from a list, one answer a time; the last one again and again.
    struct ScriptedResolver(Mutex<Vec<Vec<&'static str>>>);

    #[async_trait]
    impl Resolver for ScriptedResolver {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            let mut answers = self.0.lock().unwrap();
            let answer = if answers.len() > 1 {
                answers.remove(0)
            } else {
                answers[0].clone()
            };
            Ok(answer.iter().map(|text| text.parse().unwrap()).collect())
        }
    }

    /// Never answers.
    struct SilentResolver;

    #[async_trait]
    impl Resolver for SilentResolver {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            std::future::pending().await
        }
    }

    /// Notes what it was to dial and connects somewhere else, or nowhere.
    struct NotingDialer {
        dialled: Mutex<Vec<SocketAddr>>,
        leads_to: Option<SocketAddr>,
    }

    #[async_trait]
    impl Dialer for NotingDialer {
        async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
            self.dialled.lock().unwrap().push(address);
            match self.leads_to {
                Some(real) => TcpStream::connect(real).await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        }
    }

    struct Fixture {
        connector: Connector,
        dialer: Arc<NotingDialer>,
    }

    fn fixture(policy: Policy, answers: &[&[&'static str]], leads_to: Option<SocketAddr>) -> Fixture {
        let dialer = Arc::new(NotingDialer {
            dialled: Mutex::default(),
            leads_to,
        });
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        let resolver = Arc::new(ScriptedResolver(Mutex::new(answers)));
        Fixture {
            connector: Connector::new(policy, resolver, dialer.clone()),
            dialer,
        }
    }

    impl Fixture {
        async fn call(&mut self, uri: &'static str) -> Result<(), ConnectError> {
            self.connector.call(Uri::from_static(uri)).await.map(|_| ())
        }

        fn dialled(&self) -> Vec<String> {
            let dialled = self.dialer.dialled.lock().unwrap();
            dialled.iter().map(ToString::to_string).collect()
        }
    }

    #[tokio::test]
    async fn a_forbidden_address_is_not_dialled_however_the_name_hides_it() {
        for answer in [
            &["127.0.0.1"][..],
            &["169.254.169.254"],
            &["fd00:ec2::254"],
            &["::ffff:10.0.0.1"],
            &["64:ff9b::a9fe:a9fe"],
            &["8.8.8.8", "10.0.0.1"],
            &["2606:4700::1111", "::1"],
        ] {
            let mut fixture = fixture(Policy::default(), &[answer], None);
            let result = fixture.call("https://hooks.example.com/").await;
            assert_eq!(result, Err(ConnectError::Forbidden), "{answer:?}");
            assert!(fixture.dialled().is_empty(), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_literal_is_judged_without_a_look_up() {
        for uri in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest",
        ] {
            let mut fixture = fixture(Policy::default(), &[&["8.8.8.8"]], None);
            assert_eq!(fixture.call(uri).await, Err(ConnectError::Forbidden), "{uri}");
            assert!(fixture.dialled().is_empty(), "{uri}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_anew_to_the_inside_is_caught_at_that_connection() {
        let mut fixture = fixture(Policy::default(), &[&["8.8.8.8"], &["127.0.0.1"]], None);
        assert_eq!(
            fixture.call("https://hooks.example.com/").await,
            Err(ConnectError::Connect)
        );
        assert_eq!(
            fixture.call("https://hooks.example.com/").await,
            Err(ConnectError::Forbidden)
        );
        assert_eq!(fixture.dialled(), ["8.8.8.8:443"]);
    }

    #[tokio::test]
    async fn a_connection_that_ends_up_inside_is_dropped() {
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut fixture = fixture(Policy::default(), &[&["8.8.8.8"]], Some(inside.local_addr().unwrap()));
        assert_eq!(
            fixture.call("https://hooks.example.com/").await,
            Err(ConnectError::Forbidden)
        );
        assert_eq!(fixture.dialled(), ["8.8.8.8:443"]);
    }

    #[tokio::test]
    async fn the_judged_addresses_are_tried_in_turn_with_the_port_of_the_url() {
        let mut fixture = fixture(Policy::default(), &[&["8.8.8.8", "2606:4700::1111"]], None);
        assert_eq!(
            fixture.call("https://hooks.example.com:8443/").await,
            Err(ConnectError::Connect)
        );
        assert_eq!(fixture.dialled(), ["8.8.8.8:8443", "[2606:4700::1111]:8443"]);
    }

    #[tokio::test]
    async fn a_private_installation_reaches_its_own_network() {
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let lax = Policy {
            allow_private: true,
            allow_http: true,
        };
        let mut fixture = fixture(lax, &[&["10.0.0.7"]], Some(inside.local_addr().unwrap()));
        assert_eq!(fixture.call("http://receiver/").await, Ok(()));
        assert_eq!(fixture.dialled(), ["10.0.0.7:80"]);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_not_resolved() {
        let mut fixture = fixture(Policy::default(), &[&[]], None);
        assert_eq!(
            fixture.call("https://hooks.example.com/").await,
            Err(ConnectError::Resolve)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_has_two_seconds() {
        let dialer = Arc::new(NotingDialer {
            dialled: Mutex::default(),
            leads_to: None,
        });
        let mut connector = Connector::new(Policy::default(), Arc::new(SilentResolver), dialer);
        let began = tokio::time::Instant::now();
        let result = connector.call(Uri::from_static("https://hooks.example.com/")).await;
        assert_eq!(result.err(), Some(ConnectError::Resolve));
        assert_eq!(began.elapsed().as_secs(), 2);
    }

    #[test]
    fn no_error_text_holds_an_address() {
        for error in [ConnectError::Forbidden, ConnectError::Resolve, ConnectError::Connect] {
            assert!(!error.to_string().contains(|character: char| character.is_ascii_digit()));
        }
    }
}
