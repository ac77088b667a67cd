//! Given the events of webhook endpoints, then these endpoints.

use database::Database;
use domain::{
    DisabledReason, EventId, Sealed, SignalKind, StartFrom, StreamId, Timestamp, WebhookKind, WebhookReplayId,
};

use super::*;
use crate::tests::{History, account, project, ulid};

async fn recorded() -> Vec<Recorded> {
    let mut history = History::new();
    history.accounts().await;
    history.recorded().await
}

/// What happened up to the event of that name of the first account's first endpoint.
async fn recorded_up_to(name: &str) -> Vec<Recorded> {
    let mut recorded = recorded().await;
    let last = of_first(&recorded, name).position;
    recorded.retain(|recorded| recorded.position <= last);
    recorded
}

fn first() -> WebhookEndpointId {
    WebhookEndpointId::new(ulid(11))
}

async fn endpoint(views: &dyn Database) -> WebhookEndpointRow {
    find(views, account(1), first()).await.unwrap().unwrap()
}

/// The event of that name of the first account's first endpoint.
fn of_first<'a>(recorded: &'a [Recorded], name: &str) -> &'a Recorded {
    let stream = StreamId::webhook_endpoint(account(1), first());
    let mut events = recorded.iter();
    events
        .find(|recorded| recorded.stream == stream && recorded.event.name() == name)
        .unwrap()
}

#[tokio::test]
async fn an_endpoint_is_listed_until_it_is_removed_and_active_until_it_is_disabled() {
    let recorded = recorded().await;
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let listed = list(&*views, account(1)).await.unwrap();
        let [row] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!(row.status, EndpointStatus::Disabled(DisabledReason::Gone));
        assert_eq!(row.last_failure.as_deref(), Some("status"));
        let disabled = of_first(&recorded, "WebhookEndpointDisabled");
        assert_eq!(
            (row.status_since, row.changed_at),
            (disabled.recorded_at, disabled.position)
        );
        let added = recorded.iter().find(|added| added.position == row.added_at).unwrap();
        assert_eq!(
            (added.event.name(), row.created_at),
            ("WebhookEndpointAdded", added.recorded_at)
        );
        assert_eq!((row.kind, row.start_from), (WebhookKind::Webhook, StartFrom::Beginning));
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
async fn an_endpoint_is_as_it_was_last_changed_and_knows_the_secret_before() {
    let recorded = recorded_up_to("WebhookEndpointResumed").await;
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let row = endpoint(&*views).await;
        assert_eq!(
            (row.url.as_str(), row.status),
            ("https://hooks.example/people", EndpointStatus::Active)
        );
        assert_eq!(
            row.events,
            [WebhookEventType::LeadCreated, WebhookEventType::LeadErased]
        );
        assert_eq!(row.filters.signal_types, [SignalKind::Stargazer]);
        assert_eq!(row.description.as_deref(), Some("CRM"));
        let rotated = of_first(&recorded, "WebhookSecretRotated").id;
        assert_eq!((row.secret, row.secret_event), (Sealed::new(vec![4, 5, 6]), rotated));
        let before = PreviousSecret {
            secret: Sealed::new(vec![1, 2, 3]),
            event: of_first(&recorded, "WebhookEndpointAdded").id,
            valid_until: Timestamp::from_secs(2_000_000_000),
        };
        assert_eq!(row.previous, Some(before));
        let resumed = of_first(&recorded, "WebhookEndpointResumed");
        assert_eq!(
            (row.changed_at, row.status_since),
            (resumed.position, resumed.recorded_at)
        );
    }
}

#[tokio::test]
async fn a_paused_endpoint_is_not_among_the_active_ones() {
    let recorded = recorded_up_to("WebhookEndpointPaused").await;
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let row = endpoint(&*views).await;
        assert_eq!(
            (row.status, row.status.word()),
            (EndpointStatus::Paused, WebhookStatus::Paused)
        );
        let active = active(&*views).await.unwrap();
        assert!(active.iter().all(|active| active.endpoint_id != first()), "{active:?}");
        assert_eq!(count(&*views).await.unwrap().paused, 1);
    }
}

