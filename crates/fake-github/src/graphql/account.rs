//! The fields of users, organisations and bots.

use serde_json::json;

use super::connection::{Names, connection};
use super::execute::Execution;
use super::node::{Arguments, Fault, Node, Out, Resolved};
use crate::{Repo, User, UserKind};

const REPOSITORIES: Names = Names {
    kind: "RepositoryConnection",
    edge: "RepositoryEdge",
};

impl<'w> Execution<'w> {
    pub fn account_field(&self, user: &User, name: &str, arguments: &Arguments) -> Resolved<'w> {
        Ok(match (name, user.kind) {
            ("id", _) => Out::leaf(user.node_id()),
            ("databaseId", _) => Out::database_id(user.id),
            ("login", _) => Out::leaf(user.login.as_str()),
            ("url", _) => Out::leaf(user.page()),
            ("avatarUrl", _) => Out::leaf(user.avatar()),
            ("createdAt" | "updatedAt", _) => Out::leaf(user.created_at.as_str()),
            (_, UserKind::Bot) => return Err(Fault::Undefined),
            ("name", _) => Out::Leaf(json!(user.name)),
            ("location", _) => Out::Leaf(json!(user.location)),
            ("websiteUrl", _) => Out::Leaf(json!(Some(&user.blog).filter(|blog| !blog.is_empty()))),
            ("twitterUsername", _) => Out::null(),
            ("email", UserKind::User) => Out::leaf(user.email.as_deref().unwrap_or_default()),
            ("email", _) => Out::Leaf(json!(user.email)),
            ("description", UserKind::Organization) => Out::Leaf(json!(user.bio)),
            ("repositories", _) => Out::Node(self.repositories(user, arguments)),
            (_, UserKind::Organization) => return Err(Fault::Undefined),
            ("company", _) => Out::Leaf(json!(user.company)),
            ("bio", _) => Out::Leaf(json!(user.bio)),
            ("followers", _) => Out::Node(count("FollowerConnection", user.followers)),
            ("following", _) => Out::Node(count("FollowingConnection", 0)),
            ("isHireable" | "isSiteAdmin" | "isEmployee", _) => Out::leaf(false),
            _ => return Err(Fault::Undefined),
        })
    }

    fn repositories(&self, user: &User, arguments: &Arguments) -> Node<'w> {
        let world = self.world;
        let fork = arguments.flag("isFork");
        let wanted = |repo: &&'w Repo| world.may_see(self.who, repo) && fork.is_none_or(|fork| fork == repo.fork);
        let mut repos: Vec<&'w Repo> = world.owned(&user.login).filter(wanted).collect();
        if let Some((field, descending)) = arguments.order() {
            match field {
                "PUSHED_AT" | "UPDATED_AT" => repos.sort_by(|a, b| a.pushed_at.cmp(&b.pushed_at)),
                "STARGAZERS" => repos.sort_by_key(|repo| repo.stars),
                "NAME" => repos.sort_by(|a, b| a.name().cmp(b.name())),
                _ => repos.sort_by(|a, b| a.created_at.cmp(&b.created_at)),
            }
            if descending {
                repos.reverse();
            }
        }
        let total = repos.len();
        let all = repos.into_iter().map(|repo| Out::Node(Node::Repository(repo)));
        let mut node = connection(REPOSITORIES, all.collect(), arguments);
        // Where the profile tells a number, repositories that the world does not know are counted too.
        if let (Node::Made(_, fields), Ok(told)) = (&mut node, usize::try_from(user.public_repos))
            && fork.is_none()
        {
            fields.retain(|(name, _)| *name != "totalCount");
            fields.push(("totalCount", Out::leaf(told.max(total))));
        }
        node
    }
}

fn count<'w>(kind: &'static str, total: u64) -> Node<'w> {
    Node::Made(kind, vec![("totalCount", Out::leaf(total))])
}
