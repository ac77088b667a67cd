//! Puts down how a source of a tracked repository or keyword was seen to work, if the rules find it worth an event.

use domain::tracked_keyword::{TrackedKeyword, TrackedKeywordCommand, TrackedKeywordRefusal};
use domain::tracked_repo::{TrackedRepo, TrackedRepoCommand, TrackedRepoRefusal};
use domain::{AccountId, EventId, Observation, SourceSubject, StreamId};

use super::execute::execute;
use super::{CommandError, Writer};

/// Why it is refused; what comes too late is not refused, it comes to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ObserveRefusal {
    /// By the rules of a tracked repository.
    #[error(transparent)]
    Repo(#[from] TrackedRepoRefusal),
    /// By the rules of a tracked keyword.
    #[error(transparent)]
    Keyword(#[from] TrackedKeywordRefusal),
}

/// Puts it down for the account that tracks the subject. Whether there was an event.
pub async fn observe_source(
    writer: &Writer,
    account: AccountId,
    subject: &SourceSubject,
    seen: Observation,
) -> Result<bool, CommandError<ObserveRefusal>> {
    let event = EventId::new(writer.clock.ulid());
    match subject {
        SourceSubject::Repo { id, full_name } => {
            let stream = StreamId::tracked_repo(account, full_name);
            let command = TrackedRepoCommand::ObserveSource(*id, seen);
            let executed = execute::<TrackedRepo>(writer, stream, event, command).await;
            Ok(executed.map_err(CommandError::within)?.new > 0)
        }
        SourceSubject::Keyword { id, keyword } => {
            let stream = StreamId::tracked_keyword(account, keyword);
            let command = TrackedKeywordCommand::ObserveSource(*id, seen);
            let executed = execute::<TrackedKeyword>(writer, stream, event, command).await;
            Ok(executed.map_err(CommandError::within)?.new > 0)
        }
    }
}
