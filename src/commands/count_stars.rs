//! Holds what was captured of a repository's stars against GitHub's public count.

use domain::tracked_repo::{TrackedRepo, TrackedRepoCommand, TrackedRepoRefusal};
use domain::{AccountId, EventId, RepoId, RepoName, StarCount, StreamId};

use super::execute::execute;
use super::{CommandError, Writer};

/// Puts the count down if the rules find it worth an event. Whether there was one.
pub async fn count_stars(
    writer: &Writer,
    account: AccountId,
    (repo_id, full_name): (RepoId, &RepoName),
    count: StarCount,
) -> Result<bool, CommandError<TrackedRepoRefusal>> {
    let stream = StreamId::tracked_repo(account, full_name);
    let command = TrackedRepoCommand::CountStars(repo_id, count);
    let executed = execute::<TrackedRepo>(writer, stream, EventId::new(writer.clock.ulid()), command).await?;
    Ok(executed.new > 0)
}
