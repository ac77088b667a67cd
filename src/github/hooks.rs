//! GitHub's record of a repository's webhooks and of their deliveries, for those who administer it. A delivery is kept for
//! three days (<https://docs.github.com/rest/repos/webhooks#list-deliveries-for-a-repository-webhook>).

use domain::{RepoName, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::activity::EventKind;

/// Where a webhook has to lead to be one of ours: the end of the path, whatever is in front of the server.
const OUR_PATH: &str = "/github/webhooks";

/// An attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// GitHub's number of the attempt.
    pub id: u64,
    /// `X-GitHub-Delivery`, the same on every attempt.
    pub guid: String,
    /// When it was made.
    pub at: Timestamp,
    /// `X-GitHub-Event`.
    pub event: String,
    /// Whether the receiver took it.
    pub arrived: bool,
    /// Whether it tells of something that is recorded here.
    pub is_of_use: bool,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
    #[serde(default)]
    active: bool,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    id: u64,
    guid: String,
    delivered_at: Timestamp,
    event: String,
    #[serde(default)]
    action: Option<String>,
    /// None, as 0: nobody answered.
    #[serde(default)]
    status_code: Option<u16>,
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// The path of the list of a repository's webhooks; GitHub has no more than a page of them.
pub fn hooks_path(repo: &RepoName) -> String {
    format!("/repos/{repo}/hooks?per_page=100")
}

/// Reads the list: the numbers of the active webhooks that lead to us.
///
/// # Errors
/// If the body is no list. The reason quotes nothing of it.
pub fn read_hooks(body: &[u8]) -> Result<Vec<u64>, String> {
    let hooks: Vec<Hook> = serde_json::from_slice(body).map_err(|error| reason("the webhooks", &error))?;
    let is_ours = |hook: &Hook| {
        let url = hook.config.url.as_deref().and_then(|url| url.parse::<Url>().ok());
        hook.active && url.is_some_and(|url| url.path().trim_end_matches('/').ends_with(OUR_PATH))
    };
    Ok(hooks.into_iter().filter(is_ours).map(|hook| hook.id).collect())
}

/// The path of a page of a webhook's deliveries, newest first: the first one, or the one that a cursor leads to.
pub fn deliveries_path(repo: &RepoName, hook: u64, cursor: Option<&str>) -> String {
    let path = format!("/repos/{repo}/hooks/{hook}/deliveries?per_page=100");
    match cursor {
        Some(cursor) => format!("{path}&cursor={cursor}"),
        None => path,
    }
}

/// Reads a page of deliveries, and how many of them cannot be read, which are passed over.
///
/// # Errors
/// If the body is no such list, or none of it can be read. The reason quotes nothing of it.
pub fn read_deliveries(body: &[u8]) -> Result<(Vec<Attempt>, usize), String> {
    let items: Vec<Value> = serde_json::from_slice(body).map_err(|error| reason("the deliveries", &error))?;
    let all = items.len();
    let told: Vec<Told> = items
        .into_iter()
        .filter_map(|item| serde_json::from_value(item).ok())
        .collect();
    if told.is_empty() && all > 0 {
        return Err(format!("none of {all} deliveries can be read"));
    }
    let attempt = |told: Told| Attempt {
        is_of_use: EventKind::of_delivery(&told.event)
            .is_some_and(|kind| kind.delivery_brings_news(told.action.as_deref())),
        arrived: told.status_code.is_some_and(|status| (200..300).contains(&status)),
        id: told.id,
        guid: told.guid,
        at: told.delivered_at,
        event: told.event,
    };
    let broken = all - told.len();
    Ok((told.into_iter().map(attempt).collect(), broken))
}

/// The path of an attempt with all that was sent.
pub fn attempt_path(repo: &RepoName, hook: u64, attempt: u64) -> String {
    format!("/repos/{repo}/hooks/{hook}/deliveries/{attempt}")
}

/// The payload of an attempt, as JSON; none: GitHub does not show it.
///
/// # Errors
/// If the body is no attempt. The reason quotes nothing of it.
pub fn read_payload(body: &[u8]) -> Result<Option<&[u8]>, String> {
    let whole: Whole<'_> = serde_json::from_slice(body).map_err(|error| reason("the delivery", &error))?;
    Ok(whole.request.payload.map(|payload| payload.get().as_bytes()))
}

fn reason(what: &str, error: &serde_json::Error) -> String {
    format!("{what} cannot be read, line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_webhooks_that_lead_to_us_are_known_by_their_path() {
        let hook = |id: u64, active: bool, url: &str| json!({ "id": id, "active": active, "config": { "url": url } });
        let list = json!([
            hook(1, true, "https://leads.example.com/github/webhooks"),
            hook(2, true, "https://ci.example.com/build"),
            hook(3, false, "https://leads.example.com/github/webhooks"),
            hook(4, true, "https://example.com/leads/github/webhooks/?x=1"),
            { "id": 5, "active": true, "config": {} },
        ]);
        assert_eq!(read_hooks(list.to_string().as_bytes()), Ok(vec![1, 4]));
        assert!(read_hooks(b"{}").is_err());
    }

    #[test]
    fn an_attempt_tells_whether_it_arrived_and_whether_it_is_of_use() {
        let attempt = |id: u64, event: &str, action: Option<&str>, status: u16| {
            json!({
                "id": id, "guid": format!("guid-{id}"), "delivered_at": "2026-04-10T12:00:00Z", "redelivery": false,
                "duration": 0.2, "status": "x", "status_code": status, "event": event, "action": action,
            })
        };
        let list = json!([
            attempt(1, "star", Some("deleted"), 0),
            attempt(2, "star", Some("created"), 502),
            attempt(3, "issues", Some("opened"), 202),
            attempt(4, "issues", Some("closed"), 500),
            attempt(5, "push", None, 500),
            { "id": 6, "guid": "guid-6", "delivered_at": "2026-04-10T12:00:00Z", "event": "star", "action": "created",
              "status_code": null },
            { "id": "7", "guid": null, "event": "star" },
        ]);
        let (read, broken) = read_deliveries(list.to_string().as_bytes()).unwrap();
        assert_eq!(broken, 1);
        let told: Vec<(u64, bool, bool)> = read.iter().map(|one| (one.id, one.arrived, one.is_of_use)).collect();
        assert_eq!(
            told,
            [
                (1, false, true),
                (2, false, true),
                (3, true, true),
                (4, false, false),
                (5, false, false),
                (6, false, true),
            ]
        );
        assert!(read_deliveries(b"[1]").is_err());
    }

    #[test]
    fn the_payload_is_what_was_sent() {
        let payload = read_payload(br#"{"id":1,"request":{"headers":{},"payload":{"action":"created"}}}"#);
        assert_eq!(payload, Ok(Some(&br#"{"action":"created"}"#[..])));
        assert_eq!(read_payload(br#"{"request":{"payload":null}}"#), Ok(None));
        assert!(read_payload(br#"{"id":1}"#).is_err());
    }
}
