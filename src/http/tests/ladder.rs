//! What the log says of sources and of captured stars, in the records of what is tracked.

use database::Statement;
use domain::{Observation, RepoName, SourceReason, SourceState, SourceSubject, StarCount};
use serde_json::json;

use super::*;
use crate::commands::{count_stars, observe_source, track_keyword, track_repo};

fn seen(collector: Collector, state: SourceState, reason: SourceReason) -> Observation {
    let now = Timestamp::from_secs(NOON);
    Observation {
        collector,
        state,
        reason,
        since: now,
        seen_at: now,
    }
}

#[tokio::test]
async fn a_source_that_is_refused_stands_beside_the_one_that_takes_its_place() {
    let house = house().await;
    let name: RepoName = "acme/sdk".parse().unwrap();
    let repo = track_repo(&house.writer, house.account, name, None)
        .await
        .unwrap()
        .value;
    let subject = SourceSubject::Repo {
        id: repo.repo_id,
        full_name: repo.full_name.clone(),
    };
    for seen in [
        seen(
            Collector::StargazerList,
            SourceState::Restricted,
            SourceReason::Forbidden,
        ),
        seen(Collector::EventsFeed, SourceState::Active, SourceReason::Answered),
    ] {
        let told = observe_source(&house.writer, house.account, &subject, seen).await;
        assert!(told.unwrap());
    }
    house.shown(house.writer.log.head().await.unwrap()).await;
    let shown = house.get(&format!("/v1/tracked-repos/{}", repo.repo_id)).await.json();
    let standing =
        |state: &str, reason: &str| json!({ "state": state, "reason": reason, "since": "2026-04-24T10:31:00Z" });
    assert_eq!(
        shown["sources"],
        json!([
            {
                "collector": "events_feed", "state": "waiting", "last_success_at": null, "last_gap_at": null,
                "standing": standing("active", "answered"),
            },
            {
                "collector": "stargazer_list", "state": "denied", "last_success_at": null, "last_gap_at": null,
                "standing": standing("restricted", "forbidden"),
            },
        ])
    );
    assert_eq!(shown["status"], "active");
}

#[tokio::test]
async fn a_keyword_tells_of_its_searches() {
    let house = house().await;
    let keyword = "event sourcing".parse().unwrap();
    let keyword = track_keyword(&house.writer, house.account, keyword, None)
        .await
        .unwrap();
    let keyword = keyword.value;
    let subject = SourceSubject::Keyword {
        id: keyword.keyword_id,
        keyword: keyword.keyword,
    };
    let seen = seen(Collector::IssueSearch, SourceState::Active, SourceReason::Answered);
    observe_source(&house.writer, house.account, &subject, seen)
        .await
        .unwrap();
    house.shown(house.writer.log.head().await.unwrap()).await;
    let path = format!("/v1/tracked-keywords/{}", keyword.keyword_id);
    let shown = house.get(&path).await;
    assert_eq!(shown.json()["sources"][0]["collector"], "issue_search");
    assert_eq!(shown.json()["sources"][0]["standing"]["state"], "active");

    // A search that failed stands there before it is told; one that the account did not ask for never does.
    let cursor = |collector: &str| {
        Statement::insert(
            "source_cursor (subject, collector, next_at, pace, failures)",
            "",
            vec![
                "keyword:event sourcing".into(),
                collector.into(),
                0_i64.into(),
                60_i64.into(),
                1_i64.into(),
            ],
        )
    };
    let failed = vec![cursor("discussion_search"), cursor("code_search")];
    house.store.write(failed).await.unwrap();
    let shown = house.get(&path).await.json();
    let shown: Vec<_> = shown["sources"].as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(
        (&shown[1]["collector"], &shown[1]["state"]),
        (&"discussion_search".into(), &"failed".into())
    );
}

#[tokio::test]
async fn the_coverage_holds_captured_stars_against_the_growth_of_the_public_count() {
    let house = house().await;
    let name: RepoName = "acme/sdk".parse().unwrap();
    let repo = track_repo(&house.writer, house.account, name.clone(), None)
        .await
        .unwrap();
    let counted_at = Timestamp::from_secs(NOON);
    let first = StarCount {
        stars: 100,
        counted_at,
        captured: 0,
        taken_back: 0,
    };
    count_stars(&house.writer, house.account, (repo.value.repo_id, &name), first)
        .await
        .unwrap();
    let star = |id: u64, second: i64| Sighting {
        kind: SignalKind::Stargazer,
        keyword: None,
        occurred_at: Timestamp::from_secs(NOON + second),
        collector: Collector::EventsFeed,
        person: SignalPerson {
            user_id: id,
            login: format!("fan-{id}"),
            repo: name.clone(),
            url: None,
            snippet: None,
            attribution: None,
        },
    };
    // One before the first count, three after it, of which one is younger than the count that is held.
    let stars = vec![star(1, -5), star(2, 5), star(3, 10), star(4, 30)];
    record_signals(&house.writer, house.account, stars, Allowance::Unlimited)
        .await
        .unwrap();
    house.shown(house.writer.log.head().await.unwrap()).await;
    let micros = |second: i64| (NOON + second) * 1_000_000;
    let count = Statement::insert(
        "star_count (repo, stars, counted_at, held_stars, held_at, next_at, pace)",
        "",
        vec![
            "acme/sdk".into(),
            107_i64.into(),
            micros(60).into(),
            105_i64.into(),
            micros(20).into(),
            0_i64.into(),
            60_i64.into(),
        ],
    );
    house.store.write(vec![count]).await.unwrap();
    let path = format!("/v1/tracked-repos/{}", repo.value.repo_id);
    assert_eq!(
        house.get(&path).await.json()["coverage"],
        json!({
            "since": "2026-04-24T10:31:00Z",
            "counted_at": "2026-04-24T10:32:00Z",
            "stars": 107,
            "growth": 7,
            "captured": 3,
            "taken_back": 0,
            "unattributed": 3,
        })
    );
}
