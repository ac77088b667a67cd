//! Asks GitHub's API: one request of a token at a time, every answer in one of a few kinds. Used by all that polls, and by
//! the enrichment.

use std::borrow::Cow;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use ::metrics::{counter, gauge};
use anyhow::Context as _;
use domain::{RepoName, Timestamp};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, MutexGuard};
use tracing::{Instrument as _, info_span};
use url::Url;

use super::app::{Carried, Installation};
use super::ledger::{Ledger, Resource};
use super::moves::Moves;
use super::rate_budget::{Budget, Verdict, poll_interval};
use crate::clock::Clock;
use crate::metrics;
use crate::telemetry::TRACE;
use crate::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body that is read, unpacked; a page of 100 events has about one megabyte.
const LARGEST_BODY: usize = 16 << 20;
/// A renamed repository answers with one redirection; more than a few are a circle.
const MOST_REDIRECTIONS: usize = 3;

/// What GitHub answered.
#[derive(Debug)]
pub enum Answer {
    /// 200.
    Fresh(Fresh),
    /// 304: nothing new since the `ETag`.
    NotModified {
        /// How long to wait before asking again.
        poll_interval: Option<Duration>,
    },
    /// Too many requests, or none allowed for now.
    Limited {
        /// When to ask again.
        until: Timestamp,
    },
    /// 401, 403 or 451: not for us.
    Denied(StatusCode),
    /// 404 or 410: not there, or hidden.
    NotFound,
    /// 400, 409 or 422: nothing can be answered to this, however often it is asked.
    Invalid(StatusCode),
    /// It lives on another host now; a token does not follow there.
    Moved,
    /// No answer, or none that can be used. The reason names no person and no address.
    Failed(String),
}

/// A fresh answer.
#[derive(Debug)]
pub struct Fresh {
    /// The body.
    pub body: Vec<u8>,
    /// For asking again whether anything changed.
    pub etag: Option<String>,
    /// How long to wait before asking again.
    pub poll_interval: Option<Duration>,
    /// Whether another page follows.
    pub has_next: bool,
    /// The number of the last page, if there are several and this is not the last.
    pub last_page: Option<u32>,
    /// Whether the path has moved: the answer is from where it was sent on to.
    pub is_moved: bool,
    /// What leads to the next page of a list whose pages have no numbers, as it stands in an address.
    pub next_cursor: Option<String>,
}

/// What is asked.
pub(super) enum Request<'a> {
    /// A path, with an `ETag` only for what has changed since.
    Path {
        path: &'a str,
        etag: Option<&'a str>,
        accept: Option<&'a str>,
    },
    /// A GraphQL query: the JSON body.
    Graphql(String),
}

/// Why nothing came back.
pub(super) enum NotAsked {
    Limited(Timestamp),
    Failed(String),
}

/// An answer as it came. Nobody else's request is sent before it is noted and dropped.
pub(super) struct Raw<'a> {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether it is from another address than was asked.
    pub is_moved: bool,
    _turn: MutexGuard<'a, ()>,
}

impl Raw<'_> {
    /// The beginning of the body, where GitHub names secondary limits.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body.get(..2_000).unwrap_or(&self.body))
    }
}

/// What requests carry.
pub enum Authorization {
    /// Nothing.
    None,
    /// A token.
    Token(HeaderValue),
    /// The tokens of an installation of a GitHub App.
    Installation(Box<Installation>),
}

impl Authorization {
    /// A token.
    ///
    /// # Errors
    /// If it cannot stand in a header.
    pub fn token(token: &str) -> anyhow::Result<Self> {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.context("the GitHub token holds characters that no token has")?;
        value.set_sensitive(true);
        Ok(Self::Token(value))
    }

