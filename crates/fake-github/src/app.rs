//! GitHub Apps: who proves with a signed token that it is one gets tokens of an hour for its installations.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::sent_token;
use crate::clock::rfc3339;
use crate::reply::Reply;
use crate::{Token, World};

/// Whether a signature, behind the bytes that were signed, is one of the App's key.
type Verify = Box<dyn Fn(&[u8], &[u8]) -> bool + Send>;

/// A token lasts so long, in seconds; a proof no longer than that.
const TOKEN_SECONDS: u64 = 3_600;
const PROOF_SECONDS: u64 = 600;

/// All Apps, and where they are installed.
#[derive(Default)]
pub(crate) struct Apps {
    apps: HashMap<u64, Verify>,
    /// By the number of the installation: which App it is of, what its tokens may do, and the newest of them.
    installed: HashMap<u64, (u64, Token, Option<String>)>,
    given: u64,
}

impl World {
    /// Adds a GitHub App; `verify` is told what was signed and the signature.
    pub fn put_app(&mut self, id: u64, verify: impl Fn(&[u8], &[u8]) -> bool + Send + 'static) {
        self.apps.apps.insert(id, Box::new(verify));
        self.refuse_unknown_tokens();
    }

    /// Installs an App, or changes what the tokens of the installation may do that are given from now on.
    pub fn install_app(&mut self, app: u64, installation: u64, token: Token) {
        self.apps.installed.insert(installation, (app, token, None));
    }

    /// Takes an installation away; its tokens are revoked.
    pub fn uninstall_app(&mut self, installation: u64) {
        if let Some((_, _, Some(secret))) = self.apps.installed.remove(&installation) {
            self.remove_token(&secret);
        }
    }

    /// The answer to who asks for a token of an installation; none: something else is asked for.
    pub(crate) fn app_reply(&mut self, method: &Method, path: &[String], headers: &HeaderMap) -> Option<Reply> {
        let [app, installations, number, last] = path else {
            return None;
        };
        if (app.as_str(), installations.as_str(), last.as_str()) != ("app", "installations", "access_tokens") {
            return None;
        }
        if method != Method::POST {
            return Some(Reply::not_found());
        }
        let Some(app) = sent_token(headers).and_then(|proof| self.proven(proof)) else {
            let text = "A JSON web token could not be decoded";
            return Some(Reply::message(StatusCode::UNAUTHORIZED, text));
        };
        Some(
            number
                .parse()
                .map_or_else(|_| Reply::not_found(), |number| self.give(app, number)),
        )
    }

    /// The App that the proof is of, if it is one.
    fn proven(&self, proof: &str) -> Option<u64> {
        let (signed, signature) = proof.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let read = |part: &str| -> Option<Value> {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let (head, claims) = (read(head)?, read(claims)?);
        let time = |name: &str| claims.get(name).and_then(Value::as_u64);
        let id: u64 = claims.get("iss")?.as_str()?.parse().ok()?;
        let (issued, ends) = (time("iat")?, time("exp")?);
        let is_current = issued <= self.now && self.now < ends && ends <= self.now + PROOF_SECONDS;
        let verify = self.apps.apps.get(&id)?;
        let is_signed = verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?);
        (head.get("alg")? == "RS256" && is_current && is_signed).then_some(id)
    }

    fn give(&mut self, app: u64, number: u64) -> Reply {
        self.apps.given += 1;
        let secret = format!("ghs_fake{}", self.apps.given);
        let installed = self.apps.installed.get_mut(&number);
        let Some((_, token, newest)) = installed.filter(|(of, ..)| *of == app) else {
            return Reply::not_found();
        };
        let (token, former) = (token.clone(), newest.replace(secret.clone()));
        let ends = self.now + TOKEN_SECONDS;
        self.put_token(&secret, Token { app: true, ..token });
        self.limit_token(&secret, former.as_deref(), ends);
        let body = json!({
            "token": secret,
            "expires_at": rfc3339(ends),
            "permissions": { "metadata": "read" },
            "repository_selection": "all",
        });
        Reply::json(StatusCode::CREATED, &body)
    }
}
