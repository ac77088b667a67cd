//! The account's own part of the log, in pages and live.

use std::time::Duration;

use axum::body::BodyDataStream;
use domain::SignalKind::{KeywordIssue, Stargazer};
use domain::{Event, Profile, StreamId};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::*;
use crate::commands::{
    LeadEdit, NotesEdit, change_plan, enrich_lead, release_leads, revoke_key, track_repo, update_lead,
};

impl House {
    /// The events of all pages, read to the end.
    async fn events(&self, filters: &str) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let page = self.get(&format!("/v1/events?after={after}{filters}")).await.json();
            events.extend(page["data"].as_array().unwrap().iter().cloned());
            after = page["next_cursor"].as_u64().unwrap();
            if page["has_more"] == false {
                return events;
            }
        }
    }

    async fn follow(&self, query: &str, last_event_id: Option<&str>) -> axum::response::Response {
        let mut request = Request::get(format!("/v1/events?{query}"))
            .header("authorization", format!("Bearer {}", self.key))
            .header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn stream(&self, query: &str, last_event_id: Option<&str>) -> Told {
        let response = self.follow(query, last_event_id).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Told {
            chunks: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// Tracks a repository, as another node would: nobody waits until it is shown.
    async fn track(&self, name: &str) {
        let repo = name.parse().unwrap();
        track_repo(&self.writer, self.account, repo, None).await.unwrap();
    }
}

/// What a stream tells.
struct Told {
    chunks: BodyDataStream,
    text: String,
}

impl Told {
    /// What stands between two empty lines; none: the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(Duration::from_mins(1), self.chunks.next()).await;
            let chunk = chunk.expect("the stream says something")?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The id, the type and the data of the next event.
    async fn event(&mut self) -> (String, String, Value) {
        let block = self.block().await.unwrap();
        let mut lines = block.lines();
        let mut field = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
        let (id, kind) = (field("id: "), field("event: "));
        (id, kind, serde_json::from_str(&field("data: ")).unwrap())
    }
}

#[tokio::test]
async fn events_stand_in_order_with_what_is_personal_opened_and_what_is_secret_left_out() {
    let house = house().await;
    let hook = json!({ "url": "https://hooks.example.com/in", "events": ["lead.created"] });
    let hook = house.call("POST", "/v1/webhooks", Some(hook)).await.json();
    house.record([sighting(7, KeywordIssue, "acme/sdk")]).await;
    let page = house.get("/v1/events").await.json();
    let events = page["data"].as_array().unwrap();
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        ["AccountOpened", "ApiKeyIssued", "WebhookEndpointAdded", "LeadCaptured"]
    );
    assert_eq!(
        (&page["next_cursor"], &page["has_more"]),
        (&events[3]["position"], &json!(false))
    );
    assert_eq!(
        events[0],
        json!({
            "position": 1, "id": events[0]["id"], "type": "AccountOpened", "schema": 1,
            "stream": format!("account-{}", house.account), "version": 1, "recorded_at": "2026-04-24T10:31:00Z",
            "data": { "name": "Acme", "plan": "agency" },
        })
    );
    assert!(events[0]["id"].as_str().unwrap().starts_with("evt_"));
    let key = &events[1]["data"];
    assert_eq!(key["hint"], house.key[house.key.len() - 4..]);
    assert_eq!(
        key.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["hint", "key_id", "label"]
    );
    assert_eq!(
        events[2]["data"],
        json!({
            "endpoint_id": hook["id"], "url": "https://hooks.example.com/in", "events": ["lead.created"],
            "kind": "webhook", "filters": { "signal_types": [], "repos": [], "keywords": [] }, "start_from": "now",
            "description": null,
        })
    );
    assert_eq!(
        events[3]["data"]["signal"],
        json!({
            "kind": "keyword_issue", "keyword": "event sourcing", "collector": "archive",
            "occurred_at": "2026-04-24T09:31:00Z",
            "person": {
                "user_id": 7, "login": "ada-example-7", "repo": "acme/sdk",
                "url": "https://github.com/acme/sdk/issues/7", "snippet": "we love event sourcing here",
            },
        })
    );
    assert!(
        !page
            .to_string()
            .contains(&crate::commands::api_key::hash(&house.key).unwrap())
    );
    assert!(!page.to_string().contains(hook["secret"].as_str().unwrap()));
}

#[tokio::test]
async fn pages_of_any_size_tell_the_same_events_and_another_accounts_are_not_among_them() {
    let house = house().await;
    let (_, stranger) = house.another_account("agency").await;
    for number in 0..30 {
        house.record([sighting(number % 7, Stargazer, "acme/sdk")]).await;
        house.track(&format!("acme/repo-{number}")).await;
        let theirs = json!({ "full_name": format!("their/repo-{number}") });
        house
            .call_as(&stranger, "POST", "/v1/tracked-repos", Some(theirs))
            .await;
    }
    let all = house.events("&limit=100").await;
    assert_eq!(all.len(), 2 + 7 + 30);
    assert!(all.is_sorted_by_key(|event| event["position"].as_u64().unwrap()));
    for limit in [1, 2, 38, 39, 40] {
        assert_eq!(house.events(&format!("&limit={limit}")).await, all, "{limit}");
    }
    assert_eq!(house.get("/v1/events").await.json()["data"], json!(all[..20]));
    assert!(!json!(all).to_string().contains("their/repo"));
    let theirs = house
        .call_as(&stranger, "GET", "/v1/events?limit=100", None)
        .await
        .json();
    assert_eq!(theirs["data"].as_array().unwrap().len(), 2 + 30);

    let end = all[38]["position"].clone();
    let nothing = json!({ "data": [], "next_cursor": end, "has_more": false });
    assert_eq!(house.get(&format!("/v1/events?after={end}")).await.json(), nothing);
}

#[tokio::test]
async fn events_are_filtered_by_type_stream_position_and_time() {
    let house = house().await;
    let (other, _) = house.another_account("agency").await;
    house
        .record([
            sighting(1, Stargazer, "acme/sdk"),
            sighting(2, Stargazer, "acme/sdk"),
            sighting(1, KeywordIssue, "acme/sdk"),
        ])
        .await;
    let person = house.writer.vault.person_ref(house.account, 1);
    let stream = StreamId::lead(house.account, person);
    let all = house.events("").await;
    let positions = async |filters: &str| -> Vec<u64> {
        let events = house.events(filters).await;
        events.iter().map(|event| event["position"].as_u64().unwrap()).collect()
    };
    let at = |index: usize| all[index]["position"].as_u64().unwrap();
    assert_eq!(positions("&type=LeadCaptured").await, [at(2), at(3)]);
    assert_eq!(positions("&type=LeadCaptured&limit=1").await, [at(2), at(3)]);
    assert_eq!(positions(&format!("&stream={stream}")).await, [at(2), at(4)]);
    assert_eq!(positions(&format!("&stream={stream}&limit=1")).await, [at(2), at(4)]);
    assert_eq!(
        positions(&format!("&stream={stream}&type=SignalRecorded")).await,
        [at(4)]
    );
    assert_eq!(positions("&since=2026-04-24T10:31:00.01Z").await, [at(2), at(3), at(4)]);
    assert_eq!(positions("&since=2026-04-24T10:31:02Z").await, [at(4)]);
    assert_eq!(
        positions("&since=2026-04-24T10:31:01.999999Z&limit=1").await,
        [at(3), at(4)]
    );
    assert_eq!(positions("&since=2030-01-01T00:00:00Z").await, [0; 0]);
    assert_eq!(positions("&type=PlanChanged").await, [0; 0]);
    for nobodys in [StreamId::lead(other, person), StreamId::account_stream(other)] {
        assert_eq!(positions(&format!("&stream={nobodys}")).await, [0; 0]);
    }
    let after = format!("/v1/events?after={}&since=2026-04-24T10:31:00Z", at(3));
    assert_eq!(house.get(&after).await.json()["data"], json!(all[4..]));
}

#[tokio::test]
async fn a_filter_that_passes_over_many_says_that_there_is_more() {
    let house = house().await;
    let crowd = (0..10_500).map(|user| sighting(user, Stargazer, "acme/sdk")).collect();
    record_signals(&house.writer, house.account, crowd, Allowance::Unlimited)
        .await
        .unwrap();
    change_plan(&house.writer, house.account, "pro".parse().unwrap())
        .await
        .unwrap();
    let page = house.get("/v1/events?type=PlanChanged").await.json();
    assert_eq!((&page["data"], &page["has_more"]), (&json!([]), &json!(true)));
    let found = house.events("&type=PlanChanged").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["data"], json!({ "plan": "pro" }));
}

