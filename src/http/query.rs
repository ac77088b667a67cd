//! Reads a query string strictly: what is unknown, doubled or malformed is refused by name; used by every route.

use axum::extract::FromRequestParts;
use domain::Timestamp;
use event_log::Position;
use http::request::Parts;
use url::form_urlencoded;

use super::error::ApiError;

/// How many rows a page has unless it is said, and at most.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// The parameters of a request, each once and each known.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of a raw query, of which only `known` ones may occur, each once.
    pub fn read(raw: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            let shown: String = name.chars().take(64).collect();
            if !known.contains(&name.as_ref()) {
                return Err(ApiError::field(&shown, unknown(known)));
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(ApiError::field(&shown, "given more than once"));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// The parameter's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The parameter as something that reads from text; the error names it.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let parsed = self.text(name).map(str::parse).transpose();
        parsed.map_err(|fault| ApiError::field(name, fault))
    }

    /// `limit`: how many rows the page is to have.
    pub fn limit(&self) -> Result<u32, ApiError> {
        let Some(text) = self.text("limit") else {
            return Ok(DEFAULT_LIMIT);
        };
        let limit = digits(text).and_then(|digits| digits.parse().ok());
        limit
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| ApiError::field("limit", format_args!("must be an integer from 1 to {MAX_LIMIT}")))
    }

    /// The parameter as a moment.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.parse(name).map_err(|error| match (error, self.text(name)) {
            // The commonest slip: the unescaped + of an offset arrives as a space.
            (ApiError::BadRequest(message), Some(text)) if text.contains('T') && text.contains(' ') => {
                ApiError::BadRequest(format!("{message}; a + in a query is written %2B"))
            }
            (error, _) => error,
        })
    }
}

/// The text, if it is digits alone: number parsing would also take a sign.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// The position that a client sends back; `name` says where.
pub fn position(name: &str, text: &str) -> Result<Position, ApiError> {
    // No log reaches beyond the numbers that a database has.
    let number = digits(text).and_then(|digits| digits.parse::<i64>().ok()?.try_into().ok());
    number
        .map(Position::new)
        .ok_or_else(|| ApiError::field(name, "must be a position, as events have it"))
}

fn unknown(known: &[&str]) -> String {
    if known.is_empty() {
        "unknown query parameter; there is none here".to_owned()
    } else {
        format!("unknown query parameter; known are {}", known.join(", "))
    }
}

/// Says that a route takes no query parameters.
#[derive(Debug)]
pub struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Query::read(parts.uri.query(), &[]).map(|_| Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(raw: &str, known: &[&str]) -> String {
        match Query::read(Some(raw), known) {
            Err(ApiError::BadRequest(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unknown_and_doubled_parameters_are_refused_by_name() {
        assert_eq!(
            message("limt=5", &["limit", "since"]),
            "limt: unknown query parameter; known are limit, since"
        );
        assert_eq!(message("x", &[]), "x: unknown query parameter; there is none here");
        assert_eq!(message("limit=5&limit=5", &["limit"]), "limit: given more than once");
        assert_eq!(message("limit=5&li%6dit=6", &["limit"]), "limit: given more than once");
    }

    #[test]
    fn values_are_decoded() {
        let query = Query::read(Some("repo=acme%2Fsdk&since=a+b"), &["repo", "since"]).unwrap();
        assert_eq!(
            (query.text("repo"), query.text("since")),
            (Some("acme/sdk"), Some("a b"))
        );
        assert_eq!(query.text("limit"), None);
        assert!(Query::read(None, &[]).is_ok());
    }
}
