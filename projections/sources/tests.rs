//! Given what was recorded of sources, then these are known, each as it was last.

use super::*;
use crate::tests::{History, account, project, ulid};

#[tokio::test]
async fn a_source_is_as_it_was_last_recorded_and_goes_with_what_it_feeds() {
    let mut history = History::new();
    history.accounts().await;
    for (views, _keep) in project(&Sources, &history.recorded().await).await {
        let told = of(&*views, account(1), ulid(11)).await.unwrap();
        let [source] = told.as_slice() else { panic!("{told:?}") };
        assert!(source.feeds_repo(RepoId::new(ulid(11))) && !source.feeds_repo(RepoId::new(ulid(12))));
        assert_eq!(
            (source.collector, source.state, source.reason),
            (Collector::EventsFeed, SourceState::Restricted, SourceReason::Forbidden)
        );
        let of_keyword = of(&*views, account(1), ulid(12)).await.unwrap();
        assert_eq!(
            of_keyword,
            [],
            "neither the keyword nor the repository of that number is tracked any more"
        );
        assert_eq!(list(&*views, account(1)).await.unwrap(), told);
        assert_eq!(all(&*views).await.unwrap().len(), 3);
    }
}