    /// Tells it from others where what GitHub said of it is kept; the token cannot be got from it.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        match self {
            Self::None => return "none".to_owned(),
            Self::Token(token) => hash.update(token.as_bytes()),
            Self::Installation(installation) => hash.update(installation.path()),
        }
        let hash = hash.finalize();
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Access to one GitHub with the tokens of one owner, or none.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Authorization,
    turn: Mutex<()>,
    ledger: StdMutex<Ledger>,
    moves: StdMutex<Moves>,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// A client of the API at `base`, such as `https://api.github.com`.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(base: Url, authorization: Authorization, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config()?)
            .user_agent(concat!("gitleads/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()?;
        let has_token = !matches!(authorization, Authorization::None);
        Ok(Self {
            http,
            base,
            authorization,
            turn: Mutex::new(()),
            ledger: StdMutex::new(Ledger::new(has_token)),
            moves: StdMutex::default(),
            clock,
        })
    }

    /// Whether requests carry a token.
    pub const fn has_token(&self) -> bool {
        !matches!(self.authorization, Authorization::None)
    }

    /// Tells what requests carry from what others do.
    pub fn fingerprint(&self) -> String {
        self.authorization.fingerprint()
    }

    /// What is known of the budgets.
    pub fn ledger(&self) -> Ledger {
        *self.lock()
    }

    /// Goes on with what was known of a resource before.
    pub fn restore(&self, resource: Resource, budget: Budget) {
        self.lock().restore(resource, budget);
    }

    /// Another node has made requests until now.
    pub fn follow_on(&self) {
        self.lock().follow_on(self.clock.now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moves(&self) -> std::sync::MutexGuard<'_, Moves> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository bears this name, wherever the name led before.
    pub fn forget_move(&self, name: &RepoName) {
        self.moves().forget(&format!("/repos/{name}"));
    }

    /// The whole address of a path of the API.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// Asks for a path such as `/repos/acme/sdk/events`, with an `ETag` only for what has changed since.
    pub async fn get(&self, path: &str, etag: Option<&str>) -> Answer {
        self.get_as(path, etag, None).await
    }

    /// As [`Client::get`], in another of GitHub's media types.
    pub async fn get_as(&self, path: &str, etag: Option<&str>, accept: Option<&str>) -> Answer {
        let resource = Resource::of_path(path);
        match self.ask(Request::Path { path, etag, accept }).await {
            Ok(raw) => self.answer(resource, raw),
            Err(NotAsked::Limited(until)) => Answer::Limited { until },
            Err(NotAsked::Failed(reason)) => Answer::Failed(reason),
        }
    }

    /// Sends the request when the ledger allows it and follows where it is sent to; what comes back is noted by the caller.
    pub(super) async fn ask(&self, request: Request<'_>) -> Result<Raw<'_>, NotAsked> {
        let turn = self.turn.lock().await;
        let path = match &request {
            Request::Path { path, .. } => path,
            Request::Graphql(_) => "/graphql",
        };
        let resource = Resource::of_path(path);
        let parse = |path: &str| {
            let url = self.address(path).parse::<Url>();
            url.map_err(|error| NotAsked::Failed(format!("no address: {error}")))
        };
        let known = self.moves().there(path, self.clock.now());
        let mut url = parse(known.as_deref().unwrap_or(path))?;
        let mut is_moved = known.is_some();
        for _ in 0..=MOST_REDIRECTIONS {
            if let Some(until) = self.ledger().blocked(resource, self.clock.now()) {
                return Err(NotAsked::Limited(until));
            }
            let authorization = match self.carried().await {
                Ok(authorization) => authorization,
                Err(reason) => {
                    let until = self.ledger().blocked(resource, self.clock.now());
                    return Err(until.map_or(NotAsked::Failed(reason), NotAsked::Limited));
                }
            };
            self.lock().sent(resource, self.clock.now());
            let response = self.send(url.clone(), &request, authorization).await.map_err(unsent)?;
            let (status, headers) = (response.status(), response.headers().clone());
            if let (StatusCode::UNAUTHORIZED, Authorization::Installation(installation)) = (status, &self.authorization)
            {
                installation.revoked();
            }
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                let body = body(response).await.map_err(NotAsked::Failed)?;
                return Ok(Raw {
                    status,
                    headers,
                    body,
                    is_moved,
                    _turn: turn,
                });
            }
            self.note(resource, status, &headers, "");
            match moved_to(&url, &headers) {
                Some(there) if there.origin() == self.base.origin() => {
                    if matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT) {
                        let base = self.base.as_str().trim_end_matches('/');
                        let there = there.as_str().strip_prefix(base).unwrap_or_default();
                        self.moves().note(path, there, self.clock.now());
                    }
                    (url, is_moved) = (there, true);
                }
                Some(_) => {
                    return Ok(Raw {
                        status,
                        headers,
                        body: Vec::new(),
                        is_moved,
                        _turn: turn,
                    });
                }
                None => return Err(NotAsked::Failed("a redirection to nowhere".to_owned())),
            }
        }
        Err(NotAsked::Failed("redirected in a circle".to_owned()))
    }

    /// What the next request carries; a token of an installation is asked for if there is none that is good for a while.
    async fn carried(&self) -> Result<Option<HeaderValue>, String> {
        let installation = match &self.authorization {
            Authorization::None => return Ok(None),
            Authorization::Token(token) => return Ok(Some(token.clone())),
            Authorization::Installation(installation) => installation,
        };
        if let Carried::Ask = installation.carried(self.clock.now())
            && let Err(reason) = self.ask_for_token(installation).await
        {
            installation.refused(&reason, self.clock.now());
        }
        match installation.carried(self.clock.now()) {
            Carried::Token(token) => Ok(Some(token)),
            Carried::None(reason) => Err(format!("no token of the installation: {reason}")),
            // One that ends at once.
            Carried::Ask => Err("no token of the installation: it is over already".to_owned()),
        }
    }

    async fn ask_for_token(&self, installation: &Installation) -> Result<(), String> {
        let proof = installation.proof(self.clock.now());
        let proof = proof.map_err(|error| format!("{error:#}"))?;
        let url: Url = self
            .address(&installation.path())
            .parse()
            .map_err(|error| format!("no address: {error}"))?;
        let asked = self.http.post(url).header(AUTHORIZATION, proof).send().await;
        let answer = asked.map_err(|error| error.without_url().to_string())?;
        counter!(metrics::GITHUB_REQUESTS, "answer" => class(answer.status())).increment(1);
        if matches!(
            answer.status(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
        ) && answer.headers().get(RETRY_AFTER).is_none()
        {
            // As a token that GitHub does not take.
            self.note(Resource::Core, StatusCode::UNAUTHORIZED, &HeaderMap::new(), "");
        }
        if answer.status() != StatusCode::CREATED {
            return Err(format!("answered {}", answer.status().as_u16()));
        }
        installation.given(&body(answer).await?)
    }

    async fn send(
        &self,
        url: Url,
        request: &Request<'_>,
        authorization: Option<HeaderValue>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut sent = match request {
            Request::Path { etag, accept, .. } => {
                let mut sent = self.http.get(url);
                if let Some(etag) = etag {
                    sent = sent.header(IF_NONE_MATCH, *etag);
                }
                if let Some(accept) = accept {
                    sent = sent.header(ACCEPT, *accept);
                }
                sent
            }
            Request::Graphql(body) => self
                .http
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone()),
        };
        if let Some(authorization) = authorization {
            sent = sent.header(AUTHORIZATION, authorization);
        }
        let span = info_span!(target: TRACE, "ask GitHub", otel.kind = "client");
        let answer = sent.send().instrument(span).await;
        let word = answer.as_ref().map_or("none", |response| class(response.status()));
        counter!(metrics::GITHUB_REQUESTS, "answer" => word).increment(1);
        answer
    }

    fn answer(&self, resource: Resource, raw: Raw<'_>) -> Answer {
        match self.note(resource, raw.status, &raw.headers, &raw.text()) {
            Verdict::Limited(until) => return Answer::Limited { until },
            Verdict::Denied => return Answer::Denied(raw.status),
            Verdict::Granted | Verdict::Silent => {}
        }
        let Raw {
            status,
            headers,
            body,
            is_moved,
            ..
        } = raw;
        match status {
            StatusCode::OK => Answer::Fresh(Fresh {
                body,
                etag: headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned),
                poll_interval: poll_interval(&headers),
                has_next: link(&headers, "next").is_some(),
                is_moved,
                last_page: link(&headers, "last")
                    .and_then(|address| parameter(address, "page"))
                    .and_then(|number| number.parse().ok()),
                next_cursor: link(&headers, "next")
                    .and_then(|address| parameter(address, "cursor"))
                    .map(str::to_owned),
            }),
            StatusCode::NOT_MODIFIED => Answer::NotModified {
                poll_interval: poll_interval(&headers),
            },
            StatusCode::NOT_FOUND | StatusCode::GONE => Answer::NotFound,
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                Answer::Invalid(status)
            }
            StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => Answer::Denied(status),
            status if status.is_redirection() => Answer::Moved,
            other => Answer::Failed(format!("answered {}", other.as_u16())),
        }
    }

    /// Puts an answer into the ledger.
    pub(super) fn note(&self, resource: Resource, status: StatusCode, headers: &HeaderMap, text: &str) -> Verdict {
        let verdict = self.lock().note(resource, status, headers, text, self.clock.now());
        if let Some(remaining) = self.ledger().budget(resource).remaining {
            let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
            gauge!(metrics::GITHUB_REMAINING, "resource" => resource.as_str()).set(f64::from(remaining));
        }
        verdict
    }
}

fn unsent(error: reqwest::Error) -> NotAsked {
    NotAsked::Failed(error.without_url().to_string())
}

/// The word for an answer's status.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "ok",
        304 => "not_modified",
        301 | 302 | 307 | 308 => "moved",
        401 | 403 | 429 => "refused",
        404 | 410 => "not_found",
        500..=599 => "server_error",
        _ => "other",
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
    headers
}

fn moved_to(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// The address that a `Link` header names for a page such as `next`.
fn link<'a>(headers: &'a HeaderMap, relation: &str) -> Option<&'a str> {
    let named = format!("rel=\"{relation}\"");
    let links = headers.get_all(LINK).iter();
    let mut links = links
        .filter_map(|link| link.to_str().ok())
        .flat_map(|link| link.split(','));
    let link = links.find(|link| link.contains(&named))?;
    link.trim().strip_prefix('<')?.split('>').next()
}

/// What an address asks for by that name.
fn parameter<'a>(address: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = address.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Some(pairs.find(|(known, _)| *known == name)?.1)
}

async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST_BODY => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err("the answer is larger than any may be".to_owned()),
            Ok(None) => return Ok(body),
            Err(error) => return Err(error.without_url().to_string()),
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
