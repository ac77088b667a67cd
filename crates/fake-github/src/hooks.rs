//! Webhooks of repositories and what GitHub remembers of their deliveries. Nothing is sent from here: the world's owner
//! sends, and tells how it went.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::clock::rfc3339;
use crate::reply::Reply;
use crate::{Repo, World};

/// GitHub forgets deliveries after three days.
const KEPT_SECONDS: u64 = 3 * 24 * 3_600;
const A_PAGE: usize = 30;

/// One delivery of a webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The number of this attempt.
    pub id: u64,
    /// `X-GitHub-Delivery`, which a redelivery keeps.
    pub guid: String,
    /// `X-GitHub-Event`, such as `star`.
    pub event: String,
    /// The body, which has the `action`.
    pub payload: Value,
    /// The status of the receiver's answer; 0 if there was none.
    pub status_code: u16,
    /// Seconds since 1970.
    pub at: u64,
    /// Whether it was asked for with the API.
    pub redelivery: bool,
}

#[derive(Debug)]
struct Hook {
    id: u64,
    repo: u64,
    url: String,
    events: Vec<String>,
    /// Seconds since 1970.
    created: u64,
    /// By id, hence oldest first.
    deliveries: BTreeMap<u64, Delivery>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    by_id: BTreeMap<u64, Hook>,
    asked_again: Vec<(u64, Delivery)>,
}

