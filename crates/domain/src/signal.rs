//! A signal: one public act of one person on GitHub that an account asked to hear of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Keyword, RepoKey, Sealed, SignalKey, Timestamp};

/// A word that is none of a closed list's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {0}")]
pub struct NotOneOf(pub &'static str);

/// A closed list of words, each with the one text that JSON, SQL and the query string use for it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? } all = $all:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every word, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word as JSON, SQL and query strings have it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::signal::NotOneOf;

            fn from_str(text: &str) -> Result<Self, $crate::signal::NotOneOf> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err($crate::signal::NotOneOf($all)) }
            }
        }

        /// From a string and nothing else: the derived form would also take `{"word": null}`.
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::parsed::parsed(deserializer)
            }
        }
    };
}
pub(crate) use words;

words!(
    /// What kind of act it was; `signal_type` in the API.
    SignalKind {
        /// Starred a tracked repository.
        Stargazer = "stargazer",
        /// Wrote a keyword in an issue or a comment on one.
        KeywordIssue = "keyword_issue",
        /// Wrote a keyword in a pull request, its review or a comment on it.
        KeywordPr = "keyword_pr",
        /// Has a keyword in code, or wrote it in a comment on a commit.
        KeywordCode = "keyword_code",
        /// Wrote a keyword in a discussion or a comment on one.
        KeywordDiscussion = "keyword_discussion",
    }
    all = "stargazer, keyword_issue, keyword_pr, keyword_code, keyword_discussion"
);

words!(
    /// Where a keyword is looked for.
    ScanTarget {
        /// Issues and their comments.
        Issues = "issues",
        /// Pull requests, their reviews and comments.
        Prs = "prs",
        /// Discussions and their comments.
        Discussions = "discussions",
        /// Code, and comments on commits.
        Code = "code",
    }
    all = "issues, prs, discussions, code"
);

words!(
    /// Which source brought a signal.
    Collector {
        /// A backfilled GH Archive file.
        Archive = "archive",
        /// GitHub's search for code.
        CodeSearch = "code_search",
        /// GitHub's search for discussions.
        DiscussionSearch = "discussion_search",
        /// The public events feed of a repository.
        EventsFeed = "events_feed",
        /// A webhook that GitHub sent us.
        GithubWebhook = "github_webhook",
        /// GitHub's search for issues and pull requests.
        IssueSearch = "issue_search",
        /// The list of those who starred a repository, for its admins and collaborators.
        StargazerList = "stargazer_list",
        /// GitHub's record of a webhook's deliveries: those that did not arrive.
        WebhookDeliveries = "webhook_deliveries",
    }
    all = "archive, code_search, discussion_search, events_feed, github_webhook, issue_search, stargazer_list, \
           webhook_deliveries"
);

words!(
    /// By which rule a file that a search for code found is somebody's.
    Attribution {
        /// The author of the newest commit that touched the file.
        CommitAuthor = "commit_author",
        /// The owner of the repository, since GitHub knows no person for that commit.
        RepoOwner = "repo_owner",
    }
    all = "commit_author, repo_owner"
);

impl ScanTarget {
    /// The kind of signal that a keyword found here makes.
    pub const fn signal_kind(self) -> SignalKind {
        match self {
            Self::Issues => SignalKind::KeywordIssue,
            Self::Prs => SignalKind::KeywordPr,
            Self::Discussions => SignalKind::KeywordDiscussion,
            Self::Code => SignalKind::KeywordCode,
        }
    }

    /// The source that looks here all over GitHub.
    pub const fn search(self) -> Collector {
        match self {
            Self::Issues | Self::Prs => Collector::IssueSearch,
            Self::Discussions => Collector::DiscussionSearch,
            Self::Code => Collector::CodeSearch,
        }
    }
}

/// A non-empty set of scan targets, always in the contract's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ScanTarget>", into = "Vec<ScanTarget>")]
pub struct ScanTargets(Vec<ScanTarget>);

