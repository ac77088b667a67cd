//! Carries a query out: fields one by one, partial data beside errors.

use serde_json::{Map, Value, json};

use super::Rate;
use super::document::{Directive, Document, Field, Fragment, Selection};
use super::node::{Arguments, Fault, Node, Out, Resolved};
use crate::World;
use crate::caller::Who;

pub(super) struct Execution<'w> {
    pub world: &'w World,
    pub who: &'w Who,
    pub rate: Rate,
    document: &'w Document,
    variables: Map<String, Value>,
    errors: Vec<Value>,
    /// Whether a field was asked for that is none: then there is no data at all.
    undefined: bool,
    path: Vec<Value>,
    /// Fields at the top so far.
    width: usize,
}

impl<'w> Execution<'w> {
    pub fn new(
        world: &'w World,
        who: &'w Who,
        document: &'w Document,
        variables: Map<String, Value>,
        rate: Rate,
    ) -> Self {
        Self {
            world,
            who,
            rate,
            document,
            variables,
            errors: Vec::new(),
            undefined: false,
            path: Vec::new(),
            width: 0,
        }
    }

    /// The whole answer.
    pub fn run(mut self, selection: &[Selection]) -> Value {
        let data = self.object(&Node::Query, selection);
        if self.undefined {
            return json!({ "errors": self.errors });
        }
        if self.errors.is_empty() {
            return json!({ "data": data });
        }
        json!({ "data": data, "errors": self.errors })
    }

    /// Nothing if a field that cannot be null is.
    fn object(&mut self, node: &Node<'w>, selection: &[Selection]) -> Option<Value> {
        let mut fields = Map::new();
        self.collect(node, selection, &mut fields)?;
        Some(Value::Object(fields))
    }

    fn collect(&mut self, node: &Node<'w>, selection: &[Selection], fields: &mut Map<String, Value>) -> Option<()> {
        let document = self.document;
        for selected in selection {
            match selected {
                Selection::Field(field) if self.included(&field.directives) => {
                    self.path.push(json!(field.key));
                    let value = self.field(node, field);
                    self.path.pop();
                    insert(fields, &field.key, value?);
                }
                Selection::Inline(fragment, directives) if self.included(directives) => {
                    self.spread(node, fragment, fields)?;
                }
                Selection::Spread(name, directives) if self.included(directives) => {
                    match document.fragments.get(name) {
                        Some(fragment) => self.spread(node, fragment, fields)?,
                        None => self.refuse(&format!("Fragment {name} was used, but not defined"), &json!([])),
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn spread(&mut self, node: &Node<'w>, fragment: &Fragment, fields: &mut Map<String, Value>) -> Option<()> {
        if fragment.on.as_deref().is_none_or(|kind| node.is(kind)) {
            self.collect(node, &fragment.selection, fields)?;
        }
        Some(())
    }

    fn field(&mut self, node: &Node<'w>, field: &Field) -> Option<Value> {
        if field.name == "__typename" {
            return Some(json!(node.kind()));
        }
        if matches!(node, Node::Query) {
            self.width += 1;
            if self.world.graphql.resources_above.is_some_and(|most| self.width > most) {
                self.error(
                    "RESOURCE_LIMITS_EXCEEDED",
                    "Resource limits for this query exceeded.",
                    field,
                );
                return Some(Value::Null);
            }
        }
        let arguments = field
            .arguments
            .iter()
            .map(|(name, input)| (name.clone(), input.value(&self.variables)));
        let arguments = Arguments(arguments.collect());
        match self.resolve(node, &field.name, &arguments) {
            Ok(out) => Some(self.complete(out, field)),
            Err(Fault::Forbidden(text)) => {
                self.error("FORBIDDEN", &text, field);
                None
            }
            Err(Fault::Undefined) => {
                let text = format!("Field '{}' doesn't exist on type '{}'", field.name, node.kind());
                self.refuse(&text, &places(field));
                Some(Value::Null)
            }
        }
    }

    fn resolve(&self, node: &Node<'w>, name: &str, arguments: &Arguments) -> Resolved<'w> {
        match node {
            Node::Query => self.query_field(name, arguments),
            Node::Repository(repo) => self.repository_field(repo, name, arguments),
            Node::Account(user) => self.account_field(user, name, arguments),
            Node::Thread(thread, repo) => self.thread_field(thread, repo, name, arguments),
            Node::Remark(remark, thread, repo) => self.remark_field(remark, thread, repo, name),
            Node::Made(_, fields) => {
                let found = fields.iter().find(|(key, _)| *key == name);
                found.map(|(_, out)| out.clone()).ok_or(Fault::Undefined)
            }
        }
    }

    fn complete(&mut self, out: Out<'w>, field: &Field) -> Value {
        match out {
            Out::Leaf(value) => value,
            Out::Node(node) => self.object(&node, &field.selection).unwrap_or_default(),
            Out::List(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (index, entry) in entries.into_iter().enumerate() {
                    self.path.push(json!(index));
                    values.push(self.complete(entry, field));
                    self.path.pop();
                }
                Value::Array(values)
            }
            Out::Missing(text) => {
                self.error("NOT_FOUND", &text, field);
                Value::Null
            }
        }
    }

    fn error(&mut self, kind: &str, text: &str, field: &Field) {
        self.errors
            .push(json!({ "type": kind, "path": self.path, "locations": places(field), "message": text }));
    }

    /// A query that is none, by GitHub's schema.
    fn refuse(&mut self, text: &str, places: &Value) {
        self.undefined = true;
        let error = json!({
            "path": self.path,
            "extensions": { "code": "undefinedField" },
            "locations": places,
            "message": text,
        });
        self.errors.push(error);
    }

    /// By `@include` and `@skip`.
    fn included(&self, directives: &[Directive]) -> bool {
        directives.iter().all(|directive| {
            let condition = directive.arguments.iter().find(|(name, _)| name == "if");
            let condition = condition.map(|(_, input)| input.value(&self.variables));
            match directive.name.as_str() {
                "include" => condition != Some(Value::Bool(false)),
                "skip" => condition != Some(Value::Bool(true)),
                _ => true,
            }
        })
    }
}

fn places(field: &Field) -> Value {
    json!([{ "line": field.line, "column": field.column }])
}

/// Two selections of one field are one.
fn insert(fields: &mut Map<String, Value>, key: &str, value: Value) {
    match (fields.get_mut(key), value) {
        (Some(Value::Object(there)), Value::Object(more)) => {
            for (name, value) in more {
                insert(there, &name, value);
            }
        }
        (_, value) => {
            fields.insert(key.to_owned(), value);
        }
    }
}
