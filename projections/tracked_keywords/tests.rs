//! Given the events of tracked keywords, then these are tracked.

use super::*;
use crate::tests::{History, account, project, ulid};

#[tokio::test]
async fn what_is_tracked_is_listed_with_its_newest_targets_and_what_was_untracked_is_gone() {
    let mut history = History::new();
    history.accounts().await;
    for (views, _keep) in project(&TrackedKeywords, &history.recorded().await).await {
        let listed = list(&*views, account(1)).await.unwrap();
        let [row] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!(
            (row.keyword.as_str(), row.scan_targets.to_string()),
            ("docker", "code".to_owned())
        );
        assert_eq!(
            find(&*views, account(1), row.keyword_id).await.unwrap().as_ref(),
            Some(row)
        );
        assert_eq!(find(&*views, account(0), row.keyword_id).await.unwrap(), None);
        assert_eq!(find(&*views, account(1), KeywordId::new(ulid(12))).await.unwrap(), None);
        assert_eq!(all(&*views).await.unwrap().len(), 3);
    }
}
