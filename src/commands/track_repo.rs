//! Tracks a repository, or says what a tracked one is from now on.

use domain::tracked_repo::{TrackedRepo, TrackedRepoCommand, TrackedRepoRefusal};
use domain::{AccountId, Event, EventId, RepoId, RepoName, RepoRelation, StreamId, Timestamp};
use event_log::Recorded;

use super::execute::execute;
use super::{CommandError, Committed, Writer};

/// A tracked repository, as its events tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoRecord {
    /// The tracked repository.
    pub repo_id: RepoId,
    /// Its name, as it was spelt first.
    pub full_name: RepoName,
    /// What it is to the account.
    pub relation: RepoRelation,
    /// Since when it is tracked.
    pub created_at: Timestamp,
    /// Its name on GitHub, if that was another once since.
    pub called: Option<RepoName>,
}

/// Tracks `full_name`. If it is tracked already the record stays, and another `relation` updates it.
pub async fn track_repo(
    writer: &Writer,
    account: AccountId,
    full_name: RepoName,
    relation: Option<RepoRelation>,
) -> Result<Committed<RepoRecord>, CommandError<TrackedRepoRefusal>> {
    let stream = StreamId::tracked_repo(account, &full_name);
    let repo_id = RepoId::new(writer.clock.ulid());
    let command = TrackedRepoCommand::Track {
        repo_id,
        full_name,
        relation,
    };
    let executed = execute::<TrackedRepo>(writer, stream, EventId::new(writer.clock.ulid()), command).await?;
    let value = record(&executed.events).ok_or(CommandError::Refused(TrackedRepoRefusal::NotTracked))?;
    Ok(Committed {
        created: value.repo_id == repo_id,
        position: executed.position(),
        value,
    })
}

fn record(events: &[Recorded]) -> Option<RepoRecord> {
    events
        .iter()
        .fold(None, |record: Option<RepoRecord>, recorded| match &recorded.event {
            Event::RepoTracked(tracked) => Some(RepoRecord {
                repo_id: tracked.repo_id,
                full_name: tracked.full_name.clone(),
                relation: tracked.relation,
                created_at: recorded.recorded_at,
                called: None,
            }),
            Event::RepoRenamed(renamed) => record.map(|record| RepoRecord {
                called: Some(renamed.full_name.clone()),
                ..record
            }),
            Event::RepoReclassified(changed) => record.map(|record| RepoRecord {
                relation: changed.relation,
                ..record
            }),
            Event::RepoUntracked(_) => None,
            _ => record,
        })
}
