//! An archive line read only as far as it takes to know who did what, when and where. Used by the scan, which parses as a
//! whole only the few lines that a glance tells nothing of.
//!
//! The lines of an archive are compact JSON whose keys stand in the order in which GitHub writes them. Whatever looks
//! otherwise is left to the parser: a glance answers `None` then, and never guesses.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2_iter};

use crate::github::activity::{EventKind, Reading, Seen, Skip};
use crate::github::wire::{Item, Text, User};

/// How many words of eight bytes are searched without setting out for a longer search.
const SHORT: usize = 2;

/// Keys of objects. In a text their quotation marks would be escaped, so they are found as keys only. GitHub writes them in no
/// object that is a part of an issue.
static COMMENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#","comment":{"#));
static PULL_REQUEST: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#","pull_request":{"#));
/// What stands behind the addresses of an author and of an actor.
static TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#","type":""#));
static REPO: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#"},"repo":{"#));

/// An account's addresses take fewer bytes.
const ADDRESSES: usize = 4096;

/// Whether the rest of an object is of interest; `None` if its JSON is not of the usual form.
type Walked = Option<ControlFlow<()>>;

/// A value that may be null; `None` outside if its JSON is not of the usual form.
type Nullable<T> = Option<Option<T>>;

/// What there is to see in a line.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "looked at where it is made, and kept nowhere")]
pub enum Glance<'a> {
    /// An event of a kind that is not read; four lines of five.
    NotUsed,
    /// One that is.
    Event(Outline<'a>),
}

/// What tells an event's act, its author and its text, without what stands behind that.
#[derive(Debug)]
pub struct Outline<'a> {
    /// What kind of event it is.
    pub kind: EventKind,
    action: Option<Text<'a>>,
    repo: Option<Text<'a>>,
    actor: Option<User<'a>>,
    item: Option<Item<'a>>,
    on_pull_request: bool,
    at: Option<Text<'a>>,
}

impl Outline<'_> {
    /// The act, if it is one. Its time may be missing.
    pub fn read(&self) -> Result<Seen<'_>, Skip> {
        Reading {
            kind: self.kind,
            action: self.action.as_ref().map(Text::as_str),
            item: self.item.as_ref(),
            on_pull_request: self.on_pull_request,
            actor: self.actor.as_ref(),
            repo: self.repo.as_ref(),
            at: self.at.as_ref(),
        }
        .read()
    }
}

