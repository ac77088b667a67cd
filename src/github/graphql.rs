//! Asks GitHub's GraphQL API, where an answer of 200 may be a refusal, and may hold data beside errors.

use domain::Timestamp;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Client, Request};
use super::ledger::Resource;
use super::rate_budget::Verdict;

/// What GraphQL told.
#[derive(Debug)]
pub enum Told {
    /// Data, and the aliases in which something was not there.
    Data {
        /// The data; what failed in it is null.
        data: Map<String, Value>,
        /// The aliases at the top that GitHub knows no such thing for.
        absent: Vec<String>,
        /// Whether GitHub broke off: some of what is null was too much to work out along with the rest.
        is_cut: bool,
        /// Whether some of what is null is not for us.
        is_denied: bool,
    },
    /// Not now.
    Limited(Timestamp),
    /// More was asked for at once than GitHub is ready to work out; less may be answered.
    TooMuch,
    /// Not for us, with that status.
    Denied(StatusCode),
    /// No answer that can be used. The reason names no person and no address.
    Failed(String),
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    path: Vec<Value>,
    #[serde(default)]
    message: String,
}

impl Fault {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Whether it says that the token may not ask for that; the type was not always told.
    fn is_denial(&self) -> bool {
        self.is("INSUFFICIENT_SCOPES")
            || self.is("FORBIDDEN")
            || self
                .message
                .starts_with("Your token has not been granted the required scopes")
    }
}

impl Client {
    /// Asks with these variables.
    pub async fn graphql(&self, query: &str, variables: &Value) -> Told {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let raw = match self.ask(Request::Graphql(body)).await {
            Ok(raw) => raw,
            Err(super::client::NotAsked::Limited(until)) => return Told::Limited(until),
            Err(super::client::NotAsked::Failed(reason)) => return Told::Failed(reason),
        };
        if matches!(raw.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) {
            return Told::TooMuch;
        }
        let body = if raw.status == StatusCode::OK {
            serde_json::from_slice::<Body>(&raw.body).ok()
        } else {
            None
        };
        let is_refusal = body.as_ref().is_some_and(|body| {
            body.errors
                .iter()
                .any(|fault| fault.is("RATE_LIMITED") || fault.is("RATE_LIMIT"))
        });
        let status = if is_refusal {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            raw.status
        };
        match self.note(Resource::Graphql, status, &raw.headers, &raw.text()) {
            Verdict::Limited(until) => return Told::Limited(until),
            Verdict::Denied => return Told::Denied(raw.status),
            Verdict::Granted | Verdict::Silent => {}
        }
        match body {
            Some(body) => told(body),
            None if raw.status == StatusCode::OK => Told::Failed("not the JSON of GraphQL".to_owned()),
            None => Told::Failed(format!("answered {}", raw.status.as_u16())),
        }
    }
}

fn told(body: Body) -> Told {
    let is_cut = body
        .errors
        .iter()
        .any(|fault| fault.is("RESOURCE_LIMITS_EXCEEDED") || fault.is("MAX_NODE_LIMIT_EXCEEDED"));
    let data = body
        .data
        .filter(|data| !is_cut || data.values().any(|value| !value.is_null()));
    let Some(data) = data else {
        if is_cut {
            return Told::TooMuch;
        }
        if body.errors.iter().any(Fault::is_denial) {
            return Told::Denied(StatusCode::FORBIDDEN);
        }
        let kind = body.errors.first().and_then(|fault| fault.kind.clone());
        return Told::Failed(format!("no data: {}", kind.unwrap_or_else(|| "no reason".to_owned())));
    };
    let absent = body.errors.iter().filter(|fault| fault.is("NOT_FOUND"));
    let absent = absent.filter_map(|fault| fault.path.first()?.as_str().map(str::to_owned));
    Told::Data {
        absent: absent.collect(),
        is_cut,
        is_denied: body.errors.iter().any(Fault::is_denial),
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Told {
        told(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn data_beside_errors_is_data_and_tells_what_is_not_there() {
        let body = json!({
            "data": { "r0": { "stars": 1 }, "r1": null },
            "errors": [{ "type": "NOT_FOUND", "path": ["r1"], "message": "Could not resolve" }],
        });
        let Told::Data { data, absent, .. } = read(body) else {
            panic!("no data");
        };
        assert_eq!((data["r0"]["stars"].as_u64(), absent), (Some(1), vec!["r1".to_owned()]));
    }

    #[test]
    fn too_much_at_once_and_a_denial_are_told_from_a_failure() {
        let too_much = json!({ "data": null, "errors": [{ "type": "RESOURCE_LIMITS_EXCEEDED" }] });
        assert!(matches!(read(too_much), Told::TooMuch));
        let cut = json!({ "data": { "r0": {}, "r1": null }, "errors": [{ "type": "RESOURCE_LIMITS_EXCEEDED", "path": ["r1"] }] });
        assert!(matches!(read(cut), Told::Data { is_cut: true, .. }));
        let refused = json!({ "data": { "repository": null }, "errors": [{ "type": "FORBIDDEN" }] });
        assert!(matches!(read(refused), Told::Data { is_denied: true, .. }));
        let denied = json!({ "data": null, "errors": [{ "type": "INSUFFICIENT_SCOPES" }] });
        assert!(matches!(read(denied), Told::Denied(StatusCode::FORBIDDEN)));
        let failed = json!({ "errors": [{ "message": "Something went wrong" }] });
        assert!(matches!(read(failed), Told::Failed(_)));
    }
}
