//! `Idempotency-Key` on POST: the same request again gets the first answer. The layer right around the handlers of `/v1`.
//!
//! A request claims its key before it is worked on, in the store that all nodes share, and leaves its answer there. Once
//! claimed it is worked on to its end, even if its client goes away. A claim without an answer, be it that its process died or
//! that it failed, is taken up by the next request with the key: that draws the ids that the first drew, so that the log knows
//! what was done already and nothing is done twice (`draws`). Nothing is wrong with two nodes that work on one claim either.
//!
//! An answer of 500 or above is not kept, since the same request may succeed later, nor is one to a question that did nothing:
//! asked again it is answered anew, and of people who are erased by then it tells nothing. Their key stays claimed for the
//! request all the same.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use database::{DatabaseError, Row, Statement, Value};
use domain::{AccountId, EventId, Sealed, Timestamp};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::Room;
use super::auth::Caller;
use super::draws::of_claim;
use super::error::ApiError;
use super::json_body;
use super::settle::POSITION;

const NAME: &str = "Idempotency-Key";
/// Says that an answer is the first one again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const LONGEST: usize = 255;

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// Says of an answer that something was done which no position in the log stands for.
#[derive(Clone, Copy)]
struct Done;

/// The answer of a handler that has done something without a write to the log: it is kept like one with a position.
pub fn done(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(Done);
    response
}

/// A request that was reached without its caller being known; a fault of the routes.
#[derive(Debug, thiserror::Error)]
#[error("a request has no caller")]
struct NoCaller;

/// The keys whose requests this process works on, and what their draws are made with.
pub struct Claims {
    draws: [u8; 32],
    at_work: Mutex<HashSet<Place>>,
}

/// An account and the hash of its key.
type Place = (AccountId, [u8; 32]);

/// Ends with the work on a key.
struct AtWork<'a>(&'a Claims, Place);

impl Claims {
    /// Nothing is worked on yet; `draws` is a secret of the house.
    pub fn new(draws: [u8; 32]) -> Self {
        Self {
            draws,
            at_work: Mutex::default(),
        }
    }

    /// None: it is worked on already.
    fn begin(&self, place: Place) -> Option<AtWork<'_>> {
        let began = self
            .at_work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place);
        began.then(|| AtWork(self, place))
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let Self(claims, place) = self;
        claims
            .at_work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(place);
    }
}

/// A request with a key.
struct Asked {
    account: AccountId,
    key: [u8; 32],
    request: [u8; 32],
    claim: Ulid,
    at: Timestamp,
}

/// What stands under a key.
struct Found {
    request: Vec<u8>,
    claim: Ulid,
    answer: Option<Sealed>,
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    content_type: Option<String>,
    position: Option<String>,
    body: String,
}

/// The layer. Requests without the header, and those of other methods, pass.
pub async fn once(State(room): State<Arc<Room>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match key(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => answer(room, key, request, next)
            .await
            .unwrap_or_else(IntoResponse::into_response),
        Err(error) => error.into_response(),
    }
}

/// The hash of the key, if there is one.
fn key(headers: &HeaderMap) -> Result<Option<[u8; 32]>, ApiError> {
    let mut given = headers.get_all(NAME).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        return Err(ApiError::field(NAME, "given more than once"));
    }
    let is_printable = key.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
    if !is_printable || key.is_empty() || key.len() > LONGEST {
        let fault = format_args!("must have 1 to {LONGEST} printable ASCII characters");
        return Err(ApiError::field(NAME, fault));
    }
    Ok(Some(Sha256::digest(key.as_bytes()).into()))
}

async fn answer(room: Arc<Room>, key: [u8; 32], request: Request, next: Next) -> Result<Response, ApiError> {
    let caller = request.extensions().get::<Caller>().copied();
    let Caller(account) = caller.ok_or_else(|| ApiError::internal(NoCaller))?;
    let (parts, body) = request.into_parts();
    let body = json_body::whole(&parts.headers, body).await?;
    let asked = Asked {
        account,
        key,
        request: fingerprint(&parts, &body),
        claim: room.api.writer.clock.ulid(),
        at: room.api.writer.clock.now(),
    };
    let request = Request::from_parts(parts, Body::from(body));
    // A task of its own: a client that goes away, or loses patience, leaves no work half done.
    let work = tokio::spawn(async move { work(&room, &asked, request, next).await });
    work.await.map_err(ApiError::internal)?
}

