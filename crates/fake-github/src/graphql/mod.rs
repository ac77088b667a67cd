//! `/graphql`: queries are parsed and carried out over the world, as far as a collector of signals asks.

mod account;
mod connection;
mod cost;
mod document;
mod execute;
mod lex;
mod node;
mod parse;
mod query;
mod repository;
#[cfg(test)]
mod tests;
mod writing;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::World;
use crate::ask::Ask;
use crate::limits::Bucket;
use crate::reply::Reply;

use cost::Cost;
use document::{Document, Operation};
use execute::Execution;

/// From which size on GraphQL fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GraphqlLimits {
    /// A query with more fields at its top than this is answered 502.
    pub bad_gateway_above: Option<usize>,
    /// Of a query with more fields at its top than this the first ones are answered, and each other one is null with
    /// an error `RESOURCE_LIMITS_EXCEEDED`.
    pub resources_above: Option<usize>,
}

/// `rateLimit` of an answer.
#[derive(Debug, Clone, Copy)]
struct Rate {
    limit: u64,
    used: u64,
    reset: u64,
    cost: u64,
    nodes: u64,
}

/// The answer when no points are left: GitHub says so with 200.
pub(crate) fn spent() -> Reply {
    failed(&[json!({ "type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1001." })])
}

fn failed(errors: &[Value]) -> Reply {
    Reply::ok(&json!({ "errors": errors }))
}

impl World {
    pub(crate) fn graphql_reply(&mut self, ask: &Ask) -> Reply {
        let Ok(Value::Object(body)) = serde_json::from_slice(ask.body) else {
            return Reply::message(StatusCode::BAD_REQUEST, "Problems parsing JSON");
        };
        let Some(text) = body.get("query").and_then(Value::as_str) else {
            return Reply::message(
                StatusCode::BAD_REQUEST,
                "A query attribute must be specified and must be a string.",
            );
        };
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(found) => return failed(&[json!({ "message": format!("Parse error on {found}") })]),
        };
        let name = body.get("operationName").and_then(Value::as_str);
        let Some(operation) = operation(&document, name) else {
            return failed(&[json!({ "message": "No operation of that name, or more than one." })]);
        };
        if operation.kind != "query" {
            let text = format!("Resource not accessible: this is no {}.", operation.kind);
            return failed(&[json!({ "type": "FORBIDDEN", "message": text })]);
        }
        let given = body.get("variables").and_then(Value::as_object);
        let variables = match variables(operation, given) {
            Ok(variables) => variables,
            Err(error) => return failed(&[error]),
        };
        self.carry_out(ask, &document, operation, variables)
    }

    fn carry_out(
        &mut self,
        ask: &Ask,
        document: &Document,
        operation: &Operation,
        variables: Map<String, Value>,
    ) -> Reply {
        let width = operation.selection.len();
        let is_bad = |value: &Value| {
            value
                .as_str()
                .is_some_and(|text| Some(text) == self.bad_gateway_on.as_deref())
        };
        if self.graphql.bad_gateway_above.is_some_and(|most| width > most) || variables.values().any(is_bad) {
            return Reply::message(StatusCode::BAD_GATEWAY, "Server Error");
        }
        let cost = Cost::of(document, &operation.selection, &variables);
        let points = cost.points();
        let now = self.now;
        let limit = self.quotas(ask.who, |quotas| *quotas.bucket(Bucket::Graphql, now));
        if !cost.refused.is_empty() {
            return failed(&cost.refused);
        }
        let rate = Rate {
            limit: limit.limit,
            used: limit.used.saturating_add(points).min(limit.limit),
            reset: limit.reset,
            cost: points,
            nodes: cost.nodes,
        };
        let execution = Execution::new(self, ask.who, document, variables, rate);
        let mut answer = execution.run(&operation.selection);
        self.break_off(&mut answer);
        let mut reply = Reply::ok(&answer);
        reply.points = points;
        reply
    }
}

impl World {
    /// Leaves out stargazers of an answer, if that is wanted.
    fn break_off(&mut self, answer: &mut Value) {
        let Some((kind, left)) = &mut self.broken_off_stargazers else {
            return;
        };
        let repository = answer.pointer_mut("/data/repository");
        let Some(repository) = repository.filter(|shown| *left > 0 && shown.get("stargazers").is_some()) else {
            return;
        };
        *left -= 1;
        match repository
            .pointer_mut("/stargazers/edges")
            .and_then(Value::as_array_mut)
        {
            Some(edges) if *kind == "RESOURCE_LIMITS_EXCEEDED" => {
                let half = edges.len() / 2;
                edges.iter_mut().skip(half).for_each(|edge| *edge = Value::Null);
            }
            _ => *repository = Value::Null,
        }
        let text = format!("Something went wrong while executing your query: {kind}.");
        if let Value::Object(answer) = answer {
            let error = json!({ "type": kind, "path": ["repository"], "message": text });
            answer.insert("errors".to_owned(), json!([error]));
        }
    }
}

/// The operation that is asked for; without a name the only one.
fn operation<'a>(document: &'a Document, name: Option<&str>) -> Option<&'a Operation> {
    let mut operations = document.operations.iter();
    if name.is_some() {
        return operations.find(|operation| operation.name.as_deref() == name);
    }
    let only = operations.next();
    only.filter(|_| operations.next().is_none())
}

/// The values of an operation's variables, or the error for one that is needed and has none.
fn variables(operation: &Operation, given: Option<&Map<String, Value>>) -> Result<Map<String, Value>, Value> {
    let mut values = Map::new();
    for variable in &operation.variables {
        let value = given.and_then(|given| given.get(&variable.name)).cloned();
        let default = || variable.default.as_ref().map(|input| input.value(&Map::new()));
        match value.or_else(default) {
            Some(value) if !(value.is_null() && variable.needed) => {
                values.insert(variable.name.clone(), value);
            }
            None if !variable.needed => {}
            _ => {
                let text = format!("Variable ${} was provided invalid value", variable.name);
                return Err(json!({ "message": text }));
            }
        }
    }
    Ok(values)
}
