//! The fields at the top of a query.

use super::connection::{Names, connection};
use super::execute::Execution;
use super::node::{Arguments, Fault, Node, Out, Resolved};
use crate::clock::rfc3339;
use crate::thread::{Thread, ThreadKind};
use crate::world::Named;
use crate::{Repo, UserKind};

const SEARCH: Names = Names {
    kind: "SearchResultItemConnection",
    edge: "SearchResultItemEdge",
};
/// No search has more results.
const RESULTS: usize = 1_000;

impl<'w> Execution<'w> {
    pub fn query_field(&self, name: &str, arguments: &Arguments) -> Resolved<'w> {
        Ok(match name {
            "repository" => self.repository(arguments),
            "user" => self.user(arguments.text("login")),
            "repositoryOwner" => {
                let owner = self.world.find_user(arguments.text("login"));
                Out::account(owner.filter(|owner| owner.kind != UserKind::Bot))
            }
            "node" => self.node(arguments.text("id")),
            "nodes" => {
                let ids = arguments.0.get("ids").and_then(serde_json::Value::as_array);
                let ids = ids.into_iter().flatten().filter_map(serde_json::Value::as_str);
                Out::List(ids.map(|id| self.node(id)).collect())
            }
            "search" => Out::Node(self.search(arguments)),
            "viewer" => {
                let viewer = self.world.token(self.who).map(|token| token.user);
                Out::account(viewer.and_then(|id| self.world.users.get(&id)))
            }
            "rateLimit" => self.rate_limit(),
            _ => return Err(Fault::Undefined),
        })
    }

    fn repository(&self, arguments: &Arguments) -> Out<'w> {
        let name = format!("{}/{}", arguments.text("owner"), arguments.text("name"));
        let found = match self.world.named(&name) {
            Named::Here(id) => Some(id),
            Named::Moved(id) => Some(id).filter(|_| arguments.flag("followRenames") != Some(false)),
            Named::Unknown => None,
        };
        match found.and_then(|id| self.visible(id)) {
            Some(repo) => Out::Node(Node::Repository(repo)),
            None => Out::Missing(format!("Could not resolve to a Repository with the name '{name}'.")),
        }
    }

    fn user(&self, login: &str) -> Out<'w> {
        let found = self.world.find_user(login);
        match found.filter(|user| user.kind == UserKind::User) {
            Some(user) => Out::account(Some(user)),
            None => Out::Missing(format!("Could not resolve to a User with the login of '{login}'.")),
        }
    }

    /// What has this id, which REST tells as `node_id`.
    fn node(&self, id: &str) -> Out<'w> {
        let missing = || Out::Missing(format!("Could not resolve to a node with the global id of '{id}'"));
        let Some((kind, number)) = id.split_once("_fake") else {
            return missing();
        };
        let Ok(number) = number.parse::<u64>() else {
            return missing();
        };
        let found = match kind {
            "R" => self.visible(number).map(|repo| Out::Node(Node::Repository(repo))),
            "U" => self.world.users.get(&number).map(|user| Out::account(Some(user))),
            "I" | "PR" | "D" => {
                let thread = self.world.threads.of_id(number);
                thread
                    .filter(|thread| thread.node_id() == id)
                    .and_then(|thread| self.thread(thread))
            }
            _ => None,
        };
        found.unwrap_or_else(missing)
    }

    /// The thread, if the caller may see its repository.
    pub fn thread(&self, thread: &'w Thread) -> Option<Out<'w>> {
        let repo = self.visible(thread.repo)?;
        Some(Out::Node(Node::Thread(thread, repo)))
    }

    fn visible(&self, id: u64) -> Option<&'w Repo> {
        let repo = self.world.repos.get(&id)?;
        self.world.may_see(self.who, repo).then_some(repo)
    }

    fn search(&self, arguments: &Arguments) -> Node<'w> {
        let text = arguments.text("query");
        let found = match arguments.text("type") {
            "DISCUSSION" => self.world.search_discussions(self.who, text),
            "ISSUE" => self.world.search_newest_issues(self.who, text),
            _ => Vec::new(),
        };
        let total = found.len();
        let reachable = found.into_iter().take(RESULTS).filter_map(|thread| self.thread(thread));
        let mut node = connection(SEARCH, reachable.collect(), arguments);
        if let Node::Made(_, fields) = &mut node {
            let discussions = arguments.text("type") == "DISCUSSION";
            fields.retain(|(name, _)| *name != "totalCount");
            fields.extend([
                ("discussionCount", Out::leaf(if discussions { total } else { 0 })),
                ("issueCount", Out::leaf(if discussions { 0 } else { total })),
            ]);
        }
        node
    }

    fn rate_limit(&self) -> Out<'w> {
        let rate = self.rate;
        let fields = vec![
            ("cost", Out::leaf(rate.cost)),
            ("limit", Out::leaf(rate.limit)),
            ("nodeCount", Out::leaf(rate.nodes)),
            ("remaining", Out::leaf(rate.limit.saturating_sub(rate.used))),
            ("resetAt", Out::leaf(rfc3339(rate.reset))),
            ("used", Out::leaf(rate.used)),
        ];
        Out::Node(Node::Made("RateLimit", fields))
    }

    /// The thread of this number and one of these kinds.
    pub fn numbered(&self, repo: &Repo, number: Option<usize>, kinds: &[ThreadKind]) -> Option<Out<'w>> {
        let thread = self.world.threads.numbered(repo.id, number? as u64)?;
        kinds.contains(&thread.kind).then(|| self.thread(thread)).flatten()
    }
}
