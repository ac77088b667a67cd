//! Stops tracking a keyword; its leads stay.

use domain::tracked_keyword::{TrackedKeyword, TrackedKeywordCommand, TrackedKeywordRefusal};
use domain::{AccountId, EventId, Keyword, KeywordId, StreamId};
use event_log::Position;

use super::execute::execute;
use super::{CommandError, Writer};

/// Untracks the keyword if it is still tracked under this id.
pub async fn untrack_keyword(
    writer: &Writer,
    account: AccountId,
    keyword: &Keyword,
    keyword_id: KeywordId,
) -> Result<Position, CommandError<TrackedKeywordRefusal>> {
    let stream = StreamId::tracked_keyword(account, keyword);
    let command = TrackedKeywordCommand::Untrack(keyword_id);
    Ok(
        execute::<TrackedKeyword>(writer, stream, EventId::new(writer.clock.ulid()), command)
            .await?
            .position(),
    )
}
