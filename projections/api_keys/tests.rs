//! Given the events of API keys, then these keys.

use super::*;
use crate::tests::{History, account, project, ulid};

#[tokio::test]
async fn a_key_is_found_by_its_hash_and_a_revoked_one_says_so() {
    let mut history = History::new();
    history.accounts().await;
    for (views, _keep) in project(&ApiKeys, &history.recorded().await).await {
        let hash = |id: u64| format!("hash of {}", ulid(id));
        let valid = find_by_hash(&*views, &hash(11)).await.unwrap().unwrap();
        assert_eq!((valid.account, valid.key_id), (account(1), ApiKeyId::new(ulid(11))));
        assert_eq!((valid.hint.as_str(), valid.revoked_at), ("wxyz", None));
        let revoked = find_by_hash(&*views, &hash(12)).await.unwrap().unwrap();
        assert!(revoked.revoked_at.unwrap() > revoked.created_at);
        assert_eq!(find_by_hash(&*views, "another").await.unwrap(), None);
        assert_eq!(
            find(&*views, account(1), valid.key_id).await.unwrap().as_ref(),
            Some(&valid)
        );
        assert_eq!(find(&*views, account(0), valid.key_id).await.unwrap(), None);
        assert_eq!(list(&*views, account(1)).await.unwrap(), [valid, revoked]);
    }
}
