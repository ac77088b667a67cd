//! What a GraphQL document is made of.

use std::collections::HashMap;

use serde_json::{Map, Value};

#[derive(Debug, Default)]
pub(super) struct Document {
    pub operations: Vec<Operation>,
    pub fragments: HashMap<String, Fragment>,
}

#[derive(Debug)]
pub(super) struct Operation {
    /// `query`, `mutation` or `subscription`.
    pub kind: String,
    pub name: Option<String>,
    pub variables: Vec<Variable>,
    pub selection: Vec<Selection>,
}

#[derive(Debug)]
pub(super) struct Variable {
    pub name: String,
    /// Whether its type ends in `!`.
    pub needed: bool,
    pub default: Option<Input>,
}

#[derive(Debug)]
pub(super) struct Fragment {
    pub on: Option<String>,
    pub selection: Vec<Selection>,
}

#[derive(Debug)]
pub(super) enum Selection {
    Field(Field),
    Spread(String, Vec<Directive>),
    Inline(Fragment, Vec<Directive>),
}

#[derive(Debug)]
pub(super) struct Field {
    /// The name in the answer.
    pub key: String,
    pub name: String,
    pub arguments: Vec<(String, Input)>,
    pub directives: Vec<Directive>,
    pub selection: Vec<Selection>,
    pub line: usize,
    pub column: usize,
}

#[derive(Debug)]
pub(super) struct Directive {
    pub name: String,
    pub arguments: Vec<(String, Input)>,
}

#[derive(Debug)]
pub(super) enum Input {
    Variable(String),
    Value(Value),
    List(Vec<Input>),
    Object(Vec<(String, Input)>),
}

impl Input {
    /// With the values of variables; one that has none is null.
    pub fn value(&self, variables: &Map<String, Value>) -> Value {
        match self {
            Self::Variable(name) => variables.get(name).cloned().unwrap_or_default(),
            Self::Value(value) => value.clone(),
            Self::List(inputs) => inputs.iter().map(|input| input.value(variables)).collect(),
            Self::Object(fields) => fields
                .iter()
                .map(|(name, input)| (name.clone(), input.value(variables)))
                .collect(),
        }
    }
}
