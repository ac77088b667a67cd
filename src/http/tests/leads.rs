//! The list of leads and a lead by itself.

use std::time::Duration;

use domain::{Profile, ProfileField, Provenance, SignalKind, Timestamp};
use serde_json::{Value, json};

use super::{House, NOON, house, sighting};
use crate::commands::enrich_lead;

use SignalKind::{KeywordIssue, KeywordPr, Stargazer};

impl House {
    /// The ids of all pages, read to the end.
    async fn walk(&self, filters: &str, limit: u32) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .get(&format!("/v1/leads?limit={limit}{filters}{cursor}"))
                .await
                .json();
            let rows = page["data"].as_array().unwrap();
            ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else {
                assert_eq!(page["has_more"], false);
                return ids;
            };
            cursor = format!("&cursor={next}");
            assert_eq!((rows.len(), &page["has_more"]), (limit as usize, &json!(true)));
        }
    }

    pub(super) async fn enrich(&self, user_id: u64) {
        let person = self.writer.vault.person_ref(self.account, user_id);
        let seen = Provenance {
            source: "github_rest".into(),
            url: "https://api.github.com/user/7".into(),
            observed_at: Timestamp::from_secs(NOON),
        };
        let profile = Profile {
            login: "ada-example".into(),
            name: Some("Ada Example".into()),
            email: Some("ada@example.com".into()),
            followers: Some(1842),
            public_repos: Some(36),
            account_created_at: Some("2012-05-01T09:00:00Z".parse().unwrap()),
            top_languages: vec!["TypeScript".into(), "Rust".into()],
            provenance: [(ProfileField::Email, seen)].into(),
            ..Profile::default()
        };
        let position = enrich_lead(&self.writer, self.account, person, profile).await.unwrap();
        self.shown(position.unwrap()).await;
    }
}

#[tokio::test]
async fn an_empty_list_has_no_next_page() {
    let answer = house().await.get("/v1/leads").await;
    assert_eq!(
        answer.json(),
        json!({ "data": [], "next_cursor": null, "has_more": false })
    );
}

#[tokio::test]
async fn a_row_has_every_field_and_unknown_ones_are_null() {
    let house = house().await;
    house.record([sighting(7, Stargazer, "acme-corp/rival-sdk")]).await;
    let page = house.get("/v1/leads").await.json();
    let row = page["data"][0].clone();
    assert!(row["id"].as_str().unwrap().starts_with("lead_"));
    let expected = |id: &Value| {
        json!({
            "id": id, "signal_type": "stargazer", "signal_source": "acme-corp/rival-sdk",
            "github_username": "ada-example-7", "name": null, "email": null, "bio": null, "company": null,
            "location": null, "followers": null, "top_languages": [], "captured_at": "2026-04-24T10:31:01Z",
        })
    };
    assert_eq!(row, expected(&row["id"]));

    house.enrich(7).await;
    let page = house.get("/v1/leads").await.json();
    let mut enriched = expected(&row["id"]);
    for (field, value) in [
        ("github_username", json!("ada-example")),
        ("name", json!("Ada Example")),
        ("email", json!("ada@example.com")),
        ("followers", json!(1842)),
        ("top_languages", json!(["TypeScript", "Rust"])),
    ] {
        enriched[field] = value;
    }
    assert_eq!(page["data"], json!([enriched]));
}

