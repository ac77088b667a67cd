//! Nobody reads, changes or so much as notices what is another account's.

mod attacks;

use std::time::Duration;

use domain::SignalKind::{KeywordIssue, Stargazer};

use super::{house, sighting};
use attacks::{Client, Things, attack};

#[tokio::test]
async fn another_accounts_things_are_as_if_they_did_not_exist() {
    let house = house().await;
    house
        .record((1_000_000..1_000_030).map(|user| {
            let kind = if user % 3 == 0 { KeywordIssue } else { Stargazer };
            sighting(user, kind, "victim-corp/sdk")
        }))
        .await;
    let (_, key) = house.another_account("agency").await;
    let between = || house.pass(Duration::from_millis(300));
    let client = |key: &String| Client {
        router: house.router.clone(),
        key: key.clone(),
        between: &between,
    };
    let (victim, stranger) = (client(&house.key), client(&key));
    let things = Things::of(&victim).await;
    let statuses = attack(&stranger, &things, 3_000, 0x5EED_0001).await;
    things.are_untouched(&victim).await;
    let seen: Vec<u16> = statuses.iter().map(|(status, _)| *status).collect();
    assert_eq!(seen, [200, 400, 401, 404], "{statuses:?}");
}
