//! A repository that an account tracks; its stream is named by the repository, so tracking twice is one thing.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate};
use crate::coverage::{StarCount, StarCoverage};
use crate::event::{Event, RepoReclassified, RepoRenamed, RepoTracked, RepoUntracked};
use crate::signal::words;
use crate::source::Sources;
use crate::stream::Category;
use crate::{Observation, RepoId, RepoName, SourceSubject};

words!(
    /// What a tracked repository is to the account; `type` in the API.
    RepoRelation {
        /// The account's own.
        Own = "own",
        /// A competitor's.
        Competitor = "competitor",
        /// One of the account's ecosystem.
        Ecosystem = "ecosystem",
    }
    all = "own, competitor, ecosystem"
);

/// What the repository's events add up to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TrackedRepo {
    tracked: Option<(RepoId, RepoRelation)>,
    /// As the customer spelt it.
    full_name: Option<RepoName>,
    /// As it is called on GitHub.
    called: Option<RepoName>,
    sources: Sources,
    coverage: StarCoverage,
}

/// What may be asked of it.
#[derive(Debug, Clone)]
pub enum TrackedRepoCommand {
    /// Track it, or say what it is from now on.
    Track {
        /// The id to use if it is not tracked yet.
        repo_id: RepoId,
        /// Its name.
        full_name: RepoName,
        /// What it is to the account; none: leave it, or `ecosystem` if it is not tracked yet.
        relation: Option<RepoRelation>,
    },
    /// Track it no longer.
    Untrack(RepoId),
    /// Put down how a source works. Too late for a repository that is no longer tracked, like all that sources tell.
    ObserveSource(RepoId, Observation),
    /// Put down what it is called on GitHub.
    Rename(RepoId, RepoName),
    /// Hold what was captured against its public number of stars.
    CountStars(RepoId, StarCount),
}

/// Why it refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackedRepoRefusal {
    /// It is not tracked, or under another id by now.
    #[error("the repository is not tracked")]
    NotTracked,
}

aggregate!(
    TrackedRepo,
    Category::TrackedRepo,
    TrackedRepoCommand,
    TrackedRepoRefusal
);

impl Decide for TrackedRepo {
    fn decide(&self, command: TrackedRepoCommand) -> Result<Vec<Event>, TrackedRepoRefusal> {
        match (command, self.tracked) {
            (
                TrackedRepoCommand::Track {
                    repo_id,
                    full_name,
                    relation,
                },
                None,
            ) => {
                let relation = relation.unwrap_or(RepoRelation::Ecosystem);
                Ok(vec![
                    RepoTracked {
                        repo_id,
                        full_name,
                        relation,
                    }
                    .into(),
                ])
            }
            (TrackedRepoCommand::Track { relation, .. }, Some((repo_id, current))) => match relation {
                Some(relation) if relation != current => Ok(vec![RepoReclassified { repo_id, relation }.into()]),
                _ => Ok(Vec::new()),
            },
            (TrackedRepoCommand::Untrack(repo_id), Some((current, _))) if current == repo_id => {
                Ok(vec![RepoUntracked { repo_id }.into()])
            }
            (TrackedRepoCommand::Untrack(_), _) => Err(TrackedRepoRefusal::NotTracked),
            (TrackedRepoCommand::ObserveSource(repo_id, seen), Some((current, _))) if current == repo_id => {
                Ok(self.observed(repo_id, seen).into_iter().collect())
            }
            (TrackedRepoCommand::Rename(repo_id, full_name), Some((current, _)))
                if current == repo_id && self.called.as_ref() != Some(&full_name) =>
            {
                Ok(vec![RepoRenamed { repo_id, full_name }.into()])
            }
            (TrackedRepoCommand::CountStars(repo_id, count), Some((current, _))) if current == repo_id => {
                Ok(self.coverage.counted(repo_id, count).into_iter().collect())
            }
            (
                TrackedRepoCommand::ObserveSource(..)
                | TrackedRepoCommand::Rename(..)
                | TrackedRepoCommand::CountStars(..),
                _,
            ) => Ok(Vec::new()),
        }
    }
}

