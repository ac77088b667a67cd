//! From GitHub's words to a public act of a person: which events count, who the author is, what was written where.
//!
//! Used by the archive scan, the events feed and the webhook receiver; [`Seen`] borrows, so that what concerns nobody
//! is never copied.

use domain::{Collector, ScanTarget, Timestamp};

use super::actor::kind_of;
use super::wire::{Delivery, Event, Item, Payload, Text, User, or_empty};
use crate::ingest::activity::{Act, Activity, Actor, ActorKind};

/// The kinds of events that are read; all others tell of nothing that makes a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A star.
    Star,
    /// An issue.
    Issue,
    /// A comment on an issue or a pull request.
    IssueComment,
    /// A comment on a commit.
    CommitComment,
    /// A pull request.
    PullRequest,
    /// A review of a pull request.
    Review,
    /// A comment on the changes of a pull request.
    ReviewComment,
    /// A discussion.
    Discussion,
    /// A comment in a discussion.
    DiscussionComment,
}

impl EventKind {
    /// Every kind that is read.
    pub const ALL: [Self; 9] = [
        Self::Star,
        Self::Issue,
        Self::IssueComment,
        Self::CommitComment,
        Self::PullRequest,
        Self::Review,
        Self::ReviewComment,
        Self::Discussion,
        Self::DiscussionComment,
    ];

    /// Its name in the public timeline.
    pub const fn event_name(self) -> &'static str {
        match self {
            Self::Star => "WatchEvent",
            Self::Issue => "IssuesEvent",
            Self::IssueComment => "IssueCommentEvent",
            Self::CommitComment => "CommitCommentEvent",
            Self::PullRequest => "PullRequestEvent",
            Self::Review => "PullRequestReviewEvent",
            Self::ReviewComment => "PullRequestReviewCommentEvent",
            Self::Discussion => "DiscussionEvent",
            Self::DiscussionComment => "DiscussionCommentEvent",
        }
    }

    /// The kind of a timeline event.
    pub fn of_event(name: impl AsRef<[u8]>) -> Option<Self> {
        let name = name.as_ref();
        Self::ALL.into_iter().find(|kind| kind.event_name().as_bytes() == name)
    }

    /// The kind of a webhook delivery, by its `X-GitHub-Event`.
    pub fn of_delivery(name: &str) -> Option<Self> {
        Some(match name {
            "star" | "watch" => Self::Star,
            "issues" => Self::Issue,
            "issue_comment" => Self::IssueComment,
            "commit_comment" => Self::CommitComment,
            "pull_request" => Self::PullRequest,
            "pull_request_review" => Self::Review,
            "pull_request_review_comment" => Self::ReviewComment,
            "discussion" => Self::Discussion,
            "discussion_comment" => Self::DiscussionComment,
            _ => return None,
        })
    }
}

impl EventKind {
    /// Whether an event of this kind with such an action tells of something new: a star, or a text.
    pub fn brings_news(self, action: Option<&str>) -> bool {
        match (self, action) {
            (_, None) | (Self::Star, Some("started" | "created")) => true,
            (Self::Star, Some(_)) => false,
            (_, Some(action)) => matches!(action, "opened" | "created" | "submitted" | "edited" | "updated"),
        }
    }

    /// The same of a webhook delivery, which alone tells of stars that were taken back.
    pub fn delivery_brings_news(self, action: Option<&str>) -> bool {
        self.brings_news(action) || self.takes_a_star_back(action)
    }

    fn takes_a_star_back(self, action: Option<&str>) -> bool {
        self == Self::Star && action == Some("deleted")
    }

    /// Where in an event's payload its text is. A star has none.
    pub const fn item_key(self) -> &'static str {
        match self {
            Self::Star => "",
            Self::Issue => "issue",
            Self::PullRequest => "pull_request",
            Self::Review => "review",
            Self::Discussion => "discussion",
            Self::IssueComment | Self::CommitComment | Self::ReviewComment | Self::DiscussionComment => "comment",
        }
    }
}

/// Why an event is no activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// An event of another kind, or an action that brings no new text.
    NotUsed,
    /// The text is not there: an empty review, a pull request in the shape that GitHub cut down in October 2025.
    WithoutText,
    /// The author's account is gone.
    WithoutAuthor,
    /// A field is missing that every such event has.
    Incomplete(&'static str),
}

