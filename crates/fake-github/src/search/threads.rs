//! Searches for issues, pull requests and discussions.

use std::cmp::Reverse;

use http::StatusCode;
use serde_json::{Value, json};

use super::dates::Span;
use super::highlight::text_match;
use super::parse::Query;
use super::words::has_phrase;
use super::{link, page};
use crate::ask::Ask;
use crate::caller::Who;
use crate::reply::Reply;
use crate::thread::{Thread, ThreadKind};
use crate::world::Named;
use crate::{Repo, User, World};

/// Who looks for what.
struct Search<'w, 'q> {
    world: &'w World,
    who: &'q Who,
    query: &'q Query,
    discussions: bool,
}

impl World {
    /// `/search/issues`: issues and pull requests.
    pub(crate) fn search_issues(&self, ask: &Ask) -> Reply {
        let text = ask.query("q").unwrap_or_default();
        let query = match Query::parse(text) {
            Ok(query) => query,
            Err(refused) => return Reply::invalid("Search", "q", refused.text()),
        };
        if self.refused_phrases.iter().any(|phrase| text.contains(phrase)) {
            return Reply::invalid("Search", "q", "The search is not valid");
        }
        if self.failing_phrases.iter().any(|phrase| text.contains(phrase)) {
            return Reply::message(StatusCode::SERVICE_UNAVAILABLE, "Try again later");
        }
        if let Some(refusal) = self.refused_search(ask.who, &query) {
            return refusal;
        }
        let page = match page(ask) {
            Ok(page) => page,
            Err(refusal) => return refusal,
        };
        let mut found = self.search_threads(ask.who, &query, false);
        let sort = ask.query("sort").unwrap_or("created");
        found.sort_by_cached_key(|thread| match sort {
            "updated" => (thread.updated, thread.id),
            "comments" => (thread.remarks().count() as u64, thread.id),
            _ => (thread.created, thread.id),
        });
        if ask.query("order") != Some("asc") {
            found.reverse();
        }
        if self.searches_break_off {
            found.truncate(found.len() / 2);
        }
        let total = found.len();
        let phrases = ask.accepts("text-match").then(|| query.phrases());
        let shown = page.of(found.into_iter().take(super::RESULTS)).into_iter();
        let items: Vec<Value> = shown
            .filter_map(|thread| self.found_issue(thread, phrases.as_deref()))
            .collect();
        let body = json!({
            "total_count": total,
            "incomplete_results": self.searches_break_off,
            "search_type": "lexical",
            "items": items,
        });
        Reply::ok(&body).with_link(link(ask, &self.base, page, total))
    }

    /// The discussions that fit the query, newest first; none for what is no query.
    pub(crate) fn search_discussions(&self, who: &Who, text: &str) -> Vec<&Thread> {
        self.search_newest(who, text, true)
    }

    /// The issues and pull requests that fit the query, newest first; none for what is no query.
    pub(crate) fn search_newest_issues(&self, who: &Who, text: &str) -> Vec<&Thread> {
        self.search_newest(who, text, false)
    }

    fn search_newest(&self, who: &Who, text: &str, discussions: bool) -> Vec<&Thread> {
        let Ok(query) = Query::parse(text) else {
            return Vec::new();
        };
        let mut found = self.search_threads(who, &query, discussions);
        let updated = query.values("sort").contains(&"updated-desc");
        found.sort_by_key(|thread| Reverse((if updated { thread.updated } else { thread.created }, thread.id)));
        found
    }

    fn search_threads(&self, who: &Who, query: &Query, discussions: bool) -> Vec<&Thread> {
        let search = Search {
            world: self,
            who,
            query,
            discussions,
        };
        search.run()
    }

    fn found_issue(&self, thread: &Thread, phrases: Option<&[&[String]]>) -> Option<Value> {
        let repo = self.repos.get(&thread.repo)?;
        let mut issue = self.issue(thread, repo);
        let url = format!("{}/repos/{}/issues/{}", self.base, repo.full_name, thread.number);
        let fields = issue.as_object_mut()?;
        fields.insert("score".to_owned(), json!(1.0));
        if let Some(phrases) = phrases {
            let matches: Vec<Value> = thread
                .texts()
                .filter_map(|(property, text)| match property {
                    "comments" => text_match(&url, "IssueComment", "body", text, phrases),
                    _ => text_match(&url, "Issue", property, text, phrases),
                })
                .collect();
            fields.insert("text_matches".to_owned(), json!(matches));
        }
        Some(issue)
    }

    /// What GitHub refuses although it is a query.
    fn refused_search(&self, who: &Who, query: &Query) -> Option<Reply> {
        let mut kinds = query.values("is").into_iter().chain(query.values("type"));
        let has_kind = kinds.any(|value| matches!(value, "issue" | "pr" | "pull-request"));
        if self.token(who).is_some_and(|token| token.app) && !has_kind {
            let text = "Query must include 'is:issue' or 'is:pull-request'";
            return Some(Reply::invalid("Search", "q", text));
        }
        self.nowhere(who, query)
    }

    /// The refusal of a search in places of which the caller sees none; a former name is none.
    pub(super) fn nowhere(&self, who: &Who, query: &Query) -> Option<Reply> {
        let repos = query.values("repo");
        let owners: Vec<&str> = ["user", "org"].iter().flat_map(|name| query.values(name)).collect();
        let seen = |name: &&str| match self.named(name) {
            Named::Here(id) => self.repos.get(&id).is_some_and(|repo| self.may_see(who, repo)),
            Named::Moved(_) | Named::Unknown => false,
        };
        let known = |owner: &&str| self.find_user(owner).is_some() || self.owned(owner).next().is_some();
        let asked = !repos.is_empty() || !owners.is_empty();
        if !asked || repos.iter().any(seen) || owners.iter().any(known) {
            return None;
        }
        let text = "The listed users and repositories cannot be searched either because the resources do not exist or \
                    you do not have permission to view them.";
        Some(Reply::invalid("Search", "q", text))
    }
}

