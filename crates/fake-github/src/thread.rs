//! What people write: issues, pull requests, discussions and the comments on them.

use std::collections::{BTreeSet, HashMap};

use crate::clock::seconds;
use crate::search::Words;
use crate::{User, World, world};

/// Ids of issues and pull requests begin here: GraphQL's `databaseId` has no room for them, as on GitHub.
const FIRST_ID: u64 = 3_000_000_000;
/// Ids of discussions begin here.
const FIRST_DISCUSSION: u64 = 9_000_000;
/// Ids of comments on discussions begin here.
const FIRST_DISCUSSION_COMMENT: u64 = 15_000_000;

/// An issue, a pull request or a discussion, for [`World::open_issue`] and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its number in the repository, which no other of the three has.
    pub number: u64,
    /// Who opens it.
    pub author: User,
    /// The title.
    pub title: String,
    /// The text.
    pub body: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadKind {
    Issue,
    Pull,
    Discussion,
}

#[derive(Debug)]
pub(crate) struct Thread {
    pub id: u64,
    /// The repository's id.
    pub repo: u64,
    pub number: u64,
    pub kind: ThreadKind,
    /// The user's id.
    pub author: u64,
    pub title: String,
    pub body: String,
    /// Seconds since 1970.
    pub created: u64,
    pub updated: u64,
    pub closed: Option<u64>,
    pub comments: Vec<Comment>,
}

#[derive(Debug)]
pub(crate) struct Comment {
    pub id: u64,
    pub author: u64,
    pub body: String,
    pub at: u64,
    /// Whether it is about a line of a pull request.
    pub review: bool,
}

/// All of them, and what finds them.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    all: Vec<Thread>,
    by_number: HashMap<(u64, u64), usize>,
    by_repo: HashMap<u64, BTreeSet<usize>>,
    /// By the time of their last change.
    pub recent: BTreeSet<(u64, usize)>,
    pub words: Words,
}

impl Thread {
    /// Title, body and comments, as a search reads them.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let comments = self.comments.iter().map(|comment| ("comments", comment.body.as_str()));
        [("title", self.title.as_str()), ("body", self.body.as_str())]
            .into_iter()
            .chain(comments)
    }

    /// The comments that are not about a line.
    pub fn remarks(&self) -> impl Iterator<Item = &Comment> {
        self.comments.iter().filter(|comment| !comment.review)
    }
}

impl Threads {
    pub fn get(&self, index: usize) -> Option<&Thread> {
        self.all.get(index)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn numbered(&self, repo: u64, number: u64) -> Option<&Thread> {
        self.all.get(*self.by_number.get(&(repo, number))?)
    }

    pub fn of_id(&self, id: u64) -> Option<&Thread> {
        let index = id.checked_sub(FIRST_ID).or_else(|| id.checked_sub(FIRST_DISCUSSION))?;
        let thread = self.all.get(usize::try_from(index).ok()?);
        thread.filter(|thread| thread.id == id)
    }

    /// Places of a repository's threads, oldest first.
    pub fn of_repo(&self, repo: u64) -> impl DoubleEndedIterator<Item = usize> {
        self.by_repo.get(&repo).into_iter().flatten().copied()
    }

    fn add(&mut self, mut thread: Thread) -> Option<&Thread> {
        let key = (thread.repo, thread.number);
        if self.by_number.contains_key(&key) {
            return None;
        }
        let index = self.all.len();
        let first = match thread.kind {
            ThreadKind::Discussion => FIRST_DISCUSSION,
            ThreadKind::Issue | ThreadKind::Pull => FIRST_ID,
        };
        thread.id = first + index as u64;
        self.by_number.insert(key, index);
        self.by_repo.entry(thread.repo).or_default().insert(index);
        self.recent.insert((thread.updated, index));
        self.words.add(index, &thread.title);
        self.words.add(index, &thread.body);
        self.all.push(thread);
        self.all.last()
    }

    /// Changes a thread at a time, which becomes the time of its last change.
    fn change(&mut self, repo: u64, number: u64, at: u64, change: impl FnOnce(&mut Thread)) -> Option<&Thread> {
        let index = *self.by_number.get(&(repo, number))?;
        let thread = self.all.get_mut(index)?;
        change(thread);
        self.recent.remove(&(thread.updated, index));
        thread.updated = thread.updated.max(at);
        self.recent.insert((thread.updated, index));
        for text in thread
            .comments
            .last()
            .map(|comment| &comment.body)
            .into_iter()
            .chain([&thread.body])
        {
            self.words.add(index, text);
        }
        self.all.get(index)
    }
}

impl World {
    /// The author opens an issue. Times are RFC 3339, in UTC. The event's id; nothing if the number is taken.
    pub fn open_issue(&mut self, repo: &str, post: &Post, at: &str) -> Option<String> {
        self.open(repo, post, ThreadKind::Issue, at)
    }

