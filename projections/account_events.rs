//! What may be recorded of an account besides its leads.

use domain::event::{
    AccountOpened, ApiKeyIssued, ApiKeyRevoked, KeywordRetargeted, KeywordTracked, KeywordUntracked, PlanChanged,
    RepoReclassified, RepoRenamed, RepoTracked, RepoUntracked, SourceStateChanged, StarsCounted, StarsUnattributed,
    WebhookEndpointAdded, WebhookEndpointChanged, WebhookEndpointDisabled, WebhookEndpointPaused,
    WebhookEndpointRemoved, WebhookEndpointResumed, WebhookReplayRequested, WebhookSecretRotated,
};
use domain::{
    AccountId, ApiKeyId, Collector, DisabledReason, Event, KeywordId, RepoId, RepoName, RepoRelation, Sealed,
    SignalKind, SourceReason, SourceState, SourceSubject, StartFrom, StreamId, Timestamp, WebhookEndpointId,
    WebhookEventType, WebhookFilters, WebhookKind, WebhookReplayId,
};
use ulid::Ulid;

use crate::tests::{account, repo, ulid};

/// Two of everything, one of each changed and gone again.
pub fn account_events(number: u64) -> Vec<(StreamId, Event)> {
    let account = account(number);
    let own = StreamId::account_stream(account);
    let mut events: Vec<(StreamId, Event)> = vec![(own.clone(), opened("free")), (own.clone(), changed("pro"))];
    for item in 0..2 {
        let id = ulid(number * 10 + item + 1);
        let name = repo(["acme/sdk", "rival/kit"][usize::try_from(item).unwrap()]);
        let stream = StreamId::tracked_repo(account, &name);
        events.push((stream, tracked(id, name)));
        events.push((own.clone(), issued(id)));
        events.push((
            StreamId::tracked_keyword(account, &keyword(item)),
            keyword_tracked(id, item),
        ));
        events.push((
            StreamId::webhook_endpoint(account, WebhookEndpointId::new(id)),
            endpoint(id),
        ));
    }
    let (first, second) = (ulid(number * 10 + 1), ulid(number * 10 + 2));
    let (sdk, kit) = (repo("acme/sdk"), repo("rival/kit"));
    events.extend(watched(account, &sdk, first));
    events.extend(watched(account, &kit, second));
    let keyword_id = KeywordId::new(second);
    let subject = SourceSubject::Keyword {
        id: keyword_id,
        keyword: keyword(1),
    };
    events.push((
        StreamId::tracked_keyword(account, &keyword(1)),
        source(subject, SourceState::Active, SourceReason::Answered),
    ));
    let (repo_id, relation) = (RepoId::new(first), RepoRelation::Own);
    let reclassified = RepoReclassified { repo_id, relation };
    events.push((StreamId::tracked_repo(account, &sdk), reclassified.into()));
    let repo_id = RepoId::new(second);
    events.push((StreamId::tracked_repo(account, &kit), RepoUntracked { repo_id }.into()));
    let key_id = ApiKeyId::new(second);
    events.push((own, ApiKeyRevoked { key_id }.into()));
    let retargeted = KeywordRetargeted {
        keyword_id: KeywordId::new(first),
        scan_targets: "code".parse().unwrap(),
    };
    events.push((StreamId::tracked_keyword(account, &keyword(0)), retargeted.into()));
    let keyword_id = KeywordId::new(second);
    events.push((
        StreamId::tracked_keyword(account, &keyword(1)),
        KeywordUntracked { keyword_id }.into(),
    ));
    let endpoint_id = WebhookEndpointId::new(first);
    for event in endpoint_events(endpoint_id) {
        events.push((StreamId::webhook_endpoint(account, endpoint_id), event));
    }
    let reason = DisabledReason::Gone;
    let disabled = WebhookEndpointDisabled {
        endpoint_id,
        reason,
        last_failure: Some("status".into()),
    };
    events.push((StreamId::webhook_endpoint(account, endpoint_id), disabled.into()));
    let endpoint_id = WebhookEndpointId::new(second);
    let removed = WebhookEndpointRemoved { endpoint_id };
    events.push((StreamId::webhook_endpoint(account, endpoint_id), removed.into()));
    events
}

