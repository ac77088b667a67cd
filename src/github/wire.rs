//! GitHub's JSON, as little of it as is read: for archive lines, the events feed and webhook deliveries alike.
//!
//! Nothing is required of GitHub here: a field that is missing is `None`, and what cannot do without it says so in
//! [`super::activity`]. Texts are borrowed from the JSON wherever it holds no escapes.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A text, borrowed from the JSON if it can be.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(text)
    }
}

/// The text, or an empty one.
pub(super) fn or_empty<'b>(text: Option<&'b Text<'_>>) -> &'b str {
    text.map_or("", Text::as_str)
}

/// An event of the public timeline: a line of an archive, an item of an events feed.
#[derive(Debug, Default, Deserialize)]
pub struct Event<'a> {
    /// Unique only together with `created_at`: GitHub began anew with its numbers in 2025.
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    /// Such as `WatchEvent`.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    /// Who did it.
    #[serde(borrow, default)]
    pub actor: Option<User<'a>>,
    /// Where.
    #[serde(borrow, default)]
    pub repo: Option<Repo<'a>>,
    /// What.
    #[serde(borrow, default)]
    pub payload: Option<Payload<'a>>,
    /// When.
    #[serde(borrow, default)]
    pub created_at: Option<Text<'a>>,
}

/// A webhook delivery around its [`Payload`], which stands beside these fields.
#[derive(Debug, Deserialize)]
pub struct Delivery<'a> {
    /// Where.
    #[serde(borrow, default)]
    pub repository: Option<Repository<'a>>,
    /// Who did it.
    #[serde(borrow, default)]
    pub sender: Option<User<'a>>,
    /// When the repository was starred, in `star` deliveries.
    #[serde(borrow, default)]
    pub starred_at: Option<Text<'a>>,
}

/// What happened; an event's `payload`, or a delivery as a whole.
#[derive(Debug, Default, Deserialize)]
pub struct Payload<'a> {
    /// Such as `opened`.
    #[serde(borrow, default)]
    pub action: Option<Text<'a>>,
    /// The number of a pull request, beside what is told of it.
    #[serde(default)]
    pub number: Option<u64>,
    /// The issue, also that of a comment.
    #[serde(borrow, default)]
    pub issue: Option<Item<'a>>,
    /// The comment.
    #[serde(borrow, default)]
    pub comment: Option<Item<'a>>,
    /// The pull request, also that of a review.
    #[serde(borrow, default)]
    pub pull_request: Option<Item<'a>>,
    /// The review.
    #[serde(borrow, default)]
    pub review: Option<Item<'a>>,
    /// The discussion, also that of a comment.
    #[serde(borrow, default)]
    pub discussion: Option<Item<'a>>,
}

/// Something that somebody wrote.
#[derive(Debug, Default, Deserialize)]
pub struct Item<'a> {
    /// Its page.
    #[serde(borrow, default)]
    pub html_url: Option<Text<'a>>,
    /// Its title; comments have none.
    #[serde(borrow, default)]
    pub title: Option<Text<'a>>,
    /// Its text.
    #[serde(borrow, default)]
    pub body: Option<Text<'a>>,
    /// Its author; null once the account is gone.
    #[serde(borrow, default)]
    pub user: Option<User<'a>>,
    /// When it was written.
    #[serde(borrow, default)]
    pub created_at: Option<Text<'a>>,
    /// When it was written, in reviews.
    #[serde(borrow, default)]
    pub submitted_at: Option<Text<'a>>,
    /// Present in an issue that is a pull request.
    #[serde(default)]
    pub pull_request: Option<IgnoredAny>,
}

/// An account.
#[derive(Debug, Default, Deserialize)]
pub struct User<'a> {
    /// The numeric id.
    #[serde(default)]
    pub id: Option<u64>,
    /// The login.
    #[serde(borrow, default)]
    pub login: Option<Text<'a>>,
    /// `User`, `Bot`, `Organization`, `Mannequin`; a timeline's actor has none.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
}

/// A repository in the timeline.
#[derive(Debug, Deserialize)]
pub struct Repo<'a> {
    /// `owner/name`.
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
}

/// A repository in a delivery.
#[derive(Debug, Deserialize)]
pub struct Repository<'a> {
    /// `owner/name`.
    #[serde(borrow, default)]
    pub full_name: Option<Text<'a>>,
}
