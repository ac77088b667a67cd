//! How much of a tracked repository's growth in stars was captured, as its record tells it.

use domain::{AccountId, RepoId, RepoName, Timestamp};
use projections::star_coverage;
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::error::ApiError;
use super::openapi::words;
use crate::ingest::source_cursor;
use crate::ingest::star_count::{self, Counted};

/// Captured stars, held against GitHub's public number since it was first counted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Coverage {
    /// The first count since the repository is tracked.
    #[schema(value_type = words::Time)]
    since: Timestamp,
    /// The last count.
    #[schema(value_type = words::Time)]
    counted_at: Timestamp,
    /// Stars then.
    stars: u64,
    /// By how much the number grew; negative if more stars were taken back than given.
    growth: i64,
    /// Stars captured that were given in that time.
    captured: u64,
    /// Captured stars of which we were told in that time that they were taken back.
    taken_back: u64,
    /// Stars that nobody told us of, up to the last count that is old enough for every source to have told of it.
    unattributed: u64,
}

/// The coverage of the account's repository; none before the first count.
pub(super) async fn of(
    room: &Room,
    account: AccountId,
    (repo_id, name): (RepoId, &RepoName),
) -> Result<Option<Coverage>, ApiError> {
    let views = room.api.views.as_ref();
    let firsts = star_coverage::list(views, account).await?;
    let Some(first) = firsts.into_iter().find(|first| first.repo_id == repo_id) else {
        return Ok(None);
    };
    let mut last: Option<Counted> = None;
    // With the account's own token, or with the host's; of the two, the one that is still counted.
    for key in [Some(account), None].map(|account| source_cursor::key(account, &name.key())) {
        let found = star_count::find(room.api.store.as_ref(), &key).await?;
        last = last.into_iter().chain(found).max_by_key(|counted| counted.counted_at);
    }
    let Some(last) = last else {
        return Ok(None);
    };
    let repo = room.api.writer.vault.repo_key(account, name);
    let until = |until| star_coverage::captured(views, account, repo, first.counted_at, until);
    let growth = |stars: u64| i64::try_from(stars).unwrap_or(i64::MAX) - i64::try_from(first.stars).unwrap_or(i64::MAX);
    let unattributed = if last.held_at > first.counted_at {
        let held = until(last.held_at).await?;
        let given = last
            .held_stars
            .saturating_add(held.taken_back)
            .saturating_sub(first.stars);
        given.saturating_sub(held.given)
    } else {
        0
    };
    let captured = until(last.counted_at).await?;
    Ok(Some(Coverage {
        since: first.counted_at,
        counted_at: last.counted_at,
        stars: last.stars,
        growth: growth(last.stars),
        captured: captured.given,
        taken_back: captured.taken_back,
        unattributed,
    }))
}
