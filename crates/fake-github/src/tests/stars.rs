//! The list of stargazers: for whom, in which order, how far.

use super::*;
use crate::{Refusal, Token, rfc3339};

const LIST: &str = "/repos/acme-corp/rival-sdk/stargazers";
const WITH_TIMES: &str = "Accept: application/vnd.github.star+json\r\n";

fn fan(number: u64) -> User {
    User::new(5_000 + number, &format!("fan-{number}"))
}

#[tokio::test]
async fn the_list_is_oldest_first_with_times_only_when_asked() {
    let fake = fake().await;
    fake.change(|world| {
        world.star(SDK, &fan(2), "2026-11-22T16:02:00Z");
        world.star(SDK, &fan(1), "2026-11-22T16:01:00Z");
        world.star(SDK, &fan(3), "2026-11-22T16:03:00Z");
        world.star(SDK, &fan(3), "2026-11-22T16:04:00Z");
        assert_eq!(world.stargazers(7), [5_001, 5_002, 5_003]);
    });
    let plain = get(&fake, &format!("{LIST}?per_page=2")).await;
    assert_eq!(plain.each("/login"), ["fan-1", "fan-2"]);
    assert!(plain.header("link").unwrap().contains("page=2>; rel=\"last\""));
    let timed = get_with(&fake, &format!("{LIST}?per_page=2&page=2"), WITH_TIMES).await;
    assert_eq!(timed.each("/starred_at"), ["2026-11-22T16:03:00Z"]);
    assert_eq!(timed.each("/user/login"), ["fan-3"]);
    assert_eq!(
        get(&fake, "/repos/acme-corp/rival-sdk").await.json()["stargazers_count"],
        3
    );
}

#[tokio::test]
async fn a_star_taken_back_leaves_list_and_count_and_no_event() {
    let fake = fake().await;
    fake.change(|world| {
        world.star(SDK, &fan(1), AT);
        world.star_unseen(SDK, &fan(2), AT);
        world.unstar(SDK, &fan(1));
        world.unstar(SDK, &fan(9));
    });
    assert_eq!(get(&fake, LIST).await.each("/login"), ["fan-2"]);
    assert_eq!(get(&fake, FEED).await.each("/actor/login"), ["fan-1"]);
    assert_eq!(
        get(&fake, "/repos/acme-corp/rival-sdk").await.json()["stargazers_count"],
        1
    );
}

#[tokio::test]
async fn only_who_administers_the_repository_sees_the_list() {
    let fake = fake().await;
    fake.change(|world| {
        world.put_user(User::new(70, "acme-corp"));
        world.put_token("owner", Token::new(70));
        world.put_token("other", Token::new(1001));
        let helper = Token {
            admin_of: [7].into(),
            ..Token::new(1001)
        };
        world.put_token("helper", helper);
        let fine_grained = Token {
            stargazers: Some(Refusal::Forbidden),
            ..Token::new(70)
        };
        world.put_token("fine-grained", fine_grained);
        world.star(SDK, &fan(1), AT);
    });
    for (token, status) in [("owner", 200), ("helper", 200), ("other", 403), ("fine-grained", 403)] {
        assert_eq!(get_as(&fake, token, LIST).await.status, status, "{token}");
    }
    assert_eq!(get(&fake, LIST).await.status, 401);
    for (refusal, status) in [
        (Refusal::Unauthorized, 401),
        (Refusal::NotFound, 404),
        (Refusal::Empty, 200),
    ] {
        fake.change(|world| world.stargazers_for_others = refusal);
        assert_eq!(get_as(&fake, "other", LIST).await.status, status);
        assert_eq!(get_as(&fake, "owner", LIST).await.entries(), 1);
    }
    assert_eq!(get_as(&fake, "other", LIST).await.entries(), 0);
    let count = get_as(&fake, "other", "/repos/acme-corp/rival-sdk").await.json()["stargazers_count"].clone();
    assert_eq!(count, 1, "the count stays public");
}

#[tokio::test]
async fn no_page_beyond_the_four_hundredth_is_answered() {
    let fake = fake().await;
    fake.change(|world| (0..900).for_each(|number| world.star_unseen(SDK, &fan(number), &rfc3339(NOW + number))));
    let last = get(&fake, &format!("{LIST}?per_page=2&page=400")).await;
    assert_eq!(last.each("/login"), ["fan-798", "fan-799"]);
    assert!(!last.header("link").unwrap().contains("rel=\"next\""));
    assert_eq!(get(&fake, &format!("{LIST}?per_page=2&page=401")).await.status, 422);
}
