//! Given the events of webhook endpoints, then these endpoints.

use super::*;
use crate::tests::{History, account, project, ulid};

#[tokio::test]
async fn an_endpoint_is_listed_until_it_is_removed_and_active_until_it_is_disabled() {
    let mut history = History::new();
    history.accounts().await;
    let recorded = history.recorded().await;
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let listed = list(&*views, account(1)).await.unwrap();
        let [row] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!(row.status, EndpointStatus::Disabled(DisabledReason::Gone));
        assert_eq!(row.last_failure.as_deref(), Some("status"));
        assert_eq!(
            row.events,
            [WebhookEventType::LeadCreated, WebhookEventType::LeadEnriched]
        );
        assert_eq!(row.secret, Sealed::new(vec![1, 2, 3]));
        let added = recorded.iter().find(|added| added.position == row.added_at).unwrap();
        assert_eq!((row.secret_event, row.created_at), (added.id, added.recorded_at));
        assert_eq!(
            find(&*views, account(1), row.endpoint_id).await.unwrap().as_ref(),
            Some(row)
        );
        let removed = WebhookEndpointId::new(ulid(12));
        assert_eq!(find(&*views, account(1), removed).await.unwrap(), None);
        assert_eq!(active(&*views).await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_endpoint_that_nobody_touched_is_active() {
    let mut history = History::new();
    history.accounts().await;
    let mut recorded = history.recorded().await;
    recorded.retain(|recorded| matches!(recorded.event, Event::WebhookEndpointAdded(_)));
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let active = active(&*views).await.unwrap();
        assert_eq!(active.len(), 6);
        assert!(active.iter().all(|row| row.status == EndpointStatus::Active));
    }
}