/// A public act, borrowed from the JSON it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// What was done.
    pub act: SeenAct<'a>,
    /// Where: `owner/name`.
    pub repo: &'a str,
    /// The author's numeric id.
    pub user_id: u64,
    /// The author's login.
    pub login: &'a str,
    /// What kind of account the author is.
    pub kind: ActorKind,
    /// When, in ISO 8601.
    at: &'a str,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenAct<'a> {
    /// The repository was starred.
    Starred,
    /// The star was taken back.
    Unstarred,
    /// Something was written.
    Wrote {
        /// What kind of place it was written in.
        target: ScanTarget,
        /// The title; may be empty.
        title: &'a str,
        /// The text; may be empty.
        body: &'a str,
        /// The item's page.
        url: &'a str,
    },
}

#[cfg(test)]
impl<'a> Seen<'a> {
    /// An act of an invented person.
    pub(crate) fn of_a_user(repo: &'a str, act: SeenAct<'a>) -> Self {
        Self {
            act,
            repo,
            user_id: 5,
            login: "ada-example",
            kind: ActorKind::User,
            at: "2026-03-01T10:00:00Z",
        }
    }
}

impl Seen<'_> {
    /// The activity, copied out of the JSON. `None` if its time is none.
    pub fn to_activity(&self, collector: Collector) -> Option<Activity> {
        let act = match self.act {
            SeenAct::Starred => Act::Starred,
            SeenAct::Unstarred => Act::Unstarred,
            SeenAct::Wrote {
                target,
                title,
                body,
                url,
            } => Act::Wrote {
                target,
                text: match (title, body) {
                    ("", text) | (text, "") => text.to_owned(),
                    _ => format!("{title}\n{body}"),
                },
                url: url.to_owned(),
            },
        };
        Some(Activity {
            act,
            repo: self.repo.to_owned(),
            actor: Actor {
                id: self.user_id,
                login: self.login.to_owned(),
                kind: self.kind,
            },
            occurred_at: self.at.parse::<Timestamp>().ok()?,
            collector,
        })
    }
}

/// What an event of the timeline tells.
pub fn of_event<'a>(event: &'a Event<'_>) -> Result<Seen<'a>, Skip> {
    let kind = EventKind::of_event(event.kind.as_str()).ok_or(Skip::NotUsed)?;
    let payload = event.payload.as_ref().ok_or(Skip::Incomplete("payload"))?;
    Reading {
        actor: event.actor.as_ref(),
        repo: event.repo.as_ref().and_then(|repo| repo.name.as_ref()),
        at: event.created_at.as_ref(),
        ..Reading::of_payload(kind, payload)
    }
    .read()
}

/// The number of a pull request that was opened or edited and that the event tells no text of.
pub fn bare_pull(event: &Event<'_>) -> Option<u64> {
    let payload = event.payload.as_ref()?;
    let is_new = matches!(payload.action.as_ref().map(Text::as_str), Some("opened" | "edited"));
    let is_pull = EventKind::of_event(event.kind.as_str()) == Some(EventKind::PullRequest);
    payload.number.filter(|_| is_pull && is_new)
}

/// What a webhook delivery of that kind tells; `received_at` is its time if it names none.
pub fn of_delivery<'a>(
    kind: EventKind,
    delivery: &'a Delivery<'_>,
    payload: &'a Payload<'_>,
    received_at: &'a str,
) -> Result<Seen<'a>, Skip> {
    let repository = delivery.repository.as_ref();
    let reading = Reading {
        actor: delivery.sender.as_ref(),
        repo: repository.and_then(|repository| repository.full_name.as_ref()),
        at: delivery.starred_at.as_ref(),
        ..Reading::of_payload(kind, payload)
    };
    let mut seen = if kind.takes_a_star_back(reading.action) {
        reading.star(SeenAct::Unstarred)?
    } else {
        reading.read()?
    };
    if seen.at.is_empty() {
        seen.at = received_at;
    }
    Ok(seen)
}

