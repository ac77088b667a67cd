//! Given lead events, then these sums a month.

use domain::SignalKind;
use domain::event::{LeadCaptured, LeadReleased, LeadWithheld};

use super::*;
use crate::tests::{History, account, lead_id, project, signal};

async fn lead_events() -> Vec<Recorded> {
    let mut history = History::new();
    for number in 0..4 {
        let (lead_id, signal) = (lead_id(number), signal(number, SignalKind::Stargazer, "acme/sdk"));
        let captured = LeadCaptured {
            lead_id,
            login: None,
            signal,
        };
        history.lead(0, number, captured).await;
    }
    let (lead_id, signal) = (lead_id(9), signal(9, SignalKind::Stargazer, "acme/sdk"));
    let withheld = LeadWithheld {
        lead_id,
        login: None,
        signal,
        cap: 4,
    };
    history.lead(0, 9, withheld).await;
    history.lead(0, 9, LeadReleased { lead_id }).await;
    let mut recorded = history.recorded().await;
    let april = "2026-04-01T00:00:00Z".parse().unwrap();
    recorded.last_mut().unwrap().recorded_at = april;
    recorded
}

#[tokio::test]
async fn a_release_counts_in_the_month_of_the_release_and_a_withholding_in_its_own() {
    let recorded = lead_events().await;
    for (views, _keep) in project(&MonthlyUsage, &recorded).await {
        let in_month = |index: usize| find(&*views, account(0), recorded[index].recorded_at.month());
        let (captured, withheld) = (4, 1);
        assert_eq!(in_month(0).await.unwrap(), Usage { captured, withheld });
        let (captured, withheld) = (1, 0);
        assert_eq!(in_month(5).await.unwrap(), Usage { captured, withheld });
        let of_another = find(&*views, account(1), recorded[0].recorded_at.month());
        assert_eq!(of_another.await.unwrap(), Usage::default());
    }
}

#[tokio::test]
async fn a_stretch_is_one_statement_that_names_each_row_once() {
    let statements = MonthlyUsage.apply_all(&lead_events().await);
    let [Statement::Insert { rows, .. }] = statements.as_slice() else {
        panic!("{statements:?}")
    };
    let month = |row: &Vec<database::Value>| row[1].clone();
    assert_eq!(
        rows.iter().map(month).collect::<Vec<_>>(),
        ["2026-03".into(), "2026-04".into()]
    );
}
