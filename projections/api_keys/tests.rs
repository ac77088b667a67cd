//! Given the events of API keys, then these keys.

use super::*;
use crate::tests::{History, account, project, ulid};

#[tokio::test]
async fn a_key_is_valid_until_it_is_revoked_and_a_revoked_one_is_listed() {
    let mut history = History::new();
    history.accounts().await;
    for (views, _keep) in project(&ApiKeys, &history.recorded().await).await {
        let hash = |id: u64| format!("hash of {}", ulid(id));
        let hashes = valid(&*views).await.unwrap();
        let expected = (hash(11), account(1), ApiKeyId::new(ulid(11)));
        assert!(hashes.contains(&expected), "{hashes:?}");
        assert!(hashes.iter().all(|(hash_of, ..)| *hash_of != hash(12)), "{hashes:?}");
        let valid = find(&*views, account(1), ApiKeyId::new(ulid(11)))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((valid.hint.as_str(), valid.revoked_at), ("wxyz", None));
        let revoked = find(&*views, account(1), ApiKeyId::new(ulid(12)))
            .await
            .unwrap()
            .unwrap();
        assert!(revoked.revoked_at.unwrap() > revoked.created_at);
        assert_eq!(find(&*views, account(0), valid.key_id).await.unwrap(), None);
        assert_eq!(list(&*views, account(1)).await.unwrap(), [valid, revoked]);
    }
}
