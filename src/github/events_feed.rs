//! A repository's public events feed: one page of it, newest first. Used by the polls.
//!
//! The feed goes back 300 events or 30 days at most
//! (<https://docs.github.com/rest/activity/events#list-repository-events>).

use domain::{Collector, RepoName, Timestamp};
use serde_json::value::RawValue;

use super::activity::{self, Skip};
use super::pulls::Bare;
use super::wire::{Event, Text};
use crate::ingest::activity::Activity;

/// Events on a page; GitHub's largest.
pub const PER_PAGE: usize = 100;
/// Pages that the feed has at that size.
pub const PAGES: u32 = 3;

/// Which event it is: GitHub's numbers began anew once, so the time belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// GitHub's number.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
}

/// A page of the feed.
#[derive(Debug, Default)]
pub struct Page {
    /// What the events tell, newest first.
    pub activities: Vec<Activity>,
    /// The events.
    pub marks: Vec<Mark>,
    /// Items on the page, whether or not they could be read.
    pub items: usize,
    /// Events that could not be read.
    pub broken: usize,
    /// Pull requests that are told of by number alone.
    pub bare: Vec<Bare>,
}

impl Page {
    /// Whether the page goes back to what was read before.
    pub fn reaches(&self, last: &Mark) -> bool {
        self.marks.iter().any(|mark| mark == last || mark.at < last.at)
    }

    /// The newest event.
    pub fn newest(&self) -> Option<&Mark> {
        self.marks.iter().max_by_key(|mark| mark.at)
    }
}

/// The path of a page, from 1.
pub fn path(repo: &RepoName, page: u32) -> String {
    format!("/repos/{repo}/events?per_page={PER_PAGE}&page={page}")
}

/// Reads a page. All of it happened in `repo`, whatever the repository is called by now.
///
/// # Errors
/// If the body is no JSON list; an event that cannot be read is only counted.
pub fn read(body: &[u8], repo: &RepoName) -> anyhow::Result<Page> {
    // What serde says may quote the body.
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!("the events feed is no JSON list, line {line} column {column}")
    })?;
    let mut page = Page {
        items: items.len(),
        ..Page::default()
    };
    for item in items {
        let Ok(event) = serde_json::from_str::<Event<'_>>(item.get()) else {
            page.broken += 1;
            continue;
        };
        page.marks.extend(mark(&event));
        match activity::of_event(&event).map(|seen| seen.to_activity(Collector::EventsFeed)) {
            Ok(Some(activity)) => page.activities.push(Activity {
                repo: repo.as_str().to_owned(),
                ..activity
            }),
            Ok(None) | Err(Skip::Incomplete(_)) => page.broken += 1,
            Err(Skip::WithoutText) => page.bare.extend(activity::bare_pull(&event).map(|number| Bare {
                repo: repo.clone(),
                number,
            })),
            Err(Skip::NotUsed | Skip::WithoutAuthor) => {}
        }
    }
    Ok(page)
}

fn mark(event: &Event<'_>) -> Option<Mark> {
    Some(Mark {
        id: event.id.as_ref().map(Text::as_str)?.to_owned(),
        at: event.created_at.as_ref()?.as_str().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn star(id: u32, second: u32) -> String {
        format!(
            r#"{{"id":"{id}","type":"WatchEvent","actor":{{"id":{id},"login":"fan-{id}"}},"repo":{{"name":"renamed/sdk"}},"payload":{{"action":"started"}},"created_at":"2026-03-01T10:00:{second:02}Z"}}"#
        )
    }

    #[test]
    fn a_page_is_read_event_by_event_and_a_strange_one_does_no_harm() {
        let repo: RepoName = "acme/sdk".parse().unwrap();
        let body = format!(r#"[{},{{"id":5}},7,{{"type":"NewEvent"}},{}]"#, star(2, 9), star(1, 3));
        let page = read(body.as_bytes(), &repo).unwrap();
        assert_eq!((page.items, page.broken, page.activities.len()), (5, 2, 2));
        assert_eq!(page.activities[0].repo, "acme/sdk");
        assert_eq!(page.newest().unwrap().id, "2");
    }

    #[test]
    fn a_page_reaches_what_was_read_before_even_if_that_event_is_gone() {
        let page = read(
            format!("[{},{}]", star(2, 9), star(1, 3)).as_bytes(),
            &"a/b".parse().unwrap(),
        )
        .unwrap();
        let mark = |id: &str, second: i64| Mark {
            id: id.to_owned(),
            at: Timestamp::from_secs("2026-03-01T10:00:00Z".parse::<Timestamp>().unwrap().secs() + second),
        };
        assert!(page.reaches(&mark("1", 3)));
        assert!(
            page.reaches(&mark("0", 5)),
            "its time lies behind the oldest of the page"
        );
        assert!(!page.reaches(&mark("0", 2)));
        assert!(!page.reaches(&mark("9", 3)), "the same second, another event");
    }

    #[test]
    fn a_pull_request_without_a_text_is_noted_by_its_number() {
        let pull = |action: &str| {
            format!(
                r#"{{"id":"1","type":"PullRequestEvent","actor":{{"id":1,"login":"fan-1"}},"repo":{{"name":"acme/sdk"}},"payload":{{"action":"{action}","number":8,"pull_request":{{"id":5}}}},"created_at":"2026-03-01T10:00:00Z"}}"#
            )
        };
        let repo: RepoName = "acme/sdk".parse().unwrap();
        let body = format!("[{},{}]", pull("opened"), pull("closed"));
        let page = read(body.as_bytes(), &repo).unwrap();
        assert_eq!(page.bare, [Bare { repo, number: 8 }]);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for body in [r#"{"message":"Not Found"}"#, r#""ada-example""#] {
            let error = read(body.as_bytes(), &"a/b".parse().unwrap()).unwrap_err();
            let told = format!("{error:#}");
            assert!(
                told.starts_with("the events feed is no JSON list, line 1") && !told.contains("ada"),
                "{told}"
            );
        }
    }
}
