//! An archive line read only as far as it takes to know whether anybody asked for it. Used by the scan, which parses
//! the few lines that somebody did ask for as a whole.
//!
//! The lines of an archive are compact JSON whose keys stand in the order in which GitHub writes them. Whatever looks
//! otherwise is left to the parser: a glance answers `None` then, and never guesses.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};

use memchr::memchr;
use serde::de::IgnoredAny;

use crate::github::activity::EventKind;
use crate::github::wire::{Event, Item, Payload, Repo, Text, User};

/// How many words of eight bytes are searched without setting out for a longer search.
const SHORT: usize = 2;

/// Whether the rest of an object is of interest; `None` if its JSON is not of the usual form.
type Walked = Option<ControlFlow<()>>;

/// A value that may be null; `None` outside if its JSON is not of the usual form.
type Nullable<T> = Option<Option<T>>;

/// The line's event with what tells its act, its author and its text, and without what stands behind that.
#[derive(Debug)]
pub enum Glance<'a> {
    /// An event of a kind that is not read; four lines of five.
    NotUsed,
    /// One that is.
    Event(Box<Event<'a>>),
}

/// What there is to see in a line. `None` if it must be parsed to know.
pub fn glance(line: &[u8]) -> Option<Glance<'_>> {
    let mut walk = Walk { rest: line };
    let mut name = None;
    let _ = walk.members(|walk, key| match key {
        b"type" => {
            name = walk.text()?;
            Some(Break(()))
        }
        b"id" => walk.pass(),
        _ => None,
    })?;
    let name = name?;
    let Some(kind) = EventKind::of_event(name.as_str()) else {
        return Some(Glance::NotUsed);
    };
    let mut event = Box::new(Event::default());
    event.kind = name;
    walk.eat(b',')?;
    let walked = walk.more_members(|walk, key| match key {
        // Texts have an author of their own.
        b"actor" if kind == EventKind::Star => {
            event.actor = walk.user()?;
            Some(Continue(()))
        }
        b"repo" => {
            event.repo = Some(walk.repo()?);
            Some(Continue(()))
        }
        b"payload" => {
            walk.payload(kind, event.payload.insert(Payload::default()))?;
            Some(Break(()))
        }
        _ => walk.pass(),
    });
    // Without a break the payload was missing, which is the parser's to tell.
    walked?.is_break().then_some(Glance::Event(event))
}

