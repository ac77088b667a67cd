//! The body of `source.degraded`: which source of what does not work, how and since when.

use bytes::Bytes;
use domain::event::SourceStateChanged;
use domain::{
    Collector, Event, EventId, Keyword, KeywordId, RepoId, RepoName, SourceReason, SourceState, SourceSubject,
    Timestamp, WebhookEventType, WebhookFilters,
};
use event_log::Recorded;
use serde::Serialize;

use super::{Unrenderable, body, written};

#[derive(Serialize)]
struct Data<'a> {
    /// What the source feeds: one of the two.
    tracked_repo: Option<Repo<'a>>,
    tracked_keyword: Option<Phrase<'a>>,
    collector: Collector,
    state: SourceState,
    reason: SourceReason,
    since: Timestamp,
}

#[derive(Serialize)]
struct Repo<'a> {
    id: RepoId,
    full_name: &'a RepoName,
}

#[derive(Serialize)]
struct Phrase<'a> {
    id: KeywordId,
    keyword: &'a Keyword,
}

/// The event, if it is about a source.
const fn of(recorded: &Recorded) -> Result<&SourceStateChanged, Unrenderable> {
    match &recorded.event {
        Event::SourceStateChanged(changed) => Ok(changed),
        _ => Err(Unrenderable::Incomplete),
    }
}

/// The body of an event about a source.
pub fn render_source(recorded: &Recorded) -> Result<Bytes, Unrenderable> {
    let changed = of(recorded)?;
    let (tracked_repo, tracked_keyword) = match &changed.subject {
        SourceSubject::Repo { id, full_name } => (Some(Repo { id: *id, full_name }), None),
        SourceSubject::Keyword { id, keyword } => (None, Some(Phrase { id: *id, keyword })),
    };
    let data = Data {
        tracked_repo,
        tracked_keyword,
        collector: changed.collector,
        state: changed.state,
        reason: changed.reason,
        since: changed.since,
    };
    body(recorded, recorded.recorded_at, data)
}

/// The body of such an event of an invented repository.
pub(super) fn sample(id: EventId, at: Timestamp) -> Result<Bytes, Unrenderable> {
    let full_name = "acme-corp/rival-sdk".parse().map_err(|_| Unrenderable::Incomplete)?;
    let repo = Repo {
        id: RepoId::new(id.ulid()),
        full_name: &full_name,
    };
    let data = Data {
        tracked_repo: Some(repo),
        tracked_keyword: None,
        collector: Collector::EventsFeed,
        state: SourceState::Unavailable,
        reason: SourceReason::NoAnswer,
        since: at,
    };
    written(WebhookEventType::SourceDegraded, id, at, data)
}

/// Whether an endpoint with these filters hears of it.
pub fn source_fits(filters: &WebhookFilters, recorded: &Recorded) -> Result<bool, Unrenderable> {
    Ok(filters.fit_source(&of(recorded)?.subject))
}
