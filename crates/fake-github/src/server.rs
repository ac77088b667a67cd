//! Takes connections and answers them: notes each request, misbehaves if told to, and lets the routes do the rest.
//!
//! Not `axum::serve`, because that always answers, and a connection must be able to end without.

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::answer::{conditional, message, truncated, with_rate};
use crate::misbehaviour::rate_limited;
use crate::{Misbehaviour, Request, Shared, routes};

/// The connection ends here, without an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// Serves until it is aborted; the connections end with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = routes::router(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (shared, router) = (Arc::clone(&shared), router.clone());
        connections.spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), router.clone(), request));
            // How a connection ends is the client's to notice.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(shared: Arc<Shared>, router: Router, request: http::Request<Incoming>) -> Result<Response, Dropped> {
    let (head, body) = request.into_parts();
    let misbehaviour = shared.change(|world| world.next_misbehaviour(head.uri.path()));
    shared.requests.send_modify(|all| all.push(Request::from(&head)));
    if misbehaviour == Some(Misbehaviour::Dropped) {
        return Err(Dropped);
    }
    let headers = head.headers.clone();
    let refused = misbehaviour
        .and_then(Misbehaviour::response)
        .or_else(|| refusal(&shared, &headers));
    let answer = if let Some(refused) = refused {
        refused
    } else {
        let Ok(answer) = router.oneshot(http::Request::from_parts(head, body)).await;
        conditional(answer, &headers).await
    };
    let answer = match misbehaviour {
        Some(misbehaviour) if !misbehaviour.has_rate_headers() => answer,
        _ => count(&shared, answer),
    };
    match misbehaviour {
        Some(Misbehaviour::Truncated) => Ok(truncated(answer).await),
        _ => Ok(answer),
    }
}

/// What GitHub refuses whatever is asked for.
fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    if !headers.contains_key(USER_AGENT) {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
        return Some(message(StatusCode::FORBIDDEN, text));
    }
    shared.change(|world| {
        if world
            .token
            .as_deref()
            .is_some_and(|token| sent_token(headers) != Some(token))
        {
            return Some(message(StatusCode::UNAUTHORIZED, "Bad credentials"));
        }
        (world.rate.used >= world.rate.limit).then(|| rate_limited(world.rate.reset))
    })
}

/// GitHub takes both words.
fn sent_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")).then_some(token)
}

/// Takes the answer's cost off the rate limit and says what is left.
fn count(shared: &Shared, answer: Response) -> Response {
    shared.change(|world| {
        let cost = u64::from(answer.status() != StatusCode::NOT_MODIFIED);
        world.rate.used = (world.rate.used + cost).min(world.rate.limit);
        with_rate(answer, &world.rate)
    })
}