/// What there is to see in a line. `None` if it must be parsed to know.
pub fn glance(line: &[u8]) -> Option<Glance<'_>> {
    let mut walk = Walk { rest: line };
    walk.eat(br#"{"id":"#)?;
    walk.string()?;
    walk.eat(br#","type":"#)?;
    let kind = EventKind::of_event(walk.string()?);
    // Nothing else stands behind a kind that was not cut off.
    walk.eat(b",")?;
    let Some(kind) = kind else {
        return Some(Glance::NotUsed);
    };
    let mut outline = Outline {
        kind,
        action: None,
        repo: None,
        actor: None,
        item: None,
        on_pull_request: false,
        at: None,
    };
    let is_star = kind == EventKind::Star;
    let mut is_done = false;
    let _ = walk.more_members(|walk, key| match key {
        b"actor" if is_star => {
            outline.actor = walk.user(&REPO)?;
            Some(Continue(()))
        }
        // Texts have an author of their own.
        b"actor" => walk.pass_actor(),
        b"repo" => {
            outline.repo = walk.repo()?;
            Some(Continue(()))
        }
        b"payload" => {
            walk.payload(&mut outline)?;
            is_done = true;
            // A text has a time of its own.
            Some(if is_star { Continue(()) } else { Break(()) })
        }
        b"created_at" if is_done => {
            outline.at = walk.text()?;
            Some(Break(()))
        }
        _ => walk.pass(),
    })?;
    // A missing payload is the parser's to tell.
    is_done.then_some(Glance::Event(outline))
}

/// Whether a line is one value from its beginning to its end: neither cut off, nor run into another one.
pub fn is_whole(line: &[u8]) -> bool {
    let mut walk = Walk { rest: line };
    walk.pass().is_some() && walk.rest.is_empty()
}

/// A place in a line.
struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    fn repo(&mut self) -> Nullable<Text<'a>> {
        let mut name = None;
        let _ = self.members(|walk, key| match key {
            b"name" => {
                name = walk.text()?;
                Some(Continue(()))
            }
            _ => walk.pass(),
        })?;
        Some(name)
    }

    fn payload(&mut self, outline: &mut Outline<'a>) -> Option<()> {
        let kind = outline.kind;
        let place = kind.item_key().as_bytes();
        // Whether a comment is on a pull request is known from what stands in front of it.
        let mut is_placed = kind != EventKind::IssueComment;
        let _ = self.members(|walk, key| {
            match key {
                b"action" => {
                    outline.action = walk.text()?;
                    let news = kind.brings_news(outline.action.as_ref().map(Text::as_str));
                    // A star's payload is left whole, since its time stands behind.
                    let is_over = !news && kind != EventKind::Star;
                    return Some(if is_over { Break(()) } else { Continue(()) });
                }
                key if key == place => {}
                b"issue" | b"discussion" if place == b"comment" => {
                    let leapt = match outline.action {
                        Some(_) if outline.item.is_none() => walk.leap_to_comment(),
                        _ => None,
                    };
                    is_placed = true;
                    let Some(passed) = leapt else {
                        outline.on_pull_request = walk.is_pull_request()?;
                        return Some(Continue(()));
                    };
                    outline.on_pull_request = PULL_REQUEST.find(passed).is_some();
                }
                _ => return walk.pass(),
            }
            let is_last = is_placed && outline.action.is_some();
            outline.item = walk.item(kind, is_last)?;
            let is_done = is_last && outline.item.is_some();
            Some(if is_done { Break(()) } else { Continue(()) })
        })?;
        Some(())
    }

    /// Leaps over a value, and all that stands between, to that of the comment which follows; what it leapt over. `None`,
    /// and still where it was, if there is no such key or more than one: of several it cannot tell which is the payload's.
    fn leap_to_comment(&mut self) -> Option<&'a [u8]> {
        let (passed, behind) = self.rest.split_at_checked(COMMENT.find(self.rest)?)?;
        let value = behind.get(COMMENT.needle().len() - 1..)?;
        if COMMENT.find(value).is_some() {
            return None;
        }
        self.rest = value;
        Some(passed)
    }

    /// What somebody wrote, if it is not null. With `is_last` the place may be anywhere in it afterwards.
    fn item(&mut self, kind: EventKind, is_last: bool) -> Nullable<Item<'a>> {
        if self.null()? {
            return Some(None);
        }
        let is_titled = matches!(kind, EventKind::Issue | EventKind::PullRequest | EventKind::Discussion);
        let mut item = Item::default();
        let _ = self.members(|walk, key| {
            match key {
                b"html_url" => item.html_url = walk.text()?,
                b"title" => item.title = walk.text()?,
                b"body" => item.body = walk.text()?,
                b"user" => item.user = walk.user(&TYPE)?,
                b"created_at" => item.created_at = walk.text()?,
                b"submitted_at" => item.submitted_at = walk.text()?,
                _ => return walk.pass(),
            }
            let is_dated = item.created_at.is_some() || item.submitted_at.is_some();
            let enough = is_last
                && item.html_url.is_some()
                && (item.title.is_some() || !is_titled)
                && item.body.is_some()
                && item.user.is_some()
                && is_dated;
            Some(if enough { Break(()) } else { Continue(()) })
        })?;
        Some(Some(item))
    }

    /// Passes over an issue; whether it is a pull request.
    fn is_pull_request(&mut self) -> Option<bool> {
        if self.null()? {
            return Some(false);
        }
        let mut found = false;
        let _ = self.members(|walk, key| {
            if key == b"pull_request" {
                found = walk.peek()? != b'n';
            }
            walk.pass()
        })?;
        Some(found)
    }

    fn pass_actor(&mut self) -> Walked {
        let from = self.rest;
        self.eat(b"{")?;
        if self.leap(&REPO).is_none() {
            self.rest = from;
            return self.pass();
        }
        self.eat(b"}")?;
        Some(Continue(()))
    }

    /// An account. Its addresses reach up to `behind`, unless it is of another form.
    fn user(&mut self, behind: &Finder<'_>) -> Nullable<User<'a>> {
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
            if user.id.is_some() && user.login.is_some() && user.kind.is_none() {
                walk.leap(behind);
            }
            Some(Continue(()))
        })?;
        Some(Some(user))
    }

    /// Leaps over addresses to what stands behind them. `None`, and still where it was, if that is not near, or if an object
    /// might begin or end on the way: then it might belong to another one. Braces are a part of some addresses.
    fn leap(&mut self, behind: &Finder<'_>) -> Option<()> {
        let near = self.rest.get(..ADDRESSES).unwrap_or(self.rest);
        let at = behind.find(near)?;
        let mut braces = memchr2_iter(b'{', b'}', near.get(..at)?);
        let is_outer = braces.any(|place| match near.get(place) {
            Some(b'{') => place == 0 || matches!(near.get(place - 1), Some(b':' | b',' | b'[')),
            _ => matches!(near.get(place + 1), Some(b',' | b'}' | b']')),
        });
        if is_outer {
            return None;
        }
        self.rest = self.rest.get(at..)?;
        Some(())
    }

    /// Goes through an object, up to its end or until `member` breaks; that gets each key, with the place at its value.
    fn members(&mut self, member: impl FnMut(&mut Self, &'a [u8]) -> Walked) -> Walked {
        self.eat(b"{")?;
        if self.peek()? == b'}' {
            self.eat(b"}")?;
            return Some(Continue(()));
        }
        self.more_members(member)
    }

    /// Goes on through an object from one of its keys.
    fn more_members(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Walked) -> Walked {
        loop {
            let key = self.string()?;
            self.eat(b":")?;
            if member(self, key)?.is_break() {
                // A string that was cut off ends at the first mark of the next line, with something else behind.
                return matches!(self.peek()?, b',' | b'}').then_some(Break(()));
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
        } else if let Some(text) = unescaped(raw) {
            Cow::Owned(String::from_utf8(text).ok()?)
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

    fn eat(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(bytes)?;
        Some(())
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }
}

/// What a string means, if it holds no escapes but those of one letter.
fn unescaped(raw: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at)?;
        text.extend_from_slice(plain);
        text.push(match escape.get(1)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            itself @ (b'"' | b'\\' | b'/') => *itself,
            _ => return None,
        });
        rest = escape.get(2..)?;
    }
    text.extend_from_slice(rest);
    Some(text)
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
