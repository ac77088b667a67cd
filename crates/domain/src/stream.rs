//! Stream names: the natural key of a thing is the name of its stream, so the expected version alone de-duplicates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{AccountId, Keyword, PersonRef, RepoName, WebhookEndpointId, signal::words};

words!(
    /// What kind of thing a stream is about; one aggregate each.
    Category {
        /// An account and its keys.
        Account = "account",
        /// A repository tracked by an account.
        TrackedRepo = "repo",
        /// A keyword tracked by an account.
        TrackedKeyword = "keyword",
        /// A person within an account.
        Lead = "lead",
        /// A webhook endpoint of an account.
        WebhookEndpoint = "webhook",
    }
    all = "account, repo, keyword, lead, webhook"
);

/// The name of a stream: `category-account` or `category-account-key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId {
    text: String,
    category: Category,
    account: AccountId,
}

/// A text that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream is named category-account[-key]")]
pub struct InvalidStreamId;

impl StreamId {
    /// The stream of an account.
    pub fn account_stream(account: AccountId) -> Self {
        Self {
            text: format!("{}-{account}", Category::Account),
            category: Category::Account,
            account,
        }
    }

    /// The stream of a tracked repository, whatever the letter case of its name.
    pub fn tracked_repo(account: AccountId, repo: &RepoName) -> Self {
        Self::keyed(Category::TrackedRepo, account, &repo.key())
    }

    /// The stream of a tracked keyword, whatever its spelling; hashed, since a keyword may hold any character.
    pub fn tracked_keyword(account: AccountId, keyword: &Keyword) -> Self {
        let digest = Sha256::digest(keyword.folded().as_bytes());
        let key: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self::keyed(Category::TrackedKeyword, account, &key)
    }

    /// The stream of a person within an account.
    pub fn lead(account: AccountId, person: PersonRef) -> Self {
        Self::keyed(Category::Lead, account, &person.to_string())
    }

    /// The stream of a webhook endpoint.
    pub fn webhook_endpoint(account: AccountId, endpoint: WebhookEndpointId) -> Self {
        Self::keyed(Category::WebhookEndpoint, account, &endpoint.to_string())
    }

    fn keyed(category: Category, account: AccountId, key: &str) -> Self {
        Self {
            text: format!("{category}-{account}-{key}"),
            category,
            account,
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What kind of thing it is about.
    pub const fn category(&self) -> Category {
        self.category
    }

    /// The account it belongs to.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The part after the account, empty for the account's own stream.
    pub fn key(&self) -> &str {
        self.text.splitn(3, '-').nth(2).unwrap_or_default()
    }

    /// The person that a lead's stream is about.
    pub fn person(&self) -> Option<PersonRef> {
        (self.category == Category::Lead)
            .then(|| self.key().parse().ok())
            .flatten()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, InvalidStreamId> {
        let mut parts = text.splitn(3, '-');
        let category = parts.next().and_then(|part| part.parse().ok()).ok_or(InvalidStreamId)?;
        let account = parts.next().and_then(|part| part.parse().ok()).ok_or(InvalidStreamId)?;
        // Only the account's own stream has no key.
        if parts.next().is_some_and(|key| !key.is_empty()) == (category == Category::Account) {
            return Err(InvalidStreamId);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidStreamId);
        }
        Ok(Self {
            text: text.to_owned(),
            category,
            account,
        })
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(text: String) -> Result<Self, InvalidStreamId> {
        text.parse()
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.text
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    #[test]
    fn a_name_reads_back_with_its_parts() {
        let account = AccountId::new(Ulid::from_parts(9, 9));
        let repo: RepoName = "Acme-Corp/rival-sdk".parse().unwrap();
        let stream = StreamId::tracked_repo(account, &repo);
        let read: StreamId = stream.as_str().parse().unwrap();
        assert_eq!(read, stream);
        assert_eq!(
            (read.account(), read.category(), read.key()),
            (account, Category::TrackedRepo, "acme-corp/rival-sdk")
        );
    }

    #[test]
    fn a_lead_stream_names_its_person() {
        let person = PersonRef::new([7; 16]);
        assert_eq!(StreamId::lead(AccountId::default(), person).person(), Some(person));
        assert_eq!(StreamId::account_stream(AccountId::default()).person(), None);
    }

    #[test]
    fn spellings_of_one_keyword_share_a_stream() {
        let stream = |text: &str| StreamId::tracked_keyword(AccountId::default(), &text.parse().unwrap());
        assert_eq!(stream("Event  Sourcing"), stream("event sourcing"));
        assert_ne!(stream("docker"), stream("dockers"));
    }

    #[test]
    fn rubbish_is_no_stream() {
        let account = AccountId::default();
        for wrong in [
            "",
            "lead",
            "lead-x-y",
            &format!("lead-{account}"),
            &format!("account-{account}-x"),
            &format!("pet-{account}-x"),
            &format!("lead-{account}-x\0"),
        ] {
            assert_eq!(wrong.parse::<StreamId>(), Err(InvalidStreamId), "{wrong}");
        }
    }
}
