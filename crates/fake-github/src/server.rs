//! Takes connections and answers them: notes each request, misbehaves if told to, and lets the world do the rest.
//!
//! Not `axum::serve`, because that always answers, and a connection must be able to end without.

use std::io;
use std::sync::Arc;

use axum::response::Response;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::ask::{Ask, segments};
use crate::caller::Who;
use crate::limits::{Bucket, Exceeded};
use crate::misbehaviour::{rate_limited, secondary, suspended};
use crate::reply::Reply;
use crate::{Misbehaviour, Request, Shared, World, graphql};

/// The connection ends here, without an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// What is done with a request.
struct Deed {
    /// Nothing if the connection ends without an answer.
    reply: Option<Reply>,
    misbehaviour: Option<Misbehaviour>,
    cost: u64,
    exceeded: Option<Exceeded>,
}

/// Serves until it is aborted; the connections end with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(connection(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let Ok((stream, twin)) = twins(stream) else { return };
    let twin = Arc::new(twin);
    let service = service_fn(|request| answer(Arc::clone(&shared), Arc::clone(&twin), request));
    // How a connection ends is the client's to notice.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The same socket twice: one is the server's, the other can have the connection reset.
fn twins(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    // An answer goes out as soon as it is written.
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let twin = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(twin)?))
}

async fn answer(
    shared: Arc<Shared>,
    twin: Arc<TcpStream>,
    request: http::Request<Incoming>,
) -> Result<Response, Dropped> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).await else {
        return Err(Dropped);
    };
    // From here on, so that no release is missed that comes after the request was noted.
    let mut releases = shared.releases.subscribe();
    let mut noted = 0;
    let deed = shared.change(|world| {
        let path = segments(head.uri.path());
        let bucket = Bucket::of(&path);
        let who = world.who(&head.headers);
        let details = world.note_details;
        noted = shared.note(Request::new(&head, &body, who.as_ref(), bucket, world.now, details));
        world.deed(&head, &body, who, bucket, &path)
    });
    let status = deed.reply.as_ref().map(|reply| reply.status.as_u16());
    shared.settle(noted, status, deed.cost, deed.exceeded);
    match (deed.misbehaviour, deed.reply) {
        (Some(Misbehaviour::Truncated), Some(reply)) => Ok(reply.truncated()),
        (Some(misbehaviour), Some(reply)) => Ok(misbehaviour.spoil(reply).response()),
        (None, Some(reply)) => Ok(reply.response()),
        (Some(Misbehaviour::Hang), None) => {
            // Fails only if the sender is gone, which is an end as well.
            let _ = releases.changed().await;
            Err(Dropped)
        }
        (Some(Misbehaviour::Reset), None) => {
            // Should it fail, the connection ends all the same.
            let _ = twin.set_zero_linger();
            Err(Dropped)
        }
        (_, None) => Err(Dropped),
    }
}

impl World {
    fn deed(&mut self, head: &Parts, body: &[u8], who: Option<Who>, bucket: Bucket, path: &[String]) -> Deed {
        let misbehaviour = self.next_misbehaviour(head.uri.path(), path);
        let mut deed = Deed {
            reply: None,
            misbehaviour,
            cost: 0,
            exceeded: None,
        };
        if matches!(
            misbehaviour,
            Some(Misbehaviour::Dropped | Misbehaviour::Reset | Misbehaviour::Hang)
        ) {
            return deed;
        }
        let scripted = misbehaviour.and_then(Misbehaviour::reply);
        if scripted.is_none() && !head.headers.contains_key(USER_AGENT) {
            let text =
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
            deed.reply = Some(Reply::message(StatusCode::FORBIDDEN, text));
            return deed;
        }
        if scripted.is_none()
            && let Some(reply) = self.app_reply(&head.method, path, &head.headers)
        {
            deed.reply = Some(reply);
            return deed;
        }
        let who = match who {
            Some(who) => who,
            None if scripted.is_none() => {
                deed.reply = Some(Reply::message(StatusCode::UNAUTHORIZED, "Bad credentials"));
                return deed;
            }
            None => Who::Anonymous,
        };
        if self.token(&who).is_some_and(|token| token.suspended) {
            deed.reply = Some(suspended());
            return deed;
        }
        if scripted.is_none() && who == Who::Anonymous && matches!(bucket, Bucket::Graphql | Bucket::CodeSearch) {
            deed.reply = Some(Reply::needs_token());
            return deed;
        }
        let now = self.now;
        let free = path.first().is_some_and(|first| first == "rate_limit");
        let points = if head.method == Method::GET || bucket == Bucket::Graphql {
            1
        } else {
            5
        };
        if !free {
            deed.exceeded = self.quotas(&who, |quotas| quotas.admit(bucket, points, now)).err();
        }
        let ask = Ask::new(head, body, &who);
        let reply = match (scripted, deed.exceeded) {
            (Some(reply), _) => {
                if let Some(misbehaviour) = misbehaviour {
                    self.remember_limit(misbehaviour, &who, bucket);
                }
                reply
            }
            (None, Some(exceeded)) => self.refuse(&who, bucket, exceeded),
            (None, None) => self.route(&ask),
        };
        let reply = if head.method == Method::GET {
            reply.conditional(&head.headers)
        } else {
            reply
        };
        let unchanged = reply.status == StatusCode::NOT_MODIFIED && who != Who::Anonymous;
        deed.cost = match bucket {
            _ if free || unchanged || deed.exceeded.is_some() => 0,
            Bucket::Graphql => reply.points,
            _ => 1,
        };
        let bare = misbehaviour.is_some_and(|misbehaviour| !misbehaviour.has_rate_headers());
        let cost = deed.cost;
        deed.reply = Some(if bare {
            reply
        } else {
            self.quotas(&who, |quotas| quotas.charge(bucket, cost, now, reply))
        });
        deed
    }

    /// The answer to one request too many.
    fn refuse(&mut self, who: &Who, bucket: Bucket, exceeded: Exceeded) -> Reply {
        let now = self.now;
        let (reset, blocked) = self.quotas(who, |quotas| (quotas.bucket(bucket, now).reset, quotas.blocked_until));
        match (exceeded, bucket) {
            (Exceeded::Primary, Bucket::Graphql) => graphql::spent(),
            (Exceeded::Primary, _) => rate_limited(reset),
            _ => secondary(Some(blocked.saturating_sub(now))),
        }
    }
}
