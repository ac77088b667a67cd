//! Given the events of accounts, then these accounts.

use super::*;
use crate::tests::{History, account, project};

#[tokio::test]
async fn an_account_is_on_the_plan_that_it_was_moved_to_last() {
    let mut history = History::new();
    history.accounts().await;
    for (views, _keep) in project(&Accounts, &history.recorded().await).await {
        let found = find(&*views, account(1)).await.unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.plan.as_str()), ("Acme", "pro"));
        assert_eq!(found.account, account(1));
        let all: Vec<_> = all(&*views).await.unwrap().iter().map(|row| row.account).collect();
        assert_eq!(all, [account(0), account(1), account(2)]);
        assert_eq!(find(&*views, account(9)).await.unwrap(), None);
    }
}
