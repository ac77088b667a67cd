//! Who did something, as REST tells it in answers; events and deliveries have `wire::User`.

use serde::Deserialize;

use crate::ingest::activity::{Actor, ActorKind};

/// An account of GitHub's.
#[derive(Deserialize)]
pub(super) struct User {
    pub id: u64,
    pub login: String,
    /// Such as `Organization`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

impl From<User> for Actor {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            kind: kind_of(&user.login, user.kind.as_deref()),
            login: user.login,
        }
    }
}

/// What kind of account it is, by GitHub's word for it if there is one.
pub(super) fn kind_of(login: &str, kind: Option<&str>) -> ActorKind {
    match kind {
        Some("Organization") => ActorKind::Organization,
        Some("User") | None if !login.ends_with("[bot]") => ActorKind::User,
        _ => ActorKind::Bot,
    }
}
