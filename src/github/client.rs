//! Asks GitHub's REST API: one request of a token at a time, every answer in one of a few kinds. Used by the polls
//! and the enrichment.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use ::metrics::counter;
use anyhow::Context as _;
use domain::Timestamp;
use http::header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH, LINK, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Mutex;
use tracing::{Instrument as _, info_span};
use url::Url;

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
}

/// Access to one GitHub with one token, or none.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    turn: Mutex<()>,
    budget: StdMutex<Budget>,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// A client of the API at `base`, such as `https://api.github.com`.
    ///
    /// # Errors
    /// If the token cannot stand in a header or TLS cannot be set up.
    pub fn new(base: Url, token: Option<&str>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let authorization = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")));
        let mut authorization = authorization
            .transpose()
            .context("the GitHub token holds characters that no token has")?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config()?)
            .user_agent(concat!("gitleads/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()?;
        Ok(Self {
            http,
            base,
            authorization,
            turn: Mutex::new(()),
            budget: StdMutex::new(Budget::default()),
            clock,
        })
    }

    /// Whether requests carry a token.
    pub const fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// What is known of the budget.
    pub fn budget(&self) -> Budget {
        *self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole address of a path of the API.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// Asks for a path such as `/repos/acme/sdk/events`, with an `ETag` only for what has changed since.
    pub async fn get(&self, path: &str, etag: Option<&str>) -> Answer {
        let _turn = self.turn.lock().await;
        let mut url = match self.address(path).parse::<Url>() {
            Ok(url) => url,
            Err(error) => return Answer::Failed(format!("no address: {error}")),
        };
        for _ in 0..=MOST_REDIRECTIONS {
            if let Some(until) = self.budget().blocked(self.clock.now()) {
                return Answer::Limited { until };
            }
            let response = match self.send(url.clone(), etag).await {
                Ok(response) => response,
                Err(error) => return Answer::Failed(error.without_url().to_string()),
            };
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                return self.read(response).await;
            }
            self.note(response.status(), response.headers(), "");
            match moved_to(&url, response.headers()) {
                Some(there) if there.origin() == self.base.origin() => url = there,
                Some(_) => return Answer::Moved,
                None => return Answer::Failed("a redirection to nowhere".to_owned()),
            }
        }
        Answer::Failed("redirected in a circle".to_owned())
    }

    async fn send(&self, url: Url, etag: Option<&str>) -> reqwest::Result<reqwest::Response> {
        let mut request = self.http.get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let span = info_span!(target: TRACE, "ask GitHub", otel.kind = "client");
        let answer = request.send().instrument(span).await;
        let word = answer.as_ref().map_or("none", |response| class(response.status()));
        counter!(metrics::GITHUB_REQUESTS, "answer" => word).increment(1);
        answer
    }

    async fn read(&self, response: reqwest::Response) -> Answer {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match body(response).await {
            Ok(body) => body,
            Err(reason) => return Answer::Failed(reason),
        };
        let text = String::from_utf8_lossy(body.get(..2_000).unwrap_or(&body));
        match self.note(status, &headers, &text) {
            Verdict::Limited(until) => return Answer::Limited { until },
            Verdict::Denied => return Answer::Denied(status),
            Verdict::Granted | Verdict::Silent => {}
        }
        match status {
            StatusCode::OK => Answer::Fresh(Fresh {
                body,
                etag: headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned),
                poll_interval: poll_interval(&headers),
                has_next: has_next(&headers),
            }),
            StatusCode::NOT_MODIFIED => Answer::NotModified {
                poll_interval: poll_interval(&headers),
            },
            StatusCode::NOT_FOUND | StatusCode::GONE => Answer::NotFound,
            StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => Answer::Denied(status),
            other => Answer::Failed(format!("answered {}", other.as_u16())),
        }
    }

    fn note(&self, status: StatusCode, headers: &HeaderMap, text: &str) -> Verdict {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.note(status, headers, text, self.clock.now())
    }
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

/// GitHub names the next page in a `Link` header.
fn has_next(headers: &HeaderMap) -> bool {
    let links = headers.get_all(LINK).iter();
    links
        .filter_map(|link| link.to_str().ok())
        .any(|link| link.contains(r#"rel="next""#))
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
