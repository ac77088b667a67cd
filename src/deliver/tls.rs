//! TLS above [`super::connector`], with a bound of its own: the HTTP client may finish a handshake in the background,
//! where no request's deadline reaches, and a hostile receiver could leave those open for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use http::Uri;
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use super::connector::{ConnectError, Connector};

/// The time that look-up, connecting and the handshake have together.
const HANDSHAKE: Duration = Duration::from_secs(12);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects and encrypts.
#[derive(Clone)]
pub struct Tls {
    inner: HttpsConnector<Connector>,
    allow_http: bool,
}

impl Tls {
    /// TLS that trusts Mozilla's roots; plain http only where the connector's policy allows it.
    pub fn new(connector: Connector) -> anyhow::Result<Self> {
        let builder = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .context("set up TLS")?;
        Ok(Self::on(builder, connector))
    }

    /// TLS that trusts these roots only.
    #[cfg(test)]
    pub fn trusting(connector: Connector, roots: rustls::RootCertStore) -> anyhow::Result<Self> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::on(
            HttpsConnectorBuilder::new().with_tls_config(config),
            connector,
        ))
    }

    fn on(builder: HttpsConnectorBuilder<WantsSchemes>, connector: Connector) -> Self {
        let allow_http = connector.policy().allow_http;
        let builder = if allow_http {
            builder.https_or_http()
        } else {
            builder.https_only()
        };
        let inner = builder.enable_http1().enable_http2().wrap_connector(connector);
        Self { inner, allow_http }
    }
}

impl Service<Uri> for Tls {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // The connector would call it a failure of TLS.
        if uri.scheme_str() == Some("http") && !self.allow_http {
            return Box::pin(async { Err(ConnectError::Forbidden.into()) });
        }
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            timeout(HANDSHAKE, connecting).await.map_err(late)?
        })
    }
}
