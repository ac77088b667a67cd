//! A glance tells what the parser tells, or nothing.

use domain::Collector;

use super::*;
use crate::github::activity::of_event;
use crate::github::wire::Event;

fn line(kind: &str, payload: &str) -> String {
    format!(
        r#"{{"id":"7","type":"{kind}","actor":{{"id":11,"login":"ada-example","url":"https://api.github.com/users/ada-example"}},"repo":{{"id":1,"name":"acme/sdk"}},"payload":{payload},"public":true,"created_at":"2026-03-01T10:00:00Z"}}"#
    )
}

const USER: &str = r#"{"login":"bob-example","id":12,"plan":{"seats":[1,-2.5e3,{}],"open":true},"type":"User"}"#;

fn item(extra: &str) -> String {
    format!(
        r#"{{"url":"https://api.github.com/{{/x}}","html_url":"https://github.com/acme/sdk/x/1","user":{USER}{extra},"created_at":"2026-02-28T09:00:00Z","links":{{"self":{{"href":"\\"}}}}}}"#
    )
}

/// What both ways tell of a line.
fn told(line: &str) -> (Option<String>, String) {
    let tell = |read: Result<Seen<'_>, Skip>| match read {
        Ok(seen) => format!("{:?} {:?}", seen, seen.to_activity(Collector::Archive).unwrap()),
        Err(skip) => format!("{skip:?}"),
    };
    let parsed: Event<'_> = serde_json::from_str(line).unwrap();
    let glanced = glance(line.as_bytes()).map(|glance| match glance {
        Glance::NotUsed => "NotUsed".to_owned(),
        Glance::Event(outline) => tell(outline.read()),
    });
    (glanced, tell(of_event(&parsed)))
}

