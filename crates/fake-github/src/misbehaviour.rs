//! The ways in which GitHub fails, and for which of the next answers.

use std::collections::{HashMap, VecDeque};

use http::StatusCode;
use serde_json::json;

use crate::World;
use crate::ask::segments;
use crate::caller::Who;
use crate::limits::{Bucket, PAUSE};
use crate::reply::Reply;

/// What the next answer does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// This status with GitHub's error body and the usual rate limit headers: 401, 403, 404, 451, 500, 502, …
    Status(u16),
    /// 403 without any rate limit header: the token or its owner is suspended.
    Suspended,
    /// 403, nothing remains of the primary rate limit; `x-ratelimit-reset` says when it starts anew.
    RateLimited {
        /// Seconds since 1970.
        reset: u64,
    },
    /// 429 with `Retry-After`.
    TooManyRequests {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// 403 with the body of the secondary rate limit; the primary one has plenty left.
    SecondaryRateLimit {
        /// Seconds to wait, where GitHub says so; it often does not.
        retry_after: Option<u32>,
    },
    /// The true answer's head, half of its body, and the end of the connection.
    Truncated,
    /// The end of the connection, without a byte.
    Dropped,
    /// The connection is reset.
    Reset,
    /// No answer before [`crate::FakeGithub::release`]; then the connection ends.
    Hang,
    /// 200 with an HTML page, as something between us and GitHub would send.
    Html,
    /// The true answer's head with half of its body, whole as HTTP and broken as JSON.
    CutJson,
    /// 200, `application/json`, and bytes that are no JSON.
    Garbage,
    /// 200 with JSON of another shape than the path's.
    OtherJson,
    /// The true answer under `text/plain`.
    WrongType,
    /// 200 of GraphQL with no data and one error of this type, such as `INTERNAL` or `RESOURCE_LIMITS_EXCEEDED`.
    GraphqlError(&'static str),
    /// 200 of GraphQL with data in which nothing stands.
    GraphqlNothing,
    /// The true answer, whose `Link` does not say which page is the last.
    NoLastPage,
    /// The true answer, whose `Link` says that there are 400 pages.
    LongList,
    /// The true answer, whose `Link` says that another page follows.
    Endless,
    /// The true answer, whose `Link` leads on to this cursor.
    NextCursor(&'static str),
}

/// Failures that were told of and have not come yet.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// By path.
    queued: HashMap<String, VecDeque<Misbehaviour>>,
    outages: Vec<Outage>,
}

/// A failure of many paths for a while.
#[derive(Debug)]
struct Outage {
    pattern: Vec<String>,
    what: Misbehaviour,
    left: u64,
    until: u64,
}

impl Outage {
    fn covers(&self, path: &[String]) -> bool {
        for (index, wanted) in self.pattern.iter().enumerate() {
            match (wanted.as_str(), path.get(index)) {
                ("**", _) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(found)) if wanted == found => {}
                _ => return false,
            }
        }
        self.pattern.len() == path.len()
    }
}

impl World {
    /// What the next answer to `path` (as it is asked, without the query) does. Several wait in a queue, one a request.
    pub fn misbehave(&mut self, path: &str, misbehaviour: Misbehaviour) {
        self.faults
            .queued
            .entry(path.to_owned())
            .or_default()
            .push_back(misbehaviour);
    }

    /// The next `times` answers to paths like `pattern` fail, whose `*` stands for one segment and whose last `**` for
    /// all that follow: `/repos/*/*/events`, `/search/**`, `/**`.
    pub fn outage(&mut self, pattern: &str, misbehaviour: Misbehaviour, times: u64) {
        self.add_outage(pattern, misbehaviour, times, u64::MAX);
    }

    /// All answers to paths like `pattern` fail until this time of the simulated clock.
    pub fn outage_until(&mut self, pattern: &str, misbehaviour: Misbehaviour, until: u64) {
        self.add_outage(pattern, misbehaviour, u64::MAX, until);
    }

    /// Ends all outages and forgets all failures that have not come yet.
    pub fn behave(&mut self) {
        self.faults = Faults::default();
    }

    fn add_outage(&mut self, pattern: &str, what: Misbehaviour, left: u64, until: u64) {
        let pattern = segments(pattern);
        self.faults.outages.push(Outage {
            pattern,
            what,
            left,
            until,
        });
    }

    pub(crate) fn next_misbehaviour(&mut self, path: &str, segments: &[String]) -> Option<Misbehaviour> {
        if let Some(queued) = self.faults.queued.get_mut(path).and_then(VecDeque::pop_front) {
            return Some(queued);
        }
        let now = self.now;
        self.faults
            .outages
            .retain(|outage| outage.left > 0 && now < outage.until);
        let outage = self.faults.outages.iter_mut().find(|outage| outage.covers(segments))?;
        outage.left -= 1;
        Some(outage.what)
    }

