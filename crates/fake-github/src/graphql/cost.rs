//! What a query costs and whether it asks for too much, before it is carried out: GitHub's rules for connections.

use serde_json::{Map, Value, json};

use super::document::{Document, Field, Selection};

/// Fields that are connections.
const CONNECTIONS: &[&str] = &[
    "comments",
    "discussions",
    "issues",
    "languages",
    "pullRequests",
    "replies",
    "repositories",
    "search",
    "stargazers",
];
/// The most entries of one connection.
const MOST: u64 = 100;
/// The most nodes of one query.
const NODES: u64 = 500_000;

/// What a query asks for.
#[derive(Debug, Default)]
pub(super) struct Cost {
    /// Nodes of all connections.
    pub nodes: u64,
    /// Requests that GitHub would need.
    requests: u64,
    /// What GitHub refuses in it.
    pub refused: Vec<Value>,
}

impl Cost {
    pub fn of(document: &Document, selection: &[Selection], variables: &Map<String, Value>) -> Self {
        let mut cost = Self::default();
        cost.add(document, selection, variables, 1, 0);
        if cost.nodes > NODES {
            cost.refuse(
                "MAX_NODE_LIMIT_EXCEEDED",
                &format!(
                    "This query requests up to {} possible nodes which exceeds the maximum limit of {NODES}.",
                    cost.nodes
                ),
            );
        }
        cost
    }

    /// A hundredth of the requests, at least one.
    pub fn points(&self) -> u64 {
        ((self.requests + 50) / 100).max(1)
    }

    fn add(
        &mut self,
        document: &Document,
        selection: &[Selection],
        variables: &Map<String, Value>,
        parents: u64,
        depth: usize,
    ) {
        // A fragment that spreads itself ends here.
        if depth > 25 {
            return;
        }
        for selected in selection {
            match selected {
                Selection::Field(field) => {
                    let entries = self.connection(field, variables, parents);
                    self.add(
                        document,
                        &field.selection,
                        variables,
                        parents.saturating_mul(entries),
                        depth + 1,
                    );
                }
                Selection::Inline(fragment, _) => {
                    self.add(document, &fragment.selection, variables, parents, depth + 1);
                }
                Selection::Spread(name, _) => {
                    if let Some(fragment) = document.fragments.get(name) {
                        self.add(document, &fragment.selection, variables, parents, depth + 1);
                    }
                }
            }
        }
    }

    /// How many entries a field has for each of its parents; one if it is no connection.
    fn connection(&mut self, field: &Field, variables: &Map<String, Value>, parents: u64) -> u64 {
        if !CONNECTIONS.contains(&field.name.as_str()) {
            return 1;
        }
        let bound = |name: &str| {
            let argument = field.arguments.iter().find(|(key, _)| key == name);
            argument.and_then(|(_, input)| input.value(variables).as_u64())
        };
        let Some(entries) = bound("first").or_else(|| bound("last")) else {
            let lists = |selected: &Selection| match selected {
                Selection::Field(field) => field.name == "nodes" || field.name == "edges",
                _ => true,
            };
            if field.selection.iter().any(lists) {
                self.refuse(
                    "MISSING_PAGINATION_BOUNDARIES",
                    &format!(
                        "You must provide a `first` or `last` value to properly paginate the `{}` connection.",
                        field.name
                    ),
                );
            }
            return 1;
        };
        if entries > MOST {
            self.refuse(
                "EXCESSIVE_PAGINATION",
                &format!(
                    "Requesting {entries} records on the `{}` connection exceeds the `first` limit of {MOST} records.",
                    field.name
                ),
            );
        }
        self.requests = self.requests.saturating_add(parents);
        self.nodes = self.nodes.saturating_add(parents.saturating_mul(entries));
        entries
    }

    fn refuse(&mut self, kind: &str, text: &str) {
        self.refused.push(json!({ "type": kind, "message": text }));
    }
}