/// What all shapes have in common.
pub struct Reading<'a, 'j> {
    /// What kind of event it is.
    pub kind: EventKind,
    /// What was done, in GitHub's word.
    pub action: Option<&'a str>,
    /// What was written, if anything.
    pub item: Option<&'a Item<'j>>,
    /// Whether the issue that was commented on is a pull request.
    pub on_pull_request: bool,
    /// Who did it.
    pub actor: Option<&'a User<'j>>,
    /// Where: `owner/name`.
    pub repo: Option<&'a Text<'j>>,
    /// When, unless the item knows better.
    pub at: Option<&'a Text<'j>>,
}

impl<'a, 'j> Reading<'a, 'j> {
    fn of_payload(kind: EventKind, payload: &'a Payload<'j>) -> Self {
        let item = match kind {
            EventKind::Star => &None,
            EventKind::Issue => &payload.issue,
            EventKind::PullRequest => &payload.pull_request,
            EventKind::Review => &payload.review,
            EventKind::Discussion => &payload.discussion,
            EventKind::IssueComment
            | EventKind::CommitComment
            | EventKind::ReviewComment
            | EventKind::DiscussionComment => &payload.comment,
        };
        let issue = payload.issue.as_ref();
        Self {
            kind,
            action: payload.action.as_ref().map(Text::as_str),
            item: item.as_ref(),
            on_pull_request: issue.is_some_and(|issue| issue.pull_request.is_some()),
            actor: None,
            repo: None,
            at: None,
        }
    }

    /// The act, if it is one.
    pub fn read(self) -> Result<Seen<'a>, Skip> {
        match self.kind {
            kind if !kind.brings_news(self.action) => Err(Skip::NotUsed),
            EventKind::Star => self.star(SeenAct::Starred),
            _ => self.wrote(),
        }
    }

    fn star(self, act: SeenAct<'a>) -> Result<Seen<'a>, Skip> {
        let actor = self.actor.ok_or(Skip::Incomplete("actor"))?;
        self.seen(act, actor, None)
    }

    fn wrote(self) -> Result<Seen<'a>, Skip> {
        let target = match self.kind {
            EventKind::Star => return Err(Skip::NotUsed),
            EventKind::IssueComment if self.on_pull_request => ScanTarget::Prs,
            EventKind::Issue | EventKind::IssueComment => ScanTarget::Issues,
            EventKind::PullRequest | EventKind::Review | EventKind::ReviewComment => ScanTarget::Prs,
            EventKind::Discussion | EventKind::DiscussionComment => ScanTarget::Discussions,
            EventKind::CommitComment => ScanTarget::Code,
        };
        let item = self.item.ok_or(Skip::Incomplete("item"))?;
        let (title, body) = (or_empty(item.title.as_ref()), or_empty(item.body.as_ref()));
        if title.is_empty() && body.is_empty() {
            return Err(Skip::WithoutText);
        }
        let author = item.user.as_ref().ok_or(Skip::WithoutAuthor)?;
        let url = item
            .html_url
            .as_ref()
            .map(Text::as_str)
            .ok_or(Skip::Incomplete("html_url"))?;
        let act = SeenAct::Wrote {
            target,
            title,
            body,
            url,
        };
        self.seen(act, author, Some(item))
    }

    fn seen(self, act: SeenAct<'a>, author: &'a User<'_>, item: Option<&'a Item<'_>>) -> Result<Seen<'a>, Skip> {
        let login = author
            .login
            .as_ref()
            .map(Text::as_str)
            .ok_or(Skip::Incomplete("login"))?;
        let written_at = item.and_then(|item| item.created_at.as_ref().or(item.submitted_at.as_ref()));
        Ok(Seen {
            act,
            repo: self.repo.map(Text::as_str).ok_or(Skip::Incomplete("repository"))?,
            user_id: author.id.ok_or(Skip::Incomplete("user id"))?,
            login,
            kind: kind_of(login, author.kind.as_ref().map(Text::as_str)),
            at: or_empty(written_at.or(self.at)),
        })
    }
}

/// A timeline's actor has no type, so the suffix that GitHub gives to apps must tell. A mannequin stands for somebody
/// of another platform and is nobody to write to.
#[cfg(test)]
#[path = "activity_tests.rs"]
mod tests;
