//! A keyword that an account tracks; its stream is named by the folded phrase, so tracking twice is one thing.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate};
use crate::event::{Event, KeywordRetargeted, KeywordTracked, KeywordUntracked};
use crate::source::Sources;
use crate::stream::Category;
use crate::{Keyword, KeywordId, Observation, ScanTargets, SourceSubject};

/// What the keyword's events add up to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TrackedKeyword {
    tracked: Option<(KeywordId, ScanTargets)>,
    keyword: Option<Keyword>,
    sources: Sources,
}

/// What may be asked of it.
#[derive(Debug, Clone)]
pub enum TrackedKeywordCommand {
    /// Track it, or say where it is looked for from now on.
    Track {
        /// The id to use if it is not tracked yet.
        keyword_id: KeywordId,
        /// The phrase.
        keyword: Keyword,
        /// Where to look; none: leave it, or the default if it is not tracked yet.
        scan_targets: Option<ScanTargets>,
    },
    /// Track it no longer.
    Untrack(KeywordId),
    /// Put down how a source works. Too late for a keyword that is no longer tracked.
    ObserveSource(KeywordId, Observation),
}

/// Why it refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackedKeywordRefusal {
    /// It is not tracked, or under another id by now.
    #[error("the keyword is not tracked")]
    NotTracked,
}

aggregate!(
    TrackedKeyword,
    Category::TrackedKeyword,
    TrackedKeywordCommand,
    TrackedKeywordRefusal
);

impl Decide for TrackedKeyword {
    fn decide(&self, command: TrackedKeywordCommand) -> Result<Vec<Event>, TrackedKeywordRefusal> {
        match (command, &self.tracked) {
            (
                TrackedKeywordCommand::Track {
                    keyword_id,
                    keyword,
                    scan_targets,
                },
                None,
            ) => {
                let scan_targets = scan_targets.unwrap_or_default();
                Ok(vec![
                    KeywordTracked {
                        keyword_id,
                        keyword,
                        scan_targets,
                    }
                    .into(),
                ])
            }
            (TrackedKeywordCommand::Track { scan_targets, .. }, Some((keyword_id, current))) => match scan_targets {
                Some(scan_targets) if scan_targets != *current => Ok(vec![
                    KeywordRetargeted {
                        keyword_id: *keyword_id,
                        scan_targets,
                    }
                    .into(),
                ]),
                _ => Ok(Vec::new()),
            },
            (TrackedKeywordCommand::Untrack(keyword_id), Some((current, _))) if *current == keyword_id => {
                Ok(vec![KeywordUntracked { keyword_id }.into()])
            }
            (TrackedKeywordCommand::Untrack(_), _) => Err(TrackedKeywordRefusal::NotTracked),
            (TrackedKeywordCommand::ObserveSource(keyword_id, seen), Some((current, _))) if *current == keyword_id => {
                Ok(self.observed(keyword_id, seen).into_iter().collect())
            }
            (TrackedKeywordCommand::ObserveSource(..), _) => Ok(Vec::new()),
        }
    }
}

impl TrackedKeyword {
    fn observed(&self, id: KeywordId, seen: Observation) -> Option<Event> {
        let keyword = self.keyword.clone()?;
        let is_news = self.sources.is_news(&seen);
        is_news.then(|| seen.recorded(SourceSubject::Keyword { id, keyword }))
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::KeywordTracked(tracked) => {
                *self = Self {
                    tracked: Some((tracked.keyword_id, tracked.scan_targets.clone())),
                    keyword: Some(tracked.keyword.clone()),
                    sources: Sources::default(),
                };
            }
            Event::SourceStateChanged(changed) => self.sources.note(changed),
            Event::KeywordRetargeted(changed) => {
                self.tracked = Some((changed.keyword_id, changed.scan_targets.clone()));
            }
            Event::KeywordUntracked(_) => *self = Self::default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use ulid::Ulid;

    use super::*;

    fn id(number: u128) -> KeywordId {
        KeywordId::new(Ulid::from_parts(1, number))
    }

    fn track(number: u128, targets: Option<&str>) -> TrackedKeywordCommand {
        let scan_targets = targets.map(|targets| targets.parse().unwrap());
        TrackedKeywordCommand::Track {
            keyword_id: id(number),
            keyword: "docker".parse().unwrap(),
            scan_targets,
        }
    }

    fn tracked(number: u128, targets: &str) -> Event {
        let scan_targets = targets.parse().unwrap();
        KeywordTracked {
            keyword_id: id(number),
            keyword: "docker".parse().unwrap(),
            scan_targets,
        }
        .into()
    }

    fn keyword() -> TestFramework<TrackedKeyword> {
        TestFramework::with(())
    }

    #[test]
    fn a_keyword_is_looked_for_everywhere_but_in_code_unless_said_otherwise() {
        keyword()
            .given_no_previous_events()
            .when(track(1, None))
            .then_expect_events(vec![tracked(1, "issues,prs,discussions")]);
        keyword()
            .given_no_previous_events()
            .when(track(1, Some("code")))
            .then_expect_events(vec![tracked(1, "code")]);
    }

    #[test]
    fn tracking_again_keeps_the_first_and_changes_at_most_the_targets() {
        let given = vec![tracked(1, "issues")];
        keyword()
            .given(given.clone())
            .when(track(2, None))
            .then_expect_events(vec![]);
        let changed = KeywordRetargeted {
            keyword_id: id(1),
            scan_targets: "issues,code".parse().unwrap(),
        };
        keyword()
            .given(given.clone())
            .when(track(2, Some("code,issues")))
            .then_expect_events(vec![changed.clone().into()]);
        keyword()
            .given(given)
            .and(vec![changed.into()])
            .when(track(2, Some("issues,code")))
            .then_expect_events(vec![]);
    }

    #[test]
    fn untracking_works_once_and_tracking_begins_anew_with_a_new_id() {
        let given = vec![tracked(1, "issues"), KeywordUntracked { keyword_id: id(1) }.into()];
        keyword()
            .given(given.clone())
            .when(TrackedKeywordCommand::Untrack(id(1)))
            .then_expect_error(TrackedKeywordRefusal::NotTracked);
        keyword()
            .given(given)
            .when(track(2, Some("prs")))
            .then_expect_events(vec![tracked(2, "prs")]);
    }
}