impl TrackedRepo {
    fn observed(&self, id: RepoId, seen: Observation) -> Option<Event> {
        let full_name = self.full_name.clone()?;
        let is_news = self.sources.is_news(&seen);
        is_news.then(|| seen.recorded(SourceSubject::Repo { id, full_name }))
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::RepoTracked(tracked) => {
                *self = Self {
                    tracked: Some((tracked.repo_id, tracked.relation)),
                    full_name: Some(tracked.full_name.clone()),
                    called: Some(tracked.full_name.clone()),
                    ..Self::default()
                };
            }
            Event::RepoReclassified(changed) => self.tracked = Some((changed.repo_id, changed.relation)),
            Event::RepoUntracked(_) => *self = Self::default(),
            Event::RepoRenamed(renamed) => self.called = Some(renamed.full_name.clone()),
            Event::SourceStateChanged(changed) => self.sources.note(changed),
            Event::StarsCounted(_) | Event::StarsUnattributed(_) => self.coverage.evolve(event),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use ulid::Ulid;

    use super::*;
    use crate::{Collector, SourceReason, SourceState, Timestamp};

    fn id(number: u128) -> RepoId {
        RepoId::new(Ulid::from_parts(1, number))
    }

    fn track(number: u128, relation: Option<RepoRelation>) -> TrackedRepoCommand {
        TrackedRepoCommand::Track {
            repo_id: id(number),
            full_name: "acme/sdk".parse().unwrap(),
            relation,
        }
    }

    fn tracked(number: u128, relation: RepoRelation) -> Event {
        RepoTracked {
            repo_id: id(number),
            full_name: "acme/sdk".parse().unwrap(),
            relation,
        }
        .into()
    }

    fn repo() -> TestFramework<TrackedRepo> {
        TestFramework::with(())
    }

    #[test]
    fn a_repository_is_ecosystem_unless_said_otherwise() {
        repo()
            .given_no_previous_events()
            .when(track(1, None))
            .then_expect_events(vec![tracked(1, RepoRelation::Ecosystem)]);
        repo()
            .given_no_previous_events()
            .when(track(1, Some(RepoRelation::Own)))
            .then_expect_events(vec![tracked(1, RepoRelation::Own)]);
    }

    #[test]
    fn tracking_again_keeps_the_first_and_changes_at_most_the_type() {
        let given = vec![tracked(1, RepoRelation::Own)];
        repo()
            .given(given.clone())
            .when(track(2, None))
            .then_expect_events(vec![]);
        repo()
            .given(given.clone())
            .when(track(2, Some(RepoRelation::Own)))
            .then_expect_events(vec![]);
        let changed = RepoReclassified {
            repo_id: id(1),
            relation: RepoRelation::Competitor,
        };
        repo()
            .given(given)
            .when(track(2, Some(RepoRelation::Competitor)))
            .then_expect_events(vec![changed.into()]);
    }

    #[test]
    fn a_source_is_put_down_for_the_repository_that_is_tracked_now() {
        let seen = Observation {
            collector: Collector::EventsFeed,
            state: SourceState::Restricted,
            reason: SourceReason::Forbidden,
            since: Timestamp::from_secs(5),
            seen_at: Timestamp::from_secs(5),
        };
        let subject = SourceSubject::Repo {
            id: id(1),
            full_name: "acme/sdk".parse().unwrap(),
        };
        repo()
            .given(vec![tracked(1, RepoRelation::Own)])
            .when(TrackedRepoCommand::ObserveSource(id(1), seen))
            .then_expect_events(vec![seen.recorded(subject.clone())]);
        for given in [
            vec![],
            vec![tracked(2, RepoRelation::Own)],
            vec![tracked(1, RepoRelation::Own), seen.recorded(subject)],
        ] {
            repo()
                .given(given)
                .when(TrackedRepoCommand::ObserveSource(id(1), seen))
                .then_expect_events(vec![]);
        }
    }

    #[test]
    fn another_name_is_put_down_once() {
        let renamed: Event = RepoRenamed {
            repo_id: id(1),
            full_name: "acme/kit".parse().unwrap(),
        }
        .into();
        let rename = |name: &str| TrackedRepoCommand::Rename(id(1), name.parse().unwrap());
        let given = vec![tracked(1, RepoRelation::Own)];
        repo()
            .given(given.clone())
            .when(rename("Acme/SDK"))
            .then_expect_events(vec![]);
        repo()
            .given(given.clone())
            .when(rename("acme/kit"))
            .then_expect_events(vec![renamed.clone()]);
        repo()
            .given(given)
            .and(vec![renamed])
            .when(rename("acme/kit"))
            .then_expect_events(vec![]);
    }

    #[test]
    fn untracking_works_once_and_tracking_begins_anew_with_a_new_id() {
        let given = vec![tracked(1, RepoRelation::Own), RepoUntracked { repo_id: id(1) }.into()];
        repo()
            .given(given.clone())
            .when(TrackedRepoCommand::Untrack(id(1)))
            .then_expect_error(TrackedRepoRefusal::NotTracked);
        repo()
            .given(given.clone())
            .when(track(2, None))
            .then_expect_events(vec![tracked(2, RepoRelation::Ecosystem)]);
        repo()
            .given(given)
            .and(vec![tracked(2, RepoRelation::Own)])
            .when(TrackedRepoCommand::Untrack(id(1)))
            .then_expect_error(TrackedRepoRefusal::NotTracked);
    }
}
