//! Webhooks and the memory of their deliveries.

use super::threads::post;
use super::*;
use crate::Token;

const HOOKS: &str = "/repos/acme-corp/rival-sdk/hooks";

async fn with_hook() -> (FakeGithub, Arc<AtomicU64>, u64) {
    let (fake, clock) = with_clock().await;
    let hook = fake.change(|world| {
        world.put_user(User::new(70, "acme-corp"));
        world.put_token("owner", Token::new(70));
        world.put_token("other", Token::new(1001));
        world.put_hook(SDK, "https://leads.example.com/github/webhooks", &["star"])
    });
    (fake, clock, hook)
}

fn deliver(fake: &FakeGithub, hook: u64, status: u16) -> crate::Delivery {
    fake.change(|world| {
        let payload = world.star_payload(SDK, &ada(), "created", AT);
        world.deliver(hook, "star", &payload, status).unwrap()
    })
}

#[tokio::test]
async fn deliveries_are_read_newest_first_by_a_cursor_until_they_are_forgotten() {
    let (fake, clock, hook) = with_hook().await;
    let made: Vec<String> = [200, 502, 0]
        .map(|status| deliver(&fake, hook, status).id.to_string())
        .into();
    assert_eq!(get_as(&fake, "owner", HOOKS).await.each("/id"), [hook.to_string()]);
    let list = format!("{HOOKS}/{hook}/deliveries?per_page=2");
    let first = get_as(&fake, "owner", &list).await;
    assert_eq!(first.each("/id"), [&*made[2], &*made[1]]);
    assert_eq!(first.each("/status_code"), ["0", "502"]);
    let link = first.header("link").unwrap().to_owned();
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    let second = get_as(&fake, "owner", next.strip_prefix(fake.url()).unwrap()).await;
    assert_eq!(
        (second.each("/id"), second.header("link")),
        (vec![made[0].clone()], None)
    );
    advance(&clock, 3 * 24 * 3_600 + 1);
    assert_eq!(get_as(&fake, "owner", &list).await.entries(), 0);
    let one = format!("{HOOKS}/{hook}/deliveries/{}", made[0]);
    assert_eq!(get_as(&fake, "owner", &one).await.status, 404);
}

#[tokio::test]
async fn a_delivery_shows_what_was_sent_and_can_be_asked_for_again() {
    let (fake, _clock, hook) = with_hook().await;
    let missed = deliver(&fake, hook, 0);
    let path = format!("{HOOKS}/{hook}/deliveries/{}", missed.id);
    let shown = get_as(&fake, "owner", &path).await.json();
    assert_eq!(shown["request"]["payload"]["sender"]["login"], "ada-example");
    assert_eq!(shown["request"]["headers"]["X-GitHub-Delivery"], missed.guid);
    assert_eq!(shown["action"], "created");

    let owner = "Authorization: Bearer owner\r\n";
    let asked = send(&fake, "POST", &format!("{path}/attempts"), owner, "").await;
    assert_eq!(asked.status, 202);
    let again = fake.change(crate::World::redeliveries);
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].0, &again[0].1.guid), (hook, &missed.guid));
    assert!(again[0].1.redelivery && again[0].1.id != missed.id);
    fake.change(|world| world.redelivered(hook, again[0].1.id, 200));
    let list = get_as(&fake, "owner", &format!("{HOOKS}/{hook}/deliveries")).await;
    assert_eq!(list.each("/status"), ["OK", "failed to connect to host"]);
    assert!(fake.change(crate::World::redeliveries).is_empty());
}

#[tokio::test]
async fn hooks_are_not_for_others() {
    let (fake, _clock, hook) = with_hook().await;
    for path in [HOOKS.to_owned(), format!("{HOOKS}/{hook}/deliveries")] {
        assert_eq!(get_as(&fake, "other", &path).await.status, 404);
        assert_eq!(get(&fake, &path).await.status, 404);
    }
    let nowhere = send(&fake, "POST", HOOKS, "Authorization: Bearer owner\r\n", "{}").await;
    assert_eq!(nowhere.status, 404);
}

#[tokio::test]
async fn webhooks_carry_the_texts_that_events_leave_out() {
    let fake = fake().await;
    let (opened, reviewed, discussed, missing) = fake.change(|world| {
        world.open_pull(SDK, &post(4, "Add hosting", "Closes #3"), AT);
        world.review_comment(SDK, 4, &ben(), "Typo here", AT);
        world.open_discussion(SDK, &post(5, "Which host?", "Any ideas"), AT);
        world.comment(SDK, 5, &ben(), "Ours", AT);
        (
            world.thread_payload(SDK, 4, "opened").unwrap(),
            world.comment_payload(SDK, 4).unwrap(),
            world.comment_payload(SDK, 5).unwrap(),
            world.thread_payload(SDK, 6, "opened"),
        )
    });
    assert_eq!(
        (opened.0, reviewed.0, discussed.0),
        ("pull_request", "pull_request_review_comment", "discussion_comment")
    );
    assert_eq!(opened.1["pull_request"]["body"], "Closes #3");
    assert_eq!(opened.1["repository"]["full_name"], SDK);
    assert_eq!(opened.1["sender"]["login"], "ada-example");
    assert_eq!(reviewed.1["comment"]["body"], "Typo here");
    assert_eq!(discussed.1["comment"]["body"], "Ours");
    assert_eq!(discussed.1["discussion"]["title"], "Which host?");
    assert_eq!(discussed.1["sender"]["login"], "ben-example");
    assert_eq!(missing, None);
}
