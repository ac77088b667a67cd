//! Given edits and erasures, then these leads: whether they come one by one or in one stretch.

use super::*;

fn captured(number: u64) -> LeadCaptured {
    LeadCaptured {
        lead_id: lead_id(number),
        login: None,
        signal: signal(number, SignalKind::KeywordPr, "acme/sdk"),
    }
}

fn updated(number: u64, status: LeadStatus, notes: Option<u8>) -> LeadUpdated {
    LeadUpdated {
        lead_id: lead_id(number),
        status,
        notes: notes.map(|byte| Sealed::new(vec![byte])),
        withheld: false,
    }
}

fn erased(number: u64, withheld: bool) -> LeadErased {
    LeadErased {
        lead_id: lead_id(number),
        withheld,
    }
}

/// Each engine twice: with the events one by one, and as one stretch.
async fn each_way(recorded: &[Recorded]) -> Vec<crate::tests::Views> {
    let mut ways: Vec<_> = project(&Leads, recorded).await.into();
    for (views, keep) in project(&Leads, &[]).await {
        views.write(Leads.apply_all(recorded)).await.unwrap();
        ways.push((views, keep));
    }
    ways
}

async fn rows(views: &dyn Database, table: &str) -> usize {
    crate::tests::read(views, format!("SELECT lead_id FROM {table}"))
        .await
        .len()
}

#[tokio::test]
async fn a_lead_is_found_as_it_was_last_edited() {
    let mut history = History::new();
    history.lead(1, 1, captured(1)).await;
    history.lead(1, 2, captured(2)).await;
    history.lead(1, 1, updated(1, LeadStatus::Contacted, Some(7))).await;
    history.lead(1, 1, updated(1, LeadStatus::Replied, Some(8))).await;
    history.lead(1, 2, updated(2, LeadStatus::Contacted, Some(9))).await;
    history.lead(1, 2, updated(2, LeadStatus::Dismissed, None)).await;
    let recorded = history.recorded().await;
    for (views, _keep) in each_way(&recorded).await {
        let found = find(&*views, account(1), lead_id(1)).await.unwrap().unwrap();
        assert_eq!(found.status, LeadStatus::Replied);
        assert_eq!(found.notes, Some((recorded[3].id, Sealed::new(vec![8]))));
        assert_eq!(found.updated_at, recorded[3].recorded_at);
        let found = find(&*views, account(1), lead_id(2)).await.unwrap().unwrap();
        assert_eq!((found.status, found.notes), (LeadStatus::Dismissed, None));
        assert_eq!(found.updated_at, recorded[5].recorded_at);
    }
}

#[tokio::test]
async fn of_an_erased_lead_there_is_left_that_there_was_one() {
    let mut history = History::new();
    history.lead(1, 1, captured(1)).await;
    let enriched = LeadEnriched {
        lead_id: lead_id(1),
        login: None,
        profile: Sealed::new(vec![7]),
        changed: Vec::new(),
        withheld: false,
    };
    history.lead(1, 1, enriched).await;
    history.lead(1, 1, updated(1, LeadStatus::Contacted, Some(7))).await;
    history.lead(1, 1, erased(1, false)).await;
    let recorded = history.recorded().await;
    for (views, _keep) in each_way(&recorded).await {
        for table in ["lead_facets", "lead_signals", "lead_profiles", "lead_notes"] {
            assert_eq!(rows(&*views, table).await, 0, "{table}");
        }
        assert_eq!(page(&*views, &query(None, None)).await.unwrap(), []);
        assert_eq!(find(&*views, account(1), lead_id(1)).await.unwrap(), None);
        let left = ErasedRow {
            lead_id: lead_id(1),
            signal_type: SignalKind::KeywordPr,
            captured_at: recorded[0].recorded_at,
            erased_at: recorded[3].recorded_at,
        };
        assert_eq!(find_erased(&*views, account(1), lead_id(1)).await.unwrap(), Some(left));
        assert_eq!(find_erased(&*views, account(2), lead_id(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_withheld_lead_is_found_by_who_asks_for_those_and_leaves_nothing_to_be_found_or_released() {
    let mut history = History::new();
    let withheld_lead = LeadWithheld {
        lead_id: lead_id(1),
        login: None,
        signal: signal(1, SignalKind::Stargazer, "acme/sdk"),
        cap: 1,
    };
    history.lead(1, 1, withheld_lead).await;
    history.lead(1, 1, erased(1, true)).await;
    let recorded = history.recorded().await;
    for (views, _keep) in project(&Leads, &recorded[..1]).await {
        assert_eq!(find(&*views, account(1), lead_id(1)).await.unwrap(), None);
        let found = find_withheld_too(&*views, account(1), lead_id(1)).await.unwrap();
        assert!(found.unwrap().withheld);
        views.write(Leads.apply(&recorded[1])).await.unwrap();
        assert_eq!(find_withheld_too(&*views, account(1), lead_id(1)).await.unwrap(), None);
        assert_eq!(find_erased(&*views, account(1), lead_id(1)).await.unwrap(), None);
        assert_eq!(withheld(&*views, account(1), 10).await.unwrap(), []);
        assert_eq!(rows(&*views, "leads").await, 1);
    }
}
