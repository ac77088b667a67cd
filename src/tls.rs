//! TLS for what the program asks on its own behalf: rustls with ring, trusting Mozilla's roots.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;

/// A client's side of TLS.
pub fn client_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_webpki_roots()
        .with_no_client_auth())
}
