//! Connections: pages of a list by `first` and `after`, or `last`.

use serde_json::json;

use super::node::{Arguments, Node, Out};

/// The names of a connection's type and of its edges'.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub kind: &'static str,
    pub edge: &'static str,
}

/// One page of all entries; cursors count them.
pub(super) fn connection<'w>(names: Names, all: Vec<Out<'w>>, arguments: &Arguments) -> Node<'w> {
    let total = all.len();
    let after = arguments.text("after");
    let from = match (arguments.number("last"), after.strip_prefix("cursor:")) {
        (Some(last), _) => total.saturating_sub(last),
        (None, Some(cursor)) => cursor.parse().unwrap_or(0),
        (None, None) => 0,
    };
    let most = arguments
        .number("first")
        .or_else(|| arguments.number("last"))
        .unwrap_or(0);
    let shown: Vec<(String, Out<'w>)> = all
        .into_iter()
        .enumerate()
        .skip(from)
        .take(most)
        .map(|(index, entry)| (format!("cursor:{}", index + 1), entry))
        .collect();
    let more = from + shown.len() < total;
    let mut fields = page(names, shown, more, from > 0);
    fields.push(("totalCount", Out::leaf(total)));
    Node::Made(names.kind, fields)
}

/// `edges`, `nodes` and `pageInfo` of entries with their cursors.
pub(super) fn page(
    names: Names,
    entries: Vec<(String, Out<'_>)>,
    more: bool,
    earlier: bool,
) -> Vec<(&'static str, Out<'_>)> {
    let info = vec![
        ("hasNextPage", Out::leaf(more)),
        ("hasPreviousPage", Out::leaf(earlier)),
        (
            "startCursor",
            Out::Leaf(json!(entries.first().map(|(cursor, _)| cursor))),
        ),
        ("endCursor", Out::Leaf(json!(entries.last().map(|(cursor, _)| cursor)))),
    ];
    let nodes = entries.iter().map(|(_, entry)| entry.clone()).collect();
    let edges = entries.into_iter().map(|(cursor, entry)| {
        let fields = vec![("cursor", Out::leaf(cursor)), ("node", entry)];
        Out::Node(Node::Made(names.edge, fields))
    });
    vec![
        ("edges", Out::List(edges.collect())),
        ("nodes", Out::List(nodes)),
        ("pageInfo", Out::Node(Node::Made("PageInfo", info))),
    ]
}