/// A set of scan targets must not be empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must name at least one of issues, prs, discussions, code")]
pub struct NoScanTarget;

impl ScanTargets {
    /// Whether the set holds `target`.
    pub fn contains(&self, target: ScanTarget) -> bool {
        self.0.contains(&target)
    }

    /// The targets in the contract's order.
    pub fn iter(&self) -> impl Iterator<Item = ScanTarget> + '_ {
        self.0.iter().copied()
    }
}

/// The contract's default: everything but code.
impl Default for ScanTargets {
    fn default() -> Self {
        Self(vec![ScanTarget::Issues, ScanTarget::Prs, ScanTarget::Discussions])
    }
}

impl TryFrom<Vec<ScanTarget>> for ScanTargets {
    type Error = NoScanTarget;

    fn try_from(mut targets: Vec<ScanTarget>) -> Result<Self, NoScanTarget> {
        targets.sort_unstable();
        targets.dedup();
        if targets.is_empty() {
            Err(NoScanTarget)
        } else {
            Ok(Self(targets))
        }
    }
}

impl From<ScanTargets> for Vec<ScanTarget> {
    fn from(targets: ScanTargets) -> Self {
        targets.0
    }
}

/// Comma-separated, as read models and the command line have it: `issues,prs`.
impl fmt::Display for ScanTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, target) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(target.as_str())?;
        }
        Ok(())
    }
}

/// Reads the comma-separated form.
impl FromStr for ScanTargets {
    type Err = NotOneOf;

    fn from_str(text: &str) -> Result<Self, NotOneOf> {
        let targets = text
            .split(',')
            .map(|word| word.trim().parse())
            .collect::<Result<Vec<ScanTarget>, _>>()?;
        targets
            .try_into()
            .map_err(|NoScanTarget| NotOneOf("issues, prs, discussions, code"))
    }
}

/// A signal as the log keeps it: what may be read by anyone who holds the log, and the person's part sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Its identity; the same signal seen twice has the same key.
    pub key: SignalKey,
    /// What kind of act it was.
    pub kind: SignalKind,
    /// The repository it happened in, for filters; its name is in the sealed part.
    pub repo: RepoKey,
    /// The customer's keyword that matched, for keyword kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<Keyword>,
    /// When it happened on GitHub.
    pub occurred_at: Timestamp,
    /// Which source brought it.
    pub collector: Collector,
    /// A sealed [`crate::SignalPerson`].
    pub person: Sealed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scan_targets_have_one_order_and_no_doubles() {
        let targets: ScanTargets = "code, issues,code".parse().unwrap();
        assert_eq!(targets.to_string(), "issues,code");
        assert_eq!(serde_json::to_string(&targets).unwrap(), r#"["issues","code"]"#);
    }

    #[test]
    fn an_empty_or_unknown_scan_target_is_refused() {
        assert!("".parse::<ScanTargets>().is_err());
        assert!("issues,wiki".parse::<ScanTargets>().is_err());
        assert!(serde_json::from_str::<ScanTargets>("[]").is_err());
    }

    #[test]
    fn every_word_reads_back_from_its_text() {
        for kind in SignalKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(
                serde_json::from_str::<SignalKind>(&format!("\"{kind}\"")).unwrap(),
                *kind
            );
        }
    }

    #[test]
    fn a_word_is_read_from_a_string_only_and_may_be_a_key() {
        for wrong in [r#"{"issues":null}"#, "1", "null", r#"["issues"]"#, r#""Issues""#] {
            assert!(serde_json::from_str::<ScanTarget>(wrong).is_err(), "{wrong}");
        }
        let keyed: std::collections::BTreeMap<ScanTarget, u8> = serde_json::from_str(r#"{"issues":1}"#).unwrap();
        assert_eq!(keyed[&ScanTarget::Issues], 1);
        let told = serde_json::from_str::<ScanTarget>(r#""wiki""#).unwrap_err().to_string();
        assert!(
            told.starts_with("must be one of issues, prs, discussions, code"),
            "{told}"
        );
    }
}
