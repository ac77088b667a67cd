//! Reads a JSON body strictly: its type, size, time of arrival and every field; used by every route that takes one.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::ApiError;

/// No body of the contract comes near.
const LIMIT: usize = 64 * 1024;
/// How long a body may take to arrive.
const AT_MOST: Duration = Duration::from_secs(10);
/// How much of a fault is told: it may quote the client's own text.
const MESSAGE: usize = 300;

/// The body, as `T`. `T` refuses unknown fields itself (`deny_unknown_fields`).
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let bytes = whole(&parts.headers, body).await?;
        parse(&bytes).map(Self)
    }
}

/// The body, as `T`; where none was sent, `T` as it is without one.
#[derive(Debug)]
pub struct JsonIfAny<T>(pub T);

/// What a route takes that needs nothing said: no body, or an object without fields.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for JsonIfAny<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = whole(&parts.headers, body).await?;
        // Some clients send a type with every request, whether there is a body or not.
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json(&parts.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse(&bytes).map(Self)
    }
}

/// The whole body of a request that takes JSON.
pub async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(ApiError::EncodedBody);
    }
    read(headers, body, LIMIT, AT_MOST).await
}

/// The whole body, if it is not larger than `limit` bytes and arrives in time.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize, at_most: Duration) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(ApiError::PayloadTooLarge(limit));
    }
    match tokio::time::timeout(at_most, Limited::new(body, limit).collect()).await {
        Err(_) => Err(ApiError::RequestTimeout),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::PayloadTooLarge(limit)),
        // The client went away or broke HTTP; the answer hardly reaches anyone.
        Ok(Err(_)) => Err(ApiError::BadRequest("The body did not arrive whole".to_owned())),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ApiError::field("body", "must be a JSON object; it is empty"));
    }
    // Asked first, since the field-wise reading below calls some wrong types a fault of the JSON.
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        return Err(ApiError::field("body", format_args!("not valid JSON: {error}")));
    }
    // A struct would also be read from an array, field by field in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::field("body", "must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| refused(&error.path().to_string(), &error.inner().to_string()))
}

fn refused(path: &str, fault: &str) -> ApiError {
    // The place in the text says less than the field's name, which stands before it.
    let fault = fault
        .rfind(" at line ")
        .and_then(|end| fault.get(..end))
        .unwrap_or(fault);
    let field = if path == "." { "body" } else { path };
    let (field, fault) = quoted(fault, "missing field")
        .map(|name| (name, "is missing"))
        .or_else(|| quoted(fault, "duplicate field").map(|name| (name, "is given more than once")))
        .unwrap_or((field, fault));
    let fault = unknown(fault).map_or(Cow::Borrowed(fault), Cow::Owned);
    ApiError::BadRequest(format!("{field}: {fault}").chars().take(MESSAGE).collect())
}

/// The field's name in serde's words for a fault of the object as a whole.
fn quoted<'a>(fault: &'a str, what: &str) -> Option<&'a str> {
    fault.strip_prefix(what)?.strip_prefix(" `")?.strip_suffix('`')
}

/// What serde says of a field that nobody knows, without the name, which stands before it.
fn unknown(fault: &str) -> Option<String> {
    let rest = fault.strip_prefix("unknown field `")?;
    // The name is the client's and may hold anything; the names behind it are ours.
    let known = rest.rsplit_once("`, expected ").map(|(_, known)| known);
    let known: Vec<&str> = known?.split('`').skip(1).step_by(2).collect();
    Some(format!("unknown field; known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use domain::{RepoName, RepoRelation, ScanTargets};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the faults are looked at")]
    struct Thing {
        full_name: RepoName,
        r#type: Option<RepoRelation>,
        scan_targets: Option<ScanTargets>,
    }

    fn message(body: &str) -> String {
        match parse::<Thing>(body.as_bytes()) {
            Err(ApiError::BadRequest(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_body_names_the_field_and_the_fault() {
        let cases = [
            ("", "body: must be a JSON object; it is empty"),
            ("  \n", "body: must be a JSON object; it is empty"),
            ("{}", "full_name: is missing"),
            (r#"{"full_name":"acme"}"#, "full_name: must be owner/name"),
            (
                r#"{"full_name":7}"#,
                "full_name: invalid type: integer `7`, expected a string",
            ),
            (
                r#"{"full_name":"a/b","type":"enemy"}"#,
                "type: must be one of own, competitor, ecosystem",
            ),
            (
                r#"{"full_name":"a/b","scan_targets":[]}"#,
                "scan_targets: must name at least one of issues, prs, discussions, code",
            ),
            (
                r#"{"full_name":"a/b","scan_targets":["issues",1]}"#,
                "scan_targets[1]: invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"full_name":"a/b","colour":1}"#,
                "colour: unknown field; known are full_name, type, scan_targets",
            ),
            (
                r#"{"full_name":"a/b","full_name":"a/b"}"#,
                "full_name: is given more than once",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(message(body), expected, "{body}");
        }
        for (body, start) in [
            ("{", "body: not valid JSON: EOF"),
            (r#"{"full_name":"a/b"} x"#, "body: not valid JSON: trailing characters"),
            (r#"["a/b",null,null]"#, "body: must be a JSON object"),
            (r#"[["a/b"]]"#, "body: must be a JSON object"),
            (" null", "body: must be a JSON object"),
            (r#""x""#, "body: must be a JSON object"),
            (
                r#"{"full_name":"a/b","type":{"own":null}}"#,
                "type: invalid type: map, expected a string",
            ),
            (
                r#"{"full_name":"a/b","scan_targets":[{"issues":null}]}"#,
                "scan_targets[0]: invalid type: map, expected a string",
            ),
            (
                r#"{"full_name":"a/b","`, expected `x":1}"#,
                "`, expected `x: unknown field; known are full_name, type, scan_targets",
            ),
        ] {
            assert!(message(body).starts_with(start), "{body}: {}", message(body));
        }
    }

    #[test]
    fn a_fault_does_not_quote_a_whole_body() {
        let body = format!(r#"{{"full_name":"a/b","{}":1}}"#, "x".repeat(5000));
        assert_eq!(message(&body).chars().count(), MESSAGE);
    }

    #[test]
    fn only_application_json_is_json() {
        let typed = |text: &'static str| HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(text))]);
        for json in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(is_json(&typed(json)), "{json}");
        }
        for other in [
            "text/plain",
            "application/jsonp",
            "application/x-www-form-urlencoded",
            "",
        ] {
            assert!(!is_json(&typed(other)), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up_on() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let read = read(&HeaderMap::new(), body, LIMIT, Duration::from_millis(20)).await;
        assert!(matches!(read, Err(ApiError::RequestTimeout)), "{read:?}");
    }
}