    /// The author opens a pull request, whose event carries no text since October 2025.
    pub fn open_pull(&mut self, repo: &str, post: &Post, at: &str) -> Option<String> {
        self.open(repo, post, ThreadKind::Pull, at)
    }

    /// The author opens a discussion.
    pub fn open_discussion(&mut self, repo: &str, post: &Post, at: &str) -> Option<String> {
        self.open(repo, post, ThreadKind::Discussion, at)
    }

    fn open(&mut self, repo: &str, post: &Post, kind: ThreadKind, at: &str) -> Option<String> {
        let id = self.repo_id(repo);
        self.meet(&post.author);
        let created = seconds(at).unwrap_or(self.now);
        let added = self.threads.add(Thread {
            id: 0,
            repo: id,
            number: post.number,
            kind,
            author: post.author.id,
            title: post.title.clone(),
            body: post.body.clone(),
            created,
            updated: created,
            closed: None,
            comments: Vec::new(),
        });
        added?;
        let (event, payload) = self.opened(id, post.number)?;
        Some(self.happen(repo, &post.author, event, &payload, at))
    }

    /// Someone comments. The event's id; nothing where there is no such thread, nor for a discussion, whose comments
    /// the feeds leave out.
    pub fn comment(&mut self, repo: &str, number: u64, actor: &User, text: &str, at: &str) -> Option<String> {
        self.remark(repo, number, actor, text, at, false)
    }

    /// Someone comments on a line of a pull request.
    pub fn review_comment(&mut self, repo: &str, number: u64, actor: &User, text: &str, at: &str) -> Option<String> {
        self.remark(repo, number, actor, text, at, true)
    }

    fn remark(&mut self, repo: &str, number: u64, actor: &User, text: &str, at: &str, review: bool) -> Option<String> {
        let id = self.repo_id(repo);
        self.meet(actor);
        let time = seconds(at).unwrap_or(self.now);
        let in_discussion = self.threads.numbered(id, number)?.kind == ThreadKind::Discussion;
        let comment = Comment {
            id: if in_discussion {
                FIRST_DISCUSSION_COMMENT + self.new_id() - world::FIRST_ID
            } else {
                self.new_id()
            },
            author: actor.id,
            body: text.to_owned(),
            at: time,
            review,
        };
        self.threads
            .change(id, number, time, |thread| thread.comments.push(comment))?;
        let (event, payload) = self.commented(id, number)?;
        Some(self.happen(repo, actor, event, &payload, at))
    }

    /// The author changes the text, of which no event tells.
    pub fn edit(&mut self, repo: &str, number: u64, body: &str, at: &str) {
        let id = self.repo_id(repo);
        let time = seconds(at).unwrap_or(self.now);
        let body = body.to_owned();
        self.threads.change(id, number, time, |thread| thread.body = body);
    }

    /// Someone closes an issue, or a pull request without merging it. The event's id.
    pub fn close(&mut self, repo: &str, number: u64, actor: &User, at: &str) -> Option<String> {
        let id = self.repo_id(repo);
        self.meet(actor);
        let time = seconds(at).unwrap_or(self.now);
        self.threads
            .change(id, number, time, |thread| thread.closed = Some(time))?;
        let (event, payload) = self.closed(id, number)?;
        Some(self.happen(repo, actor, event, &payload, at))
    }
}
