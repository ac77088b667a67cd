//! Holds captured stars against the growth of GitHub's public count, for each account that tracks the repository.
//!
//! A count is held for as long as a source may lag before captured stars are compared with it, so that nothing is called
//! unattributed which is only late.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use domain::{AccountId, RepoId, SourceSubject, StarCount, Timestamp};
use projections::star_coverage;

use super::accept::Ingest;
use super::standing::Tracker;
use super::star_count::{Counted, FEED_LAG};
use crate::commands::count_stars;

/// Since when each account's repositories are measured.
pub struct Coverage {
    ingest: Arc<Ingest>,
    /// The time of the first count, by account and repository.
    first: HashMap<(AccountId, RepoId), Timestamp>,
}

impl Coverage {
    /// Goes on with what was counted before.
    pub async fn open(ingest: Arc<Ingest>) -> anyhow::Result<Self> {
        let first = star_coverage::all(&*ingest.views)
            .await
            .context("reading since when stars are counted")?;
        Ok(Self {
            first: first
                .into_iter()
                .map(|row| ((row.account, row.repo_id), row.counted_at))
                .collect(),
            ingest,
        })
    }

    /// Takes a new count of a repository, and compares if the one that is held is old enough; the new one is held then.
    ///
    /// # Errors
    /// If storage fails; the same count may be brought again.
    pub async fn counted(
        &mut self,
        counted: &mut Counted,
        stars: u64,
        trackers: &[Tracker],
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let is_ripe = now.since(counted.held_at) >= FEED_LAG;
        for tracker in trackers {
            let SourceSubject::Repo { id, full_name } = &tracker.subject else {
                continue;
            };
            let first = self.first.get(&(tracker.account, *id)).copied();
            let count = match first {
                // Its growth is measured from here on.
                None => StarCount {
                    stars,
                    counted_at: now,
                    captured: 0,
                },
                Some(first) if is_ripe && counted.held_at > first => {
                    let vault = &self.ingest.writer.vault;
                    let repo = vault.repo_key(tracker.account, full_name);
                    let views = &*self.ingest.views;
                    let captured = star_coverage::captured(views, tracker.account, repo, first, counted.held_at).await;
                    StarCount {
                        stars: counted.held_stars,
                        counted_at: counted.held_at,
                        captured: captured.context("counting captured stars")?,
                    }
                }
                Some(_) => continue,
            };
            let writer = &self.ingest.writer;
            count_stars(writer, tracker.account, (*id, full_name), count)
                .await
                .context("recording a number of stars")?;
            self.first.entry((tracker.account, *id)).or_insert(now);
        }
        counted.stars = stars;
        counted.counted_at = now;
        if is_ripe {
            counted.held_stars = stars;
            counted.held_at = now;
        }
        Ok(())
    }
}
