//! A repository's public events feed: one page of it, newest first. Used by the polls.
//!
//! The feed goes back 300 events or 30 days at most
//! (<https://docs.github.com/rest/activity/events#list-repository-events>).

use std::time::Duration;

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
/// So long events stand in it, if no newer ones push them out.
pub const KEPT: Duration = Duration::from_hours(30 * 24);
/// A feed with so many events may be full: of its 300 some are left out that GitHub does not show to all.
const FULL: usize = 270;
/// So many events in a row tell how far back was read: a single one may stand out of its order.
const SURE: usize = 5;

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
    /// The events, but those that are dated in the future.
    pub marks: Vec<Mark>,
    /// Items on the page, whether or not they could be read.
    pub items: usize,
    /// Events that could not be read.
    pub broken: usize,
    /// Pull requests that are told of by number alone.
    pub bare: Vec<Bare>,
}

/// The newest event of those that were read: of several in a second the one that stands before the others.
pub fn newest(pages: &[Page]) -> Option<&Mark> {
    last_first(pages).max_by_key(|mark| mark.at)
}

/// Whether a feed that was read to its end may have had more than it shows; otherwise it shows all of [`KEPT`].
pub fn is_full(pages: &[Page]) -> bool {
    pages.iter().map(|page| page.items).sum::<usize>() >= FULL
}

/// Whether what was read of a feed goes back to what was read before: so do its last events.
pub fn reach(pages: &[Page], last: &Mark) -> bool {
    up_to(pages, last).take(SURE).count() == SURE
}

/// Whether the last events that were read are all such ones.
pub fn end_in(pages: &[Page], is_such: impl Fn(&Mark) -> bool) -> bool {
    last_first(pages).take(SURE).all(is_such)
}

/// When the newest of the last events that were read happened.
pub fn end(pages: &[Page]) -> Option<Timestamp> {
    last_first(pages).take(SURE).map(|mark| mark.at).max()
}

/// Whether nothing is missing between what was read of a feed, as far as it goes, and what was read before. The event of
/// before may be gone; then several that are older tell, since a few may stand out of their order.
pub fn join(pages: &[Page], last: &Mark) -> bool {
    up_to(pages, last).any(|mark| mark == last) || reach(pages, last)
}

/// The last events that were read, as far as none of them is newer than that one.
fn up_to<'a>(pages: &'a [Page], last: &'a Mark) -> impl Iterator<Item = &'a Mark> {
    // Others of the same second may stand before or behind it.
    let told = move |mark: &&Mark| mark.at != last.at || *mark == last;
    last_first(pages).filter(told).take_while(|mark| mark.at <= last.at)
}

fn last_first(pages: &[Page]) -> impl Iterator<Item = &Mark> {
    pages.iter().rev().flat_map(|page| page.marks.iter().rev())
}

/// The path of a page, from 1.
pub fn path(repo: &RepoName, page: u32) -> String {
    format!("/repos/{repo}/events?per_page={PER_PAGE}&page={page}")
}

