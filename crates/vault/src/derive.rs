//! What comes from the root key by computation alone: the keys for wrapping and for accounts, and the keyed hashes
//! that stand for people, logins, repositories and signals. Used by the vault.
//!
//! Never change what is derived here: every stored key, stream name and signal identity depends on it.

use domain::{AccountId, LoginKey, PersonRef, RepoKey, RepoName, SignalKey, SignalKind};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::RootKey;
use crate::cipher::Key;

/// HMAC's own key length: one block of SHA-256.
const HASH_KEY: usize = 64;

/// Everything that the root key gives.
pub(crate) struct Derived {
    root: Hkdf<Sha256>,
    hash: Hmac<Sha256>,
}

impl Derived {
    /// HKDF-SHA256 (RFC 5869) over the root key; then the root key itself is no longer needed.
    pub fn new(root: &RootKey) -> Self {
        let root = Hkdf::<Sha256>::new(Some(b"gitleads root key"), root.bytes());
        let hash_key = expand::<HASH_KEY>(&root, &[b"keyed hashes"]);
        Self {
            root,
            hash: Hmac::new((&*hash_key).into()),
        }
    }

    /// The key that person keys are wrapped with.
    pub fn wrapping_key(&self) -> Key {
        Key::new(expand(&self.root, &[b"wrapping of person keys"]))
    }

    /// The key for what belongs to one account.
    pub fn account_key(&self, account: AccountId) -> Key {
        Key::new(expand(&self.root, &[b"account", &account.ulid().to_bytes()]))
    }

    /// See [`crate::Vault::purpose_key`].
    pub fn purpose_key(&self, purpose: &str) -> [u8; 32] {
        *expand(&self.root, &[b"purpose", purpose.as_bytes()])
    }

    /// See [`crate::Vault::person_ref`].
    pub fn person_ref(&self, account: AccountId, user_id: u64) -> PersonRef {
        PersonRef::new(self.hash(&[b"person", &account.ulid().to_bytes(), &user_id.to_be_bytes()]))
    }

    /// See [`crate::Vault::login_key`].
    pub fn login_key(&self, account: AccountId, login: &str) -> LoginKey {
        let login = login.to_ascii_lowercase();
        LoginKey::new(self.hash(&[b"login", &account.ulid().to_bytes(), login.as_bytes()]))
    }

    /// See [`crate::Vault::repo_key`].
    pub fn repo_key(&self, account: AccountId, repo: &RepoName) -> RepoKey {
        RepoKey::new(self.hash(&[b"repo", &account.ulid().to_bytes(), repo.key().as_bytes()]))
    }

    /// See [`crate::Vault::signal_key`].
    pub fn signal_key(
        &self,
        account: AccountId,
        kind: SignalKind,
        repo: &RepoName,
        user_id: u64,
        item_url: Option<&str>,
    ) -> SignalKey {
        let account = account.ulid().to_bytes();
        let (repo, user_id) = (repo.key(), user_id.to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![b"signal", &account, kind.as_str().as_bytes(), repo.as_bytes(), &user_id];
        parts.extend(item_url.map(str::as_bytes));
        SignalKey::new(self.hash(&parts))
    }

    /// HMAC-SHA256, its first 16 bytes. The number of parts and each one's length are hashed too, so that no two
    /// lists of parts read the same.
    fn hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut mac = self.hash.clone();
        mac.update(&(parts.len() as u64).to_be_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let [first, _] = digest.as_chunks::<16>().0 else {
            unreachable!("32 bytes are twice 16")
        };
        *first
    }
}

/// A key for one purpose.
fn expand<const N: usize>(root: &Hkdf<Sha256>, purpose: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    if root.expand_multi_info(purpose, &mut *key).is_err() {
        unreachable!("HKDF gives up to 8,160 bytes")
    }
    key
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ulid::Ulid;

    use super::*;

    fn derived(byte: u8) -> Derived {
        Derived::new(&RootKey::from_base64(&STANDARD.encode([byte; 32])).unwrap())
    }

    fn account(number: u128) -> AccountId {
        AccountId::new(Ulid(number))
    }

    #[test]
    fn what_is_derived_never_changes() {
        let derived = derived(7);
        let repo = "acme-corp/rival-sdk".parse().unwrap();
        let key = derived.signal_key(account(1), SignalKind::Stargazer, &repo, 1001, None);
        assert_eq!(
            derived.person_ref(account(1), 1001).to_string(),
            "f390a64566964d3cf5f7fd6496be96e6"
        );
        assert_eq!(key.to_string(), "90f6dc9f5cede38082caf7b75531064d");
        assert_eq!(
            STANDARD.encode(derived.wrapping_key().bytes()),
            "Dn0UmbVM1xGMTh8NqQLNvSdNprNT5yKD0Mq86XoWkFk="
        );
        assert_eq!(
            STANDARD.encode(derived.account_key(account(1)).bytes()),
            "bGs9FywJ3tZ88kV56mFJLCfgpydPTXD+0+XJy+NHgw4="
        );
    }

    #[test]
    fn a_person_is_another_one_in_another_account_and_under_another_root_key() {
        let here = derived(7).person_ref(account(1), 1001);
        assert_eq!(here, derived(7).person_ref(account(1), 1001));
        assert_ne!(here, derived(7).person_ref(account(2), 1001));
        assert_ne!(here, derived(7).person_ref(account(1), 1002));
        assert_ne!(here, derived(8).person_ref(account(1), 1001));
    }

    #[test]
    fn a_login_is_known_again_whatever_its_letter_case_and_by_its_own_account_only() {
        let derived = derived(7);
        let key = derived.login_key(account(1), "Ada-Example");
        assert_eq!(key, derived.login_key(account(1), "ada-example"));
        assert_ne!(key, derived.login_key(account(1), "ada-example-2"));
        assert_ne!(key, derived.login_key(account(2), "ada-example"));
    }

    #[test]
    fn a_signal_is_known_again_whatever_the_letter_case_of_its_repository() {
        let (derived, kind) = (derived(7), SignalKind::Stargazer);
        let key = |repo: &str| derived.signal_key(account(1), kind, &repo.parse().unwrap(), 1001, None);
        assert_eq!(key("Acme-Corp/Rival-SDK"), key("acme-corp/rival-sdk"));
    }

    #[test]
    fn signals_that_differ_in_one_part_are_different() {
        let derived = derived(7);
        let (a, b): (RepoName, RepoName) = ("a/bc".parse().unwrap(), "ab/c".parse().unwrap());
        let issue = SignalKind::KeywordIssue;
        let keys = [
            derived.signal_key(account(1), issue, &a, 1001, Some("https://github.com/a/bc/issues/1")),
            derived.signal_key(account(2), issue, &a, 1001, Some("https://github.com/a/bc/issues/1")),
            derived.signal_key(
                account(1),
                SignalKind::KeywordPr,
                &a,
                1001,
                Some("https://github.com/a/bc/issues/1"),
            ),
            derived.signal_key(account(1), issue, &b, 1001, Some("https://github.com/a/bc/issues/1")),
            derived.signal_key(account(1), issue, &a, 1002, Some("https://github.com/a/bc/issues/1")),
            derived.signal_key(account(1), issue, &a, 1001, Some("https://github.com/a/bc/issues/2")),
            derived.signal_key(account(1), issue, &a, 1001, Some("")),
            derived.signal_key(account(1), issue, &a, 1001, None),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn the_keys_for_different_purposes_are_different() {
        let derived = derived(7);
        assert!(derived.account_key(account(1)) != derived.account_key(account(2)));
        assert!(derived.account_key(account(1)) != derived.wrapping_key());
    }
}
