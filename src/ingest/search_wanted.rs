//! What is looked for all over GitHub, and by which of its searches. Used by the searches.

use std::collections::BTreeMap;

use domain::{Collector, KeywordId, ScanTarget, Timestamp};

use super::packs;
use super::standing::Tracker;
use crate::github::Resource;

/// Which search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// That for issues and pull requests.
    Issues,
    /// That for discussions.
    Discussions,
    /// That for code.
    Code,
}

impl Kind {
    /// Where it looks.
    pub const fn targets(self) -> &'static [ScanTarget] {
        match self {
            Self::Issues => &[ScanTarget::Issues, ScanTarget::Prs],
            Self::Discussions => &[ScanTarget::Discussions],
            Self::Code => &[ScanTarget::Code],
        }
    }

    /// How many keywords a search takes at most.
    pub const fn at_once(self) -> usize {
        match self {
            Self::Issues | Self::Discussions => packs::MOST,
            Self::Code => 1,
        }
    }

    /// The source that it is.
    pub const fn collector(self) -> Collector {
        match self {
            Self::Issues => Collector::IssueSearch,
            Self::Discussions => Collector::DiscussionSearch,
            Self::Code => Collector::CodeSearch,
        }
    }

    /// What it counts against.
    pub const fn resource(self) -> Resource {
        match self {
            Self::Issues => Resource::Search,
            Self::Discussions => Resource::Graphql,
            Self::Code => Resource::CodeSearch,
        }
    }
}

/// A keyword that some account tracks.
#[derive(Default)]
pub struct Phrase {
    /// Where each of them looks for it, and since when they do at the latest.
    pub wanted: BTreeMap<(KeywordId, ScanTarget), Timestamp>,
    /// Who tracks it.
    pub trackers: Vec<Tracker>,
}

impl Phrase {
    /// Since when it is wanted there.
    pub fn wanted_in(&self, target: ScanTarget) -> Option<Timestamp> {
        let there = self.wanted.iter().filter(|((_, wanted), _)| *wanted == target);
        there.map(|(_, since)| *since).min()
    }

    /// When the last of those began to look for it who do.
    pub fn last_wanted(&self) -> Option<Timestamp> {
        self.wanted.values().max().copied()
    }
}
