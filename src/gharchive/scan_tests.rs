//! Every line is counted once, and none that is broken tells of a person.

use super::*;

fn star(login: &str) -> String {
    format!(
        r#"{{"id":"1","type":"WatchEvent","actor":{{"id":5,"login":"{login}"}},"repo":{{"name":"acme/sdk"}},"payload":{{"action":"started"}},"created_at":"2026-03-01T10:00:00Z"}}"#
    )
}

fn scanned(text: &str, keep: bool) -> (Vec<Activity>, Tally) {
    let mut found = (Vec::new(), Tally::default());
    scan(
        text.as_bytes(),
        |_| keep,
        |batch| {
            found.0.extend(batch.activities);
            found.1 = batch.tally;
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    found
}

#[test]
fn every_line_is_counted_once_under_what_became_of_it() {
    let text = [
        star("ada-example"),
        star("helper[bot]"),
        r#"{"id":"2","type":"PushEvent","actor":{}}"#.to_owned(),
        String::new(),
        r#"{"id":"3","type":"PullRequestEvent","actor":{"id":1,"login":"bob-example"},"repo":{"name":"acme/sdk"},"payload":{"action":"opened","pull_request":{"id":1}}}"#.to_owned(),
    ]
    .join("\n");
    let (activities, tally) = scanned(&text, true);
    assert_eq!(activities.len(), 1);
    assert_eq!(
        (
            tally.lines,
            tally.activities,
            tally.bots,
            tally.without_text,
            tally.broken
        ),
        (4, 2, 1, 1, 0)
    );
    assert_eq!(
        tally.events,
        BTreeMap::from([("WatchEvent", 2), ("PullRequestEvent", 1)])
    );
    assert_eq!(
        tally.bytes,
        text.len() as u64 + 1 - 1,
        "all bytes but the empty line's, and an end for the last"
    );
}

#[test]
fn broken_lines_are_passed_over_and_told_of_by_their_number() {
    let cut = star("ada-example");
    let text = format!(
        "{}\nnot json\n\n{}\n{{\"type\":\"WatchEvent\",\"payload\":{{\"action\":\"started\"}}}}\n{{]}}\n{}",
        star("ada-example"),
        &cut[..cut.len() / 2],
        star("bob-example")
    );
    let (activities, tally) = scanned(&text, true);
    assert_eq!(activities.len(), 2);
    assert_eq!(tally.broken, 4);
    let numbers: Vec<u64> = tally.broken_lines.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 4, 5, 6]);
}

#[test]
fn the_reason_of_a_broken_line_quotes_nothing_of_it() {
    let text = [
        r#"{"type":"WatchEvent","actor":"ada-example"}"#,
        r#"{"type":"WatchEvent","actor":{"id":"ada-example"}}"#,
        r#"{"type":"WatchEvent",ada-example}"#,
        r#"{"type":"WatchEvent","created_at":"ada-example","actor":{"id":5,"login":"a"},"repo":{"name":"a/b"},"payload":{"action":"started"}}"#,
    ];
    let (_, tally) = scanned(&text.join("\n"), true);
    let expected = [
        (1, "a value is of another kind than GitHub's, column 42"),
        (2, "a value is of another kind than GitHub's, column 48"),
        (3, "it is no JSON, column 22"),
        (4, "its time is none"),
    ];
    assert_eq!(
        tally.broken_lines,
        expected.map(|(number, reason)| (number, reason.to_owned()))
    );
}

#[test]
fn a_line_with_its_keys_in_another_order_is_read_all_the_same() {
    let line = r#"{"actor":{"type":"User","id":5,"login":"ada-example"},"payload":{"action":"started"},"repo":{"name":"acme/sdk"},"created_at":"2026-03-01T10:00:00Z", "type" : "WatchEvent"}"#;
    assert_eq!(scanned(line, true).0.len(), 1);
}

#[test]
fn a_text_without_a_time_of_its_own_has_that_of_its_event() {
    let line = r#"{"id":"4","type":"IssuesEvent","actor":{},"repo":{"name":"acme/sdk"},"payload":{"action":"opened","issue":{"html_url":"https://github.com/acme/sdk/issues/1","title":"t","body":"b","user":{"login":"ada-example","id":5}}},"created_at":"2026-03-01T10:00:00Z"}"#;
    let times: Vec<String> = scanned(line, true)
        .0
        .iter()
        .map(|activity| activity.occurred_at.to_string())
        .collect();
    assert_eq!(times, ["2026-03-01T10:00:00Z"]);
}

#[test]
fn what_nobody_asked_for_is_counted_and_not_kept() {
    let (activities, tally) = scanned(&star("ada-example"), false);
    assert_eq!((activities.len(), tally.unmatched), (0, 1));
}

#[test]
fn batches_stay_small_and_the_receiver_can_break_off() {
    let text = vec![star("ada-example"); 1_200].join("\n");
    let mut sizes = Vec::new();
    scan(
        text.as_bytes(),
        |_| true,
        |batch| {
            sizes.push(batch.activities.len());
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    assert_eq!(sizes, [500, 500, 200]);
    let mut batches = 0;
    scan(
        text.as_bytes(),
        |_| true,
        |_| {
            batches += 1;
            ControlFlow::Break(())
        },
    )
    .unwrap();
    assert_eq!(batches, 1);
}

/// Two lines that are wanted: a star and a comment. Objects end in them at many places.
fn wanted() -> [String; 2] {
    let user = r#"{"login":"bob-example","id":6,"gists_url":"g{/id}","type":"User","site_admin":false}"#;
    let comment = format!(
        r#"{{"id":"9","type":"IssueCommentEvent","actor":{{"id":6,"login":"bob-example","url":"u"}},"repo":{{"id":1,"name":"acme/api"}},"payload":{{"action":"created","issue":{{"user":{user},"labels":[{{"name":"a"}}],"body":"of \"them\" {{all}}"}},"comment":{{"html_url":"https://github.com/acme/api/issues/1","user":{user},"created_at":"2026-03-01T10:00:00Z","body":"see {{}}","links":{{"self":{{}}}}}}}},"public":true,"created_at":"2026-03-01T10:00:01Z","org":{{"id":3,"login":"acme"}}}}"#
    );
    let star = star("ada-example").replace("Z\"}", "Z\",\"org\":{\"id\":3,\"parts\":[{}]}}");
    [star, comment]
}

#[test]
fn a_wanted_line_that_is_cut_off_anywhere_is_broken_and_tells_of_nobody() {
    for line in wanted() {
        assert_eq!(scanned(&line, true).0.len(), 1, "{line}");
        for end in 1..line.len() {
            let cut = line.get(..end).unwrap();
            let (activities, tally) = scanned(&format!("{}\n{cut}", star("ada-example")), true);
            assert_eq!((activities.len(), tally.lines, tally.broken), (1, 2, 1), "{cut}");
        }
    }
}

#[test]
fn two_lines_that_run_into_each_other_are_broken_and_tell_of_nobody() {
    for first in wanted() {
        for second in wanted() {
            for end in 1..=first.len() {
                let joined = format!("{}{second}", first.get(..end).unwrap());
                let (activities, tally) = scanned(&joined, true);
                assert_eq!((activities.len(), tally.broken), (0, 1), "{joined}");
            }
        }
    }
}