#[tokio::test]
async fn an_endpoint_that_nobody_touched_is_active() {
    let mut recorded = recorded().await;
    recorded.retain(|recorded| matches!(recorded.event, Event::WebhookEndpointAdded(_)));
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let active = active(&*views).await.unwrap();
        assert_eq!(active.len(), 6);
        assert!(active.iter().all(|row| row.status == EndpointStatus::Active));
        assert!(
            active
                .iter()
                .all(|row| row.previous.is_none() && row.changed_at == row.added_at)
        );
    }
}

#[tokio::test]
async fn pages_of_one_status_hold_each_endpoint_once() {
    let mut recorded = recorded().await;
    recorded.retain(|recorded| matches!(recorded.event, Event::WebhookEndpointAdded(_)));
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let (mut after, mut seen) = (None, Vec::new());
        for _ in 0..2 {
            let rows = page(&*views, account(1), Some(WebhookStatus::Active), after, 1)
                .await
                .unwrap();
            after = rows.last().map(|row| row.endpoint_id);
            seen.extend(rows.into_iter().map(|row| row.endpoint_id));
        }
        assert_eq!(seen, [first(), WebhookEndpointId::new(ulid(12))]);
        assert_eq!(page(&*views, account(1), None, after, 1).await.unwrap(), []);
        let paused = page(&*views, account(1), Some(WebhookStatus::Paused), None, 10)
            .await
            .unwrap();
        assert_eq!(paused, []);
    }
}

#[tokio::test]
async fn replays_are_kept_in_the_order_they_were_asked_for_until_the_endpoint_is_removed() {
    let recorded = recorded().await;
    let asked = of_first(&recorded, "WebhookReplayRequested");
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        let expected = ReplayRow {
            replay_id: WebhookReplayId::new(ulid(11)),
            since: Timestamp::from_secs(1_000_000),
            until: Timestamp::from_secs(2_000_000),
            requested_at: asked.recorded_at,
            place: asked.position,
        };
        assert_eq!(replays(&*views, account(1), first()).await.unwrap(), [expected]);
        assert_eq!(replays(&*views, account(2), first()).await.unwrap(), []);
    }
    let removed = domain::event::WebhookEndpointRemoved { endpoint_id: first() };
    let mut gone = recorded.clone();
    gone.push(Recorded {
        id: EventId::new(ulid(9_999_999)),
        position: event_log::Position::new(asked.position.get() + 1_000),
        version: 100,
        event: removed.into(),
        ..asked.clone()
    });
    for (views, _keep) in project(&WebhookEndpoints, &gone).await {
        assert_eq!(replays(&*views, account(1), first()).await.unwrap(), []);
    }
}

#[tokio::test]
async fn another_receiver_may_stand_there_after_another_url_and_after_a_resumption_from_disabled_alone() {
    let mut recorded = recorded().await;
    recorded.retain(|recorded| recorded.stream == StreamId::webhook_endpoint(account(1), first()));
    let changed = of_first(&recorded, "WebhookEndpointChanged").clone();
    let described = WebhookEndpointChanged {
        endpoint_id: first(),
        url: "https://hooks.example/people".into(),
        events: vec![WebhookEventType::LeadCreated],
        filters: WebhookFilters::default(),
        description: Some("CRM of the sales team".into()),
    };
    let resumed = domain::event::WebhookEndpointResumed { endpoint_id: first() };
    for event in [described.into(), resumed.into()] {
        let last = recorded.last().unwrap();
        recorded.push(Recorded {
            position: event_log::Position::new(last.position.get() + 1),
            version: last.version + 1,
            event,
            ..changed.clone()
        });
    }
    let mut seen = Vec::new();
    for end in 1..=recorded.len() {
        let [(files, _kept), (postgres, _too)] = project(&WebhookEndpoints, &recorded[..end]).await;
        let since = endpoint(&*files).await.receiver_since;
        assert_eq!(endpoint(&*postgres).await.receiver_since, since);
        if recorded[end - 1].position == since {
            seen.push(recorded[end - 1].event.name());
        }
    }
    let expected = [
        "WebhookEndpointAdded",
        "WebhookEndpointChanged",
        "WebhookEndpointResumed",
    ];
    assert_eq!(seen, expected);
    let last = recorded.last().unwrap();
    for (views, _keep) in project(&WebhookEndpoints, &recorded).await {
        assert_eq!(endpoint(&*views).await.receiver_since, last.position);
    }
}
