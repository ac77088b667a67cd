//! What a node does of all there is to do: its roles.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::database::Engine;
use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["roles"];

const ALONE: &str = "must hold project: without database_url no other process keeps the read models up to date";

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Answers clients, and takes GitHub's webhooks.
    Api,
    /// Polls GitHub, looks up profiles, releases withheld leads.
    Ingest,
    /// Keeps the read models up to date.
    Project,
    /// Sends webhooks.
    Deliver,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Api, Self::Ingest, Self::Project, Self::Deliver];

    /// The word in settings and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ingest => "ingest",
            Self::Project => "project",
            Self::Deliver => "deliver",
        }
    }
}

/// The roles of a node, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Default for Roles {
    /// All of them.
    fn default() -> Self {
        Self(Role::ALL.into())
    }
}

impl Roles {
    /// This one alone.
    pub fn only(role: Role) -> Self {
        Self([role].into())
    }

    /// Whether the node has the role.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// The words of the roles.
    pub fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|role| role.as_str()).collect()
    }

    /// `engine` says whether there can be another node for what this one does not do.
    pub(super) fn read(sources: &Sources<'_>, engine: &Engine) -> Result<Self, ConfigError> {
        let given = sources.find("roles", |text| {
            let roles: Self = text.parse()?;
            match engine {
                Engine::Embedded if !roles.has(Role::Project) => Err(ALONE.to_owned()),
                _ => Ok(roles),
            }
        })?;
        Ok(given.unwrap_or_default())
    }
}

impl FromStr for Roles {
    type Err = String;

    /// Reads `api,deliver`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |word: &str| Role::ALL.into_iter().find(|role| role.as_str() == word);
        let read = |word: &str| {
            let word = word.trim();
            known(word).ok_or_else(|| format!("`{word}` is no role; the roles are {}", Self::default()))
        };
        text.split(',').map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(", "))
    }
}

/// The same as a flag.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// What this node does, of api, ingest, project, deliver [default: all of it]
    #[arg(long, global = true, value_name = "ROLE,…")]
    roles: Option<String>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 1] {
        [("roles", self.roles.clone())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_words_with_commas_between_in_any_order() {
        let roles: Roles = " deliver,api, api".parse().unwrap();
        assert_eq!(roles.words(), ["api", "deliver"]);
        assert!(roles.has(Role::Api) && !roles.has(Role::Project));
        assert_eq!(Roles::default().to_string(), "api, ingest, project, deliver");
    }

    #[test]
    fn an_unknown_role_is_refused_by_its_name() {
        for (text, word) in [("api,worker", "worker"), ("", ""), ("api,", ""), ("API", "API")] {
            let told = text.parse::<Roles>().unwrap_err();
            assert_eq!(
                told,
                format!("`{word}` is no role; the roles are api, ingest, project, deliver")
            );
        }
    }
}