#[tokio::test]
async fn a_wrong_parameter_is_refused_by_name() {
    let house = house().await;
    let types: Vec<&str> = Event::TYPES.iter().map(|(name, _)| *name).collect();
    let types = format!("type: must be one of {}", types.join(", "));
    let after = "after: must be a position, as events have it";
    for (query, message) in [
        ("type=lead.created", types.as_str()),
        ("type=", &types),
        ("stream=lead", "stream: a stream is named category-account[-key]"),
        ("after=-1", after),
        ("after=", after),
        ("after=%2B1", after),
        ("after=9223372036854775808", after),
        (
            "since=now",
            "since: not an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z",
        ),
        ("limit=101", "limit: must be an integer from 1 to 100"),
        (
            "cursor=1",
            "cursor: unknown query parameter; known are type, stream, after, since, limit",
        ),
    ] {
        let answer = house.get(&format!("/v1/events?{query}")).await;
        answer.is(400, "bad_request", message);
    }
    // It counts for a page as well, and is no other than what an event has.
    for (id, status) in [("0", 200), ("", 400), ("x", 400)] {
        let answer = house.get_with("/v1/events", &[("last-event-id", id)]).await;
        assert_eq!(answer.status(), status, "{id:?}");
    }
    // Of another log, or of this one before a restore: it would hear nothing for long.
    let far = house.get("/v1/events?after=9223372036854775807").await;
    far.is(400, "bad_request", "after: lies beyond the end of the log");
    for (query, id, message) in [
        (
            "limit=1",
            None,
            "limit: unknown query parameter; known are type, stream, after, since",
        ),
        (
            "after=5",
            Some("x"),
            "Last-Event-ID: must be a position, as events have it",
        ),
    ] {
        let response = house.follow(query, id).await;
        assert_eq!(response.status(), 400);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["message"], message);
    }
}