impl World {
    /// Adds a webhook to a repository. Its id.
    pub fn put_hook(&mut self, repo: &str, url: &str, events: &[&str]) -> u64 {
        let id = self.new_id();
        let hook = Hook {
            id,
            repo: self.repo_id(repo),
            url: url.to_owned(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            created: self.now,
            deliveries: BTreeMap::new(),
        };
        self.hooks.by_id.insert(id, hook);
        id
    }

    /// Removes a webhook and what is remembered of it.
    pub fn remove_hook(&mut self, hook: u64) {
        self.hooks.by_id.remove(&hook);
    }

    /// A delivery was made, now, and the receiver answered with this status; 0 for no answer. What was sent, with its
    /// id and guid; nothing if there is no such hook.
    pub fn deliver(&mut self, hook: u64, event: &str, payload: &Value, status_code: u16) -> Option<Delivery> {
        let id = self.new_id();
        let delivery = Delivery {
            id,
            guid: format!("{:08x}-fa4e-4000-8000-{id:012x}", hook & 0xffff_ffff),
            event: event.to_owned(),
            payload: payload.clone(),
            status_code,
            at: self.now,
            redelivery: false,
        };
        let hook = self.hooks.by_id.get_mut(&hook)?;
        hook.deliveries.insert(id, delivery.clone());
        Some(delivery)
    }

    /// Sends a delivery of the webhook once more, which the receiver answers with this status.
    pub fn redeliver(&mut self, hook: u64, delivery: &Delivery, status_code: u16) -> Delivery {
        let again = Delivery {
            id: self.new_id(),
            status_code,
            at: self.now,
            redelivery: true,
            ..delivery.clone()
        };
        if let Some(hook) = self.hooks.by_id.get_mut(&hook) {
            hook.deliveries.insert(again.id, again.clone());
        }
        again
    }

    /// The attempts that were asked for since this was last called, each with its hook: they are to be sent, and
    /// [`World::redelivered`] tells how it went.
    pub fn redeliveries(&mut self) -> Vec<(u64, Delivery)> {
        std::mem::take(&mut self.hooks.asked_again)
    }

    /// How the receiver answered an attempt that was asked for.
    pub fn redelivered(&mut self, hook: u64, delivery: u64, status_code: u16) {
        let found = self.hooks.by_id.get_mut(&hook);
        if let Some(delivery) = found.and_then(|hook| hook.deliveries.get_mut(&delivery)) {
            delivery.status_code = status_code;
        }
    }

    /// `/repos/{owner}/{name}/hooks` and all below it, for those who administer the repository.
    pub(crate) fn hooks_reply(&mut self, ask: &Ask, repo: u64, rest: &[&str], url: &str) -> Reply {
        let allowed = self
            .repos
            .get(&repo)
            .is_some_and(|repo| self.may_administer(ask.who, repo));
        if !allowed {
            return Reply::not_found();
        }
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        match (ask.method, rest) {
            (&Method::GET, []) => self.list_hooks(ask, repo, url),
            (&Method::GET, [hook]) => self
                .hook(repo, number(hook))
                .map_or_else(Reply::not_found, |hook| Reply::ok(&self.hook_json(hook))),
            (&Method::GET, [hook, "deliveries"]) => self
                .hook(repo, number(hook))
                .map_or_else(Reply::not_found, |hook| self.list_deliveries(ask, hook, url)),
            (&Method::GET, [hook, "deliveries", delivery]) => {
                let hook = self.hook(repo, number(hook));
                let delivery = hook.and_then(|hook| Some((hook, self.delivery(hook, number(delivery))?)));
                delivery.map_or_else(Reply::not_found, |(hook, delivery)| Reply::ok(&whole(hook, delivery)))
            }
            (&Method::POST, [hook, "deliveries", delivery, "attempts"]) => {
                self.attempt(repo, number(hook), number(delivery))
            }
            _ => Reply::not_found(),
        }
    }

    fn hook(&self, repo: u64, id: u64) -> Option<&Hook> {
        self.hooks.by_id.get(&id).filter(|hook| hook.repo == repo)
    }

    /// A delivery that is not forgotten.
    fn delivery<'a>(&self, hook: &'a Hook, id: u64) -> Option<&'a Delivery> {
        let since = self.now.saturating_sub(KEPT_SECONDS);
        hook.deliveries.get(&id).filter(|delivery| delivery.at >= since)
    }

    fn list_hooks(&self, ask: &Ask, repo: u64, url: &str) -> Reply {
        let page = ask.page(A_PAGE);
        let hooks = self.hooks.by_id.values().filter(|hook| hook.repo == repo);
        let link = page.link(url, hooks.clone().count());
        let hooks = page.of(hooks).into_iter();
        Reply::list(hooks.map(|hook| self.hook_json(hook)).collect(), link)
    }

    fn hook_json(&self, hook: &Hook) -> Value {
        let name = self.repos.get(&hook.repo).map_or("", |repo: &Repo| &repo.full_name);
        let url = format!("{}/repos/{name}/hooks/{}", self.base, hook.id);
        let last = hook.deliveries.values().next_back();
        json!({
            "type": "Repository",
            "id": hook.id,
            "name": "web",
            "active": true,
            "events": hook.events,
            "config": { "content_type": "json", "insecure_ssl": "0", "url": hook.url },
            "created_at": rfc3339(hook.created),
            "updated_at": rfc3339(hook.created),
            "url": url,
            "test_url": format!("{url}/test"),
            "ping_url": format!("{url}/pings"),
            "deliveries_url": format!("{url}/deliveries"),
            "last_response": {
                "code": last.map(|last| last.status_code),
                "status": last.map_or("unused", status),
                "message": null,
            },
        })
    }

    /// Newest first; the cursor is the id of the next delivery.
    fn list_deliveries(&self, ask: &Ask, hook: &Hook, url: &str) -> Reply {
        let page = ask.page(A_PAGE);
        let from = ask.query("cursor").map(str::parse::<u64>);
        let from = match from.transpose() {
            Ok(from) => from.unwrap_or(u64::MAX),
            Err(_) => return Reply::invalid("Hook", "cursor", "The cursor is none."),
        };
        let since = self.now.saturating_sub(KEPT_SECONDS);
        let mut rest = hook.deliveries.range(..=from).rev();
        let shown: Vec<Value> = rest
            .by_ref()
            .map(|(_, delivery)| delivery)
            .take_while(|delivery| delivery.at >= since)
            .take(page.per_page)
            .map(|delivery| Value::Object(short(hook, delivery)))
            .collect();
        let next = rest.next().filter(|(_, next)| next.at >= since);
        let link = next.map(|(id, _)| format!("<{url}?per_page={}&cursor={id}>; rel=\"next\"", page.per_page));
        Reply::list(shown, link)
    }

    fn attempt(&mut self, repo: u64, hook: u64, delivery: u64) -> Reply {
        let found = self.hook(repo, hook).and_then(|hook| self.delivery(hook, delivery));
        let Some(found) = found.cloned() else {
            return Reply::not_found();
        };
        let again = self.redeliver(hook, &found, 0);
        self.hooks.asked_again.push((hook, again));
        Reply::json(StatusCode::ACCEPTED, &json!({}))
    }
}

fn status(delivery: &Delivery) -> &'static str {
    match delivery.status_code {
        200..=299 => "OK",
        0 => "failed to connect to host",
        _ => "Invalid HTTP Response",
    }
}

fn short(hook: &Hook, delivery: &Delivery) -> serde_json::Map<String, Value> {
    let short = json!({
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": rfc3339(delivery.at),
        "redelivery": delivery.redelivery,
        "duration": 0.27,
        "status": status(delivery),
        "status_code": delivery.status_code,
        "event": delivery.event,
        "action": delivery.payload.get("action"),
        "installation_id": null,
        "repository_id": hook.repo,
        "throttled_at": null,
    });
    match short {
        Value::Object(short) => short,
        _ => serde_json::Map::new(),
    }
}

fn whole(hook: &Hook, delivery: &Delivery) -> Value {
    let mut whole = short(hook, delivery);
    let headers = json!({
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event,
        "X-GitHub-Hook-ID": hook.id.to_string(),
        "Content-Type": "application/json",
    });
    whole.insert("url".to_owned(), json!(hook.url));
    whole.insert(
        "request".to_owned(),
        json!({ "headers": headers, "payload": delivery.payload }),
    );
    whole.insert("response".to_owned(), json!({ "headers": {}, "payload": "" }));
    Value::Object(whole)
}
