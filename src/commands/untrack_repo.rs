//! Stops tracking a repository; its leads stay.

use domain::tracked_repo::{TrackedRepo, TrackedRepoCommand, TrackedRepoRefusal};
use domain::{AccountId, EventId, RepoId, RepoName, StreamId};
use event_log::Position;

use super::execute::execute;
use super::{CommandError, Writer};

/// Untracks the repository if it is still tracked under this id.
pub async fn untrack_repo(
    writer: &Writer,
    account: AccountId,
    full_name: &RepoName,
    repo_id: RepoId,
) -> Result<Position, CommandError<TrackedRepoRefusal>> {
    let stream = StreamId::tracked_repo(account, full_name);
    let command = TrackedRepoCommand::Untrack(repo_id);
    Ok(
        execute::<TrackedRepo>(writer, stream, EventId::new(writer.clock.ulid()), command)
            .await?
            .position(),
    )
}
