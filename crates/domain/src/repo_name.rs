//! A repository's name on GitHub: `owner/name`, checked by GitHub's own rules, compared without regard to letter case.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `owner/name`. Keeps the spelling that it was given; equality, hash and [`RepoName::key`] ignore letter case.
#[derive(Debug, Clone)]
pub struct RepoName(String);

/// Why a text is no repository name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRepoName {
    /// Not two parts with one slash between.
    #[error("must be owner/name")]
    Shape,
    /// The owner breaks GitHub's rules for logins.
    #[error("the owner must be 1 to 39 letters, digits, hyphens or underscores and not begin with a hyphen")]
    Owner,
    /// The name breaks GitHub's rules for repositories.
    #[error("the name must be 1 to 100 letters, digits, '.', '-' or '_', and not '.' or '..' nor end in '.git'")]
    Name,
}

impl RepoName {
    /// The lower-case form: what two spellings of one repository share.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

/// GitHub's rule for logins, and beside it the underscore of enterprise-managed users. Logins that are older than the rule
/// may end in a hyphen or have several in a row.
fn is_owner(owner: &str) -> bool {
    (1..=39).contains(&owner.len())
        && owner
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !owner.starts_with('-')
}

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && name != "."
        && name != ".."
        && !name.to_ascii_lowercase().ends_with(".git")
}

impl FromStr for RepoName {
    type Err = InvalidRepoName;

    fn from_str(text: &str) -> Result<Self, InvalidRepoName> {
        let (owner, name) = text.split_once('/').ok_or(InvalidRepoName::Shape)?;
        if name.contains('/') {
            return Err(InvalidRepoName::Shape);
        }
        if !is_owner(owner) {
            return Err(InvalidRepoName::Owner);
        }
        if !is_name(name) {
            return Err(InvalidRepoName::Name);
        }
        Ok(Self(text.to_owned()))
    }
}

impl PartialEq for RepoName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for RepoName {}

impl Hash for RepoName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RepoName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepoName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::parsed::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_github_has_are_taken() {
        for name in [
            "acme-corp/rival-sdk",
            "a/b",
            "A1/.github",
            "x/_",
            "ada/ada.github.io",
            "corp_user/thing",
            "ada-/old",
            "ada--example/old",
        ] {
            assert!(name.parse::<RepoName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_github_cannot_have_are_refused_with_the_part_that_is_wrong() {
        let long_owner = format!("{}/x", "a".repeat(40));
        let long_name = format!("x/{}", "a".repeat(101));
        let cases = [
            ("", InvalidRepoName::Shape),
            ("acme", InvalidRepoName::Shape),
            ("a/b/c", InvalidRepoName::Shape),
            ("https://github.com/a/b", InvalidRepoName::Shape),
            ("/b", InvalidRepoName::Owner),
            ("-a/b", InvalidRepoName::Owner),
            ("ä/b", InvalidRepoName::Owner),
            (long_owner.as_str(), InvalidRepoName::Owner),
            ("a/", InvalidRepoName::Name),
            ("a/..", InvalidRepoName::Name),
            ("a/b.git", InvalidRepoName::Name),
            ("a/b c", InvalidRepoName::Name),
            (long_name.as_str(), InvalidRepoName::Name),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<RepoName>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn letter_case_does_not_make_another_repository() {
        let (a, b): (RepoName, RepoName) = ("Acme/SDK".parse().unwrap(), "acme/sdk".parse().unwrap());
        assert_eq!(a, b);
        assert_eq!(a.key(), b.key());
        assert_eq!(a.to_string(), "Acme/SDK");
    }
}
