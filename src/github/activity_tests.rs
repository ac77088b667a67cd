//! What GitHub sends, in the shapes of 2015 and of today, and what it means.

use super::*;

fn event(kind: &str, payload: &str) -> String {
    format!(
        r#"{{"id":"7","type":"{kind}","actor":{{"id":11,"login":"ada-example"}},"repo":{{"id":1,"name":"acme/sdk"}},"payload":{payload},"created_at":"2026-03-01T10:00:00Z"}}"#
    )
}

fn read(line: &str) -> Result<Activity, Skip> {
    let event: Event<'_> = serde_json::from_str(line).unwrap();
    of_event(&event).map(|seen| seen.to_activity(Collector::Archive).unwrap())
}

fn item(extra: &str) -> String {
    format!(
        r#"{{"html_url":"https://github.com/acme/sdk/x/1","user":{{"id":12,"login":"bob-example","type":"User"}},"created_at":"2026-02-28T09:00:00Z"{extra}}}"#
    )
}

fn text_of(activity: &Activity) -> (ScanTarget, &str) {
    match &activity.act {
        Act::Wrote { target, text, .. } => (*target, text),
        Act::Starred | Act::Unstarred | Act::Holds { .. } => panic!("nothing was written"),
    }
}

#[test]
fn a_watch_event_is_a_star_by_its_actor() {
    let star = read(&event("WatchEvent", r#"{"action":"started"}"#)).unwrap();
    assert_eq!(star.act, Act::Starred);
    assert_eq!(
        (star.repo.as_str(), star.actor.id, star.actor.login.as_str()),
        ("acme/sdk", 11, "ada-example")
    );
    assert_eq!(star.occurred_at.to_string(), "2026-03-01T10:00:00Z");
}

#[test]
fn a_text_belongs_to_its_author_and_its_own_time() {
    let issue = item(r#","title":"Slow","body":"on \"docker\"""#);
    let issue = read(&event(
        "IssuesEvent",
        &format!(r#"{{"action":"opened","issue":{issue}}}"#),
    ))
    .unwrap();
    assert_eq!(text_of(&issue), (ScanTarget::Issues, "Slow\non \"docker\""));
    assert_eq!(
        (issue.actor.id, issue.occurred_at.to_string()),
        (12, "2026-02-28T09:00:00Z".into())
    );
}

#[test]
fn every_kind_of_text_has_its_target() {
    let (titled, commented) = (item(r#","title":"t","body":null"#), item(r#","body":"b""#));
    let cases = [
        (
            "IssueCommentEvent",
            format!(r#"{{"action":"created","issue":{{}},"comment":{commented}}}"#),
            ScanTarget::Issues,
            "b",
        ),
        (
            "IssueCommentEvent",
            format!(r#"{{"action":"created","issue":{{"pull_request":{{"url":"u"}}}},"comment":{commented}}}"#),
            ScanTarget::Prs,
            "b",
        ),
        (
            "CommitCommentEvent",
            format!(r#"{{"comment":{commented}}}"#),
            ScanTarget::Code,
            "b",
        ),
        (
            "PullRequestEvent",
            format!(r#"{{"action":"opened","pull_request":{titled}}}"#),
            ScanTarget::Prs,
            "t",
        ),
        (
            "PullRequestReviewEvent",
            format!(r#"{{"action":"created","review":{commented},"pull_request":{titled}}}"#),
            ScanTarget::Prs,
            "b",
        ),
        (
            "PullRequestReviewCommentEvent",
            format!(r#"{{"action":"created","comment":{commented},"pull_request":{titled}}}"#),
            ScanTarget::Prs,
            "b",
        ),
        (
            "DiscussionEvent",
            format!(r#"{{"action":"created","discussion":{titled}}}"#),
            ScanTarget::Discussions,
            "t",
        ),
        (
            "DiscussionCommentEvent",
            format!(r#"{{"action":"created","comment":{commented},"discussion":{titled}}}"#),
            ScanTarget::Discussions,
            "b",
        ),
    ];
    for (kind, payload, target, text) in cases {
        let activity = read(&event(kind, &payload)).unwrap();
        assert_eq!(text_of(&activity), (target, text), "{kind}");
        assert_eq!(activity.actor.login, "bob-example", "{kind}");
    }
}

#[test]
fn what_brings_no_new_text_is_skipped_with_the_reason() {
    let titled = item(r#","title":"t""#);
    let cases = [
        ("PushEvent", "{}".to_owned(), Skip::NotUsed),
        (
            "IssuesEvent",
            format!(r#"{{"action":"closed","issue":{titled}}}"#),
            Skip::NotUsed,
        ),
        (
            "PullRequestEvent",
            r#"{"action":"opened","number":8,"pull_request":{"id":5,"head":{"ref":"x"}}}"#.to_owned(),
            Skip::WithoutText,
        ),
        (
            "PullRequestReviewEvent",
            format!(r#"{{"action":"created","review":{}}}"#, item(r#","body":null"#)),
            Skip::WithoutText,
        ),
        (
            "IssuesEvent",
            r#"{"action":"opened","issue":{"title":"t","user":null}}"#.to_owned(),
            Skip::WithoutAuthor,
        ),
        (
            "IssuesEvent",
            r#"{"action":"opened"}"#.to_owned(),
            Skip::Incomplete("item"),
        ),
    ];
    for (kind, payload, reason) in cases {
        assert_eq!(read(&event(kind, &payload)), Err(reason), "{kind} {payload}");
    }
}

#[test]
fn only_people_are_people() {
    for (login, kind, expected) in [
        ("ada-example", None, ActorKind::User),
        ("ada-example", Some("User"), ActorKind::User),
        ("helper[bot]", None, ActorKind::Bot),
        ("helper[bot]", Some("User"), ActorKind::Bot),
        ("helper", Some("Bot"), ActorKind::Bot),
        ("ada-example", Some("Mannequin"), ActorKind::Bot),
        ("acme", Some("Organization"), ActorKind::Organization),
    ] {
        assert_eq!(kind_of(login, kind), expected, "{login} {kind:?}");
    }
}

#[test]
fn a_delivery_tells_the_same_with_its_repository_and_sender() {
    let json = r#"{"action":"created","starred_at":"2026-03-02T00:00:00Z","repository":{"full_name":"acme/sdk"},"sender":{"id":11,"login":"ada-example","type":"User"}}"#;
    let (delivery, payload): (Delivery<'_>, Payload<'_>) =
        (serde_json::from_str(json).unwrap(), serde_json::from_str(json).unwrap());
    let seen = of_delivery(EventKind::Star, &delivery, &payload, "2026-03-03T00:00:00Z").unwrap();
    assert_eq!(
        (seen.act, seen.repo, seen.at),
        (SeenAct::Starred, "acme/sdk", "2026-03-02T00:00:00Z")
    );
}
