//! What is told in advance and happens when the clock gets there; and that a long story is quick.

use super::*;
use crate::{Misbehaviour, rfc3339};

#[tokio::test]
async fn what_was_told_in_advance_happens_in_its_order_when_its_time_has_come() {
    let (fake, clock) = with_clock().await;
    fake.change(|world| {
        world.at(NOW + 120, |world| world.rename_repo(7, "acme-corp/renamed"));
        world.at(NOW + 60, |world| {
            assert_eq!(world.now(), NOW + 60);
            world.star(SDK, &ada(), &rfc3339(NOW + 60));
            world.at(NOW + 90, |world| drop(world.star(SDK, &ben(), &rfc3339(NOW + 90))));
        });
    });
    assert_eq!(get(&fake, FEED).await.entries(), 0);
    advance(&clock, 60);
    assert_eq!(get(&fake, FEED).await.each("/actor/login"), ["ada-example"]);
    advance(&clock, 300);
    assert_eq!(get(&fake, FEED).await.status, 301);
    let events = get(&fake, "/repos/acme-corp/renamed/events").await;
    assert_eq!(events.each("/actor/login"), ["ben-example", "ada-example"]);
    assert_eq!(fake.change(|world| world.now()), NOW + 360);
}

/// A day of 2,000 repositories: each is starred every hour and written in every six, and every hour has an outage.
#[tokio::test]
async fn a_day_of_two_thousand_repositories_is_told_and_found() {
    let (fake, clock) = with_clock().await;
    fake.change(|world| {
        for repo in 0..2_000 {
            let name = format!("org-{}/repo-{repo}", repo % 100);
            world.put_repo(Repo::new(100 + repo, &name));
            for hour in 0..24 {
                let (name, when) = (name.clone(), NOW + hour * 3_600 + repo);
                world.at(when, move |world| {
                    let fan = User::new(10_000 + repo * 24 + hour, &format!("fan-{repo}-{hour}"));
                    world.star(&name, &fan, &rfc3339(when));
                    if hour % 6 == 0 {
                        let post = crate::Post {
                            number: hour + 1,
                            author: fan,
                            title: format!("Hour {hour}"),
                            body: format!("word{repo} comes up"),
                        };
                        world.open_issue(&name, &post, &rfc3339(when));
                    }
                });
            }
        }
        for hour in 0..24 {
            world.at(NOW + hour * 3_600, move |world| {
                world.outage_until("/events", Misbehaviour::Status(502), NOW + hour * 3_600 + 600);
            });
        }
    });
    advance(&clock, 24 * 3_600);
    let repo = get(&fake, "/repos/org-42/repo-1942").await.json();
    assert_eq!(repo["stargazers_count"], 24);
    assert_eq!(get(&fake, "/events?per_page=100").await.entries(), 100);
    let found = get(&fake, "/search/issues?q=word1942+created:%3E%3D2026-11-23")
        .await
        .json();
    // Of those at 16:32, 22:32, 4:32 and 10:32.
    assert_eq!(found["total_count"], 2);
}
