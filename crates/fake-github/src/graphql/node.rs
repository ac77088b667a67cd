//! The objects that queries walk over, and what a field of one can be.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::thread::{Comment, Thread, ThreadKind};
use crate::{Repo, User, UserKind};

/// An object.
#[derive(Debug, Clone)]
pub(super) enum Node<'w> {
    Query,
    Repository(&'w Repo),
    Account(Cow<'w, User>),
    Thread(&'w Thread, &'w Repo),
    Remark(&'w Comment, &'w Thread, &'w Repo),
    /// One whose fields are known: its type and them.
    Made(&'static str, Vec<(&'static str, Out<'w>)>),
}

/// What a field is.
#[derive(Debug, Clone)]
pub(super) enum Out<'w> {
    Leaf(Value),
    Node(Node<'w>),
    List(Vec<Out<'w>>),
    /// Null, and an error `NOT_FOUND` with this text.
    Missing(String),
}

/// Why a field is nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// Its type has no such field.
    Undefined,
    /// The caller may not see it; what it belongs to becomes null.
    Forbidden(String),
}

pub(super) type Resolved<'w> = Result<Out<'w>, Fault>;

/// The arguments of a field.
#[derive(Debug)]
pub(super) struct Arguments(pub Map<String, Value>);

impl Arguments {
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn number(&self, name: &str) -> Option<usize> {
        let number = self.0.get(name).and_then(Value::as_u64)?;
        usize::try_from(number).ok()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// `field` and `direction` of `orderBy`, if it is given.
    pub fn order(&self) -> Option<(&str, bool)> {
        let order = self.0.get("orderBy")?;
        let field = order.get("field").and_then(Value::as_str)?;
        let descending = order.get("direction").and_then(Value::as_str) == Some("DESC");
        Some((field, descending))
    }
}

impl<'w> Out<'w> {
    pub fn leaf(value: impl Into<Value>) -> Self {
        Self::Leaf(value.into())
    }

    /// `databaseId`: null if it is none of the 32 bits that GraphQL's integers have.
    pub fn database_id(id: u64) -> Self {
        i32::try_from(id).map_or(Self::null(), Self::leaf)
    }

    pub const fn null() -> Self {
        Self::Leaf(Value::Null)
    }

    /// The account, or null for who is gone.
    pub fn account(user: Option<&'w User>) -> Self {
        user.map_or(Self::null(), |user| Self::Node(Node::Account(Cow::Borrowed(user))))
    }
}

impl Node<'_> {
    /// The name of its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Repository(_) => "Repository",
            Self::Account(user) => match user.kind {
                UserKind::User => "User",
                UserKind::Organization => "Organization",
                UserKind::Bot => "Bot",
            },
            Self::Thread(thread, _) => match thread.kind {
                ThreadKind::Issue => "Issue",
                ThreadKind::Pull => "PullRequest",
                ThreadKind::Discussion => "Discussion",
            },
            Self::Remark(_, thread, _) => match thread.kind {
                ThreadKind::Discussion => "DiscussionComment",
                ThreadKind::Issue | ThreadKind::Pull => "IssueComment",
            },
            Self::Made(kind, _) => kind,
        }
    }

    /// Whether a fragment on this type, or interface, is for it.
    pub fn is(&self, kind: &str) -> bool {
        kind == self.kind()
            || match self {
                Self::Repository(_) => kind == "Node",
                Self::Account(user) if user.kind == UserKind::Bot => ["Node", "Actor"].contains(&kind),
                Self::Account(_) => ["Node", "Actor", "RepositoryOwner", "ProfileOwner"].contains(&kind),
                Self::Thread(..) | Self::Remark(..) => ["Node", "Comment"].contains(&kind),
                Self::Query | Self::Made(..) => false,
            }
    }
}