/// Reads a page as of `now`. All of it happened in `repo`, whatever the repository is called by now.
///
/// # Errors
/// If the body is no JSON list; an event that cannot be read is only counted.
pub fn read(body: &[u8], repo: &RepoName, now: Timestamp) -> anyhow::Result<Page> {
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
        page.marks.extend(mark(&event).filter(|mark| mark.at <= now));
        if event.public == Some(false) {
            continue;
        }
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

    /// 2026-03-02T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_772_409_600);

    fn star(id: u32, second: u32) -> String {
        format!(
            r#"{{"id":"{id}","type":"WatchEvent","actor":{{"id":{id},"login":"fan-{id}"}},"repo":{{"name":"renamed/sdk"}},"payload":{{"action":"started"}},"created_at":"2026-03-01T10:00:{second:02}Z"}}"#
        )
    }

    #[test]
    fn a_page_is_read_event_by_event_and_a_strange_one_does_no_harm() {
        let repo: RepoName = "acme/sdk".parse().unwrap();
        let body = format!(r#"[{},{{"id":5}},7,{{"type":"NewEvent"}},{}]"#, star(2, 9), star(1, 3));
        let page = read(body.as_bytes(), &repo, NOW).unwrap();
        assert_eq!((page.items, page.broken, page.activities.len()), (5, 2, 2));
        assert_eq!(page.activities[0].repo, "acme/sdk");
        assert_eq!(newest(&[page]).unwrap().id, "2");
    }

    fn mark(id: u32, second: u32) -> Mark {
        let event = star(id, second);
        super::mark(&serde_json::from_str(&event).unwrap()).unwrap()
    }

    fn page(events: &[(u32, u32)]) -> Page {
        let events: Vec<String> = events.iter().map(|(id, second)| star(*id, *second)).collect();
        read(
            format!("[{}]", events.join(",")).as_bytes(),
            &"a/b".parse().unwrap(),
            NOW,
        )
        .unwrap()
    }

    #[test]
    fn the_newest_of_a_second_is_the_one_that_stands_first() {
        assert_eq!(
            newest(&[page(&[(3, 4), (9, 5)]), page(&[(8, 5), (7, 5)])]),
            Some(&mark(9, 5))
        );
    }

    #[test]
    fn a_feed_that_is_nearly_as_long_as_it_can_be_may_have_had_more() {
        let pages = |last: usize| {
            [100, 100, last].map(|items| Page {
                items,
                ..Page::default()
            })
        };
        assert!(is_full(&pages(100)) && is_full(&pages(97)));
        assert!(!is_full(&pages(50)) && !is_full(&pages(100)[..2]));
    }

    #[test]
    fn what_was_read_before_is_reached_by_several_events_in_a_row() {
        let old = [(5, 5), (4, 4), (3, 3), (2, 2), (1, 1)];
        let pages = |events: &[(u32, u32)]| [page(events), page(&old)];
        assert!(reach(&pages(&[(7, 9), (6, 8)]), &mark(5, 5)));
        assert!(reach(&pages(&[(7, 9), (6, 8)]), &mark(99, 6)), "that event is gone");
        assert!(!reach(&pages(&[(7, 9)])[..1], &mark(5, 5)));
        let stray = page(&[(9, 9), (1, 1), (8, 8), (7, 7), (2, 2)]);
        assert!(!reach(&[stray], &mark(5, 5)));
        let same_second = page(&[(9, 5), (8, 5), (7, 5), (6, 5), (4, 5)]);
        assert!(!reach(&[same_second], &mark(5, 5)), "they may all be new");
    }

    #[test]
    fn a_feed_that_ends_too_soon_has_a_gap_and_one_that_is_short_has_none() {
        assert!(join(&[page(&[(7, 7), (6, 6)]), page(&[(5, 5)])], &mark(5, 5)));
        let older = [(4, 4), (3, 3), (2, 2), (1, 1), (0, 0)];
        assert!(
            join(&[page(&[(7, 7)]), page(&older)], &mark(5, 5)),
            "that event is gone"
        );
        assert!(
            !join(&[page(&[(7, 7), (6, 6)]), page(&older[1..])], &mark(5, 5)),
            "four may stand out of their order"
        );
        assert!(!join(&[page(&[(7, 7), (6, 6)])], &mark(5, 5)));
        assert!(
            !join(&[page(&[(7, 7), (6, 6), (1, 1)])], &mark(5, 5)),
            "out of its order"
        );
        assert!(
            !join(&[page(&[(5, 5), (7, 7), (6, 6)])], &mark(5, 5)),
            "shown once more"
        );
    }

    #[test]
    fn an_event_that_is_dated_in_the_future_is_read_and_is_no_mark() {
        let future = star(9, 9).replace("2026-03-01", "2036-03-01");
        let body = format!("[{future},{}]", star(2, 5));
        let page = read(body.as_bytes(), &"a/b".parse().unwrap(), NOW).unwrap();
        assert_eq!(page.activities.len(), 2);
        assert_eq!(newest(&[page]).unwrap().id, "2");
    }

    #[test]
    fn what_is_not_public_is_passed_over_and_read_up_to() {
        let hidden = star(2, 9).replace(r#""type""#, r#""public":false,"type""#);
        let shown = star(1, 3).replace(r#""type""#, r#""public":true,"type""#);
        let page = read(format!("[{hidden},{shown}]").as_bytes(), &"a/b".parse().unwrap(), NOW).unwrap();
        assert_eq!((page.items, page.broken, page.activities.len()), (2, 0, 1));
        assert_eq!(newest(&[page]).unwrap().id, "2");
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
        let page = read(body.as_bytes(), &repo, NOW).unwrap();
        assert_eq!(page.bare, [Bare { repo, number: 8 }]);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for body in [r#"{"message":"Not Found"}"#, r#""ada-example""#] {
            let error = read(body.as_bytes(), &"a/b".parse().unwrap(), NOW).unwrap_err();
            let told = format!("{error:#}");
            assert!(
                told.starts_with("the events feed is no JSON list, line 1") && !told.contains("ada"),
                "{told}"
            );
        }
    }
}
