//! What one token can do for all that is tracked: how often each source can be looked at, worked out beforehand.
//!
//! Told at the start and by `gitleads doctor`. It is the worst case: a look at an unchanged feed costs nothing, and feeds of
//! repositories that get no new stars are looked at less often.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use domain::{Keyword, RepoName, ScanTarget, ScanTargets};

use super::packs;

/// How much there is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Tracked repositories, each once.
    pub repos: u64,
    /// Packs of keywords that are looked for in issues and pull requests.
    pub issue_packs: u64,
    /// Packs of keywords that are looked for in discussions.
    pub discussion_packs: u64,
    /// Keywords that are looked for in code, each by itself.
    pub code_keywords: u64,
}

impl Load {
    /// All that is tracked, by whichever accounts.
    pub fn of<'a>(
        repos: impl Iterator<Item = &'a RepoName>,
        keywords: &(impl Iterator<Item = (&'a Keyword, &'a ScanTargets)> + Clone),
    ) -> Self {
        let phrases = |target: ScanTarget| -> BTreeSet<&str> {
            let wanted = keywords.clone().filter(|(_, wanted)| wanted.contains(target));
            wanted.map(|(keyword, _)| keyword.folded()).collect()
        };
        let packs = |target| packs::count(phrases(target));
        Self {
            repos: repos.map(RepoName::key).collect::<BTreeSet<_>>().len() as u64,
            issue_packs: packs(ScanTarget::Issues) + packs(ScanTarget::Prs),
            discussion_packs: packs(ScanTarget::Discussions),
            code_keywords: phrases(ScanTarget::Code).len() as u64,
        }
    }
}

/// What GitHub grants in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Requests to the REST API.
    pub core: u64,
    /// Searches.
    pub search: u64,
    /// Searches for code; 0: none.
    pub code_search: u64,
    /// Points of the GraphQL API; 0: none.
    pub graphql: u64,
}

impl Grant {
    /// With a user's token (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
    pub const TOKEN: Self = Self {
        core: 5_000,
        search: 30 * 60,
        code_search: 10 * 60,
        graphql: 5_000,
    };
    /// Without one.
    pub const NOBODY: Self = Self {
        core: 60,
        search: 10 * 60,
        code_search: 0,
        graphql: 0,
    };
}

/// How often each source is looked at; none: not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    load: Load,
    /// The events feed of each repository, at worst.
    pub feeds: Option<Duration>,
    /// Each repository's number of stars.
    pub counts: Option<Duration>,
    /// Each keyword in issues and pull requests.
    pub issues: Option<Duration>,
    /// Each keyword in discussions.
    pub discussions: Option<Duration>,
    /// Each keyword in code.
    pub code: Option<Duration>,
}

/// No source is looked at more often.
pub const SHORTEST: Duration = Duration::from_mins(1);
/// A count is worth no more than one every five minutes, and so is a search.
pub const SHORTEST_SWEEP: Duration = Duration::from_mins(5);
/// Repositories that a query counts on average.
const WIDTH: u64 = 50;
/// What takes longer than this disappoints: a feed of a busy repository overflows, a lead is no news.
const DISAPPOINTING: Duration = Duration::from_hours(1);

impl Plan {
    /// What can be done for the load. Percentages are what is left of the grant beside other work: profiles take a fifth of
    /// the REST API, counts and discussions share the GraphQL API with profiles and texts of pull requests.
    pub fn of(load: Load, grant: Grant) -> Self {
        let every = |looks: u64, granted: u64, percent: u64, shortest: Duration| {
            let share = granted * percent / 100;
            let spaced = |share: u64| Duration::from_secs((looks * 3_600).div_ceil(share)).max(shortest);
            (looks > 0 && share > 0).then(|| spaced(share))
        };
        Self {
            load,
            feeds: every(load.repos, grant.core, 75, SHORTEST),
            counts: every(load.repos.div_ceil(WIDTH), grant.graphql, 40, SHORTEST_SWEEP),
            issues: every(load.issue_packs, grant.search, 90, SHORTEST_SWEEP),
            discussions: every(load.discussion_packs, grant.graphql, 20, SHORTEST_SWEEP),
            code: every(load.code_keywords, grant.code_search, 90, SHORTEST_SWEEP),
        }
    }

    /// Whether nothing is tracked.
    pub fn is_empty(&self) -> bool {
        self.load == Load::default()
    }

    /// Whether something takes so long that leads come late or are missed.
    pub fn disappoints(&self) -> bool {
        let all = [self.feeds, self.counts, self.issues, self.discussions, self.code];
        let is_missing = self.load.code_keywords > 0 && self.code.is_none();
        is_missing || all.into_iter().flatten().any(|every| every > DISAPPOINTING)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("repositories: events feeds", self.load.repos, self.feeds),
            ("repositories: numbers of stars", self.load.repos, self.counts),
            (
                "searches in issues and pull requests",
                self.load.issue_packs,
                self.issues,
            ),
            ("searches in discussions", self.load.discussion_packs, self.discussions),
            ("searches in code", self.load.code_keywords, self.code),
        ];
        let told = lines.into_iter().filter(|(_, many, _)| *many > 0);
        for (index, (what, many, every)) in told.enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            match every {
                Some(every) => write!(f, "{many} {what} every {} min", every.as_secs().div_ceil(60))?,
                None => write!(f, "{many} {what} not without a token")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        repos: 2_000,
        issue_packs: 84,
        discussion_packs: 84,
        code_keywords: 10,
    };

    #[test]
    fn a_token_is_enough_for_thousands_of_repositories() {
        let plan = Plan::of(LOAD, Grant::TOKEN);
        let minutes = |every: Option<Duration>| every.map(|every| every.as_secs().div_ceil(60));
        assert_eq!(minutes(plan.feeds), Some(32));
        assert_eq!(minutes(plan.counts), Some(5));
        assert_eq!(minutes(plan.issues), Some(5));
        assert_eq!(minutes(plan.discussions), Some(6));
        assert_eq!(minutes(plan.code), Some(5));
        assert!(!plan.disappoints());
        let told = plan.to_string();
        assert!(
            told.starts_with("2000 repositories: events feeds every 32 min; 2000 repositories: numbers"),
            "{told}"
        );
    }

    #[test]
    fn without_a_token_it_disappoints_and_says_so() {
        let plan = Plan::of(LOAD, Grant::NOBODY);
        assert!(plan.disappoints());
        assert_eq!((plan.counts, plan.code), (None, None));
        assert!(plan.to_string().contains("not without a token"));
        let one = Load {
            repos: 1,
            ..Load::default()
        };
        let plan = Plan::of(one, Grant::NOBODY);
        assert_eq!(plan.feeds, Some(Duration::from_secs(80)));
        assert!(!plan.disappoints());
    }

    #[test]
    fn nothing_tracked_is_nothing_to_do() {
        let plan = Plan::of(Load::default(), Grant::TOKEN);
        assert!(plan.is_empty() && !plan.disappoints() && plan.to_string().is_empty());
    }
}
