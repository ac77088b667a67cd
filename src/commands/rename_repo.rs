//! Puts down that a tracked repository is called otherwise on GitHub.

use domain::tracked_repo::{TrackedRepo, TrackedRepoCommand, TrackedRepoRefusal};
use domain::{AccountId, EventId, RepoId, RepoName, StreamId};

use super::execute::execute;
use super::{CommandError, Writer};

/// Puts down the name `called` of the repository that is tracked as `full_name`. Whether it was another before.
pub async fn rename_repo(
    writer: &Writer,
    account: AccountId,
    (repo_id, full_name): (RepoId, &RepoName),
    called: RepoName,
) -> Result<bool, CommandError<TrackedRepoRefusal>> {
    let stream = StreamId::tracked_repo(account, full_name);
    let command = TrackedRepoCommand::Rename(repo_id, called);
    let executed = execute::<TrackedRepo>(writer, stream, EventId::new(writer.clock.ulid()), command).await?;
    Ok(executed.new > 0)
}
