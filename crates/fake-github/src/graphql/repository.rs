//! The fields of a repository, its stargazers newest first among them.

use serde_json::json;

use super::connection::{Names, connection, page};
use super::execute::Execution;
use super::node::{Arguments, Fault, Node, Out, Resolved};
use crate::clock::rfc3339;
use crate::stars::Star;
use crate::thread::{Thread, ThreadKind};
use crate::{Refusal, Repo};

const STARGAZERS: Names = Names {
    kind: "StargazerConnection",
    edge: "StargazerEdge",
};
const LANGUAGES: Names = Names {
    kind: "LanguageConnection",
    edge: "LanguageEdge",
};

impl<'w> Execution<'w> {
    pub fn repository_field(&self, repo: &'w Repo, name: &str, arguments: &Arguments) -> Resolved<'w> {
        use ThreadKind::{Discussion, Issue, Pull};
        Ok(match name {
            "id" => Out::leaf(repo.node_id()),
            "databaseId" => Out::database_id(repo.id),
            "name" => Out::leaf(repo.name()),
            "nameWithOwner" => Out::leaf(repo.full_name.as_str()),
            "owner" => Out::Node(Node::Account(self.world.owner(repo))),
            "url" => Out::leaf(repo.page()),
            "description" => Out::Leaf(json!(repo.description)),
            "isPrivate" => Out::leaf(repo.private),
            "isFork" => Out::leaf(repo.fork),
            "isArchived" | "isDisabled" | "isLocked" | "isEmpty" => Out::leaf(false),
            "hasDiscussionsEnabled" | "hasIssuesEnabled" => Out::leaf(true),
            "visibility" => Out::leaf(if repo.private { "PRIVATE" } else { "PUBLIC" }),
            "viewerCanAdminister" => Out::leaf(self.world.may_administer(self.who, repo)),
            "stargazerCount" => Out::leaf(repo.stars),
            "forkCount" => Out::leaf(0),
            "diskUsage" => Out::leaf(repo.size),
            "createdAt" => Out::leaf(repo.created_at.as_str()),
            "updatedAt" | "pushedAt" => Out::leaf(repo.pushed_at.as_str()),
            "primaryLanguage" => repo.language().map_or(Out::null(), language),
            "languages" => Out::Node(languages(repo, arguments)),
            "stargazers" => Out::Node(self.stargazers(repo, arguments)?),
            "issue" => self.one(repo, arguments, &[Issue], "Issue"),
            "pullRequest" => self.one(repo, arguments, &[Pull], "PullRequest"),
            "issueOrPullRequest" => self.one(repo, arguments, &[Issue, Pull], "issue or pull request"),
            "discussion" => self.one(repo, arguments, &[Discussion], "Discussion"),
            "issues" => Out::Node(self.many(repo, arguments, Issue)),
            "pullRequests" => Out::Node(self.many(repo, arguments, Pull)),
            "discussions" => Out::Node(self.many(repo, arguments, Discussion)),
            _ => return Err(Fault::Undefined),
        })
    }

    fn one(&self, repo: &Repo, arguments: &Arguments, kinds: &[ThreadKind], kind: &str) -> Out<'w> {
        let number = arguments.number("number");
        self.numbered(repo, number, kinds).unwrap_or_else(|| {
            let number = number.unwrap_or_default();
            Out::Missing(format!("Could not resolve to an {kind} with the number of {number}."))
        })
    }

