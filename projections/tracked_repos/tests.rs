//! Given the events of tracked repositories, then these are tracked.

use super::*;
use crate::tests::{History, account, project, ulid};

#[tokio::test]
async fn what_is_tracked_is_listed_as_it_was_last_classified_and_what_was_untracked_is_gone() {
    let mut history = History::new();
    history.accounts().await;
    for (views, _keep) in project(&TrackedRepos, &history.recorded().await).await {
        let listed = list(&*views, account(1)).await.unwrap();
        let [row] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((row.repo_id, row.relation), (RepoId::new(ulid(11)), RepoRelation::Own));
        assert_eq!(row.full_name.as_str(), "acme/sdk");
        assert_eq!(row.called.as_ref().unwrap().as_str(), "acme/renamed");
        assert_eq!(
            find(&*views, account(1), row.repo_id).await.unwrap().as_ref(),
            Some(row)
        );
        assert_eq!(find(&*views, account(1), RepoId::new(ulid(12))).await.unwrap(), None);
        assert_eq!(all(&*views).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn another_account_s_repository_is_not_found() {
    let mut history = History::new();
    history.accounts().await;
    for (views, _keep) in project(&TrackedRepos, &history.recorded().await).await {
        assert_eq!(find(&*views, account(0), RepoId::new(ulid(11))).await.unwrap(), None);
    }
}
