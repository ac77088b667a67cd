//! What is known of a person, in the clear: the plaintext that the vault seals before it reaches the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Attribution, RepoName, Timestamp, signal::words};

/// The person's part of a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalPerson {
    /// The numeric GitHub user id: who the person is, whatever they are called today.
    pub user_id: u64,
    /// The login at the time.
    pub login: String,
    /// The repository it happened in; `signal_source` in the API. Personal, since people have repositories of their own.
    pub repo: RepoName,
    /// The page of the item that the keyword was found in. A link to a comment names its author, so it is personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The words around the keyword.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
    /// By which rule the person was found, for files that a search for code found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
}

words!(
    /// A field of the public profile.
    ProfileField {
        /// The login.
        Login = "github_username",
        /// The display name.
        Name = "name",
        /// The public e-mail address.
        Email = "email",
        /// The biography.
        Bio = "bio",
        /// The company.
        Company = "company",
        /// The location.
        Location = "location",
        /// How many follow the person.
        Followers = "followers",
        /// How many public repositories the person has.
        PublicRepos = "public_repos",
        /// When the GitHub account was made.
        AccountCreatedAt = "account_created_at",
        /// Languages of the person's own repositories, most bytes first.
        TopLanguages = "top_languages",
    }
    all = "github_username, name, email, bio, company, location, followers, public_repos, account_created_at, top_languages"
);

/// Where a profile field's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The kind of source, such as `github_rest`.
    pub source: String,
    /// The address that was read.
    pub url: String,
    /// When the value was first seen there.
    pub observed_at: Timestamp,
}

/// The public profile, whole: an enrichment replaces the former one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The login now.
    pub login: String,
    /// The display name.
    pub name: Option<String>,
    /// The public e-mail address.
    pub email: Option<String>,
    /// The biography.
    pub bio: Option<String>,
    /// The company.
    pub company: Option<String>,
    /// The location.
    pub location: Option<String>,
    /// How many follow the person.
    pub followers: Option<u64>,
    /// How many public repositories the person has.
    pub public_repos: Option<u64>,
    /// When the GitHub account was made.
    pub account_created_at: Option<Timestamp>,
    /// Languages of the person's own, not forked repositories, most bytes first.
    pub top_languages: Vec<String>,
    /// For each known field where it comes from.
    pub provenance: BTreeMap<ProfileField, Provenance>,
}

impl Profile {
    /// The fields whose values differ between the two, provenance aside.
    pub fn changed_fields(&self, other: &Self) -> Vec<ProfileField> {
        let differs = |field: ProfileField| match field {
            ProfileField::Login => self.login != other.login,
            ProfileField::Name => self.name != other.name,
            ProfileField::Email => self.email != other.email,
            ProfileField::Bio => self.bio != other.bio,
            ProfileField::Company => self.company != other.company,
            ProfileField::Location => self.location != other.location,
            ProfileField::Followers => self.followers != other.followers,
            ProfileField::PublicRepos => self.public_repos != other.public_repos,
            ProfileField::AccountCreatedAt => self.account_created_at != other.account_created_at,
            ProfileField::TopLanguages => self.top_languages != other.top_languages,
        };
        ProfileField::ALL
            .iter()
            .copied()
            .filter(|field| differs(*field))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_with_another_value_count_as_changed() {
        let ada = Profile {
            login: "ada-example".into(),
            followers: Some(3),
            ..Profile::default()
        };
        let later = Profile {
            followers: Some(4),
            top_languages: vec!["Rust".into()],
            ..ada.clone()
        };
        assert_eq!(
            ada.changed_fields(&later),
            [ProfileField::Followers, ProfileField::TopLanguages]
        );
        assert_eq!(ada.changed_fields(&ada), []);
    }

    #[test]
    fn a_profile_of_an_older_shape_still_reads() {
        let profile: Profile = serde_json::from_str(r#"{"login":"ada-example"}"#).unwrap();
        assert_eq!(profile.login, "ada-example");
    }
}
