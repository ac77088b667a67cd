//! Repositories that move, hide and go, and what they hold.

use super::*;
use crate::Token;

#[tokio::test]
async fn a_renamed_repository_redirects_to_its_id() {
    let fake = fake().await;
    fake.change(|world| world.put_repo(Repo::new(7, "acme-corp/renamed-sdk")));
    let old = get(&fake, &format!("{FEED}?per_page=5")).await;
    let target = format!("{}/repositories/7/events?per_page=5", fake.url());
    assert_eq!((old.status, old.header("location")), (301, Some(target.as_str())));
    assert_eq!(
        get(&fake, "/repositories/7").await.json()["full_name"],
        "acme-corp/renamed-sdk"
    );
}

#[tokio::test]
async fn what_is_unknown_is_a_404_in_githubs_words() {
    let fake = fake().await;
    for path in [
        "/",
        "/users/nobody",
        "/user/5",
        "/repos/acme-corp/none",
        "/repositories/5/events",
        "/users/nobody/repos",
    ] {
        let answer = get(&fake, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["message"], "Not Found", "{path}");
    }
    let posted = send(&fake, "POST", "/users/ada-example", "", "").await;
    assert_eq!(posted.status, 404);
}

#[tokio::test]
async fn a_transferred_repository_keeps_its_events_under_the_new_name() {
    let fake = fake().await;
    fake.change(|world| {
        world.star(SDK, &ada(), AT);
        world.rename_repo(7, "other-corp/rival-sdk");
        world.rename_repo(7, "other-corp/sdk");
    });
    for former in [SDK, "other-corp/rival-sdk"] {
        let moved = get(&fake, &format!("/repos/{former}")).await;
        let target = format!("{}/repositories/7", fake.url());
        assert_eq!((moved.status, moved.header("location")), (301, Some(&*target)));
    }
    let events = get(&fake, "/repos/other-corp/sdk/events").await;
    assert_eq!(events.each("/repo/name"), ["other-corp/sdk"]);
    fake.change(|world| world.put_repo(Repo::new(9, SDK)));
    let anew = get(&fake, "/repos/acme-corp/rival-sdk").await;
    assert_eq!(anew.json()["id"], 9, "the old name is taken anew");
}

#[tokio::test]
async fn what_is_private_or_deleted_is_unknown_by_every_name_but_to_its_owner() {
    let fake = fake().await;
    fake.change(|world| {
        world.put_user(User::new(70, "acme-corp"));
        world.put_token("owner", Token::new(70));
        world.put_token("other", Token::new(1001));
        world.rename_repo(7, "acme-corp/hidden");
        world.set_private(7, true);
    });
    for path in [
        "/repos/acme-corp/hidden",
        "/repos/acme-corp/rival-sdk",
        "/repositories/7/events",
    ] {
        assert_eq!(get_as(&fake, "other", path).await.status, 404, "{path}");
    }
    let shown = get_as(&fake, "owner", "/repos/acme-corp/hidden").await;
    assert_eq!(shown.json()["private"], true);
    assert_eq!(get_as(&fake, "owner", "/repos/acme-corp/rival-sdk").await.status, 301);
    fake.change(|world| world.remove_repo(7));
    for path in ["/repos/acme-corp/hidden", "/repos/acme-corp/rival-sdk"] {
        assert_eq!(get_as(&fake, "owner", path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_newest_commit_of_a_file_names_its_author() {
    let fake = fake().await;
    fake.change(|world| {
        world.put_file(SDK, "src/main.rs", "fn main() {}", &ada(), "2026-11-20T00:00:00Z");
        world.put_file(SDK, "src/main.rs", "fn main() { run() }", &ben(), AT);
        world.put_file(SDK, "README.md", "Hello", &ada(), AT);
    });
    let path = "/repos/acme-corp/rival-sdk/commits";
    let commits = get(&fake, &format!("{path}?path=src/main.rs&per_page=1")).await;
    assert_eq!(commits.each("/author/id"), ["1002"]);
    assert!(commits.header("link").unwrap().contains("page=2>; rel=\"last\""));
    assert_eq!(get(&fake, path).await.entries(), 3);
}