impl<'w> Search<'w, '_> {
    fn run(&self) -> Vec<&'w Thread> {
        let threads = &self.world.threads;
        let fits = |thread: &&'w Thread| {
            let repo = self.world.repos.get(&thread.repo);
            (thread.kind == ThreadKind::Discussion) == self.discussions
                && repo.is_some_and(|repo| self.world.may_see(self.who, repo) && self.fits(self.query, thread, repo))
        };
        let places = self.candidates();
        places
            .into_iter()
            .filter_map(|place| threads.get(place))
            .filter(fits)
            .collect()
    }

    /// Few places that have all results among them.
    fn candidates(&self) -> Vec<usize> {
        let required = self.query.required();
        let mut best: Option<Vec<usize>> = None;
        for part in required {
            if let Some(places) = self.places(part)
                && best.as_ref().is_none_or(|best| places.len() < best.len())
            {
                best = Some(places);
            }
        }
        let threads = &self.world.threads;
        let most = best.as_ref().map_or(threads.len(), Vec::len);
        // What was created since then has changed since then.
        let since = required.iter().filter_map(|part| match part {
            Query::Qualifier(name, value) if name == "created" || name == "updated" => Span::parse(value),
            _ => None,
        });
        if let Some(since) = since.map(|span| span.from).max().filter(|since| *since > 0) {
            let recent = threads.recent.range((since, 0)..).map(|(_, place)| *place);
            let recent: Vec<usize> = recent.take(most + 1).collect();
            if recent.len() <= most {
                return recent;
            }
        }
        best.unwrap_or_else(|| (0..threads.len()).collect())
    }

    /// The places that a part of the query can be fulfilled at; nothing where the index does not know.
    fn places(&self, part: &Query) -> Option<Vec<usize>> {
        let threads = &self.world.threads;
        match part {
            Query::Phrase(words) => {
                let sets = words.iter().map(|word| threads.words.of(word));
                let smallest = sets.min_by_key(|set| set.map_or(0, std::collections::BTreeSet::len))?;
                Some(smallest.into_iter().flatten().copied().collect())
            }
            Query::Qualifier(name, value) if name == "repo" => match self.world.named(value) {
                Named::Here(id) => Some(threads.of_repo(id).collect()),
                Named::Moved(_) | Named::Unknown => Some(Vec::new()),
            },
            Query::Any(parts) => {
                let mut all: Vec<usize> = Vec::new();
                for part in parts {
                    let inner = part.required().iter().filter_map(|part| self.places(part));
                    all.extend(inner.min_by_key(Vec::len)?);
                }
                all.sort_unstable();
                all.dedup();
                Some(all)
            }
            _ => None,
        }
    }

    fn fits(&self, query: &Query, thread: &Thread, repo: &Repo) -> bool {
        match query {
            Query::All(parts) => parts.iter().all(|part| self.fits(part, thread, repo)),
            Query::Any(parts) => parts.iter().any(|part| self.fits(part, thread, repo)),
            Query::Not(part) => !self.fits(part, thread, repo),
            Query::Phrase(words) => self.has_words(thread, words),
            Query::Qualifier(name, value) => self.qualifies(name, value, thread, repo),
        }
    }

    fn has_words(&self, thread: &Thread, words: &[String]) -> bool {
        let fields: Vec<&str> = self
            .query
            .values("in")
            .iter()
            .flat_map(|list| list.split(','))
            .collect();
        thread
            .texts()
            .filter(|(field, _)| fields.is_empty() || fields.contains(field))
            .any(|(_, text)| has_phrase(text, words))
    }

    fn qualifies(&self, name: &str, value: &str, thread: &Thread, repo: &Repo) -> bool {
        let is = |user: u64| {
            let user = self.world.person(user).map(|user: &User| user.login.as_str());
            user.is_some_and(|login| login.eq_ignore_ascii_case(value))
        };
        let commented = || thread.comments.iter().any(|comment| is(comment.author));
        let mentioned = || {
            let mention = format!("@{}", value.to_lowercase());
            thread.texts().any(|(_, text)| text.to_lowercase().contains(&mention))
        };
        match name {
            "repo" => self.world.named(value) == Named::Here(repo.id),
            "user" | "org" => repo.owner().eq_ignore_ascii_case(value),
            "author" => is(thread.author),
            "commenter" => commented(),
            "mentions" => mentioned(),
            "involves" => is(thread.author) || commented() || mentioned(),
            "created" => Span::parse(value).is_some_and(|span| span.has(thread.created)),
            "updated" => Span::parse(value).is_some_and(|span| span.has(thread.updated)),
            "closed" => Span::parse(value).is_some_and(|span| thread.closed.is_some_and(|at| span.has(at))),
            "is" | "type" | "state" => match value {
                "issue" => thread.kind == ThreadKind::Issue,
                "pr" | "pull-request" => thread.kind == ThreadKind::Pull,
                "open" => thread.closed.is_none(),
                "closed" => thread.closed.is_some(),
                "public" => !repo.private,
                "private" => repo.private,
                _ => false,
            },
            "archived" => value == "false",
            // Where to look and how to sort say nothing of a thread.
            "in" | "sort" => true,
            _ => has_qualified_text(thread, name, value),
        }
    }
}

/// A qualifier that GitHub does not know is text.
fn has_qualified_text(thread: &Thread, name: &str, value: &str) -> bool {
    let words: Vec<String> = super::words::split(&format!("{name} {value}")).collect();
    thread.texts().any(|(_, text)| has_phrase(text, &words))
}
