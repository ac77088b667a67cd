//! An answer before it is sent: JSON bodies, GitHub's errors, entity tags, and cutting one short.

use std::hash::{DefaultHasher, Hasher as _};
use std::io;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

const JSON: &str = "application/json; charset=utf-8";

/// Status, headers and body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    /// Names in lower case, each once.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// What it costs of the bucket of GraphQL.
    pub points: u64,
}

impl Reply {
    /// A body that is JSON already.
    pub fn text(status: StatusCode, body: String) -> Self {
        Self {
            status,
            headers: vec![("content-type", JSON.to_owned())],
            body: body.into_bytes(),
            points: 1,
        }
    }

    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    pub fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// A list and its `Link`, if it has more than one page.
    pub fn list(entries: Vec<Value>, link: Option<String>) -> Self {
        Self::ok(&Value::Array(entries)).with_link(link)
    }

    /// GitHub's form of an error.
    pub fn message(status: StatusCode, text: &str) -> Self {
        let body = json!({
            "message": text,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_str(),
        });
        Self::json(status, &body)
    }

    /// GitHub's form of a 422 that names what is wrong with a parameter.
    pub fn invalid(resource: &str, field: &str, text: &str) -> Self {
        let body = json!({
            "message": "Validation Failed",
            "errors": [{ "message": text, "resource": resource, "field": field, "code": "invalid" }],
            "documentation_url": "https://docs.github.com/rest",
            "status": "422",
        });
        Self::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
    }

    /// A path that is not for the anonymous.
    pub fn needs_token() -> Self {
        Self::message(StatusCode::UNAUTHORIZED, "Requires authentication")
    }

    /// Unknown paths, names and what the caller may not know of.
    pub fn not_found() -> Self {
        Self::message(StatusCode::NOT_FOUND, "Not Found")
    }

    /// A page beyond the last one that GitHub keeps.
    pub fn too_far() -> Self {
        let text = "In order to keep the API fast for everyone, pagination is limited for this resource.";
        Self::message(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    /// The redirect after a rename.
    pub fn moved(url: &str) -> Self {
        let body = json!({
            "message": "Moved Permanently",
            "url": url,
            "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
        });
        Self::json(StatusCode::MOVED_PERMANENTLY, &body).with("location", url)
    }

    /// The same with this header; one that it has already is replaced.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(key, _)| *key != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The same with this header unless it has it already.
    #[must_use]
    pub fn with_default(self, name: &'static str, value: impl Into<String>) -> Self {
        if self.headers.iter().any(|(key, _)| *key == name) {
            return self;
        }
        self.with(name, value)
    }

    /// The same with a `Link`, if there is one.
    #[must_use]
    pub fn with_link(self, link: Option<String>) -> Self {
        match link {
            Some(link) => self.with("link", link),
            None => self,
        }
    }

    /// Gives a 200 its entity tag, and makes it a 304 if the client has it already.
    #[must_use]
    pub fn conditional(self, request: &HeaderMap) -> Self {
        if self.status != StatusCode::OK {
            return self;
        }
        let tag = entity_tag(&self.body);
        let known = request.get_all(IF_NONE_MATCH).iter().any(|value| names(value, &tag));
        let mut answer = self.with("etag", tag);
        if known {
            answer.status = StatusCode::NOT_MODIFIED;
            answer.headers.retain(|(key, _)| *key != "content-type");
            answer.body.clear();
        }
        answer
    }

    /// As the server sends it.
    pub fn response(self) -> Response {
        let (head, body) = self.parts();
        let mut answer = Response::new(Body::from(body));
        head.write(&mut answer);
        answer
    }

    /// The full `Content-Length` and half of the body; then the connection breaks.
    pub fn truncated(self) -> Response {
        let (head, body) = self.parts();
        let half = body.slice(..body.len() / 2);
        let broken = async {
            // The server sends what it has only while the body makes it wait.
            tokio::task::yield_now().await;
            Err(io::Error::from(io::ErrorKind::ConnectionAborted))
        };
        let stream = stream::once(async { Ok(half) }).chain(stream::once(broken));
        let mut answer = Response::new(Body::from_stream(stream));
        head.write(&mut answer);
        answer
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        answer
    }

    fn parts(self) -> (Head, Bytes) {
        let head = Head {
            status: self.status,
            headers: self.headers,
        };
        (head, Bytes::from(self.body))
    }
}

struct Head {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
}

impl Head {
    /// A header that cannot be sent is left out.
    fn write(self, answer: &mut Response) {
        *answer.status_mut() = self.status;
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// GitHub's tags are weak ones, whatever the body.
fn entity_tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// Weak comparison (RFC 9110, 8.8.3.2) with each tag of a list.
fn names(list: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let list = list.to_str().unwrap_or_default();
    list.split(',')
        .any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}