#[tokio::test]
async fn of_a_withheld_or_an_erased_person_nothing_is_told() {
    let house = house().await;
    let room = Allowance::Room { left: 0, cap: 500 };
    for kind in [Stargazer, KeywordIssue] {
        record_signals(&house.writer, house.account, vec![sighting(7, kind, "acme/sdk")], room)
            .await
            .unwrap();
    }
    let person = house.writer.vault.person_ref(house.account, 7);
    let profile = Profile {
        login: "ada-example-7".into(),
        ..Profile::default()
    };
    let enriched = Profile {
        followers: Some(7),
        ..profile
    };
    enrich_lead(&house.writer, house.account, person, enriched)
        .await
        .unwrap();
    let edit = LeadEdit {
        status: None,
        notes: NotesEdit::Write("met Ada in Turin".into()),
    };
    update_lead(&house.writer, house.account, person, &edit).await.unwrap();
    let told = async || -> Vec<(String, bool)> {
        let events = house.events("").await;
        let told = |event: &Value| {
            let personal =
                ["/data/signal/person", "/data/profile", "/data/notes"].map(|place| event.pointer(place).cloned());
            let is_told = personal.into_iter().flatten().any(|value| !value.is_null());
            (event["type"].as_str().unwrap().to_owned(), is_told)
        };
        events.iter().skip(2).map(told).collect()
    };
    let expected = |is_told: bool, rest: &[&str]| -> Vec<(String, bool)> {
        let personal = ["LeadWithheld", "SignalRecorded", "LeadEnriched", "LeadUpdated"];
        let personal = personal.map(|name| (name.to_owned(), is_told));
        let rest = rest.iter().map(|name| ((*name).to_owned(), false));
        personal.into_iter().chain(rest).collect()
    };
    assert_eq!(told().await, expected(false, &[]));
    release_leads(&house.writer, house.account, &[person]).await.unwrap();
    assert_eq!(told().await, expected(true, &["LeadReleased"]));
    house.writer.vault.destroy(house.account, person).await.unwrap();
    assert_eq!(told().await, expected(false, &["LeadReleased"]));
}