#[tokio::test]
async fn a_lead_by_itself_has_its_timeline_and_provenance() {
    let house = house().await;
    house
        .record([
            sighting(7, Stargazer, "acme/sdk"),
            sighting(7, KeywordIssue, "other/repo"),
        ])
        .await;
    house.pass(Duration::from_secs(5));
    house.enrich(7).await;
    let id = house.get("/v1/leads").await.json()["data"][0]["id"].clone();
    let answer = house.get(&format!("/v1/leads/{}", id.as_str().unwrap())).await;
    assert_eq!(
        answer.json(),
        json!({
            "id": id, "signal_type": "stargazer", "signal_source": "acme/sdk", "github_username": "ada-example",
            "name": "Ada Example", "email": "ada@example.com", "bio": null, "company": null, "location": null,
            "followers": 1842, "top_languages": ["TypeScript", "Rust"], "captured_at": "2026-04-24T10:31:01Z",
            "signal_context": "Starred on 2026-04-24", "github_profile_url": "https://github.com/ada-example",
            "public_repos": 36, "account_created_at": "2012-05-01", "status": "new", "notes": null,
            "signals": [
                {
                    "type": "stargazer", "source": "acme/sdk", "url": null, "keyword": null, "snippet": null,
                    "occurred_at": "2026-04-24T09:31:00Z", "recorded_at": "2026-04-24T10:31:01Z",
                    "collector": "archive", "taken_back_at": null, "attribution": null,
                },
                {
                    "type": "keyword_issue", "source": "other/repo", "url": "https://github.com/other/repo/issues/7",
                    "keyword": "event sourcing", "snippet": "we love event sourcing here",
                    "occurred_at": "2026-04-24T09:31:00Z", "recorded_at": "2026-04-24T10:31:02Z",
                    "collector": "archive", "taken_back_at": null, "attribution": null,
                },
            ],
            "provenance": {
                "email": {
                    "source": "github_rest", "url": "https://api.github.com/user/7",
                    "observed_at": "2026-04-24T10:31:00Z",
                },
            },
            "updated_at": "2026-04-24T10:31:07Z",
        })
    );
}

#[tokio::test]
async fn the_context_of_a_keyword_lead_is_its_snippet() {
    let house = house().await;
    house.record([sighting(7, KeywordPr, "acme/sdk")]).await;
    let id = house.walk("", 1).await.remove(0);
    let lead = house.get(&format!("/v1/leads/{id}")).await.json();
    assert_eq!(lead["signal_context"], "we love event sourcing here");
}