async fn work(room: &Room, asked: &Asked, request: Request, next: Next) -> Result<Response, ApiError> {
    claim(room, asked).await?;
    // Looked up once nobody else here can answer it any more.
    let at_work = room.claims.begin((asked.account, asked.key));
    let found = find(room, asked).await?;
    if found.request != asked.request {
        let fault = "was used for another request within the last 24 hours";
        return Err(ApiError::Conflict(format!("{NAME}: {fault}")));
    }
    if let Some(sealed) = &found.answer {
        return again(room, asked, found.claim, sealed);
    }
    let _at_work = at_work.ok_or_else(in_progress)?;
    let response = of_claim(&room.claims.draws, found.claim, next.run(request)).await;
    keep(room, asked, found.claim, response).await
}

/// What tells a request from another: its route and its body.
fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let route = parts.uri.path_and_query().map_or("", |route| route.as_str());
    let digest = Sha256::new_with_prefix((route.len() as u64).to_be_bytes());
    digest.chain_update(route).chain_update(body).finalize().into()
}

/// Claims the key, unless that was done already.
async fn claim(room: &Room, asked: &Asked) -> Result<(), DatabaseError> {
    let kept_for = i64::try_from(KEPT_FOR.as_micros()).unwrap_or(i64::MAX);
    let prune = Statement::sql(
        "DELETE FROM idempotency_key WHERE claimed_at <= $1",
        vec![(asked.at.micros() - kept_for).into()],
    );
    let [account, key] = asked.place();
    let claim = Statement::insert(
        "idempotency_key (account, key_hash, request, claim, claimed_at)",
        "ON CONFLICT (account, key_hash) DO NOTHING",
        vec![
            account,
            key,
            asked.request.as_slice().into(),
            bytes(asked.claim),
            asked.at.micros().into(),
        ],
    );
    room.api.store.write(vec![prune, claim]).await.map(|_| ())
}

/// What stands under the key.
async fn find(room: &Room, asked: &Asked) -> Result<Found, ApiError> {
    let text = "SELECT request, claim, answer FROM idempotency_key WHERE account = $1 AND key_hash = $2";
    let rows = room.api.store.read(Statement::sql(text, asked.place().into())).await?;
    // Another node's clock may have found its day over since.
    let row = rows.first().ok_or_else(in_progress)?;
    Ok(Found::read(row)?)
}

fn in_progress() -> ApiError {
    ApiError::Conflict(format!("{NAME}: the first request with it is still being worked on"))
}

/// The first answer again.
fn again(room: &Room, asked: &Asked, claim: Ulid, sealed: &Sealed) -> Result<Response, ApiError> {
    let vault = &room.api.writer.vault;
    let plain = vault.open_for_account(asked.account, EventId::new(claim), sealed);
    let plain = plain.map_err(ApiError::internal)?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(ApiError::internal)?;
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(ApiError::internal)?;
    let headers = response.headers_mut();
    for (name, value) in [(CONTENT_TYPE, kept.content_type), (POSITION, kept.position)] {
        if let Some(value) = value {
            headers.insert(name, value.try_into().map_err(ApiError::internal)?);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Leaves the answer under the claimed key, if it is to be kept and no other was.
async fn keep(room: &Room, asked: &Asked, claim: Ulid, response: Response) -> Result<Response, ApiError> {
    let did = response.headers().contains_key(POSITION) || response.extensions().get::<Done>().is_some();
    if !did && !response.status().is_client_error() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(ApiError::internal)?.to_bytes();
    let text = |name: &HeaderName| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    let kept = Kept {
        status: parts.status.as_u16(),
        content_type: text(&CONTENT_TYPE),
        position: text(&POSITION),
        // Every answer to a POST is JSON.
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let plain = serde_json::to_vec(&kept).map_err(ApiError::internal)?;
    let event = EventId::new(claim);
    let sealed = room.api.writer.vault.seal_for_account(asked.account, event, &plain);
    let [account, key] = asked.place();
    let store = Statement::sql(
        "UPDATE idempotency_key SET answer = $1 WHERE account = $2 AND key_hash = $3 AND claim = $4 \
         AND answer IS NULL",
        vec![sealed.bytes().into(), account, key, bytes(claim)],
    );
    if let Err(error) = room.api.store.write(vec![store]).await {
        // What was asked for is done: its client is to know.
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "an answer could not be kept for its Idempotency-Key");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// A claim as it is stored.
fn bytes(claim: Ulid) -> Value {
    claim.to_bytes().as_slice().into()
}

impl Asked {
    fn place(&self) -> [Value; 2] {
        [self.account.to_string().into(), self.key.as_slice().into()]
    }
}

impl Found {
    fn read(row: &Row) -> Result<Self, DatabaseError> {
        let claim = row.blob(1)?.try_into().map_err(|_| database::ColumnError {
            index: 1,
            expected: "BLOB of 16 bytes",
        })?;
        Ok(Self {
            request: row.blob(0)?.to_vec(),
            claim: Ulid::from_bytes(claim),
            answer: row.find_blob(2)?.map(|sealed| Sealed::new(sealed.to_vec())),
        })
    }
}
