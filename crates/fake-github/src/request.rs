//! A request as the server saw it, and what became of it: the ledger that tests read.

use http::request::Parts;

use crate::caller::Who;
use crate::limits::{Bucket, Exceeded};

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// The path as it was sent, without the query.
    pub path: String,
    /// What follows the `?`; empty if nothing does.
    pub query: String,
    /// Names in lower case, in the order they came; empty if [`crate::World::note_details`] is off.
    pub headers: Vec<(String, String)>,
    /// What was posted, such as the text of a GraphQL query; empty if [`crate::World::note_details`] is off.
    pub body: String,
    /// When: seconds since 1970 by the simulated clock; 0 without one.
    pub at: u64,
    /// The known token that it came with.
    pub token: Option<String>,
    /// The bucket that it counts towards.
    pub bucket: Bucket,
    /// The status of the answer; none while there is no answer, and none for a connection that ends without.
    pub status: Option<u16>,
    /// What it took off the bucket.
    pub cost: u64,
    /// Whether it was one too many.
    pub exceeded: Option<Exceeded>,
}

impl Request {
    pub(crate) fn new(head: &Parts, body: &[u8], who: Option<&Who>, bucket: Bucket, at: u64, details: bool) -> Self {
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let token = match who {
            Some(Who::Token(token)) => Some(token.clone()),
            _ => None,
        };
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: if details {
                head.headers.iter().map(header).collect()
            } else {
                Vec::new()
            },
            body: if details {
                String::from_utf8_lossy(body).into_owned()
            } else {
                String::new()
            },
            at,
            token,
            bucket,
            status: None,
            cost: 0,
            exceeded: None,
        }
    }

    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }
}
