//! Tracks a keyword, or says where a tracked one is looked for from now on.

use domain::tracked_keyword::{TrackedKeyword, TrackedKeywordCommand, TrackedKeywordRefusal};
use domain::{AccountId, Event, EventId, Keyword, KeywordId, ScanTargets, StreamId, Timestamp};
use event_log::Recorded;

use super::execute::execute;
use super::{CommandError, Committed, Writer};

/// A tracked keyword, as its events tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordRecord {
    /// The tracked keyword.
    pub keyword_id: KeywordId,
    /// The phrase, as it was spelt first.
    pub keyword: Keyword,
    /// Where it is looked for.
    pub scan_targets: ScanTargets,
    /// Since when it is tracked.
    pub created_at: Timestamp,
}

/// Tracks `keyword`. If it is tracked already the record stays, and other `scan_targets` update it.
pub async fn track_keyword(
    writer: &Writer,
    account: AccountId,
    keyword: Keyword,
    scan_targets: Option<ScanTargets>,
) -> Result<Committed<KeywordRecord>, CommandError<TrackedKeywordRefusal>> {
    let stream = StreamId::tracked_keyword(account, &keyword);
    let keyword_id = KeywordId::new(writer.clock.ulid());
    let command = TrackedKeywordCommand::Track {
        keyword_id,
        keyword,
        scan_targets,
    };
    let executed = execute::<TrackedKeyword>(writer, stream, EventId::new(writer.clock.ulid()), command).await?;
    let value = record(&executed.events).ok_or(CommandError::Refused(TrackedKeywordRefusal::NotTracked))?;
    Ok(Committed {
        created: value.keyword_id == keyword_id,
        position: executed.position(),
        value,
    })
}

fn record(events: &[Recorded]) -> Option<KeywordRecord> {
    events
        .iter()
        .fold(None, |record: Option<KeywordRecord>, recorded| match &recorded.event {
            Event::KeywordTracked(tracked) => Some(KeywordRecord {
                keyword_id: tracked.keyword_id,
                keyword: tracked.keyword.clone(),
                scan_targets: tracked.scan_targets.clone(),
                created_at: recorded.recorded_at,
            }),
            Event::KeywordRetargeted(changed) => record.map(|record| KeywordRecord {
                scan_targets: changed.scan_targets.clone(),
                ..record
            }),
            Event::KeywordUntracked(_) => None,
            _ => record,
        })
}