#[tokio::test]
async fn a_stream_tells_what_was_and_what_comes_and_goes_on_where_it_was_cut_off() {
    let house = house().await;
    let mut told = house.stream("", None).await;
    let (_, kind, data) = told.event().await;
    assert_eq!((kind.as_str(), &data["position"]), ("AccountOpened", &json!(1)));
    assert_eq!(told.event().await.1, "ApiKeyIssued");
    house.track("acme/one").await;
    let (last, kind, data) = told.event().await;
    assert_eq!(
        (kind.as_str(), &data["data"]["full_name"]),
        ("RepoTracked", &json!("acme/one"))
    );
    assert_eq!(last, data["position"].to_string());
    drop(told);

    house.track("acme/two").await;
    house.another_account("agency").await;
    // The address it began at stays the same; where it was cut off wins.
    let mut told = house.stream("after=1&type=RepoTracked", Some(&last)).await;
    house.track("acme/three").await;
    for name in ["acme/two", "acme/three"] {
        assert_eq!(told.event().await.2["data"]["full_name"], name);
    }
    let own = StreamId::account_stream(house.account);
    let mut told = house
        .stream(&format!("stream={own}&since=2026-04-24T10:31:00.01Z"), None)
        .await;
    house.pass(Duration::from_secs(1));
    house.track("acme/four").await;
    change_plan(&house.writer, house.account, "pro".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(told.event().await.1, "PlanChanged");
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_with_the_process() {
    let house = house().await;
    let second = issue_key(&house.writer, house.account, "second".into()).await.unwrap();
    house.shown(second.position).await;
    let end = second.position.to_string();
    let mut told = house.stream(&format!("after={end}"), None).await;
    revoke_key(&house.writer, house.account, second.value.key_id)
        .await
        .unwrap();
    assert_eq!(
        told.event().await.1,
        "ApiKeyRevoked",
        "another key's end is an event as any other"
    );
    let key_id = house.key_id().await;
    revoke_key(&house.writer, house.account, key_id).await.unwrap();
    while let Some(block) = told.block().await {
        assert!(block.contains("event: ApiKeyRevoked"), "{block}");
    }

    let (account, key) = house.another_account("agency").await;
    let house = House { account, key, ..house };
    let mut told = house.stream("type=LeadErased", None).await;
    house.end.send_replace(true);
    assert_eq!(told.block().await, None);
}

#[tokio::test]
async fn a_stream_ends_once_the_plan_has_no_api() {
    let house = house().await;
    let mut told = house.stream("type=LeadErased", None).await;
    change_plan(&house.writer, house.account, "free".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(told.block().await, None);
}

#[tokio::test]
async fn an_account_has_so_many_streams_at_once_and_no_more() {
    let house = house().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(house.stream("", None).await);
    }
    let refused = house.follow("", None).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({
            "error": "rate_limited",
            "message": "The account follows its events 16 times already; end one of the streams first",
        })
    );
    assert_eq!(house.get("/v1/events").await.status, 200, "a page is no stream");
    open.pop();
    open.push(house.stream("", None).await);
    assert_eq!(house.follow("", None).await.status(), 429);
    let (account, key) = house.another_account("agency").await;
    House { account, key, ..house }.stream("", None).await;
}

#[tokio::test]
async fn a_silent_stream_beats() {
    let house = house().await;
    let mut told = house.stream("after=1", None).await;
    // Once it has told something, it asks no file any more, which no stopped clock would wait for.
    assert_eq!(told.event().await.1, "ApiKeyIssued");
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(told.block().await.as_deref(), Some(":"));
    assert_eq!(told.block().await.as_deref(), Some(":"));
    assert!(began.elapsed() >= Duration::from_secs(29), "{:?}", began.elapsed());
}