/// A place in a line.
struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    fn repo(&mut self) -> Option<Repo<'a>> {
        let mut name = None;
        let _ = self.members(|walk, key| match key {
            b"name" => {
                name = walk.text()?;
                Some(Continue(()))
            }
            _ => walk.pass(),
        })?;
        Some(Repo { name })
    }

    fn payload(&mut self, kind: EventKind, payload: &mut Payload<'a>) -> Option<()> {
        let place = kind.item_key().as_bytes();
        let mut item = None;
        let _ = self.members(|walk, key| {
            let complete = kind != EventKind::IssueComment || payload.issue.is_some();
            let complete = complete && payload.action.is_some();
            match key {
                b"action" => {
                    payload.action = walk.text()?;
                    let is_star = kind == EventKind::Star && payload.action.is_some();
                    if is_star || !kind.brings_news(payload.action.as_ref().map(Text::as_str)) {
                        return Some(Break(()));
                    }
                }
                key if key == place => {
                    item = None;
                    if !walk.null()? {
                        walk.item(item.insert(Item::default()), complete)?;
                        if complete {
                            return Some(Break(()));
                        }
                    }
                }
                // Whether the comment is on a pull request.
                b"issue" => payload.issue = walk.commented()?,
                _ => return walk.pass(),
            }
            Some(Continue(()))
        })?;
        match kind {
            EventKind::Star => {}
            EventKind::Issue => payload.issue = item,
            EventKind::PullRequest => payload.pull_request = item,
            EventKind::Review => payload.review = item,
            EventKind::Discussion => payload.discussion = item,
            EventKind::IssueComment
            | EventKind::CommitComment
            | EventKind::ReviewComment
            | EventKind::DiscussionComment => payload.comment = item,
        }
        Some(())
    }

    /// What somebody wrote. Its time is not of interest yet. With `is_last` the place may be anywhere in it afterwards.
    fn item(&mut self, item: &mut Item<'a>, is_last: bool) -> Option<()> {
        let _ = self.members(|walk, key| {
            match key {
                b"html_url" => item.html_url = walk.text()?,
                b"title" => item.title = walk.text()?,
                b"body" => item.body = walk.text()?,
                b"user" => item.user = walk.user()?,
                _ => return walk.pass(),
            }
            let enough = is_last
                && item.html_url.is_some()
                && item.title.is_some()
                && item.body.is_some()
                && item.user.is_some();
            Some(if enough { Break(()) } else { Continue(()) })
        })?;
        Some(())
    }

    /// An issue of which only one thing matters.
    fn commented(&mut self) -> Nullable<Item<'a>> {
        if self.null()? {
            return Some(None);
        }
        let mut item = Item::default();
        let _ = self.members(|walk, key| {
            if key == b"pull_request" && walk.peek()? != b'n' {
                item.pull_request = Some(IgnoredAny);
            }
            walk.pass()
        })?;
        Some(Some(item))
    }

    fn user(&mut self) -> Nullable<User<'a>> {
        if self.null()? {
            return Some(None);
        }
        let mut user = User::default();
        let _ = self.members(|walk, key| {
            match key {
                b"id" => user.id = Some(walk.number()?),
                b"login" => user.login = walk.text()?,
                b"type" => user.kind = walk.text()?,
                _ => return walk.pass(),
            }
            Some(Continue(()))
        })?;
        Some(Some(user))
    }

    /// Goes through an object, up to its end or until `member` breaks; that gets each key, with the place at its value.
    fn members(&mut self, member: impl FnMut(&mut Self, &'a [u8]) -> Walked) -> Walked {
        self.eat(b'{')?;
        if self.peek()? == b'}' {
            self.eat(b'}')?;
            return Some(Continue(()));
        }
        self.more_members(member)
    }

    /// Goes on through an object from one of its keys.
    fn more_members(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Walked) -> Walked {
        loop {
            let key = self.string()?;
            self.eat(b':')?;
            if member(self, key)?.is_break() {
                return Some(Break(()));
            }
            let (next, rest) = self.rest.split_first()?;
            self.rest = rest;
            match next {
                b',' => {}
                b'}' => return Some(Continue(())),
                _ => return None,
            }
        }
    }

    /// Passes over a value.
    fn pass(&mut self) -> Walked {
        let mut depth = 0_usize;
        loop {
            let (next, rest) = self.rest.split_first()?;
            match next {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.rest = rest;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.rest = rest;
                }
                b',' | b':' if depth > 0 => self.rest = rest,
                _ => {
                    self.scalar()?;
                }
            }
            if depth == 0 {
                return Some(Continue(()));
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Option<&'a [u8]> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = self.rest.iter().position(|byte| !is_part(byte))?;
        let (scalar, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        // White space, above all, is not of the usual form.
        (length > 0).then_some(scalar)
    }

    fn number(&mut self) -> Option<u64> {
        std::str::from_utf8(self.scalar()?).ok()?.parse().ok()
    }

    /// A text, or null.
    fn text(&mut self) -> Nullable<Text<'a>> {
        if self.null()? {
            return Some(None);
        }
        let from = self.rest;
        let raw = self.string()?;
        let text = if memchr(b'\\', raw).is_none() {
            Cow::Borrowed(std::str::from_utf8(raw).ok()?)
        } else {
            Cow::Owned(serde_json::from_slice(from.get(..raw.len() + 2)?).ok()?)
        };
        Some(Some(Text::from(text)))
    }

    /// Passes over a null; whether there was one.
    fn null(&mut self) -> Option<bool> {
        let is_null = self.peek()? == b'n';
        if is_null {
            self.scalar()?;
        }
        Some(is_null)
    }

    /// A string, its escapes as they are.
    fn string(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.strip_prefix(b"\"")?;
        let mut end = quote(text)?;
        // A mark behind an odd number of backslashes is one of the string's own.
        while text.get(..end)?.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
            end += 1 + quote(text.get(end + 1..)?)?;
        }
        self.rest = text.get(end + 1..)?;
        text.get(..end)
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }
}

/// Where the next quotation mark is.
fn quote(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // Most keys are so short that to set out for a search costs more than the search: eight bytes at a time, by the
    // lowest byte of which the mark was taken and nothing is left.
    let (words, _) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().take(SHORT).enumerate() {
        let rest = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'"'));
        let found = rest.wrapping_sub(ONES) & !rest & (ONES << 7);
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let looked = words.len().min(SHORT) * 8;
    Some(looked + memchr(b'"', bytes.get(looked..)?)?)
}

#[cfg(test)]
#[path = "glance_tests.rs"]
mod tests;
