//! The fields of issues, pull requests, discussions and comments.

use serde_json::json;

use super::connection::{Names, connection};
use super::execute::Execution;
use super::node::{Arguments, Fault, Node, Out, Resolved};
use crate::Repo;
use crate::clock::rfc3339;
use crate::thread::{Comment, Thread, ThreadKind};

impl<'w> Execution<'w> {
    pub fn thread_field(&self, thread: &'w Thread, repo: &'w Repo, name: &str, arguments: &Arguments) -> Resolved<'w> {
        use ThreadKind::{Discussion, Issue, Pull};
        Ok(match (name, thread.kind) {
            ("id", _) => Out::leaf(thread.node_id()),
            ("databaseId", _) => Out::database_id(thread.id),
            ("fullDatabaseId", Issue | Pull) => Out::leaf(thread.id.to_string()),
            ("number", _) => Out::leaf(thread.number),
            ("title", _) => Out::leaf(thread.title.as_str()),
            ("body" | "bodyText", _) => Out::leaf(thread.body.as_str()),
            ("url", _) => Out::leaf(thread.page(repo)),
            ("createdAt" | "publishedAt", _) => Out::leaf(rfc3339(thread.created)),
            ("updatedAt", _) => Out::leaf(rfc3339(thread.updated)),
            ("author", _) => Out::account(self.world.person(thread.author)),
            ("authorAssociation", _) => Out::leaf("NONE"),
            ("repository", _) => Out::Node(Node::Repository(repo)),
            ("locked", _) | ("merged" | "isDraft", Pull) | ("isAnswered", Discussion) => Out::leaf(false),
            ("closed", _) => Out::leaf(thread.closed.is_some()),
            ("closedAt", _) => Out::Leaf(json!(thread.closed.map(rfc3339))),
            ("comments", _) => Out::Node(comments(thread, repo, arguments)),
            ("state", Issue | Pull) => Out::leaf(thread.state().to_uppercase()),
            ("mergedAt", Pull) | ("answer" | "answerChosenAt", Discussion) => Out::null(),
            ("upvoteCount", Discussion) => Out::leaf(1),
            ("category", Discussion) => {
                let fields = vec![
                    ("id", Out::leaf("DIC_fake1")),
                    ("name", Out::leaf("Q&A")),
                    ("slug", Out::leaf("q-a")),
                    ("emoji", Out::leaf(":pray:")),
                    ("isAnswerable", Out::leaf(true)),
                ];
                Out::Node(Node::Made("DiscussionCategory", fields))
            }
            _ => return Err(Fault::Undefined),
        })
    }

    pub fn remark_field(&self, remark: &Comment, thread: &Thread, repo: &'w Repo, name: &str) -> Resolved<'w> {
        let in_discussion = thread.kind == ThreadKind::Discussion;
        Ok(match name {
            "id" => Out::leaf(remark.node_id(thread.kind)),
            "databaseId" => Out::database_id(remark.id),
            "fullDatabaseId" if !in_discussion => Out::leaf(remark.id.to_string()),
            "body" | "bodyText" => Out::leaf(remark.body.as_str()),
            "url" => Out::leaf(remark.page(thread, repo)),
            "createdAt" | "updatedAt" | "publishedAt" => Out::leaf(rfc3339(remark.at)),
            "author" => Out::account(self.world.person(remark.author)),
            "authorAssociation" => Out::leaf("NONE"),
            "isAnswer" if in_discussion => Out::leaf(false),
            "replyTo" if in_discussion => Out::null(),
            "replies" if in_discussion => {
                let names = Names {
                    kind: "DiscussionCommentConnection",
                    edge: "DiscussionCommentEdge",
                };
                Out::Node(connection(names, Vec::new(), &Arguments(serde_json::Map::new())))
            }
            _ => return Err(Fault::Undefined),
        })
    }
}

fn comments<'w>(thread: &'w Thread, repo: &'w Repo, arguments: &Arguments) -> Node<'w> {
    let names = if thread.kind == ThreadKind::Discussion {
        Names {
            kind: "DiscussionCommentConnection",
            edge: "DiscussionCommentEdge",
        }
    } else {
        Names {
            kind: "IssueCommentConnection",
            edge: "IssueCommentEdge",
        }
    };
    let all = thread
        .remarks()
        .map(|remark| Out::Node(Node::Remark(remark, thread, repo)));
    connection(names, all.collect(), arguments)
}
