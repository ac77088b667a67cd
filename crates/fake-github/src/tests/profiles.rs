//! Profiles, and the repositories of a user.

use super::*;

#[tokio::test]
async fn a_profile_is_found_by_login_in_any_case_and_by_id_after_a_rename() {
    let fake = fake().await;
    let profile = get(&fake, "/users/Ada-Example").await;
    assert_eq!(profile.json()["name"], "Ada Example");
    assert_eq!(profile.json()["type"], "User");
    assert_eq!(profile.json()["email"], Value::Null);
    fake.change(|world| {
        world.put_user(User {
            login: "ada-renamed".into(),
            ..ada()
        });
    });
    assert_eq!(get(&fake, "/users/ada-example").await.status, 404);
    assert_eq!(get(&fake, "/user/1001").await.json()["login"], "ada-renamed");
}

#[tokio::test]
async fn a_users_repositories_come_last_pushed_first_with_their_languages() {
    let fake = fake().await;
    fake.change(|world| {
        for (id, name, day) in [(11, "old", 1), (12, "new", 3), (13, "middle", 2)] {
            let mut repo = Repo::new(id, &format!("ada-example/{name}")).with_language("Go", 10 * id);
            repo.pushed_at = format!("2026-11-0{day}T00:00:00Z");
            repo.fork = name == "old";
            world.put_repo(repo);
        }
    });
    let repos = get(&fake, "/users/ada-example/repos?type=owner&sort=pushed")
        .await
        .json();
    let names: Vec<&str> = repos
        .as_array()
        .unwrap()
        .iter()
        .map(|repo| repo["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["new", "middle", "old"]);
    assert_eq!((&repos[2]["fork"], &repos[0]["language"]), (&true.into(), &"Go".into()));
    let languages = repos[0]["languages_url"]
        .as_str()
        .unwrap()
        .strip_prefix(fake.url())
        .unwrap();
    assert_eq!(get(&fake, languages).await.json(), serde_json::json!({ "Go": 120 }));
}

#[tokio::test]
async fn who_is_gone_has_no_profile_and_no_star_and_what_they_did_stays() {
    let fake = fake().await;
    fake.change(|world| {
        world.star(SDK, &ada(), AT);
        world.star(SDK, &ben(), AT);
        world.remove_user(1001);
    });
    for path in ["/user/1001", "/users/ada-example"] {
        assert_eq!(get(&fake, path).await.status, 404);
    }
    let stars = get(&fake, "/repos/acme-corp/rival-sdk/stargazers").await;
    assert_eq!(stars.each("/login"), ["ben-example"]);
    assert_eq!(
        get(&fake, "/repos/acme-corp/rival-sdk").await.json()["stargazers_count"],
        1
    );
    assert_eq!(get(&fake, FEED).await.entries(), 2);
}

#[tokio::test]
async fn a_profile_is_conditional_too() {
    let fake = fake().await;
    let first = get(&fake, "/users/ada-example").await;
    let asking = format!("If-None-Match: {}\r\n", first.header("etag").unwrap());
    assert_eq!(get_with(&fake, "/users/ada-example", &asking).await.status, 304);
    fake.change(|world| {
        world.put_user(User { followers: 13, ..ada() });
    });
    assert_eq!(get_with(&fake, "/users/ada-example", &asking).await.status, 200);
}