    /// What GitHub would remember of a limit that it told of: only with a clock, which lets it pass.
    pub(crate) fn remember_limit(&mut self, misbehaviour: Misbehaviour, who: &Who, bucket: Bucket) {
        let now = self.now;
        let pause = match misbehaviour {
            _ if now == 0 => return,
            Misbehaviour::RateLimited { reset } => {
                return self.quotas(who, |quotas| {
                    let limit = quotas.bucket(bucket, now);
                    (limit.used, limit.reset) = (limit.limit, reset);
                });
            }
            Misbehaviour::TooManyRequests { retry_after } => retry_after.into(),
            Misbehaviour::SecondaryRateLimit { retry_after } => retry_after.map_or(PAUSE, u64::from),
            _ => return,
        };
        self.quotas(who, |quotas| {
            quotas.blocked_until = quotas.blocked_until.max(now + pause);
        });
    }
}

impl Misbehaviour {
    /// The answer that is sent as it is, if it is one.
    pub(crate) fn reply(self) -> Option<Reply> {
        Some(match self {
            Self::Status(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Reply::message(status, status.canonical_reason().unwrap_or("Error"))
            }
            Self::Suspended => suspended(),
            Self::RateLimited { reset } => rate_limited(reset),
            Self::TooManyRequests { retry_after } => {
                Reply::message(StatusCode::TOO_MANY_REQUESTS, "API rate limit exceeded")
                    .with("retry-after", retry_after.to_string())
            }
            Self::SecondaryRateLimit { retry_after } => secondary(retry_after.map(u64::from)),
            Self::Html => {
                let page = "<!DOCTYPE html>\n<html><body><h1>Whoa there!</h1></body></html>\n";
                Reply::text(StatusCode::OK, page.to_owned()).with("content-type", "text/html; charset=utf-8")
            }
            Self::Garbage => Reply {
                body: vec![0xff, 0xfe, b'{', 0x00, b'"', 0x80, b']'],
                ..Reply::text(StatusCode::OK, String::new())
            },
            Self::OtherJson => Reply::ok(&json!({ "unexpected": [null, { "id": "not a number" }] })),
            Self::GraphqlError(kind) => {
                let text = format!("Something went wrong while executing your query: {kind}.");
                Reply::ok(&json!({ "data": null, "errors": [{ "type": kind, "message": text }] }))
            }
            Self::GraphqlNothing => Reply::ok(&json!({ "data": {} })),
            Self::Truncated
            | Self::Dropped
            | Self::Reset
            | Self::Hang
            | Self::CutJson
            | Self::WrongType
            | Self::NoLastPage
            | Self::LongList
            | Self::Endless
            | Self::NextCursor(_) => return None,
        })
    }

    /// Whether the usual rate limit headers come with it.
    pub(crate) fn has_rate_headers(self) -> bool {
        !matches!(self, Self::Suspended | Self::Html)
    }

    /// What it does to a true answer.
    pub(crate) fn spoil(self, mut answer: Reply) -> Reply {
        match self {
            Self::CutJson => {
                answer.body.truncate(answer.body.len() / 2);
                answer
            }
            Self::WrongType => answer.with("content-type", "text/plain; charset=utf-8"),
            Self::NoLastPage => {
                let links = answer.headers.iter_mut().filter(|(name, _)| *name == "link");
                links.for_each(|(_, link)| *link = without_last(link));
                answer
            }
            Self::LongList => answer.with(
                "link",
                "<https://github.example/?page=2>; rel=\"next\", <https://github.example/?page=400>; rel=\"last\"",
            ),
            Self::Endless => answer.with("link", "<https://github.example/?page=9>; rel=\"next\""),
            Self::NextCursor(cursor) => answer.with(
                "link",
                format!("<https://github.example/?cursor={cursor}>; rel=\"next\""),
            ),
            _ => answer,
        }
    }
}

fn without_last(link: &str) -> String {
    let kept = link.split(", ").filter(|part| !part.ends_with("rel=\"last\""));
    kept.collect::<Vec<_>>().join(", ")
}

/// The answer to a suspended token.
pub(crate) fn suspended() -> Reply {
    Reply::message(StatusCode::FORBIDDEN, "Sorry. Your account was suspended.")
}

/// The answer when nothing remains of the primary rate limit.
pub(crate) fn rate_limited(reset: u64) -> Reply {
    Reply::message(StatusCode::FORBIDDEN, "API rate limit exceeded for user ID 1001.")
        .with("x-ratelimit-remaining", "0")
        .with("x-ratelimit-reset", reset.to_string())
}

/// The answer of the secondary rate limit.
pub(crate) fn secondary(retry_after: Option<u64>) -> Reply {
    let text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let answer = Reply::message(StatusCode::FORBIDDEN, text);
    match retry_after {
        Some(seconds) => answer.with("retry-after", seconds.to_string()),
        None => answer,
    }
}
