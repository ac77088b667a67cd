//! Given stars and counts, then these were captured in a span of time.

use domain::LeadId;

use super::*;
use crate::tests::{History, account, project, repo_key, signal, ulid};

/// Ten people star `acme/sdk` from second 1,000,001 on, one a second; one of them stars another repository too.
async fn stars() -> History {
    let mut history = History::new();
    history.accounts().await;
    for number in 1..=10 {
        let captured = LeadCaptured {
            lead_id: LeadId::new(ulid(number)),
            login: None,
            signal: signal(number, SignalKind::Stargazer, "acme/sdk"),
        };
        history.lead(1, number, captured).await;
    }
    let lead_id = LeadId::new(ulid(1));
    for (number, kind, repo) in [
        (11, SignalKind::Stargazer, "rival/kit"),
        (12, SignalKind::KeywordPr, "acme/sdk"),
    ] {
        let further = SignalRecorded {
            lead_id,
            login: None,
            signal: signal(number, kind, repo),
            withheld: false,
        };
        history.lead(1, 1, further).await;
    }
    history
}

#[tokio::test]
async fn stars_are_counted_by_the_time_they_were_given() {
    let recorded = stars().await.recorded().await;
    for (views, _keep) in project(&StarCoverage, &recorded).await {
        let views = &*views;
        let second = |second: i64| Timestamp::from_secs(1_000_000 + second);
        let of = |name: &str, from, until| captured(views, account(1), repo_key(name), second(from), second(until));
        assert_eq!(of("acme/sdk", 0, 100).await.unwrap(), 10);
        assert_eq!(
            of("acme/sdk", 3, 7).await.unwrap(),
            4,
            "after the third, up to the seventh"
        );
        assert_eq!(of("rival/kit", 0, 100).await.unwrap(), 1);
        assert_eq!(of("nobody/here", 0, 100).await.unwrap(), 0);
        let of_another = captured(views, account(2), repo_key("acme/sdk"), second(0), second(100));
        assert_eq!(of_another.await.unwrap(), 0);
    }
}

#[tokio::test]
async fn growth_is_measured_from_the_first_count_while_the_repository_is_tracked() {
    let recorded = stars().await.recorded().await;
    for (views, _keep) in project(&StarCoverage, &recorded).await {
        let counts = list(&*views, account(1)).await.unwrap();
        let [first] = counts.as_slice() else {
            panic!("{counts:?}")
        };
        assert_eq!((first.repo_id, first.stars), (RepoId::new(ulid(11)), 100));
        assert_eq!(all(&*views).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_stretch_touches_each_row_of_stars_once() {
    let recorded = stars().await.recorded().await;
    let twice: Vec<Recorded> = recorded.iter().chain(&recorded).cloned().collect();
    let statements = StarCoverage.apply_all(&twice);
    let rows = statements.iter().find_map(|statement| match statement {
        Statement::Insert { into, rows, .. } if into.starts_with("star_moments") => Some(rows),
        _ => None,
    });
    let rows = rows.unwrap();
    assert_eq!((rows.len(), rows[0][3].clone()), (11, 2_i64.into()));
}