    fn many(&self, repo: &Repo, arguments: &Arguments, kind: ThreadKind) -> Node<'w> {
        let places = self.world.threads.of_repo(repo.id);
        let threads = places.filter_map(|place| self.world.threads.get(place));
        let mut threads: Vec<&'w Thread> = threads.filter(|thread| thread.kind == kind).collect();
        if let Some((field, descending)) = arguments.order() {
            let updated = field == "UPDATED_AT";
            threads.sort_by_key(|thread| (if updated { thread.updated } else { thread.created }, thread.id));
            if descending {
                threads.reverse();
            }
        }
        let names = match kind {
            ThreadKind::Issue => ["IssueConnection", "IssueEdge"],
            ThreadKind::Pull => ["PullRequestConnection", "PullRequestEdge"],
            ThreadKind::Discussion => ["DiscussionConnection", "DiscussionEdge"],
        };
        let [kind, edge] = names;
        let all = threads.into_iter().filter_map(|thread| self.thread(thread)).collect();
        connection(Names { kind, edge }, all, arguments)
    }

    /// A cursor names a star, so that a list that grows at its front is read on where it was left.
    fn stargazers(&self, repo: &Repo, arguments: &Arguments) -> Result<Node<'w>, Fault> {
        let world = self.world;
        let stars = match world.stargazers_refused(self.who, repo) {
            None => world.stars_of(repo.id),
            Some(Refusal::Empty) => &[],
            Some(_) => {
                let text = "You must be an administrator or collaborator to list the stargazers of this repository.";
                return Err(Fault::Forbidden(text.to_owned()));
            }
        };
        let newest_first = arguments.order().is_some_and(|(_, descending)| descending);
        let after = cursor(arguments.text("after"));
        let most = arguments.number("first").unwrap_or(0);
        let (rest, earlier) = match (newest_first, after) {
            (true, Some(after)) => (stars.partition_point(|star| *star < after), true),
            (true, None) => (stars.len(), false),
            (false, Some(after)) => (stars.partition_point(|star| *star <= after), true),
            (false, None) => (0, false),
        };
        let (shown, more): (Vec<&Star>, bool) = if newest_first {
            (stars.iter().take(rest).rev().take(most).collect(), rest > most)
        } else {
            (stars.iter().skip(rest).take(most).collect(), stars.len() - rest > most)
        };
        let user = |star: &Star| Out::account(world.person(star.user));
        let again: Option<u64> = world.endless_stargazers.then(|| {
            let read = arguments.text("after").strip_prefix("again:");
            read.and_then(|count| count.parse().ok()).unwrap_or(0) + 1
        });
        let mark = |star: &Star| {
            let named = || format!("star:{}:{}", star.at, star.user);
            again.map_or_else(named, |count| format!("again:{count}"))
        };
        let mut fields = page(
            STARGAZERS,
            shown.iter().map(|star| (mark(star), user(star))).collect(),
            more || again.is_some(),
            earlier,
        );
        let edges = shown.iter().map(|star| {
            let fields = vec![
                ("cursor", Out::leaf(format!("star:{}:{}", star.at, star.user))),
                ("starredAt", Out::leaf(rfc3339(star.at))),
                ("node", user(star)),
            ];
            Out::Node(Node::Made(STARGAZERS.edge, fields))
        });
        fields.retain(|(name, _)| *name != "edges");
        fields.extend([
            ("edges", Out::List(edges.collect())),
            ("totalCount", Out::leaf(repo.stars)),
        ]);
        Ok(Node::Made(STARGAZERS.kind, fields))
    }
}

fn cursor(text: &str) -> Option<Star> {
    let (at, user) = text.strip_prefix("star:")?.split_once(':')?;
    Some(Star {
        at: at.parse().ok()?,
        user: user.parse().ok()?,
    })
}

fn language<'w>(name: &str) -> Out<'w> {
    let fields = vec![
        ("id", Out::leaf(format!("L_fake{name}"))),
        ("name", Out::leaf(name)),
        ("color", Out::null()),
    ];
    Out::Node(Node::Made("Language", fields))
}

fn languages<'w>(repo: &Repo, arguments: &Arguments) -> Node<'w> {
    let mut sizes: Vec<(&String, u64)> = repo.languages.iter().map(|(name, size)| (name, *size)).collect();
    if arguments.order().is_some_and(|(_, descending)| descending) {
        sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    }
    let all = sizes.iter().map(|(name, _)| language(name)).collect();
    let most = arguments.number("first").unwrap_or(0);
    let edges = sizes.iter().take(most).map(|(name, size)| {
        let fields = vec![("size", Out::leaf(*size)), ("node", language(name))];
        Out::Node(Node::Made(LANGUAGES.edge, fields))
    });
    let edges = edges.collect();
    let mut node = connection(LANGUAGES, all, arguments);
    if let Node::Made(_, fields) = &mut node {
        let total: u64 = sizes.iter().map(|(_, size)| size).sum();
        fields.retain(|(name, _)| *name != "edges");
        fields.extend([("edges", Out::List(edges)), ("totalSize", Out::leaf(total))]);
    }
    node
}