#[tokio::test]
async fn a_filtered_row_shows_the_first_signal_that_matches() {
    let house = house().await;
    house
        .record([
            sighting(1, Stargazer, "acme/sdk"),
            sighting(2, Stargazer, "acme/sdk"),
            sighting(1, KeywordIssue, "Other/Repo"),
        ])
        .await;
    let all = house.walk("", 10).await;
    let page = house
        .get("/v1/leads?signal_type=keyword_issue&repo=OTHER/repo")
        .await
        .json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    let row = &page["data"][0];
    assert_eq!(row["id"], all[1].as_str());
    assert_eq!(
        (&row["signal_source"], &row["captured_at"]),
        (&json!("Other/Repo"), &json!("2026-04-24T10:31:03Z"))
    );
    assert_eq!(
        house.walk("&signal_type=keyword_discussion", 10).await,
        Vec::<String>::new()
    );
    assert_eq!(house.walk("&repo=acme/sdk", 10).await, all);
    assert_eq!(house.walk("&since=2026-04-24T10:31:01Z", 10).await, all[..1]);
    assert_eq!(house.walk("&since=2026-04-24T12:31:00%2B02:00", 10).await, all);
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_leads_arrive() {
    let house = house().await;
    house
        .record((1..=45).map(|user| sighting(user, Stargazer, "acme/sdk")))
        .await;
    let before = house.walk("", 100).await;
    let first = house.get("/v1/leads?limit=20").await.json();
    house
        .record((46..=50).map(|user| sighting(user, Stargazer, "acme/sdk")))
        .await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = house.get(&format!("/v1/leads?limit=100&cursor={cursor}")).await.json();
    let rows = |page: &Value| page["data"].as_array().unwrap().clone();
    let seen: Vec<Value> = rows(&first)
        .iter()
        .chain(&rows(&second))
        .map(|row| row["id"].clone())
        .collect();
    assert_eq!(json!(seen), json!(before));
    assert_eq!(second["has_more"], false);
    for limit in [1, 7, 20, 50] {
        assert_eq!(house.walk("", limit).await.len(), 50, "{limit}");
    }
    assert_eq!(
        house.get("/v1/leads").await.json()["data"].as_array().unwrap().len(),
        20
    );
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_query_and_account_alone() {
    let house = house().await;
    let (_, stranger) = house.another_account("agency").await;
    house
        .record((1..=3).map(|user| sighting(user, Stargazer, "acme/sdk")))
        .await;
    let page = house.get("/v1/leads?limit=1&repo=acme/sdk").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert!(cursor.starts_with("cursor_"));
    let refused = "cursor: not the next_cursor of an answer to this query";
    let good = format!("/v1/leads?limit=2&repo=ACME/sdk&cursor={cursor}");
    assert_eq!(house.get(&good).await.status, 200);
    house
        .call_as(&stranger, "GET", &good, None)
        .await
        .is(400, "bad_request", refused);
    let tampered = cursor.replace(cursor.chars().last().unwrap(), "_");
    for path in [
        format!("/v1/leads?cursor={cursor}"),
        format!("/v1/leads?repo=acme/other&cursor={cursor}"),
        format!("/v1/leads?repo=acme/sdk&since=2026-01-01T00:00:00Z&cursor={cursor}"),
        format!("/v1/leads?repo=acme/sdk&cursor={tampered}"),
        "/v1/leads?repo=acme/sdk&cursor=".to_owned(),
        "/v1/leads?repo=acme/sdk&cursor=cursor_".to_owned(),
    ] {
        house.get(&path).await.is(400, "bad_request", refused);
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_refused_by_name() {
    let house = house().await;
    let limit = "limit: must be an integer from 1 to 100";
    let kind = "signal_type: must be one of stargazer, keyword_issue, keyword_pr, keyword_code, keyword_discussion";
    let since = "since: not an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z";
    for (query, message) in [
        ("limit=0", limit),
        ("limit=101", limit),
        ("limit=", limit),
        ("limit=ten", limit),
        ("limit=1.5", limit),
        ("limit=-1", limit),
        ("limit=%2B5", limit),
        ("limit=99999999999", limit),
        ("signal_type=star", kind),
        ("signal_type=", kind),
        ("repo=acme", "repo: must be owner/name"),
        ("since=2026-04-24", since),
        ("since=yesterday", since),
        (
            "since=2026-04-24T12:31:00+02:00",
            "since: not an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z; a + in a query is written %2B",
        ),
        (
            "limt=5",
            "limt: unknown query parameter; known are limit, cursor, signal_type, repo, since, as_of",
        ),
        ("limit=5&limit=6", "limit: given more than once"),
    ] {
        house
            .get(&format!("/v1/leads?{query}"))
            .await
            .is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn a_lead_that_is_unknown_or_anothers_is_not_there() {
    let house = house().await;
    house.record([sighting(7, Stargazer, "acme/sdk")]).await;
    let (_, stranger) = house.another_account("agency").await;
    let id = house.walk("", 1).await.remove(0);
    let message = "There is no such lead";
    house
        .call_as(&stranger, "GET", &format!("/v1/leads/{id}"), None)
        .await
        .is(404, "not_found", message);
    for other in ["lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1", "x", "lead_"] {
        house
            .get(&format!("/v1/leads/{other}"))
            .await
            .is(404, "not_found", message);
    }
}

#[tokio::test]
async fn an_erased_person_is_a_row_of_nulls() {
    let house = house().await;
    house.record([sighting(7, KeywordIssue, "acme/sdk")]).await;
    house.enrich(7).await;
    let person = house.writer.vault.person_ref(house.account, 7);
    house.writer.vault.destroy(house.account, person).await.unwrap();
    let row = house.get("/v1/leads").await.json()["data"][0].clone();
    assert_eq!((&row["github_username"], &row["email"]), (&Value::Null, &Value::Null));
    let lead = house
        .get(&format!("/v1/leads/{}", row["id"].as_str().unwrap()))
        .await
        .json();
    for field in [
        "github_username",
        "github_profile_url",
        "signal_context",
        "public_repos",
    ] {
        assert_eq!(lead[field], Value::Null, "{field}");
    }
    assert_eq!(lead["signals"][0]["url"], Value::Null);
    assert_eq!(lead["provenance"], json!({}));
}

#[tokio::test]
async fn before_the_profile_is_read_the_signal_is_where_the_login_comes_from() {
    let house = house().await;
    house.record([sighting(7, KeywordIssue, "acme/sdk")]).await;
    let row = house.get("/v1/leads").await.json()["data"][0].clone();
    let path = format!("/v1/leads/{}", row["id"].as_str().unwrap());
    let lead = house.get(&path).await.json();
    let (signal, source) = (&lead["signals"][0], &lead["provenance"]["github_username"]);
    assert_eq!(source["source"], signal["collector"]);
    assert_eq!(source["url"], signal["url"]);
    assert_eq!(source["observed_at"], signal["recorded_at"]);
    assert_eq!(lead["provenance"].as_object().unwrap().len(), 1);
}
