//! The language of searches: words, "phrases", `qualifier:value`, AND, OR, NOT, a minus, and parentheses.

use super::words::split;

/// No longer query is taken, by GitHub's documentation.
const LENGTH: usize = 256;
/// Nor one with more of AND, OR and NOT.
const OPERATORS: usize = 5;

/// What a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Not(Box<Query>),
    /// The words of one term, which follow one another.
    Phrase(Vec<String>),
    /// The name in lower case.
    Qualifier(String, String),
}

/// Why a query is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Empty,
    TooLong,
    TooManyOperators,
    Unbalanced,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Minus,
    Term(Query),
}

impl Query {
    /// Reads the text of `q`.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.trim().is_empty() {
            return Err(Refused::Empty);
        }
        if text.chars().count() > LENGTH {
            return Err(Refused::TooLong);
        }
        let tokens = tokens(text);
        let operators = tokens
            .iter()
            .filter(|token| matches!(token, Token::And | Token::Or | Token::Not));
        if operators.count() > OPERATORS {
            return Err(Refused::TooManyOperators);
        }
        let mut parser = Parser { tokens, next: 0 };
        let query = parser.any()?;
        if parser.peek().is_some() {
            return Err(Refused::Unbalanced);
        }
        Ok(query)
    }

    /// The values of a qualifier, wherever it stands.
    pub fn values<'a>(&'a self, name: &str) -> Vec<&'a str> {
        match self {
            Self::Qualifier(key, value) if key == name => vec![value],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(|part| part.values(name)).collect(),
            Self::Not(part) => part.values(name),
            _ => Vec::new(),
        }
    }

    /// The phrases that a result may have been found by.
    pub fn phrases(&self) -> Vec<&[String]> {
        match self {
            Self::Phrase(words) => vec![words],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::phrases).collect(),
            Self::Not(_) | Self::Qualifier(..) => Vec::new(),
        }
    }

    /// The parts that each result fulfils.
    pub fn required(&self) -> &[Query] {
        match self {
            Self::All(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }
}

impl Refused {
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "The query is missing.",
            Self::TooLong => "The search is longer than 256 characters.",
            Self::TooManyOperators => "More than five AND / OR / NOT operators were used.",
            Self::Unbalanced => "The search contains unbalanced parentheses.",
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Query, Refused> {
        let mut parts = vec![self.all()?];
        while self.take(&Token::Or) {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Query::Any))
    }

    fn all(&mut self) -> Result<Query, Refused> {
        let mut parts = vec![self.one()?];
        loop {
            let and = self.take(&Token::And);
            if !and && matches!(self.peek(), None | Some(Token::Or | Token::Close)) {
                return Ok(one_or(parts, Query::All));
            }
            parts.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Query, Refused> {
        let token = self.peek().cloned();
        self.next += 1;
        match token {
            Some(Token::Not | Token::Minus) => Ok(Query::Not(Box::new(self.one()?))),
            Some(Token::Open) => {
                let inner = self.any()?;
                if self.take(&Token::Close) {
                    Ok(inner)
                } else {
                    Err(Refused::Unbalanced)
                }
            }
            Some(Token::Term(query)) => Ok(query),
            _ => Err(Refused::Unbalanced),
        }
    }
}

fn one_or(mut parts: Vec<Query>, many: fn(Vec<Query>) -> Query) -> Query {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        let (token, left) = match first {
            '(' => (Some(Token::Open), after),
            ')' => (Some(Token::Close), after),
            '-' if after.starts_with(|next: char| next.is_alphabetic() || next == '"' || next == '(') => {
                (Some(Token::Minus), after)
            }
            _ => term(rest),
        };
        tokens.extend(token);
        rest = left.trim_start();
    }
    tokens
}

/// One word, phrase or qualifier, whose value may be in quotes; nothing for what has neither letter nor digit.
fn term(text: &str) -> (Option<Token>, &str) {
    let mut quoted = false;
    let end = text.find(|one: char| {
        quoted ^= one == '"';
        !quoted && (one.is_whitespace() || one == '(' || one == ')')
    });
    let (term, rest) = text.split_at(end.unwrap_or(text.len()));
    let token = match term {
        "AND" => Some(Token::And),
        "OR" => Some(Token::Or),
        "NOT" => Some(Token::Not),
        _ => meaning(term).map(Token::Term),
    };
    (token, rest)
}

fn meaning(term: &str) -> Option<Query> {
    if let Some((name, value)) = term.split_once(':') {
        let is_name = !name.is_empty() && name.chars().all(|one| one.is_ascii_alphabetic() || one == '-');
        if is_name && !value.is_empty() {
            let value = value.trim_matches('"').to_owned();
            return Some(Query::Qualifier(name.to_lowercase(), value));
        }
    }
    let words: Vec<String> = split(term).collect();
    (!words.is_empty()).then_some(Query::Phrase(words))
}
