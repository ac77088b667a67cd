//! Tokens that a GitHub App gets for one of its installations: asked for with a JSON Web Token that the App's key signs, and
//! again before they end (<https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use http::HeaderValue;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use serde::Deserialize;
use serde_json::json;

/// GitHub takes a JSON Web Token for ten minutes at most; clocks may differ by a minute.
const GOOD_FOR: Duration = Duration::from_mins(9);
const DIFFERENCE: Duration = Duration::from_mins(1);
/// So long before a token ends another is asked for.
const AHEAD: Duration = Duration::from_mins(5);
/// What was refused is asked for again after so long.
const REFUSED: Duration = Duration::from_mins(1);

/// One installation of an App.
pub struct Installation {
    app: u64,
    number: u64,
    key: Arc<dyn SigningKey>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<(HeaderValue, Timestamp)>,
    /// Nothing is asked for before, and why.
    refused: Option<(Timestamp, String)>,
}

/// What a request is to carry.
pub(super) enum Carried {
    /// This.
    Token(HeaderValue),
    /// A token that is to be asked for first.
    Ask,
    /// Nothing for now, since GitHub gave none; why.
    None(String),
}

#[derive(Deserialize)]
struct Given {
    token: String,
    expires_at: Timestamp,
}

impl Installation {
    /// The installation of this number of the App of that number, whose private key is given as PEM.
    ///
    /// # Errors
    /// If the key is none that RS256 can be signed with. The reason quotes nothing of it.
    pub fn new(app: u64, number: u64, pem: &str) -> anyhow::Result<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes());
        let der = der.ok().context("the GitHub App's key is no private key in PEM")?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der);
        let key = key.ok().context("the GitHub App's key is of no kind that is known")?;
        let is_rsa = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_some();
        anyhow::ensure!(is_rsa, "the GitHub App's key is no RSA key");
        Ok(Self {
            app,
            number,
            key,
            state: Mutex::default(),
        })
    }

    /// The path at which a token is asked for.
    pub(super) fn path(&self) -> String {
        format!("/app/installations/{}/access_tokens", self.number)
    }

    /// What a request is to carry now.
    pub(super) fn carried(&self, now: Timestamp) -> Carried {
        let state = self.lock();
        match (&state.token, &state.refused) {
            (Some((token, until)), _) if *until > now.plus(AHEAD) => Carried::Token(token.clone()),
            (_, Some((until, reason))) if *until > now => Carried::None(reason.clone()),
            _ => Carried::Ask,
        }
    }

    /// The token that proves that it is the App who asks.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub(super) fn proof(&self, now: Timestamp) -> anyhow::Result<HeaderValue> {
        let text = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let issued = now.secs() - i64::try_from(DIFFERENCE.as_secs())?;
        let ends = now.plus(GOOD_FOR).secs();
        let head = text(json!({ "alg": "RS256", "typ": "JWT" }));
        let claims = text(json!({ "iat": issued, "exp": ends, "iss": self.app.to_string() }));
        let signed = format!("{head}.{claims}");
        let key = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let key = key.context("no RSA key")?;
        let signature = key.sign(signed.as_bytes()).context("signing for the GitHub App")?;
        let mut proof = HeaderValue::try_from(format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature)))?;
        proof.set_sensitive(true);
        Ok(proof)
    }

    /// Takes the token out of GitHub's answer.
    ///
    /// # Errors
    /// If there is none in it. The reason quotes nothing of it.
    pub(super) fn given(&self, body: &[u8]) -> Result<(), String> {
        let given: Given = serde_json::from_slice(body).map_err(|_| "no token in the answer".to_owned())?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", given.token))
            .map_err(|_| "a token with characters that no token has".to_owned())?;
        token.set_sensitive(true);
        *self.lock() = State {
            token: Some((token, given.expires_at)),
            refused: None,
        };
        Ok(())
    }

    /// GitHub gave none.
    pub(super) fn refused(&self, reason: &str, now: Timestamp) {
        tracing::warn!(installation = self.number, reason, "GitHub gives the App no token");
        let mut state = self.lock();
        state.refused = Some((now.plus(REFUSED), reason.to_owned()));
    }

    /// The token is good for nothing any more.
    pub(super) fn revoked(&self) {
        self.lock().token = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "app_tests.rs"]
pub mod tests;
