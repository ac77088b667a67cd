//! One delivery attempt: a POST with its headers and signatures, one deadline over all of it, and what came of it.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use domain::{EventId, Timestamp, WebhookEventType};
use event_log::Position;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};
use ulid::Ulid;

use super::connector::{ConnectError, Connector};
use super::schedule::asked_to_wait;
use super::sign::Secrets;
use super::tls::Tls;

/// The time that a receiver has for everything, from the look-up of its name to the end of its answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// How much of an answer is read before the connection is dropped.
const READ_AT_MOST: usize = 64 * 1_024;

/// How much of an answer is kept.
const KEEP: usize = 1_024;

/// How long an unused connection is kept open.
const IDLE: Duration = Duration::from_secs(30);

/// What the `User-Agent` header says.
const USER_AGENT: &str = concat!("GitLeads-Webhooks/", env!("CARGO_PKG_VERSION"));

/// One attempt, ready to be made.
pub struct Attempt {
    /// Where it goes.
    pub uri: Uri,
    /// What the body is about.
    pub event_type: WebhookEventType,
    /// The event: `webhook-id`, the same on every attempt.
    pub event_id: EventId,
    /// The event's place in the log, which grows from each event of an endpoint to the next: `X-GitLeads-Sequence`. None: no
    /// event of the log stands behind it.
    pub sequence: Option<Position>,
    /// This attempt: `X-GitLeads-Delivery`, after `dlv_`.
    pub delivery: Ulid,
    /// Which attempt it is, from 1.
    pub number: u32,
    /// When it is made: `webhook-timestamp`.
    pub at: Timestamp,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// Why an attempt failed. The word is stored and shown; it names no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The policy forbids the address.
    AddressNotAllowed,
    /// The name has no address.
    Resolve,
    /// Nothing answered there.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// It took longer than the deadline.
    Timeout,
    /// The connection broke or spoke no HTTP.
    Broken,
    /// An answer came, and its status was none of 2xx.
    Status,
    /// The stored event could not be turned into a body; nothing was sent.
    Unrenderable,
}

impl Failure {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressNotAllowed => "address_not_allowed",
            Self::Resolve => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status => "status",
            Self::Unrenderable => "unrenderable",
        }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The answer's status, if an answer came.
    pub status: Option<u16>,
    /// Why it counts as failed; none: delivered.
    pub failure: Option<Failure>,
    /// How long it took.
    pub took: Duration,
    /// The answer's first KiB.
    pub answer: Vec<u8>,
    /// How long the receiver asks to be left alone.
    pub asked_to_wait: Option<Duration>,
}

/// Makes attempts over one pool of connections.
#[derive(Clone)]
pub struct Sender {
    client: Client<Tls, Full<Bytes>>,
    deadline: Duration,
}

impl Sender {
    /// A sender that connects through `connector`.
    pub fn new(connector: Connector) -> anyhow::Result<Self> {
        Ok(Self::over(Tls::new(connector)?))
    }

    fn over(tls: Tls) -> Self {
        let client = Client::builder(TokioExecutor::new())
            // Some receivers read header names letter by letter.
            .http1_title_case_headers(true)
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(tls);
        Self {
            client,
            deadline: DEADLINE,
        }
    }

    /// Makes the attempt. Never errs: whatever happens is an outcome.
    pub async fn send(&self, attempt: Attempt, secrets: &Secrets) -> Outcome {
        let began = Instant::now();
        let at = attempt.at;
        let mut outcome = Outcome {
            status: None,
            failure: None,
            took: Duration::ZERO,
            answer: Vec::new(),
            asked_to_wait: None,
        };
        outcome.failure = match self.exchange(attempt, secrets, began + self.deadline).await {
            Err(failure) => Some(failure),
            Ok(response) => {
                let status = response.status();
                outcome.status = Some(status.as_u16());
                outcome.asked_to_wait = asked_to_wait(status.as_u16(), retry_after(&response), at);
                let read = read_start(response, &mut outcome.answer);
                match timeout_at(began + self.deadline, read).await {
                    Err(_) => Some(Failure::Timeout),
                    Ok(Err(failure)) if status.is_success() => Some(failure),
                    Ok(_) => (!status.is_success()).then_some(Failure::Status),
                }
            }
        };
        outcome.took = began.elapsed();
        outcome
    }

    async fn exchange(
        &self,
        attempt: Attempt,
        secrets: &Secrets,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Failure> {
        let request = request(attempt, secrets).map_err(|_| Failure::Broken)?;
        match timeout_at(deadline, self.client.request(request)).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Err(error)) => Err(classify(&error)),
            Ok(Ok(response)) => Ok(response),
        }
    }
}

fn request(attempt: Attempt, secrets: &Secrets) -> Result<Request<Full<Bytes>>, http::Error> {
    let id = attempt.event_id.to_string();
    let timestamp = attempt.at.secs();
    let signatures = secrets.sign(&id, attempt.at, &attempt.body);
    // Before all others: some receivers read no further for it.
    let host = attempt.uri.authority().map(|authority| authority.as_str().to_owned());
    let mut request = Request::post(attempt.uri).header("host", host.unwrap_or_default());
    if let Some(next) = signatures.gitleads_next {
        request = request.header("x-gitleads-signature-next", next);
    }
    if let Some(sequence) = attempt.sequence {
        request = request.header("x-gitleads-sequence", sequence.get());
    }
    request
        .header("content-type", "application/json")
        .header("user-agent", USER_AGENT)
        .header("x-gitleads-signature", signatures.gitleads)
        .header("x-gitleads-event", attempt.event_type.as_str())
        .header("x-gitleads-delivery", format!("dlv_{}", attempt.delivery))
        .header("x-gitleads-attempt", attempt.number)
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signatures.standard)
        .body(Full::new(attempt.body))
}

fn retry_after(response: &Response<Incoming>) -> Option<&str> {
    response.headers().get(http::header::RETRY_AFTER)?.to_str().ok()
}

/// Reads the answer up to the limit and keeps its start; a longer one is cut off, and its connection with it.
async fn read_start(response: Response<Incoming>, kept: &mut Vec<u8>) -> Result<(), Failure> {
    let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT);
    let mut body = response.into_body();
    let mut read = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(_) if bodiless => return Ok(()),
            Err(_) => return Err(Failure::Broken),
        };
        let Some(data) = frame.data_ref() else { continue };
        let wanted = KEEP.saturating_sub(kept.len()).min(data.len());
        kept.extend(data.iter().take(wanted));
        read += data.len();
        if read >= READ_AT_MOST {
            break;
        }
    }
    Ok(())
}

/// Which kind of failure it was, from the client's error and what caused it.
fn classify(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(current) = cause {
        if let Some(connect) = current.downcast_ref::<ConnectError>() {
            return match connect {
                ConnectError::Forbidden => Failure::AddressNotAllowed,
                ConnectError::Resolve => Failure::Resolve,
                ConnectError::Connect => Failure::Connect,
            };
        }
        cause = current.source();
    }
    // Whatever else fails before there is a connection is the handshake on top of TCP.
    if error.is_connect() {
        Failure::Tls
    } else {
        Failure::Broken
    }
}

#[cfg(test)]
mod tests;
