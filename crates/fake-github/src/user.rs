//! A person, organisation or bot, and its JSON in answers.

use serde_json::{Value, json};

/// `type` in GitHub's JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserKind {
    /// A person.
    #[default]
    User,
    /// A company or project.
    Organization,
    /// A GitHub App; its login ends in `[bot]`.
    Bot,
}

impl UserKind {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Organization => "Organization",
            Self::Bot => "Bot",
        }
    }
}

/// A public profile. Invent the person: never a real login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The numeric id, which survives a rename.
    pub id: u64,
    /// The login now.
    pub login: String,
    /// Person, organisation or bot.
    pub kind: UserKind,
    /// The display name.
    pub name: Option<String>,
    /// The company.
    pub company: Option<String>,
    /// The web site; GitHub says `""`, not null, where there is none.
    pub blog: String,
    /// The location.
    pub location: Option<String>,
    /// The public e-mail address.
    pub email: Option<String>,
    /// The biography.
    pub bio: Option<String>,
    /// How many follow.
    pub followers: u64,
    /// How many public repositories.
    pub public_repos: u64,
    /// RFC 3339, in UTC.
    pub created_at: String,
}

impl User {
    /// A person who tells nothing else.
    pub fn new(id: u64, login: &str) -> Self {
        Self {
            id,
            login: login.to_owned(),
            kind: UserKind::User,
            name: None,
            company: None,
            blog: String::new(),
            location: None,
            email: None,
            bio: None,
            followers: 0,
            public_repos: 0,
            created_at: "2020-01-02T03:04:05Z".to_owned(),
        }
    }

    /// `actor` of an event.
    pub(crate) fn actor(&self, base: &str) -> Value {
        json!({
            "id": self.id,
            "login": self.login,
            "display_login": self.login,
            "gravatar_id": "",
            "url": format!("{base}/users/{}", self.login),
            "avatar_url": self.avatar(),
        })
    }

    /// The short form, as `owner` and `user`.
    pub(crate) fn short(&self, base: &str) -> Value {
        let Self { id, login, .. } = self;
        let url = format!("{base}/users/{login}");
        json!({
            "login": login,
            "id": id,
            "node_id": self.node_id(),
            "avatar_url": self.avatar(),
            "gravatar_id": "",
            "url": url,
            "html_url": self.page(),
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": self.kind.as_str(),
            "user_view_type": "public",
            "site_admin": false,
        })
    }

    /// The id of GraphQL, which REST tells as `node_id`.
    pub(crate) fn node_id(&self) -> String {
        format!("U_fake{}", self.id)
    }

    /// The page for people.
    pub(crate) fn page(&self) -> String {
        format!("https://github.com/{}", self.login)
    }

    /// The public profile.
    pub(crate) fn profile(&self, base: &str) -> Value {
        let mut profile = self.short(base);
        let more = json!({
            "name": self.name,
            "company": self.company,
            "blog": self.blog,
            "location": self.location,
            "email": self.email,
            "hireable": null,
            "bio": self.bio,
            "twitter_username": null,
            "public_repos": self.public_repos,
            "public_gists": 0,
            "followers": self.followers,
            "following": 0,
            "created_at": self.created_at,
            "updated_at": self.created_at,
        });
        if let (Value::Object(profile), Value::Object(more)) = (&mut profile, more) {
            profile.extend(more);
        }
        profile
    }

    /// The picture.
    pub(crate) fn avatar(&self) -> String {
        format!("https://avatars.githubusercontent.com/u/{}?v=4", self.id)
    }
}