/// All that a customer may do with an endpoint once.
fn endpoint_events(endpoint_id: WebhookEndpointId) -> Vec<Event> {
    let changed = WebhookEndpointChanged {
        endpoint_id,
        url: "https://hooks.example/people".into(),
        events: vec![WebhookEventType::LeadCreated, WebhookEventType::LeadErased],
        filters: WebhookFilters {
            signal_types: vec![SignalKind::Stargazer],
            repos: vec![repo("acme/sdk")],
            keywords: Vec::new(),
        },
        description: Some("CRM".into()),
    };
    let rotated = WebhookSecretRotated {
        endpoint_id,
        secret: Sealed::new(vec![4, 5, 6]),
        previous_valid_until: Timestamp::from_secs(2_000_000_000),
    };
    let replay = WebhookReplayRequested {
        endpoint_id,
        replay_id: WebhookReplayId::new(endpoint_id.ulid()),
        since: Timestamp::from_secs(1_000_000),
        until: Timestamp::from_secs(2_000_000),
    };
    vec![
        changed.into(),
        rotated.into(),
        WebhookEndpointPaused { endpoint_id }.into(),
        replay.into(),
        WebhookEndpointResumed { endpoint_id }.into(),
    ]
}

/// What sources tell of a repository.
fn watched(account: AccountId, name: &RepoName, id: Ulid) -> Vec<(StreamId, Event)> {
    let repo_id = RepoId::new(id);
    let subject = SourceSubject::Repo {
        id: repo_id,
        full_name: name.clone(),
    };
    let counted_at = Timestamp::from_secs(1_000_000);
    let events: [Event; 5] = [
        source(subject.clone(), SourceState::Active, SourceReason::Answered),
        source(subject, SourceState::Restricted, SourceReason::Forbidden),
        StarsCounted {
            repo_id,
            stars: 100,
            counted_at,
        }
        .into(),
        StarsUnattributed {
            repo_id,
            stars: 120,
            counted_at,
            growth: 20,
            captured: 15,
            taken_back: 0,
            unattributed: 5,
        }
        .into(),
        RepoRenamed {
            repo_id,
            full_name: repo("acme/renamed"),
        }
        .into(),
    ];
    let stream = StreamId::tracked_repo(account, name);
    events.into_iter().map(|event| (stream.clone(), event)).collect()
}

fn source(subject: SourceSubject, state: SourceState, reason: SourceReason) -> Event {
    SourceStateChanged {
        subject,
        collector: Collector::EventsFeed,
        state,
        reason,
        since: Timestamp::from_secs(1_000_000),
    }
    .into()
}

fn opened(plan: &str) -> Event {
    AccountOpened {
        name: "Acme".into(),
        plan: plan.parse().unwrap(),
    }
    .into()
}

fn changed(plan: &str) -> Event {
    PlanChanged {
        plan: plan.parse().unwrap(),
    }
    .into()
}

fn tracked(id: Ulid, full_name: RepoName) -> Event {
    RepoTracked {
        repo_id: RepoId::new(id),
        full_name,
        relation: RepoRelation::Competitor,
    }
    .into()
}

fn issued(id: Ulid) -> Event {
    ApiKeyIssued {
        key_id: ApiKeyId::new(id),
        label: "first".into(),
        hash: format!("hash of {id}"),
        hint: "wxyz".into(),
    }
    .into()
}

fn keyword(item: u64) -> domain::Keyword {
    ["docker", "event sourcing"][usize::try_from(item).unwrap()]
        .parse()
        .unwrap()
}

fn keyword_tracked(id: Ulid, item: u64) -> Event {
    KeywordTracked {
        keyword_id: KeywordId::new(id),
        keyword: keyword(item),
        scan_targets: "issues,prs".parse().unwrap(),
    }
    .into()
}

fn endpoint(id: Ulid) -> Event {
    WebhookEndpointAdded {
        endpoint_id: WebhookEndpointId::new(id),
        kind: WebhookKind::Webhook,
        url: "https://hooks.example/leads".into(),
        events: vec![WebhookEventType::LeadCreated, WebhookEventType::LeadEnriched],
        filters: WebhookFilters::default(),
        start_from: StartFrom::Beginning,
        description: None,
        secret: Sealed::new(vec![1, 2, 3]),
    }
    .into()
}
