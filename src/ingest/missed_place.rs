//! How far GitHub's record of a webhook's deliveries was walked, and where a walk comes to its end. Used by `missed`, which reads
//! the pages.

use std::time::Duration;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::github::hooks::Attempt;

/// Deliveries stand in the record in the order in which they were made, but for so much.
const OVERLAP: Duration = Duration::from_mins(1);
/// After so many pages of one record its walk rests for so long.
const PAGES_WITHOUT_REST: u32 = 20;
const REST: Duration = Duration::from_mins(10);
/// So many pages in a row that cannot be read end a walk: it begins anew, for the sake of what is new.
const FAILURES: u32 = 3;

/// How far the record of a webhook was walked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Everything up to then was looked at.
    #[serde(default)]
    pub through: Option<Timestamp>,
    /// A walk that is under way.
    #[serde(default)]
    pub under_way: Option<UnderWay>,
    /// For asking whether there is anything new.
    #[serde(default)]
    pub etag: Option<String>,
    /// Whether the newest delivery arrived; none: there was none.
    #[serde(default)]
    pub arrives: Option<bool>,
    /// Pages in a row, after the first one of a walk, that could not be read.
    #[serde(default)]
    pub failures: u32,
}

impl Place {
    /// Whether no page is to be read yet.
    pub fn rests(&self, now: Timestamp) -> bool {
        let until = self.under_way.as_ref().and_then(|walk| walk.rests_until);
        until.is_some_and(|until| now < until)
    }

    /// A page was read: the walk goes on at `cursor`, or has come to its end. Whether nothing is to be read at once.
    pub fn go_on(
        &mut self,
        under_way: Option<UnderWay>,
        attempts: &[Attempt],
        cursor: Option<String>,
        now: Timestamp,
    ) -> bool {
        let newest = attempts.iter().map(|attempt| attempt.at).max();
        let oldest = attempts.iter().map(|attempt| attempt.at).min();
        let is_known =
            matches!((oldest, self.through), (Some(oldest), Some(through)) if oldest.plus(OVERLAP) < through);
        let is_again = under_way
            .as_ref()
            .is_some_and(|walk| Some(&walk.cursor) == cursor.as_ref());
        if under_way.is_some() {
            self.failures = 0;
        }
        let (newest, pages) = under_way.map_or((newest, 0), |walk| (walk.newest, walk.pages));
        // A record that leads to the same place again, or to nothing, has no end.
        let is_end = is_known || is_again || attempts.is_empty();
        let Some(cursor) = cursor.filter(|_| !is_end) else {
            self.through = newest.max(self.through);
            self.under_way = None;
            self.failures = 0;
            return true;
        };
        let has_to_rest = pages + 1 >= PAGES_WITHOUT_REST;
        self.under_way = Some(UnderWay {
            newest,
            cursor,
            pages: if has_to_rest { 0 } else { pages + 1 },
            rests_until: has_to_rest.then(|| now.plus(REST)),
        });
        has_to_rest
    }

    /// The next page of a walk cannot be read, for now or because it `is_gone`.
    pub fn fail(&mut self, is_gone: bool) {
        self.failures = self.failures.saturating_add(1);
        if is_gone || self.failures >= FAILURES {
            self.under_way = None;
            // Otherwise the first page would count as known.
            self.etag = None;
        }
    }
}

/// A walk that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnderWay {
    /// The newest delivery when it began.
    newest: Option<Timestamp>,
    /// What leads to the next page.
    pub cursor: String,
    /// Pages since the last rest.
    #[serde(default)]
    pub pages: u32,
    /// No page is read before.
    #[serde(default)]
    rests_until: Option<Timestamp>,
}