#[test]
fn a_glance_tells_what_the_parser_tells_of_every_kind() {
    let titled = item(r#","title":"Slow \"docker\"\n","body":"café \ud83d\ude00 \\""#);
    let comment = item(r#","body":"\tlooks\r\ngood\/\b\f\\\"","reactions":{"+1":2}"#);
    let empty = item(r#","title":null,"body":null"#);
    let gone = titled.replace(USER, "null");
    let addressed = titled.replace(
        USER,
        r#"{"login":"bob-example","id":12,"following_url":"f{/other}{/more}","gists_url":"g{/id}","type":"Bot","site_admin":false}"#,
    );
    let untyped = titled.replace(
        USER,
        r#"{"login":"bob-example","id":12},"app":{"name":"a","type":"Bot"}"#,
    );
    // A key in a text, and one in a smaller object.
    let quoting = r#"{"title":",\"comment\":{\"body\":\"no\"}","pull_request":null}"#;
    let nesting = format!(r#"{{"pinned":{{"by":1,"comment":{titled}}},"pull_request":{{"url":"x"}}}}"#);
    let on_pull = r#"{"title":"a","pull_request":{"url":"x"},"labels":[{"name":"}"}]}"#;
    let cases = [
        ("WatchEvent", r#"{"action":"started"}"#.to_owned()),
        ("WatchEvent", r#"{"action":"deleted"}"#.to_owned()),
        ("WatchEvent", "{}".to_owned()),
        ("PushEvent", r#"{"commits":[{"message":"{"}]}"#.to_owned()),
        ("IssuesEvent", format!(r#"{{"action":"opened","issue":{titled}}}"#)),
        ("IssuesEvent", format!(r#"{{"action":"closed","issue":{titled}}}"#)),
        ("IssuesEvent", format!(r#"{{"issue":{titled},"action":"closed"}}"#)),
        ("IssuesEvent", format!(r#"{{"action":"opened","issue":{gone}}}"#)),
        ("IssuesEvent", format!(r#"{{"action":"opened","issue":{addressed}}}"#)),
        ("IssuesEvent", format!(r#"{{"action":"opened","issue":{untyped}}}"#)),
        (
            "IssueCommentEvent",
            format!(r#"{{"action":"created","issue":{{"pull_request":null}},"comment":{comment}}}"#),
        ),
        (
            "IssueCommentEvent",
            format!(r#"{{"action":"created","issue":{on_pull},"comment":{comment}}}"#),
        ),
        (
            "IssueCommentEvent",
            format!(r#"{{"action":"created","issue":{quoting},"comment":{comment}}}"#),
        ),
        (
            "IssueCommentEvent",
            format!(r#"{{"action":"created","issue":{nesting},"comment":{comment}}}"#),
        ),
        (
            "IssueCommentEvent",
            format!(r#"{{"issue":{on_pull},"action":"created","comment":{comment}}}"#),
        ),
        (
            "IssueCommentEvent",
            format!(r#"{{"action":"created","issue":{on_pull},"changes":[{{}}],"comment":{comment}}}"#),
        ),
        (
            "IssueCommentEvent",
            format!(r#"{{"comment":{comment},"action":"created","issue":{on_pull}}}"#),
        ),
        ("CommitCommentEvent", format!(r#"{{"comment":{comment}}}"#)),
        (
            "PullRequestEvent",
            format!(r#"{{"action":"opened","number":3,"pull_request":{titled}}}"#),
        ),
        (
            "PullRequestEvent",
            format!(r#"{{"action":"opened","number":3,"pull_request":{empty}}}"#),
        ),
        (
            "PullRequestReviewEvent",
            format!(r#"{{"action":"created","review":{comment},"pull_request":{titled}}}"#),
        ),
        (
            "PullRequestReviewCommentEvent",
            format!(r#"{{"action":"created","comment":{comment},"pull_request":{titled}}}"#),
        ),
        (
            "DiscussionEvent",
            format!(r#"{{"action":"created","discussion":{titled}}}"#),
        ),
        (
            "DiscussionCommentEvent",
            format!(r#"{{"action":"created","discussion":{titled},"comment":{comment}}}"#),
        ),
    ];
    let mut acts = 0;
    for (kind, payload) in cases {
        let (glanced, parsed) = told(&line(kind, &payload));
        assert_eq!(glanced.as_deref(), Some(parsed.as_str()), "{kind} {payload}");
        acts += usize::from(parsed.contains("acme/sdk"));
    }
    assert_eq!(acts, 18, "most of the cases are acts");
}

#[test]
fn an_actor_of_another_form_is_passed_over_all_the_same() {
    let issue = format!(
        r#"{{"action":"opened","issue":{}}}"#,
        item(r#","title":"t","body":"b""#)
    );
    let usual = r#"{"id":11,"login":"ada-example","url":"https://api.github.com/users/ada-example"}"#;
    for actor in [
        usual,
        r#"{"id":11,"login":"ada-example","url":"https://api.github.com/users{/user}{/x}","avatar_url":"a?"}"#,
        r#"{"id":11,"login":"ada-example","team":{"x":{"y":[{}]},"repo":{"name":"acme/other"}},"url":"a"}"#,
        r#"{"id":11,"login":"ada-example","teams":[{"x":1},{"x":{},"repo":{"name":"acme/other"}}]}"#,
    ] {
        for (kind, payload) in [
            ("WatchEvent", r#"{"action":"started"}"#),
            ("IssuesEvent", issue.as_str()),
        ] {
            let line = line(kind, payload);
            assert!(line.contains(usual));
            let (glanced, parsed) = told(&line.replace(usual, actor));
            assert!(parsed.contains("acme/sdk"), "{parsed}");
            assert_eq!(glanced.as_deref(), Some(parsed.as_str()), "{kind} {actor}");
        }
    }
}

#[test]
fn what_looks_unusual_is_left_to_the_parser() {
    let star = line("WatchEvent", r#"{"action":"started"}"#);
    for unusual in [
        star.replace(r#""payload""#, r#" "payload""#),
        star.replace(r#":"WatchEvent""#, r#": "WatchEvent""#),
        star.replace(r#""id":11"#, r#""id":11.5"#),
        star.replace(r#""id":11"#, r#""id":"11""#),
        star.replace(r#"{"id":"7","#, r#"{"payload":{"action":"started"},"id":"7","#),
        star.replace(r#""WatchEvent""#, "null"),
        star.replace(r#","payload":{"action":"started"}"#, ""),
        star.replace("ada-example", r"ada\q"),
        star.get(..star.len() / 2).unwrap().to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        String::new(),
    ] {
        assert!(glance(unusual.as_bytes()).is_none(), "{unusual}");
    }
}

#[test]
fn no_place_at_which_a_line_is_cut_off_brings_a_glance_down() {
    let whole = line(
        "IssuesEvent",
        &format!(
            r#"{{"action":"opened","issue":{}}}"#,
            item(r#","title":"t","body":"b\\""#)
        ),
    );
    for end in 0..whole.len() {
        let cut = whole.get(..end).unwrap();
        match glance(cut.as_bytes()) {
            None => {}
            Some(Glance::Event(outline)) => assert_eq!(outline.read().unwrap().user_id, 12, "{cut}"),
            Some(Glance::NotUsed) => panic!("{cut}"),
        }
    }
}
